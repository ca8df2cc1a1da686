"""Labels that an adaptation is worth, from records whose scores are set by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.results import label_worth
from helpers.results.records import as_table
from tests.results.conftest import invent_record

ROWS = 1000


def records(rows=ROWS, adaptations=1, **scores):
    """method -> {labels: scores of seeds 0, 1, ...}: micro-F1 in percent, the first rows right."""
    found = []
    for method, budgets in scores.items():
        for labels, seeds in budgets.items():
            for seed, score in enumerate(seeds):
                one = invent_record("chemprot", method, seed, 0.5, rows=rows, classes=2)
                gold, right = np.array(one["test_gold"]), np.arange(rows) < round(score * rows / 100)
                one["test_predictions"] = np.where(right, gold, 1 - gold).tolist()
                share = {name: float(right.mean()) for name in ("macro_f1", "micro_f1", "accuracy")}
                one |= {"test": share, "sizes": {"train": labels, "dev": 1, "test": rows}, "recipe": "frozen"}
                if method != "base":
                    one["adaptation"] = {"corpus": "biomed", "seed": seed % adaptations}
                found.append((one, Path()))
    return as_table(found)


def test_worth_is_read_across_in_the_logarithm_of_labels():
    base = {10: [40] * 3, 100: [60] * 3, 1000: [70] * 3}
    found = label_worth(records(base=base, dapt={10: [50] * 3, 100: [65] * 3}))
    assert found["worth"].tolist() == pytest.approx([10 * 10**0.5 - 10, 100 * 10**0.5 - 100])
    assert found["score"].tolist() == pytest.approx([50, 65]) and found["base_score"].tolist() == [40, 60]
    assert found["n"].tolist() == [3, 3]
    # the seeds are alike: what is left is the chance of the test rows, a standard error of sqrt(.1 x .9 / 1000)
    low, high = (10 * 10 ** ((10 + sign * 1.96 * 100 * np.sqrt(0.09 / ROWS)) / 20) - 10 for sign in (-1, 1))
    assert found.loc[0, ["low", "high"]].tolist() == pytest.approx([low, high], rel=0.05)


def test_scores_off_the_bases_curve_are_worth_no_number():
    found = label_worth(records(base={10: [40], 100: [60]}, dapt={10: [61]}, tapt={10: [39]}, dapt_tapt={10: [40]}))
    assert found["worth"].round(9).tolist() == [np.inf, -np.inf, 0.0] and found["low"].isna().all()


def test_a_line_that_falls_is_made_rising():
    found = label_worth(records(base={10: [40], 100: [38], 1000: [60]}, dapt={10: [50]}))
    # by hand: 40 and 38 pool to 39 and 39; ten above the base is 49, 10 of the 21 points from there to 60
    assert found["worth"].item() == pytest.approx(100 * 10 ** (10 / 21) - 10)


def test_a_method_beside_a_base_that_dips_is_read_from_the_base_with_the_same_labels():
    found = label_worth(records(base={32: [60], 100: [58], 320: [70]}, tapt={100: [59.5]}))
    # by hand: 60 and 58 pool to 59; 1.5 above the base is 60.5, 1.5 of the 11 points from there to 70
    assert found["worth"].item() == pytest.approx(100 * 3.2 ** (1.5 / 11) - 100)


def test_a_method_level_with_the_base_is_worth_nothing_where_more_labels_are_worse():
    levels = {100: [70, 71], 500: [80, 82], 515: [77, 77]}
    found = label_worth(records(base=levels, tapt={100: [70, 71], 500: [80, 82]}))
    assert found[["worth", "low", "high"]].round(6).to_numpy().tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_method_of_fewer_seeds_is_read_beside_the_base_of_those():
    found = label_worth(records(base={10: [40, 46], 100: [60, 60]}, tfidf={10: [50]}))
    # by hand: ten above the base's first seed; the line runs from 43 to 60
    assert found["base_score"].item() == 40 and found["n"].item() == 1
    assert found["worth"].item() == pytest.approx(10 * 10 ** (10 / 17) - 10)


@pytest.mark.parametrize("adaptations", [1, 2])
def test_the_interval_holds_the_truth_for_most_curves(adaptations):
    """Worth 100 labels; with two adaptations these differ by chance of their own, which the interval holds."""
    random, held = np.random.default_rng(1), 0
    own = 0.0 if adaptations == 1 else 1.5
    for _ in range(60):
        base = {labels: random.normal(20 * np.log10(labels), 2, 10) for labels in (10, 100, 1000)}
        dapt = (
            random.normal(20 * np.log10(200), 2, 10) + random.normal(0, own, adaptations)[np.arange(10) % adaptations]
        )
        row = label_worth(records(200, adaptations, base=base, dapt={100: dapt}), draws=200).iloc[0]
        held += row["low"] <= 100 <= row["high"]
    assert held >= 50


def test_beyond_the_bases_last_budget_nothing_is_told():
    # where the base was given no further label, the least gain would be worth infinitely many
    found = label_worth(records(base={10: [40] * 3, 100: [60] * 3}, dapt={10: [41] * 3, 100: [60.1] * 3}))
    assert found["labels"].tolist() == [10]


def test_the_base_is_needed():
    with pytest.raises(UserError, match="chemprot has no scores of the base"):
        label_worth(records(dapt={10: [1.0]}))
    assert label_worth(records().head(0)).empty and isinstance(records(), pd.DataFrame)
