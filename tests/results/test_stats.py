"""Statistics against scipy, scikit-learn, plain loops and simulation."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from helpers.errors import UserError
from helpers.results.stats import detectable_effect, holm, mean_interval, paired_combined, satterthwaite


def predictions(random, gold, accuracy, seeds, classes):
    wrong = (gold + random.integers(1, classes, size=(seeds, len(gold)))) % classes
    return np.where(random.random((seeds, len(gold))) < accuracy, gold, wrong)


def macro(gold, predicted, classes):
    return f1_score(gold, predicted, labels=range(classes), average="macro", zero_division=0)


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


def variances(difference):
    """Variance of the mean of differences [seeds, rows] by seeds, by rows, and their interaction, in closed form."""
    seeds, rows = difference.shape
    apart = difference - difference.mean(axis=0)
    interaction = apart.var(axis=1, ddof=1).sum() / (seeds - 1) / seeds / rows
    return difference.mean(axis=1).var(ddof=1) / seeds, difference.mean(axis=0).var(ddof=1) / rows, interaction


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_nineteen_of_twenty_intervals_hold_the_truth(seeds):
    # Right with probability 0.6 + half the effect + skill of the seed + ease of the row: the effect is 5 points.
    random, effect, runs, rows = np.random.default_rng(7 * seeds), 5.0, 600, 300
    held, plain_sum = 0, 0
    for run in range(runs):
        skill, ease = random.uniform(-0.04, 0.04, size=(2, seeds, 1)), random.uniform(-0.17, 0.17, size=(2, 1, rows))
        chance = 0.6 + np.array([effect, -effect])[:, None, None] / 200 + skill + ease
        gold = random.integers(2, size=rows)
        first, second = np.where(random.random(chance.shape) < chance, gold, 1 - gold)
        found = paired_combined(gold, first, second, 2, "micro_f1", draws=100, seed=run)
        held += found.low <= effect <= found.high
        by_seeds, by_rows, _ = variances(100.0 * (first == gold) - 100.0 * (second == gold))
        reach = stats.t.ppf(0.975, satterthwaite([by_seeds, by_rows], [seeds - 1, rows - 1]))
        plain_sum += abs(found.effect - effect) <= reach * np.sqrt(by_seeds + by_rows)
    assert 0.93 <= held / runs <= 0.97
    assert plain_sum / runs > 0.965, "seeds and rows added up count their interaction twice"


def test_combined_subtracts_the_interaction_once():
    random = np.random.default_rng(3)
    gold = random.integers(3, size=400)
    first, second = predictions(random, gold, 0.8, 5, 3), predictions(random, gold, 0.7, 5, 3)
    difference = 100.0 * (first == gold) - 100.0 * (second == gold)
    by_seeds, by_rows, interaction = variances(difference)
    found = paired_combined(gold, first, second, 3, "micro_f1", draws=8000)
    assert found.effect == pytest.approx(difference.mean())
    expected = max(by_seeds + by_rows - interaction, by_seeds, by_rows)
    assert found.standard_error**2 == pytest.approx(expected, rel=0.05)
    assert 4 <= found.degrees <= 403


def test_combined_macro_f1_of_identical_seeds_is_the_bootstrap_over_rows():
    random = np.random.default_rng(0)
    gold = random.integers(3, size=150)
    first, second = (np.repeat(predictions(random, gold, skill, 1, 3), 3, axis=0) for skill in (0.75, 0.6))
    found = paired_combined(gold, first, second, 3, "macro_f1", draws=4000)

    def difference(rows):
        return 100 * (macro(gold[rows], first[0][rows], 3) - macro(gold[rows], second[0][rows], 3))

    assert found.effect == pytest.approx(difference(np.arange(150)))
    plain = [difference(random.integers(150, size=150)) for _ in range(300)]
    assert found.standard_error == pytest.approx(np.std(plain), rel=0.1)
    assert paired_combined(gold, first, first, 3, "macro_f1").p == 1.0


def test_rows_of_one_group_are_redrawn_together():
    random = np.random.default_rng(4)
    gold, first = random.integers(2, size=(2, 200))
    second = np.where(random.random(200) < 0.7, gold, 1 - gold)
    four = [np.repeat(one, 4) for one in (gold, first, second)]  # each row four times: still 200 rows' worth of chance

    def error(gold, first, second, groups=None):
        twice = (np.stack([one, one]) for one in (first, second))
        return paired_combined(gold, *twice, 2, "micro_f1", groups=groups, draws=4000).standard_error

    once = error(gold, first, second)
    assert error(*four) == pytest.approx(once / 2, rel=0.06)
    assert error(*four, groups=np.repeat(np.arange(200), 4)) == pytest.approx(once, rel=0.06)
    with pytest.raises(UserError, match="2 groups for 200 test rows"):
        error(gold, first, second, groups=[0, 1])


def test_one_seed_gives_an_effect_and_no_interval():
    gold = np.array([0, 1, 0, 1])
    found = paired_combined(gold, [[0, 1, 0, 1]], [[0, 1, 1, 1]], 2, "micro_f1")
    assert found.effect == pytest.approx(25.0) and np.isnan([found.low, found.p]).all()


def test_paired_tests_refuse_other_rows():
    with pytest.raises(UserError, match="the same test rows"):
        paired_combined([0, 1, 1], [[0, 1, 1]] * 2, [[0, 1]] * 2, 2, "micro_f1")
    with pytest.raises(UserError, match="expected macro_f1 or micro_f1"):
        paired_combined([0, 1], [[0, 1]] * 2, [[0, 1]] * 2, 2, "f1")


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


def test_an_adaptation_with_more_seeds_weighs_more_in_the_mean_and_in_its_error():
    """Adaptations of 6, 2, 2 and 2 seeds, seeds alike: the variance of the mean is s^2 (36 + 3 x 4) / 144."""
    from helpers.results.stats import _with_adaptations

    own = np.repeat([0.0, 3.0, 6.0, 9.0], [6, 2, 2, 2])
    found = _with_adaptations(own, np.repeat([0, 1, 2, 3], [6, 2, 2, 2]), (), [1.0, 0.0], [11, 100], 0.95)
    assert found.standard_error == pytest.approx(np.sqrt(15 * 48 / 144)), "15 is the variance of 0, 3, 6 and 9"


@pytest.mark.parametrize(("a_task", "least"), [("its own", 0.92), ("the same", 0.85)])
def test_a_mean_over_tasks_that_share_their_adaptations_holds_the_truth(a_task, least):
    """Two adaptations of 40 seeds each, whose chance moves eight tasks apart or together.

    Counted apart for each task, a chance that moves them together would leave 0.74.
    """
    from helpers.results.stats import _with_adaptations
    from helpers.results.verdicts import mean_effect

    random, held, numbers = np.random.default_rng(1), 0, np.repeat([0, 1], 40)
    for _ in range(600):
        shared, each = random.normal(0, 0.4, 2), []
        for task in range(8):
            moved = shared if a_task == "the same" else random.normal(0, 0.4, 2)
            gains = np.repeat(moved, 40) + random.normal(0, 1.5, 80) + random.normal(0, 0.4)
            source = "one" if a_task == "the same" else task
            parts = [gains.var(ddof=1) / 80, 0.4**2]
            each.append(_with_adaptations(gains, numbers, [source], parts, [79, 1000], 0.95))
        found = mean_effect(each)
        held += found.low <= 0 <= found.high
    assert held / 600 > least
