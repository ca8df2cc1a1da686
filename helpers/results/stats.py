"""Intervals, paired tests and power for scores measured with several seeds on one test set.

Two things vary between repeats of a fine-tuning study: the seed, and which examples happened to be in the test
set. `paired_seeds` sees only the first, `paired_examples` only the second, `paired_combined` both.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats as _scipy
from scipy.special import nctdtrinc

from helpers.errors import UserError


@dataclass(frozen=True)
class Interval:
    """Mean of n values with their sample sd and the t-interval of the mean; nan where n is too small."""

    mean: float
    sd: float
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """A paired difference: effect with its interval, two-sided p, n pairs, standard error, degrees of freedom."""

    effect: float
    low: float
    high: float
    p: float
    n: int
    standard_error: float
    degrees: float


def mean_interval(values, confidence: float = 0.95) -> Interval:
    """Mean, sample sd (n - 1), n and Student's t-interval of the mean.

    values: numbers; nan is refused. One value gives nan for sd and interval, none gives nan for all.
    """
    values = _finite(values)
    n = len(values)
    mean = float(values.mean()) if n else np.nan
    if n < 2:
        return Interval(mean, np.nan, n, np.nan, np.nan)
    sd = float(values.std(ddof=1))
    reach = _scipy.t.ppf((1 + confidence) / 2, n - 1) * sd / np.sqrt(n)
    return Interval(mean, sd, n, mean - reach, mean + reach)


def paired_seeds(first, second, confidence: float = 0.95) -> Comparison:
    """Paired t-test of first - second over seeds, on one fixed test set.

    first, second: scores [n] of two methods, the same seeds in the same order.
    """
    first, second = _finite(first), _finite(second)
    if first.shape != second.shape:
        raise UserError(f"paired_seeds: {len(first)} scores against {len(second)}; give the same seeds to both")
    spread = mean_interval(first - second)
    error = spread.sd / np.sqrt(spread.n) if spread.n else np.nan
    return t_comparison(spread.mean, error, spread.n - 1, spread.n, confidence)


def paired_examples(
    gold, first, second, n_labels: int, metric: str, *, test="bootstrap", draws=2000, seed=0, confidence=0.95
) -> Comparison:
    """Difference of two methods' F1 (first - second, in points 0..100) over test examples, seeds held fixed.

    gold: label numbers [examples]. first, second: predictions [examples] or [seeds, examples]; the difference is
    the mean over seeds. metric: 'macro_f1' or 'micro_f1'. test: 'bootstrap' redraws examples and gives p from
    how often the difference changes sign; 'permutation' swaps the two methods' predictions example by example
    and gives p by counting, its interval coming from the bootstrap all the same.
    """
    if test not in ("bootstrap", "permutation"):
        raise UserError(f"paired_examples: test {test!r}; expected bootstrap or permutation")
    counts, score = _patterns(gold, first, second, n_labels, metric)
    effect = float(score(counts[None])[0].mean())
    random = np.random.default_rng(seed)
    redrawn = _redraw(random, counts, draws, score).mean(axis=1)
    low, high = np.quantile(redrawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    if test == "bootstrap":
        tail = min((redrawn <= 0).sum(), (redrawn >= 0).sum())
        p = min(1.0, 2 * (tail + 1) / (draws + 1))
    else:
        as_large = 0
        for block in _blocks(draws, len(counts)):
            swapped = random.binomial(counts, 0.5, size=(block, len(counts)))
            as_large += (np.abs(score(counts - swapped, swapped).mean(axis=1)) >= abs(effect) - 1e-9).sum()
        p = (as_large + 1) / (draws + 1)
    error, n = float(redrawn.std(ddof=1)), int(counts.sum())
    return Comparison(effect, float(low), float(high), float(p), n, error, n - 1)


def paired_combined(
    gold, first, second, n_labels: int, metric: str, *, interval="t", draws=1000, seed=0, confidence=0.95
) -> Comparison:
    """Difference of two methods' F1 (first - second, points 0..100) with seeds and examples both uncertain.

    gold: label numbers [examples]. first, second: predictions [seeds, examples], the same seeds in both.
    interval: 't' adds the variance over seeds and over examples and uses Student's t with Satterthwaite's degrees
    of freedom, which keeps its promise for the three to five seeds usual here; 'bootstrap' redraws seeds and
    examples together and reads percentiles, which is too narrow for so few seeds (three seeds can be redrawn in
    only ten ways). One seed: nothing is known about seeds, so interval and p are nan.
    """
    if interval not in ("t", "bootstrap"):
        raise UserError(f"paired_combined: interval {interval!r}; expected t or bootstrap")
    counts, score = _patterns(gold, first, second, n_labels, metric)
    by_seed = score(counts[None])[0]
    n, effect = len(by_seed), float(by_seed.mean())
    if n < 2:
        return Comparison(effect, np.nan, np.nan, np.nan, n, np.nan, np.nan)
    random = np.random.default_rng(seed)
    redrawn = _redraw(random, counts, draws, score)
    seeds_part = by_seed.var(ddof=1) / n
    examples_part = redrawn.mean(axis=1).var(ddof=1)
    error = float(np.sqrt(seeds_part + examples_part))
    degrees = satterthwaite([seeds_part, examples_part], [n - 1, counts.sum() - 1])
    comparison = t_comparison(effect, error, degrees, n, confidence)
    if interval == "t":
        return comparison
    weights = random.multinomial(n, np.full(n, 1 / n), size=draws) / n
    both = (redrawn * weights).sum(axis=1)
    low, high = np.quantile(both, [(1 - confidence) / 2, (1 + confidence) / 2])
    p = min(1.0, 2 * (min((both <= 0).sum(), (both >= 0).sum()) + 1) / (draws + 1))
    return Comparison(effect, float(low), float(high), float(p), n, float(both.std(ddof=1)), degrees)


def t_comparison(effect: float, error: float, degrees: float, n: int, confidence: float = 0.95) -> Comparison:
    """A Comparison from an estimate, its standard error and its degrees of freedom, by Student's t."""
    if not (np.isfinite(error) and degrees > 0):
        return Comparison(float(effect), np.nan, np.nan, np.nan, n, float(error), float(degrees))
    reach = _scipy.t.ppf((1 + confidence) / 2, degrees) * error
    if error > 0:
        p = float(2 * _scipy.t.sf(abs(effect) / error, degrees))
    else:
        p = 1.0 if effect == 0 else 0.0
    return Comparison(float(effect), effect - reach, effect + reach, p, n, float(error), float(degrees))


def satterthwaite(variances, degrees) -> float:
    """Degrees of freedom of a sum of independent variance estimates (Welch-Satterthwaite)."""
    variances, degrees = np.asarray(variances, float), np.asarray(degrees, float)
    total = variances.sum()
    if total == 0:
        return float(degrees.min())
    return float(total**2 / (variances**2 / degrees).sum())


def holm(p_values) -> np.ndarray:
    """Holm's adjusted p-values of one family [m], in the order given; nan stays nan and is not counted."""
    p_values = np.asarray(p_values, float)
    adjusted = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def detectable_effect(standard_error: float, degrees: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest true effect that a two-sided t-test at `alpha` would have found with probability `power`.

    standard_error: of the difference, in the unit wanted back (sd of the paired differences / sqrt(n)).
    degrees: n - 1 for n pairs. Returns nan when they are unknown.
    """
    if not (np.isfinite(standard_error) and degrees > 0):
        return np.nan
    # The shift at which the noncentral t passes the limit with this power; its other tail is below 1e-4.
    shift = nctdtrinc(degrees, 1 - power, _scipy.t.ppf(1 - alpha / 2, degrees))
    return float(standard_error * shift)


def f1_score(gold, predicted, n_labels: int, metric: str, rows=None) -> float:
    """Macro- or micro-F1 in 0..1 of single-label predictions, equal to scikit-learn's over all n_labels labels.

    rows: boolean mask [examples] of the rows scored. A label whose gold rows are all masked out is then left out
    of the macro mean; a label that had none to begin with counts as 0, as in the score on all rows.
    """
    gold, predicted = np.asarray(gold), np.asarray(predicted)
    weights = np.ones(len(gold)) if rows is None else np.asarray(rows, float)
    if metric == "micro_f1":
        return float(((gold == predicted) * weights).sum() / max(weights.sum(), 1))
    never = n_labels - len(np.unique(gold))
    hits, support, chosen = (
        np.bincount(labels, weights=weight, minlength=n_labels)
        for labels, weight in ((gold, weights * (gold == predicted)), (gold, weights), (predicted, weights))
    )
    return float(_macro_f1(hits, support, chosen, never))


def _macro_f1(hits, support, chosen, never: int):
    """Mean over labels of 2 TP / (support + predicted); labels without a gold row in this draw are left out.

    hits, support, chosen: counts [..., labels]. never: labels without any gold row in the whole test set, which
    count as 0. Both divisors depend on gold alone, so two methods are always averaged over the same labels.
    """
    present = support > 0
    each = np.where(present, 2 * hits / np.maximum(support + chosen, 1), 0.0)
    return each.sum(axis=-1) / np.maximum(present.sum(axis=-1) + never, 1)


def _patterns(gold, first, second, n_labels: int, metric: str):
    """Distinct (gold, predictions) patterns with their counts, and the score difference of weighted patterns.

    Examples with one pattern are interchangeable, so redrawing n examples is one multinomial draw over patterns:
    the same distribution at a fraction of the work. Returns counts [patterns] and a function of weights
    [draws, patterns] -> differences [draws, seeds] in points; its second argument, if given, holds the weights
    of the patterns with the two methods' predictions swapped.
    """
    gold = np.asarray(gold)
    first, second = (np.atleast_2d(np.asarray(one)) for one in (first, second))
    if metric not in ("macro_f1", "micro_f1"):
        raise UserError(f"metric {metric!r}: expected macro_f1 or micro_f1")
    if first.shape != second.shape or first.shape[1:] != gold.shape or not len(gold):
        raise UserError(
            f"paired test: predictions {first.shape} and {second.shape} do not fit {len(gold)} gold labels;"
            " both methods need the same seeds and the same test rows"
        )
    seeds = len(first)
    table, counts = np.unique(np.vstack([gold, first, second]).T, axis=0, return_counts=True)
    gold, one, two = table[:, 0], table[:, 1 : seeds + 1].T, table[:, seeds + 1 :].T
    labels = np.arange(n_labels)
    gold_is = (gold[:, None] == labels).astype(float)
    never = int(n_labels - gold_is.any(axis=0).sum())

    def side(weights, swapped, straight, other):
        if metric == "micro_f1":
            hits = weights @ (straight == gold) + (0 if swapped is None else swapped @ (other == gold))
            total = weights.sum(axis=1) + (0 if swapped is None else swapped.sum(axis=1))
            return hits / total
        hits = weights @ (gold_is * (straight == gold)[:, None])
        chosen = weights @ (straight[:, None] == labels)
        support = weights @ gold_is
        if swapped is not None:
            hits = hits + swapped @ (gold_is * (other == gold)[:, None])
            chosen = chosen + swapped @ (other[:, None] == labels)
            support = support + swapped @ gold_is
        return _macro_f1(hits, support, chosen, never)

    def difference(weights, swapped=None):
        weights = np.asarray(weights, float)
        swapped = None if swapped is None else np.asarray(swapped, float)
        pairs = [side(weights, swapped, a, b) - side(weights, swapped, b, a) for a, b in zip(one, two, strict=True)]
        return 100 * np.stack(pairs, axis=1)

    return counts, difference


def _redraw(random, counts: np.ndarray, draws: int, score) -> np.ndarray:
    """Score differences [draws, seeds] of test sets redrawn from the patterns."""
    share = counts / counts.sum()
    return np.concatenate([
        score(random.multinomial(counts.sum(), share, size=block)) for block in _blocks(draws, len(counts))
    ])  # fmt: skip


def _blocks(draws: int, patterns: int) -> list[int]:
    """Draws in blocks that hold some 16 MB of weights each, however large the test set."""
    size = max(1, 2_000_000 // patterns)
    return [min(size, draws - start) for start in range(0, draws, size)]


def _finite(values) -> np.ndarray:
    values = np.asarray(values, float)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise UserError("statistics need a plain list of finite numbers; a score is missing")
    return values
