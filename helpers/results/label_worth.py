"""How many labelled rows an adaptation is worth: scores against labels, read across from one model to another."""

import numpy as np
import pandas as pd
from sklearn.isotonic import isotonic_regression

from helpers.errors import UserError

COLUMNS = ("task", "method", "labels", "score", "base_score", "worth", "low", "high", "n")


def label_worth(curve: pd.DataFrame, *, draws: int = 1000, seed: int = 0, confidence: float = 0.95) -> pd.DataFrame:
    """Labels that the base would need to score as each method does, less those the method had.

    curve: task, method, labels, seed, score (percent), as `helpers.study.views.label_curve` gives it; the base at two
    budgets at least. draws, seed: of the bootstrap over the seeds of the curve, a seed redrawn for the base and the
    method alike; the chance of the test rows is in no interval.

    Returns a row a task, adapted method and budget but the base's last: labels, score and base_score (means, percent),
    worth with its 95 % interval (further labels; negative where the base with fewer does as well) and n (seeds). The
    base's curve is made rising (isotonic regression) and read between its budgets in the logarithm of labels, as far
    above the curve as the method is above the base with the same labels, so that the base itself is worth 0; beyond its
    last budget that is at least what lies up to there, inf; below its first, at most that, -inf. Raises UserError where
    the base is missing.

    >>> rows = [("t", "base", 10, 0, 40.0), ("t", "base", 100, 0, 60.0), ("t", "dapt", 10, 0, 50.0)]
    >>> curve = pd.DataFrame(rows, columns=["task", "method", "labels", "seed", "score"])
    >>> label_worth(curve)["worth"].round(1).tolist()
    [21.6]
    """
    rows, random = [], np.random.default_rng(seed)
    for task, part in curve.groupby("task", sort=False):
        if "base" not in set(part["method"]):
            raise UserError(f"label_worth: {task} has no scores of the base to read the others against")
        base = _by_budget(part[part["method"] == "base"])
        budgets = np.array(sorted(base))
        for (method, labels), cell in part[part["method"] != "base"].groupby(["method", "labels"], sort=False):
            if labels not in base or labels == budgets[-1]:
                continue
            scores = cell.set_index("seed")["score"].sort_index()
            worth = _read_across(budgets, [base[one].mean() for one in budgets], scores.mean(), labels)
            low = high = np.nan
            if len(scores) > 1:
                redrawn = []
                for _ in range(draws):
                    places = random.random(len(scores))
                    line = [_redrawn(base[one], places) for one in budgets]
                    redrawn.append(_read_across(budgets, line, _redrawn(scores, places), labels))
                # no interpolation between quantiles, for some of them may be infinite
                ends = [(1 - confidence) / 2, (1 + confidence) / 2]
                low, high = np.quantile(redrawn, ends, method="inverted_cdf")
            rows.append((task, method, labels, scores.mean(), base[labels].mean(), worth, low, high, len(scores)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _by_budget(rows: pd.DataFrame) -> dict[int, pd.Series]:
    return {labels: cell.set_index("seed")["score"].sort_index() for labels, cell in rows.groupby("labels")}


def _redrawn(scores: pd.Series, places: np.ndarray) -> float:
    """Mean of the scores at places between 0 and 1 of their order: the same seeds where there are as many."""
    return float(scores.to_numpy()[(places * len(scores)).astype(int)].mean())


def _read_across(budgets: np.ndarray, line, score: float, labels: int) -> float:
    """Labels at which a rising line through the budgets is as far up as the score is above it, less `labels`."""
    rising = isotonic_regression(line)
    here = np.searchsorted(budgets, labels)
    gain = score - line[here]
    if not gain:  # where the line is level the same score lies at several places
        return 0.0
    score = rising[here] + gain
    if score > rising[-1]:
        return np.inf
    if score < rising[0]:
        return -np.inf
    return float(np.exp(np.interp(score, rising, np.log(budgets))) - labels)
