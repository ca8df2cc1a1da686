"""What cheap looks foretell, on invented studies: fitted without the task itself, over every number of labels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.results import calibration, caption, hit_rates
from helpers.results.calibration import PREDICTORS
from helpers.results.records import as_table

TASKS = ("chemprot", "citation_intent", "ag", "imdb")
TRUE = {"base": 0.5, "tapt": 0.6}


@pytest.fixture
def invented(record):
    """Records of TASKS by one read-out: 'tapt' gains ten points, 'dapt' ten more from task to task; no file is made."""

    def build(recipe="paper", labels=100, seeds=4, tasks=TASKS, **other):
        sizes = {"train": labels, "dev": 50, "test": 400}
        rows = [
            record(task, method, seed, TRUE.get(method, 0.5 + 0.1 * place), recipe=recipe, sizes=sizes, **other)
            for place, task in enumerate(TASKS)
            for method in ("base", "tapt", "dapt")
            for seed in range(seeds)
            if task in tasks
        ]
        return as_table((row, Path()) for row in rows)

    return build


def cells(found):
    return found.set_index(["task", "method", "recipe", "labels"])


def losses(found, start=5.0):
    """Falls on a line with the gains of fine-tuning."""
    rows = [(task, "base", start) for task in TASKS]
    tuned = found[found["recipe"] == "paper"]
    rows += [(row.task, row.method, start - (row.gain - 1) / 10) for row in tuned.itertuples()]
    return pd.DataFrame(rows, columns=["task", "method", "loss"])


def test_a_task_is_foretold_from_the_others_only(invented):
    records = invented()
    found = cells(calibration(records))
    for task in TASKS:
        others = np.array([found.loc[(name, "dapt", "paper", 100), "gain"] for name in TASKS if name != task])
        row = found.loc[(task, "dapt", "paper", 100)]
        assert row["others"] == pytest.approx(others.mean())
        # Student's t of two degrees is 4.303 at 97.5 %
        reach = 4.303 * others.std(ddof=1) * (1 + 1 / 3) ** 0.5
        assert [row["others_low"], row["others_high"]] == pytest.approx(
            [others.mean() - reach, others.mean() + reach], rel=1e-3
        )
    # a line that goes through every pair of the others foretells the one left out
    told = calibration(records, losses(found.reset_index()))
    assert told["loss"].tolist() == pytest.approx(told["gain"].tolist())
    rates = hit_rates(told).set_index("predictor")
    assert rates.loc["loss", "error"] == pytest.approx(0, abs=1e-9) and rates.loc["loss", "called"] == 8
    assert rates.loc["loss", "right"] == 1 and set(rates.index) == {"others", "loss"}


def test_nothing_of_a_task_is_in_what_is_foretold_of_it_at_any_budget(invented):
    parts = [invented(), *(invented("frozen", labels) for labels in (32, 100, 320))]
    before = cells(calibration(pd.concat(parts)))
    changed = [part.copy() for part in parts]
    for part in changed:  # another outcome of imdb everywhere
        rows = part["task"] == "imdb"
        part.loc[rows & (part["method"] == "dapt"), "test_predictions"] = part.loc[
            rows & (part["method"] == "base"), "test_predictions"
        ].to_numpy()
    after = cells(calibration(pd.concat(changed)))
    own = [("imdb", "dapt", recipe, labels) for recipe, labels in
           (("paper", 100), ("frozen", 32), ("frozen", 100), ("frozen", 320))]  # fmt: skip
    assert after.loc[own, "gain"].tolist() == [0] * 4 and (before.loc[own, "gain"] > 20).all()
    assert after.loc[own, "others"].tolist() == before.loc[own, "others"].tolist()
    assert (after["others"] != before["others"]).sum() == 12  # of the three other tasks, four cells each


def test_every_cell_has_the_looks_that_are_cheaper_than_it(invented):
    found = calibration(pd.concat([invented(), *(invented("frozen", labels) for labels in (32, 100, 320))]))
    assert len(found) == 4 * 2 * (1 + 3)
    each = cells(found)
    for task in TASKS:
        tuned, same = each.loc[(task, "tapt", "paper", 100)], each.loc[(task, "tapt", "frozen", 100)]
        assert tuned[["frozen", "frozen_low", "frozen_high"]].tolist() == same[["gain", "low", "high"]].tolist()
        fewest, most = (each.loc[(task, "tapt", "frozen", labels)] for labels in (32, 320))
        assert most[["few", "few_low", "few_high"]].tolist() == fewest[["gain", "low", "high"]].tolist()
        assert np.isnan(fewest["few"]) and np.isnan(tuned["few"]) and np.isnan(most["frozen"])
    rates = hit_rates(found).set_index(["recipe", "predictor"])["pairs"]
    assert rates.to_dict() == {("paper", "frozen"): 8, ("paper", "others"): 8, ("frozen", "few"): 16,
                               ("frozen", "others"): 24}  # fmt: skip


def test_all_labels_of_one_task_stand_beside_all_of_another(invented):
    """Tasks of other sizes have no budget in common but 'all'."""
    parts = [invented("frozen", 32)]
    parts += [invented("frozen", size, tasks=(task,)) for task, size in zip(TASKS, (300, 500, 700, 800), strict=True)]
    found = cells(calibration(pd.concat(parts)))
    others = [
        found.loc[(task, "tapt", "frozen", size), "gain"] for task, size in zip(TASKS, (300, 500, 700), strict=False)
    ]
    assert found.loc[("imdb", "tapt", "frozen", 800), "others"] == pytest.approx(np.mean(others))


def test_several_runs_stand_together(invented):
    one, two = invented(tasks=TASKS[:2]), invented(tasks=TASKS[2:], preset="demo")
    alone, both = calibration(one), cells(calibration(pd.concat([one, two])))
    assert len(both) == 8 and set(both["preset"]) == {"smoke", "demo"}
    others = [both.loc[(task, "tapt", "paper", 100), "gain"] for task in TASKS[:3]]
    assert both.loc[("imdb", "tapt", "paper", 100), "others"] == pytest.approx(np.mean(others))
    assert (
        both.loc[("chemprot", "tapt", "paper", 100), "gain"]
        == alone.query("task == 'chemprot' and method == 'tapt'")["gain"].item()
    )
    # the same run given twice counts once; two runs of one preset need to be told apart
    assert calibration(pd.concat([one, one])).equals(alone)
    again = one.assign(score=one["score"] + 1)
    with pytest.raises(UserError, match="two records of chemprot .* tell the runs apart by a column 'run'"):
        calibration(pd.concat([one, again]))
    assert len(calibration(pd.concat([one.assign(run="a"), again.assign(run="b")]))) == 2 * len(alone)


def pair(task, gain, told, low, high, recipe="paper", reach=0.4):
    return {"task": task, "method": "dapt", "recipe": recipe, "labels": 100, "gain": gain, "low": gain - reach,
            "high": gain + reach, "others": told, "others_low": low, "others_high": high}  # fmt: skip


def test_a_hit_is_a_sign_called_and_found():
    table = pd.DataFrame([
        pair("a", 2.0, 1.0, 0.5, 1.5),  # called, right, not held
        pair("b", -1.0, 1.0, 0.2, 1.8),  # called, wrong, not held
        pair("c", 0.5, -1.0, -3.0, 1.0),  # not called
        pair("d", -2.0, -2.0, -3.0, -1.0),  # called, right, held
        pair("e", 1.0, 4.0, np.nan, np.nan),  # foretold without an interval
        pair("f", 1.0, np.nan, np.nan, np.nan),
    ])  # fmt: skip
    (row,) = hit_rates(table).to_dict("records")
    assert (row["pairs"], row["called"], row["decided"], row["wrong"]) == (5, 3, 3, "b dapt 100")
    assert row["right"] == pytest.approx(2 / 3) and row["held"] == pytest.approx(2 / 4)
    assert row["error"] == pytest.approx((1 + 2 + 1.5 + 0 + 3) / 5) and row["error_of_zero"] == pytest.approx(6.5 / 5)
    said = caption(hit_rates(table))
    assert "3 signs called 67% right, off by 1.5 points over 5 pairs" in said
    assert PREDICTORS["others"] in said and "where foretelling nothing is off by 1.3" in said


def test_a_gain_that_may_be_of_either_sign_makes_no_call_right_or_wrong():
    """The sign found of a true effect of zero is a coin's: called by it, half of good looks would be wrong."""
    table = pd.DataFrame([
        pair("a", 2.0, 1.0, 0.5, 1.5),  # sure, right
        pair("b", -0.1, 1.0, 0.2, 1.8),  # found to be about zero
        pair("c", 0.1, 1.0, 0.2, 1.8),
    ])  # fmt: skip
    (row,) = hit_rates(table).to_dict("records")
    assert (row["called"], row["decided"], row["right"], row["wrong"]) == (3, 1, 1.0, "")
    assert "3 signs called; of the 1 that this run is sure of 100% right" in caption(hit_rates(table))
    (row,) = hit_rates(table[1:]).to_dict("records")
    assert (row["called"], row["decided"], row["wrong"]) == (2, 0, "") and np.isnan(row["right"])
    assert "2 signs called, which this run is not sure of, off by 1.0" in caption(hit_rates(table[1:]))


def test_the_interval_for_one_more_holds_it_as_often_as_it_says():
    from helpers.results.calibration import _by_line, _mean

    random, mean, line = np.random.default_rng(0), 0, 0
    for _ in range(400):
        *others, new = random.normal(1, 2, 6)
        low, high = _mean(others)[1:]
        mean += low <= new <= high
        falls = random.normal(0, 1, 8)
        gains = 1 + 2 * falls + random.normal(0, 0.5, 8)
        low, high = _by_line(falls[-1], list(zip(falls[:-1], gains[:-1], strict=True)))[1:]
        line += low <= gains[-1] <= high
    assert 365 < mean < 395 and 365 < line < 395  # 380 of 400, three standard errors of 4.4 either way


def test_a_task_with_the_same_test_rows_foretells_nothing(record):
    """RCT-500 is tested on RCT's rows: for either of them it is ag alone that foretells."""
    gains = {"rct": 0.3, "rct-sample": 0.3, "ag": 0.1}
    rows = [
        (record(task, method, seed, 0.5 + gains[task] * (method == "tapt"), domain="biomed"), Path())
        for task in gains for method in ("base", "tapt") for seed in range(3)
    ]  # fmt: skip
    found = calibration(as_table(rows)).set_index("task")
    assert found.loc["rct", "others"] == found.loc["rct-sample", "others"] == found.loc["ag", "gain"]
    assert found.loc["ag", "others"] == pytest.approx(found.loc[["rct", "rct-sample"], "gain"].mean())
