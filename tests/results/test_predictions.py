"""Confusion and changed rows, counted by hand and beside scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from helpers.errors import UserError
from helpers.results import changed_rows, confusion

LABELS = ("a", "b", "c")


def records(seeds=3, rows=40):
    random = np.random.default_rng(0)
    gold = random.integers(0, 3, rows)
    return pd.DataFrame([
        dict(task="t", method=method, recipe="paper", seed=seed, labels=LABELS, test_gold=gold,
             test_predictions=random.integers(0, 3, rows))
        for method in ("base", "tapt") for seed in range(seeds)
    ])  # fmt: skip


def test_the_matrix_is_scikit_learns_over_all_seeds():
    frame = records()
    rows = frame[frame.method == "base"]
    theirs = confusion_matrix(np.concatenate(list(rows.test_gold)), np.concatenate(list(rows.test_predictions)),
                              labels=[0, 1, 2], normalize="true")  # fmt: skip
    ours = confusion(frame, "t", "base")
    assert ours.to_numpy() == pytest.approx(100 * theirs) and list(ours.index) == list(LABELS) == list(ours.columns)


def test_a_label_without_test_rows_is_an_empty_row():
    frame = records().assign(test_gold=[np.zeros(40, int)] * 6)
    assert confusion(frame, "t", "tapt").loc["b"].isna().all()


def test_changed_rows_count_the_seeds_that_both_have():
    gold = np.array([0, 1, 2])
    base = [[0, 0, 0], [0, 0, 0], [0, 1, 2]]  # the last seed has no partner
    tapt = [[1, 1, 0], [0, 1, 0]]
    frame = pd.DataFrame([
        dict(task="t", method=method, recipe="paper", seed=seed, labels=LABELS, test_gold=gold,
             test_predictions=np.array(predicted))
        for method, runs in (("base", base), ("tapt", tapt)) for seed, predicted in enumerate(runs)
    ])  # fmt: skip
    found = changed_rows(frame, "t", "base", "tapt")
    assert found.values.tolist() == [[1, "b", 0, 2, 2, 2], [2, "c", 0, 0, 2, 0], [0, "a", 2, 1, 2, -1]]


def test_what_is_not_there_is_said():
    frame = records()
    with pytest.raises(UserError, match="task t: no fine-tuning of dapt by recipe paper; there are base, tapt"):
        confusion(frame, "t", "dapt")
    apart = frame[(frame.method == "base") | (frame.seed > 5)]
    with pytest.raises(UserError, match="no fine-tuning of tapt"):
        changed_rows(apart, "t", "base", "tapt")
