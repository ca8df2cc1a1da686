"""Statistics against scipy, scikit-learn, enumeration and simulation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score as sklearn_f1

from helpers.errors import UserError
from helpers.results.stats import (
    detectable_effect,
    f1_score,
    holm,
    mean_interval,
    paired_combined,
    paired_examples,
    paired_seeds,
    satterthwaite,
)


def predictions(random, gold, accuracy, seeds, classes):
    wrong = (gold + random.integers(1, classes, size=(seeds, len(gold)))) % classes
    return np.where(random.random((seeds, len(gold))) < accuracy, gold, wrong)


def macro(gold, predicted, classes):
    return sklearn_f1(gold, predicted, labels=range(classes), average="macro", zero_division=0)


def test_mean_interval_is_students():
    values = [63.0, 71.5, 58.2, 66.6, 69.1]
    found = mean_interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.mean, found.sd, found.n) == pytest.approx((np.mean(values), np.std(values, ddof=1), 5))


def test_mean_interval_of_few_values():
    one, none = mean_interval([81.0]), mean_interval([])
    assert one.mean == 81.0 and one.n == 1 and np.isnan([one.sd, one.low, one.high]).all()
    assert none.n == 0 and np.isnan(none.mean)
    with pytest.raises(UserError, match="a score is missing"):
        mean_interval([1.0, np.nan])


def test_paired_seeds_is_the_paired_t_test():
    first, second = [80.1, 82.0, 79.5, 83.3], [78.0, 81.1, 79.9, 80.4]
    found, expected = paired_seeds(first, second), stats.ttest_rel(first, second)
    assert found.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    with pytest.raises(UserError, match="the same seeds"):
        paired_seeds(first, second[:2])


@pytest.mark.parametrize("seed", range(6))
def test_f1_equals_scikit_learn(seed):
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 7))
    gold, predicted = random.integers(classes, size=(2, 40))
    gold[gold == classes - 1] = 0 if seed % 2 else classes - 1  # sometimes a class without any gold row
    assert f1_score(gold, predicted, classes, "macro_f1") == pytest.approx(macro(gold, predicted, classes))
    assert f1_score(gold, predicted, classes, "micro_f1") == pytest.approx(sklearn_f1(gold, predicted, average="micro"))


def test_f1_of_some_rows_leaves_out_labels_that_lost_all_theirs():
    gold, predicted = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 2])
    rows = np.array([True, True, True, True, False])
    assert f1_score(gold, predicted, 3, "macro_f1", rows) == pytest.approx(macro(gold[:4], predicted[:4], 2))
    # A fourth label that never had a row counts as 0 with and without the masked rows.
    assert f1_score(gold, predicted, 4, "macro_f1", rows) == pytest.approx(macro(gold[:4], predicted[:4], 2) * 2 / 3)


@pytest.mark.parametrize("metric", ["macro_f1", "micro_f1"])
def test_bootstrap_over_examples_equals_a_plain_loop(metric):
    random = np.random.default_rng(0)
    gold = random.integers(3, size=150)
    first, second = predictions(random, gold, 0.75, 2, 3), predictions(random, gold, 0.6, 2, 3)
    found = paired_examples(gold, first, second, 3, metric, draws=4000)

    def difference(rows):
        each = [
            f1_score(gold[rows], a[rows], 3, metric) - f1_score(gold[rows], b[rows], 3, metric)
            for a, b in zip(first, second, strict=True)
        ]
        return 100 * np.mean(each)

    assert found.effect == pytest.approx(difference(np.arange(150)))
    plain = [difference(random.integers(150, size=150)) for _ in range(1500)]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.8)
    assert found.standard_error == pytest.approx(np.std(plain), rel=0.1)


def test_permutation_p_equals_enumeration():
    gold = np.array([0, 1, 0, 1, 1, 0, 1, 0, 1])
    first = np.array([0, 1, 0, 1, 1, 0, 1, 1, 0])
    second = np.array([0, 1, 1, 0, 1, 1, 0, 1, 0])
    effect = macro(gold, first, 2) - macro(gold, second, 2)
    every = []
    for swap in product([False, True], repeat=len(gold)):
        a, b = np.where(swap, second, first), np.where(swap, first, second)
        every.append(f1_score(gold, a, 2, "macro_f1") - f1_score(gold, b, 2, "macro_f1"))
    exact = np.mean(np.abs(every) >= abs(effect) - 1e-12)
    found = paired_examples(gold, first, second, 2, "macro_f1", test="permutation", draws=20_000)
    assert found.p == pytest.approx(exact, abs=0.015)


def test_permutation_and_bootstrap_agree_on_a_clear_difference_and_on_none():
    random = np.random.default_rng(1)
    gold = random.integers(4, size=400)
    good, poor = predictions(random, gold, 0.9, 3, 4), predictions(random, gold, 0.6, 3, 4)
    for test in ("bootstrap", "permutation"):
        assert paired_examples(gold, good, poor, 4, "macro_f1", test=test).p < 0.002
        assert paired_examples(gold, good, good, 4, "macro_f1", test=test).p == 1.0
    with pytest.raises(UserError, match="expected bootstrap or permutation"):
        paired_examples(gold, good, poor, 4, "macro_f1", test="t")


def test_combined_interval_keeps_its_promise_with_three_seeds():
    # Two equal methods whose seeds differ in skill: 5 % of studies may call them different, plainly more may not.
    random = np.random.default_rng(2)
    wrong, only_examples, runs = 0, 0, 150
    for run in range(runs):
        gold = random.integers(2, size=200)
        first, second = (
            np.vstack([predictions(random, gold, skill, 1, 2) for skill in random.normal(0.75, 0.05, size=3)])
            for _ in range(2)
        )
        wrong += paired_combined(gold, first, second, 2, "micro_f1", draws=100, seed=run).p < 0.05
        only_examples += paired_examples(gold, first, second, 2, "micro_f1", draws=200, seed=run).p < 0.05
    assert wrong / runs < 0.09
    assert only_examples / runs > 2 * wrong / runs, "ignoring the seeds should look surer than it is"


def test_combined_adds_the_variance_of_seeds_and_examples():
    random = np.random.default_rng(3)
    gold = random.integers(3, size=300)
    first, second = predictions(random, gold, 0.8, 5, 3), predictions(random, gold, 0.7, 5, 3)
    both = paired_combined(gold, first, second, 3, "macro_f1", draws=4000)
    by_seed = [100 * (macro(gold, a, 3) - macro(gold, b, 3)) for a, b in zip(first, second, strict=True)]
    seeds = paired_seeds(by_seed, [0] * 5)
    examples = paired_examples(gold, first, second, 3, "macro_f1", draws=4000)
    assert both.effect == pytest.approx(seeds.effect) == pytest.approx(examples.effect)
    assert both.standard_error**2 == pytest.approx(seeds.standard_error**2 + examples.standard_error**2, rel=0.05)
    assert 4 <= both.degrees <= 303
    drawn = paired_combined(gold, first, second, 3, "macro_f1", interval="bootstrap")
    assert drawn.low < both.effect < drawn.high and drawn.p < 0.05


def test_one_seed_gives_an_effect_and_no_interval():
    gold = np.array([0, 1, 0, 1])
    found = paired_combined(gold, [[0, 1, 0, 1]], [[0, 1, 1, 1]], 2, "micro_f1")
    assert found.effect == pytest.approx(25.0) and np.isnan([found.low, found.p]).all()


def test_paired_tests_refuse_other_rows():
    with pytest.raises(UserError, match="the same test rows"):
        paired_combined([0, 1, 1], [[0, 1, 1]] * 2, [[0, 1]] * 2, 2, "micro_f1")
    with pytest.raises(UserError, match="expected macro_f1 or micro_f1"):
        paired_examples([0, 1], [0, 1], [0, 1], 2, "f1")


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    kept = holm([0.02, np.nan, 0.01])
    assert kept[[0, 2]] == pytest.approx([0.02, 0.02]) and np.isnan(kept[1])
    assert holm([]).shape == (0,)


def test_satterthwaite_lies_between_its_parts():
    assert satterthwaite([1.0, 1.0], [4, 4]) == pytest.approx(8)
    assert satterthwaite([1.0, 0.0], [4, 100]) == pytest.approx(4)
    assert satterthwaite([0.0, 0.0], [2, 50]) == 2


def test_detectable_effect_against_a_published_value_and_simulation():
    # A paired t-test with 20 pairs finds d = 0.66 sd with 80 % power (G*Power 3.1).
    assert detectable_effect(1 / np.sqrt(20), 19) == pytest.approx(0.66, abs=0.005)
    random, effect = np.random.default_rng(4), detectable_effect(2 / np.sqrt(5), 4)
    samples = random.normal(effect, 2, size=(20_000, 5))
    assert np.mean(stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.012)
    assert detectable_effect(1, 2, alpha=0.05 / 8) > detectable_effect(1, 2) > detectable_effect(1, 200)
    assert np.isnan(detectable_effect(np.nan, 2)) and np.isnan(detectable_effect(1, 0))
