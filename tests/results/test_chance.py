"""The chance of one adaptation, on invented studies whose adaptations differ by known amounts."""

import numpy as np
import pytest

from helpers.results import adaptation_chance, caption, paired_combined
from helpers.results.chance import COLUMNS

TASKS = ("chemprot", "citation_intent", "ag", "imdb")


def twice(study, shifts, seeds=10):
    """DAPT at 60 %, DAPT again at 60 % less the task's shift."""
    cells = {(task, "dapt"): 0.6 for task in TASKS} | {
        (task, "dapt_again"): 0.6 - shift / 100 for task, shift in zip(TASKS, shifts, strict=True)
    }
    return adaptation_chance(study(cells, seeds=seeds, recipe="frozen"), draws=200).set_index("task")


def test_adaptations_that_differ_by_known_amounts(study):
    found = twice(study, (10, -10, 10, -10))
    assert found.loc[list(TASKS), "effect"].to_numpy() == pytest.approx([10, -10, 10, -10], abs=2.5)
    assert (found.loc["chemprot", "low"] > 0) and (found.loc["ag", "low"] > 0) and (found.loc["imdb", "high"] < 0)
    assert found.loc["all", "effect"] == pytest.approx(0, abs=1.5)
    # a difference of two adaptations has twice the variance of one
    assert found.loc["all", "spread"] == pytest.approx(10 / np.sqrt(2), abs=1.5)
    assert found.loc[list(TASKS), "spread"].isna().all()


def test_adaptations_that_do_not_differ_have_no_spread_beyond_the_draws_and_rows(study):
    found = twice(study, (0, 0, 0, 0))
    assert found.loc["all", "low"] < 0 < found.loc["all", "high"]
    assert found.loc["all", "spread"] < 1.0


def test_one_task_is_the_paired_difference(study):
    records = study({("ag", "dapt"): 0.6, ("ag", "dapt_again"): 0.5, ("imdb", "dapt"): 0.6}, seeds=4)
    one, mean = adaptation_chance(records).to_dict("records")
    first, second = (records[(records.task == "ag") & (records.method == name)] for name in ("dapt", "dapt_again"))
    oracle = paired_combined(
        first.test_gold.iloc[0], list(first.test_predictions), list(second.test_predictions), 3, "macro_f1"
    )
    assert (one["effect"], one["low"], one["high"], one["n"]) == (oracle.effect, oracle.low, oracle.high, 4)
    assert mean["task"] == "all" and mean["effect"] == pytest.approx(one["effect"])


def test_without_a_second_adaptation_there_is_nothing_to_say(study):
    found = adaptation_chance(study({("ag", "dapt"): 0.6, ("ag", "base"): 0.5}))
    assert found.empty and list(found.columns) == list(COLUMNS) and caption(found) == ""


def test_the_caption_says_the_mean_the_sure_tasks_and_the_spread(study):
    found = twice(study, (10, 0, 0, 0)).reset_index()
    said = caption(found)
    assert said.startswith("DAPT less DAPT by another seed is ") and "surely not zero on chemprot (+" in said
    assert f"standard deviation of {found['spread'].iloc[-1]:.1f} points" in said
