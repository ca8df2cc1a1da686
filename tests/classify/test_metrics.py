import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from helpers.classify import degenerate, scores


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60))
def test_scores_equal_scikit_learn(n_labels, pairs):
    gold, predicted = (np.array(side) % n_labels for side in zip(*pairs, strict=True))
    ours, classes = scores(gold, predicted, n_labels), range(n_labels)

    def f1(average):
        return sklearn_metrics.f1_score(gold, predicted, labels=classes, average=average, zero_division=0)

    assert ours["macro_f1"] == pytest.approx(f1("macro"))
    assert ours["micro_f1"] == pytest.approx(f1("micro"))
    assert list(ours["per_class"].values()) == pytest.approx(list(f1(None)))
    assert ours["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(gold, predicted))
    assert ours["confusion"] == sklearn_metrics.confusion_matrix(gold, predicted, labels=classes).tolist()


def test_scores_by_hand():
    result = scores([0, 0, 1, 1], [0, 1, 1, 1], ["no", "yes"])
    assert result["confusion"] == [[1, 1], [0, 2]]
    assert result["per_class"] == pytest.approx({"no": 2 / 3, "yes": 4 / 5})
    assert result["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert result["accuracy"] == result["micro_f1"] == 0.75


def test_class_absent_from_the_split_counts_zero():
    assert scores([0, 1], [0, 1], ["a", "b", "rare"])["macro_f1"] == pytest.approx(2 / 3)


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        scores([0, 1, 0], [0, 1], 2)


def test_degenerate_means_one_class_predicted():
    assert degenerate([1, 1, 1]) and not degenerate([1, 0, 1])
