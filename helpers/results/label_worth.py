"""How many labelled rows an adaptation is worth: scores against labels, read across from one model to another."""

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.results.cells import Cells

COLUMNS = ("task", "method", "labels", "score", "base_score", "worth", "low", "high", "n")


def label_worth(records: pd.DataFrame, *, draws: int = 1000, seed: int = 0, confidence: float = 0.95) -> pd.DataFrame:
    """Labels that the base would need to score as each method does, less those the method had.

    records: of one read-out from several numbers of labels, as `helpers.study.views.curve_records` gives them; the base
    at two numbers at least. draws, seed: of the bootstrap.

    Returns a row a task, adapted method and number of labels but the base's last: labels, score and base_score (means
    over the seeds that both have, percent), worth with its 95 % interval (further labels; negative where the base with
    fewer does as well) and n (seeds). The base's curve is made rising (isotonic regression) and read between its
    numbers in the logarithm of labels, as far above the curve as the method is above the base with the same labels, so
    that the base itself is worth 0; beyond its last number that is at least what lies up to there, inf; below its
    first, at most that, -inf. The interval holds the chance of that gain (draws, test rows and, of several,
    adaptations: `stats.paired_combined`) and of the draws behind the base's curve. Raises UserError where the base is
    missing.

    >>> from helpers import load_records
    >>> label_worth(load_records(tmp / "no run yet")).empty
    True
    """
    rows, random = [], np.random.default_rng(seed)
    for task, part in records.groupby("task", sort=False):
        base = _by_budget(part[part["method"] == "base"])
        if not base:
            raise UserError(f"label_worth: {task} has no scores of the base to read the others against")
        budgets = np.array(sorted(base))
        line = [base[labels].mean() for labels in budgets]
        lines = _redrawn(base, budgets, random.random((draws, max(map(len, base.values())))))
        cells = {labels: Cells(cell) for labels, cell in part.groupby("train_size")}
        for (method, labels), cell in part[part["method"] != "base"].groupby(["method", "train_size"], sort=False):
            both = base[labels].index.intersection(cell["seed"]) if labels in base else ()
            if not len(both) or labels == budgets[-1]:
                continue
            gain = cells[labels].compare(task, method, "base")
            worth, low, high = _read_across(budgets, line, gain.effect, labels), np.nan, np.nan
            if np.isfinite(gain.standard_error):
                gains = gain.effect + gain.standard_error * random.standard_t(gain.degrees, draws)
                redrawn = [_read_across(budgets, one, g, labels) for one, g in zip(lines, gains, strict=True)]
                # no interpolation between quantiles, for some of them may be infinite
                ends = [(1 - confidence) / 2, (1 + confidence) / 2]
                low, high = np.quantile(redrawn, ends, method="inverted_cdf")
            beside = base[labels].loc[both].mean()
            rows.append((task, method, labels, beside + gain.effect, beside, worth, low, high, len(both)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _by_budget(rows: pd.DataFrame) -> dict[int, pd.Series]:
    return {labels: cell.set_index("seed")["score"].sort_index() for labels, cell in rows.groupby("train_size")}


def _redrawn(base: dict[int, pd.Series], budgets: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The base's curve [draws, budgets] from redrawn seeds; places [draws, seeds] between 0 and 1 of their order."""
    means = []
    for labels in budgets:
        scores = base[labels].to_numpy()
        means.append(scores[(places[:, : len(scores)] * len(scores)).astype(int)].mean(axis=1))
    return np.stack(means, axis=1)


def _read_across(budgets: np.ndarray, line, gain: float, labels: int) -> float:
    """Labels at which a rising line through the budgets is `gain` above where it is at `labels`, less those."""
    if not gain:  # where the line is level the same score lies at several places
        return 0.0
    from sklearn.isotonic import isotonic_regression

    rising = isotonic_regression(line)
    score = rising[np.searchsorted(budgets, labels)] + gain
    if score > rising[-1]:
        return np.inf
    if score < rising[0]:
        return -np.inf
    return float(np.exp(np.interp(score, rising, np.log(budgets))) - labels)
