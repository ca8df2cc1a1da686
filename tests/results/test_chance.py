"""The chance of one adaptation, on invented studies whose adaptations differ by known amounts."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.results import adaptation_chance, caption, claims, claims_with_chance, paired_combined
from helpers.results.chance import CLAIM_COLUMNS, COLUMNS, spread_of
from helpers.results.stats import t_comparison, with_shared
from helpers.results.verdicts import mean_effect
from tests.results.conftest import invent_losses

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
    # more draws leave less room for it
    assert found.loc["all", "spread"] <= found.loc["all", "spread_at_most"]
    assert twice(study, (0, 0, 0, 0), seeds=40).loc["all", "spread_at_most"] < found.loc["all", "spread_at_most"]


def test_the_bound_on_the_spread_is_above_it_nineteen_times_of_twenty():
    """Invented effects of four tasks, whose adaptations differ by a spread of 0.6 and whose error is 0.4."""
    chance = np.random.default_rng(0)
    spread, error = 0.6, 0.4
    effects = chance.normal(0, np.sqrt(2 * spread**2 + error**2), (1000, 4))
    bounds = [spread_of([t_comparison(one, error, 1e6, 40) for one in row])[1] for row in effects]
    assert np.mean(np.array(bounds) >= spread) == pytest.approx(0.95, abs=0.015)


def test_a_pair_of_adaptations_that_serves_several_tasks_counts_once_for_the_bound():
    """Three tasks move with one pair of adaptations, a fourth with another pair."""
    chance = np.random.default_rng(1)
    spread, error, pairs = 0.6, 0.2, ["one", "one", "one", "other"]
    both = chance.normal(0, np.sqrt(2) * spread, (1000, 2))
    effects = both[:, [0, 0, 0, 1]] + chance.normal(0, error, (1000, 4))
    rows = [[t_comparison(one, error, 1e6, 40) for one in row] for row in effects]
    held = {name: np.mean([spread_of(row, adapted)[1] >= spread for row in rows])
            for name, adapted in (("counted once", pairs), ("as if each had its own", None))}  # fmt: skip
    assert held["counted once"] > 0.94 and held["as if each had its own"] < 0.9
    assert spread_of(rows[0], pairs)[0] == spread_of(rows[0])[0]  # the estimate is no other


def test_a_task_that_can_tell_little_says_little_of_the_spread():
    """A noisy task beside three sharp ones: the estimate stays near the truth."""
    chance = np.random.default_rng(0)
    spread, errors = 0.5, np.array([0.3, 0.3, 0.3, 2.0])
    effects = chance.normal(0, np.sqrt(2 * spread**2 + errors**2), (500, 4))
    found = [spread_of([t_comparison(*pair, 1e6, 40) for pair in zip(row, errors, strict=True)])[0] for row in effects]
    assert np.mean(np.array(found) == 0) < 0.1
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(spread, rel=0.15)
    # alike errors: the mean of squares less the error's, halved for two adaptations
    alike = [t_comparison(effect, 0.5, 1e6, 40) for effect in (1.0, -2.0)]
    assert spread_of(alike)[0] == pytest.approx(np.sqrt((2.5 - 0.25) / 2))


def test_differences_smaller_than_chance_leaves_them_bound_no_spread():
    """|effect / error| is below 0.0627 in 5 % of draws from chance alone: then no spread is an upper bound at 95 %."""
    for effect, bounded in ((0.06, False), (0.07, True)):
        spread, most = spread_of([t_comparison(effect, 1.0, 1e6, 40)])
        assert spread == 0 and np.isfinite(most) == bounded and (most > 0 or not bounded)
    row = {"task": "all", "measure": "f1", "recipe": "frozen", "comparison": "a", "unit": "points", "effect": 0.06,
           "low": -1.9, "high": 2.0, "p": 0.95, "spread": 0.0, "spread_at_most": np.nan}  # fmt: skip
    said = caption(pd.DataFrame([row | {"task": "t"}, row]))
    assert said.endswith("one adaptation's own chance has a standard deviation of 0.0 points a task.")


def test_one_adaptation_that_serves_every_task_moves_their_mean_with_it(study):
    """DAPT on general text is one model for all tasks, DAPT one a domain: spread^2 / 4 and the whole spread^2."""
    methods = {"dapt": 0.7, "generic_dapt": 0.5}
    records = study({(task, name): value for task in TASKS for name, value in methods.items()}, seeds=20, rows=2000)
    records["adaptation_corpus"] = np.where(records["method"] == "dapt", records["domain"], "generic")
    records["recipe"] = "frozen"
    chance = twice(study, (0, 0, 0, 0)).reset_index()
    chance.loc[chance["task"] == "all", "spread"] = 3.0
    wide = claims_with_chance(records, chance, draws=200).set_index("claim").loc["dapt_beats_general_text"]
    plain = claims(records, draws=200).query("scope == 'all'").set_index("claim").loc["dapt_beats_general_text"]
    assert plain["effect"] == pytest.approx(wide["effect"])
    error = plain["detectable_effect"] / 2.9  # about 2.8 standard errors
    expected = np.sqrt(error**2 + 9 / 4 + 9)
    reach = (wide["high_with_chance"] - wide["low_with_chance"]) / 2
    assert reach == pytest.approx(stats.t.ppf(0.975, 4) * expected, rel=0.05)


def test_one_task_is_the_paired_difference(study):
    records = study({("ag", "dapt"): 0.6, ("ag", "dapt_again"): 0.5, ("imdb", "dapt"): 0.6}, seeds=4)
    one, mean = adaptation_chance(records).to_dict("records")
    first, second = (records[(records.task == "ag") & (records.method == name)] for name in ("dapt", "dapt_again"))
    oracle = paired_combined(
        first.test_gold.iloc[0], list(first.test_predictions), list(second.test_predictions), 3, "macro_f1"
    )
    assert (one["effect"], one["low"], one["high"], one["n"]) == (oracle.effect, oracle.low, oracle.high, 4)
    assert mean["task"] == "all" and mean["effect"] == pytest.approx(one["effect"])
    # by hand: effect^2 / (2 spread^2 + error^2) at the 5 % point of a chi-square with one degree of freedom, 0.00393
    bound = np.sqrt((oracle.effect**2 / 0.0039321 - oracle.standard_error**2) / 2)
    assert mean["spread_at_most"] == pytest.approx(bound, rel=1e-3)


def text_losses(shifts, documents=400, **methods):
    """Losses of four tasks' dev texts: DAPT, DAPT again higher by the task's shift, other methods by their own."""
    random, frames = np.random.default_rng(3), []
    for task, shift in zip(TASKS, shifts, strict=True):
        text = random.normal(3, 0.4, documents)
        frames.append(invent_losses(task, task, **{
            method: text + higher + random.normal(0, 0.02, documents)
            for method, higher in {"dapt": 0.0, "dapt_again": shift, **methods}.items()
        }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def test_the_loss_of_the_dev_texts_tells_the_spread_in_nats_and_the_claims_hold_it(study):
    none = study({("ag", "base"): 0.5})
    losses = text_losses((0.02, -0.02, 0.02, -0.02), base=0.03)
    chance = adaptation_chance(none, losses)
    assert set(chance["measure"]) == {"text_loss"} and set(chance["unit"]) == {"nats"}
    whole = chance.set_index("task").loc["all"]
    assert chance["effect"].tolist() == pytest.approx([0.02, -0.02, 0.02, -0.02, 0.0], abs=0.004)
    assert whole["spread"] == pytest.approx(0.02 / np.sqrt(2), abs=0.003)
    row = claims_with_chance(none, chance, task_losses=losses).set_index("claim").loc["dapt_beats_base"]
    differences = [
        rows[rows["method"] == "base"].set_index("document")["loss"]
        - rows[rows["method"] == "dapt"].set_index("document")["loss"]
        for _, rows in losses.groupby("task")
    ]
    own = np.mean([one.var(ddof=1) / len(one) for one in differences]) / 4
    parts = own, whole["spread"] ** 2 / 4
    degrees = sum(parts) ** 2 / (parts[0] ** 2 / (4 * 399) + parts[1] ** 2 / 4)
    reach = stats.t.ppf(0.975, degrees) * np.sqrt(sum(parts))
    assert (row["high_with_chance"] - row["low_with_chance"]) / 2 == pytest.approx(reach, rel=0.02)
    assert row["high"] - row["low"] < 0.3 * (row["high_with_chance"] - row["low_with_chance"])
    assert row["verdict"] == "reproduced" and row["unit"] == "nats" and 0.01 < row["sure_up_to"] < 0.03
    said = caption(chance), caption(claims_with_chance(none, chance, task_losses=losses))
    assert (
        said[0].startswith("By the loss of the tasks' text the other lies above it by ") and " nats a task" in said[0]
    )
    assert said[1].startswith("By the loss of the tasks' text: ") and "in nats a task, of: dapt_beats_base" in said[1]


def test_a_table_of_an_older_version_is_told_as_any_other():
    old = {"claim": ["a"], "verdict": ["smaller"], "verdict_with_chance": ["smaller"], "sure_up_to": [np.nan]}
    assert caption(pd.DataFrame(old)) == ""
    assert caption(
        pd.DataFrame({"comparison": ["a"], "effect": [0.1], "spread": [0.5], "spread_at_most": [1.0]})
    ).startswith("Effect: ")


def test_losses_of_several_adaptations_hold_the_chance_already(study):
    none, losses = study({("ag", "base"): 0.5}), text_losses((0.02, -0.02, 0.02, -0.02), base=0.03)
    losses = pd.concat([losses, losses[losses["method"] != "base"].assign(adaptation=1)])
    chance = adaptation_chance(none, losses)
    assert chance["spread"].isna().all() and caption(chance).endswith("that chance is in every interval already.")
    assert claims_with_chance(none, chance, task_losses=losses).empty


def test_without_a_second_adaptation_there_is_nothing_to_say(study):
    found = adaptation_chance(study({("ag", "dapt"): 0.6, ("ag", "base"): 0.5}))
    assert found.empty and list(found.columns) == list(COLUMNS) and caption(found) == ""


def test_the_caption_says_the_mean_the_sure_tasks_and_the_spread(study):
    found = twice(study, (10, 0, 0, 0)).reset_index()
    said = caption(found)
    assert said.startswith("DAPT less DAPT by another seed is ") and "surely not zero on chemprot (+" in said
    last = found.iloc[-1]
    assert f"standard deviation of {last['spread']:.1f} points a task, {last['spread_at_most']:.1f} at most." in said


def test_claims_with_chance_widen_every_interval_by_the_adapted_sides(study):
    records = study({("ag", "base"): 0.5, ("ag", "dapt"): 0.52, ("ag", "not_dapt"): 0.5}, seeds=20, recipe="frozen")
    chance = twice(study, (3, -3, 3, -3)).reset_index()
    records = records[(records.task == "ag") & records.method.isin(["base", "dapt", "not_dapt"])]
    spread = chance["spread"].iloc[-1]
    found = claims_with_chance(records, chance, draws=200).set_index("claim")
    plain = claims(records, draws=200).query("scope == 'all'").set_index("claim")
    assert list(found.columns) == list(CLAIM_COLUMNS[1:]) and set(found["unit"]) == {"points"}
    for claim, worse, sides in (("dapt_beats_base", "base", 1), ("not_dapt_below_dapt", "not_dapt", 2)):
        first, second = (records[records.method == name] for name in ("dapt", worse))
        one = paired_combined(
            first.test_gold.iloc[0], list(first.test_predictions), list(second.test_predictions), 3, "macro_f1",
            draws=200,
        )  # fmt: skip
        # by hand: the variances add up, and so does Satterthwaite's sum of their squares; four tasks told the spread
        parts = one.standard_error**2, sides * spread**2
        degrees = sum(parts) ** 2 / (parts[0] ** 2 / one.degrees + parts[1] ** 2 / 4)
        reach = stats.t.ppf(0.975, degrees) * np.sqrt(sum(parts))
        row = found.loc[claim]
        assert (row["low_with_chance"], row["high_with_chance"]) == pytest.approx(
            (one.effect - reach, one.effect + reach)
        )
        assert row[["low", "high"]].tolist() == pytest.approx(plain.loc[claim, ["low", "high"]].tolist())
        assert row["verdict"] == plain.loc[claim, "verdict"]


def test_sure_up_to_is_the_last_spread_whose_interval_leaves_zero_out(study):
    records = study({("ag", "base"): 0.5, ("ag", "dapt"): 0.6}, seeds=20, recipe="frozen")
    chance = twice(study, (0, 0, 0, 0)).reset_index()
    row = claims_with_chance(records, chance, draws=200).set_index("claim").loc["dapt_beats_base"]
    first, second = (records[records.method == name] for name in ("dapt", "base"))
    one = paired_combined(
        first.test_gold.iloc[0], list(first.test_predictions), list(second.test_predictions), 3, "macro_f1", draws=200
    )

    def p_value(spread):
        variance = one.standard_error**2 + spread**2
        degrees = variance**2 / (one.standard_error**4 / one.degrees + spread**4 / 4)
        return 2 * stats.t.sf(one.effect / np.sqrt(variance), degrees)

    assert p_value(row["sure_up_to"]) < 0.05 < p_value(row["sure_up_to"] + 0.1)

    whole = claims_with_chance(records, chance, draws=200)
    assert (whole["sure_up_to"].isna() == (whole["verdict"] != "reproduced")).all()


def test_sure_beyond_the_last_spread_asked_about_is_sure_up_to_that_at_least():
    table = pd.DataFrame({
        "claim": ["a", "b"], "measure": "f1", "unit": "points", "verdict": "reproduced",
        "verdict_with_chance": "reproduced", "sure_up_to": [5.0, 4.9],
    })  # fmt: skip
    assert caption(table).endswith("sure up to a spread, in points a task, of: a (5.0 at least), b (4.9).")
    nats = table.assign(measure="text_loss", unit="nats", sure_up_to=[0.1, 0.098])
    assert caption(nats).endswith("in nats a task, of: a (0.100 at least), b (0.098).")


def test_an_effect_of_the_size_of_the_chance_is_not_sure_with_it(study):
    cells = {(task, method): score for task in TASKS for method, score in (("base", 0.5), ("dapt", 0.56))}
    records = study(cells, seeds=20, recipe="frozen")
    known = twice(study, (16, -16, 16, -16)).reset_index()
    records = records[records.method.isin(["base", "dapt"]) & (records.seed < 20)]
    found = claims_with_chance(records, known, draws=200).set_index("claim").loc["dapt_beats_base"]
    assert (found["verdict"], found["verdict_with_chance"]) == ("reproduced", "undecided")
    said = caption(claims_with_chance(records, known, draws=200))
    assert said.startswith("With the chance of one adaptation") and "sure no more: dapt_beats_base" in said
    table = {"claim": ["a", "b"], "measure": "f1", "unit": "points", "verdict": ["smaller", "undecided"]}
    none = caption(pd.DataFrame(table | {"verdict_with_chance": "undecided", "sure_up_to": np.nan}))
    assert none.startswith("No claim was sure before the chance of one adaptation is counted; no longer surely smaller")
    assert none.endswith("than the paper's: a.")


def test_records_of_several_adaptations_hold_the_chance_already(study):
    records = study({("ag", "base"): 0.5, ("ag", "dapt"): 0.6}, seeds=4, recipe="frozen")
    records["adaptation_seed"] = records["seed"] % 2
    chance = twice(study, (3, -3, 3, -3)).reset_index()
    assert claims_with_chance(records, chance).empty
    assert claims_with_chance(records, chance[:0]).empty


def test_dapt_made_again_is_no_second_adaptation_of_the_text(study):
    records = study({("ag", "base"): 0.5, ("ag", "dapt"): 0.6}, seeds=4, recipe="frozen")
    again = records[records["method"] == "dapt"].assign(method="dapt_again", adaptation_seed=100)
    records["adaptation_seed"] = np.where(records["method"] == "dapt", 0, np.nan)
    chance = twice(study, (3, -3, 3, -3)).reset_index()
    assert len(claims_with_chance(pd.concat([records, again]), chance, draws=200))


def test_one_estimate_of_the_spread_counts_once_however_many_tasks_share_it():
    """Four tasks whose adaptations vary far more than all else: the mean has the estimate's degrees, not four times."""
    own = t_comparison(1.0, 0.1, 40, 40)
    each = [with_shared(own, {task: 2.0}, 4) for task in range(4)]
    mean = mean_effect(each)
    assert mean.standard_error == pytest.approx(np.sqrt((0.01 + 4.0) / 4))
    assert mean.degrees == pytest.approx(4, abs=0.1)
    assert mean_effect([own] * 4).degrees == pytest.approx(160)
    # and a mean of such means
    twice = mean_effect([mean_effect(each[:2]), mean_effect(each[2:])])
    assert twice.degrees == pytest.approx(4, abs=0.1)
    assert twice.standard_error == pytest.approx(mean.standard_error)
    # one source for all of them moves the mean as it moves each
    assert mean_effect([with_shared(own, {"same": 2.0}, 4)] * 4).standard_error == pytest.approx(np.sqrt(0.0025 + 4))


def test_several_adaptations_leave_no_spread_to_estimate(study):
    cells = {(task, method): 0.6 for task in TASKS for method in ("dapt", "dapt_again")}
    records = study(cells, seeds=10, recipe="frozen")
    records["adaptation_seed"] = records["seed"] % 2 + np.where(records["method"] == "dapt", 0, 100)
    found = adaptation_chance(records, draws=200)
    assert found[["spread", "spread_at_most"]].isna().all(axis=None)
    assert caption(found).endswith("; that chance is in every interval already.")
