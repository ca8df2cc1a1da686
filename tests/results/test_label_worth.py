import numpy as np
import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.results import label_worth


def curve(**scores):
    """method -> {labels: scores of seeds 0, 1, ...}"""
    rows = [
        ("t", method, labels, seed, score)
        for method, budgets in scores.items()
        for labels, seeds in budgets.items()
        for seed, score in enumerate(seeds)
    ]
    return pd.DataFrame(rows, columns=["task", "method", "labels", "seed", "score"])


def test_worth_is_read_across_in_the_logarithm_of_labels():
    found = label_worth(curve(base={10: [40] * 3, 100: [60] * 3, 1000: [70] * 3}, dapt={10: [50] * 3, 100: [65] * 3}))
    assert found["worth"].tolist() == pytest.approx([10 * 10**0.5 - 10, 100 * 10**0.5 - 100])
    assert found["low"].tolist() == pytest.approx(found["worth"].tolist()) and found["n"].tolist() == [3, 3]
    assert found["base_score"].tolist() == [40, 60]


def test_scores_off_the_bases_curve_are_worth_no_number():
    found = label_worth(curve(base={10: [40], 100: [60]}, dapt={10: [61]}, tapt={10: [39]}, dapt_tapt={10: [40]}))
    assert found["worth"].round(9).tolist() == [np.inf, -np.inf, 0.0] and found["low"].isna().all()


def test_a_line_that_falls_is_made_rising():
    found = label_worth(curve(base={10: [40], 100: [38], 1000: [60]}, dapt={10: [50]}))
    # by hand: 40 and 38 pool to 39 and 39; ten above the base is 49, 10 of the 21 points from there to 60
    assert found["worth"].item() == pytest.approx(100 * 10 ** (10 / 21) - 10)


def test_a_method_beside_a_base_that_dips_is_read_from_the_base_with_the_same_labels():
    found = label_worth(curve(base={32: [60], 100: [58], 320: [70]}, tapt={100: [59.5]}))
    # by hand: 60 and 58 pool to 59; 1.5 above the base is 60.5, 1.5 of the 11 points from there to 70
    assert found["worth"].item() == pytest.approx(100 * 3.2 ** (1.5 / 11) - 100)


def test_a_method_level_with_the_base_is_worth_nothing_where_more_labels_are_worse():
    levels = {100: [70, 71], 500: [80, 82], 515: [77, 77]}
    found = label_worth(curve(base=levels, tapt={100: [70, 71], 500: [80, 82]}))
    assert found[["worth", "low", "high"]].round(6).to_numpy().tolist() == [[0, 0, 0], [0, 0, 0]]


def test_the_interval_holds_the_truth_for_most_curves():
    random, held = np.random.default_rng(1), 0
    for _ in range(60):
        base = {labels: random.normal(20 * np.log10(labels), 2, 10) for labels in (10, 100, 1000)}
        dapt = {100: random.normal(20 * np.log10(200), 2, 10)}  # worth 100 labels
        row = label_worth(curve(base=base, dapt=dapt), draws=200).iloc[0]
        held += row["low"] <= 100 <= row["high"]
    assert held >= 50


def test_beyond_the_bases_last_budget_nothing_is_told():
    # where the base was given no further label, the least gain would be worth infinitely many
    found = label_worth(curve(base={10: [40] * 3, 100: [60] * 3}, dapt={10: [41] * 3, 100: [60.1] * 3}))
    assert found["labels"].tolist() == [10]


def test_the_base_is_needed():
    with pytest.raises(UserError, match="t has no scores of the base"):
        label_worth(curve(dapt={10: [1.0]}))
