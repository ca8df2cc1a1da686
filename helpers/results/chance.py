"""The chance of one adaptation: DAPT beside DAPT of the same text by another seed, which no other interval holds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import optimize, stats

from helpers.methods import CHANCE
from helpers.results.cells import Cells, WithChance, adaptations_of_a_text
from helpers.results.claims import judged
from helpers.results.stats import Comparison
from helpers.results.verdicts import SURE, mean_effect

COLUMNS = ("task", "domain", "recipe", "comparison", "effect", "low", "high", "p", "n", "spread", "spread_at_most")
CLAIM_COLUMNS = (
    "claim", "recipe", "effect", "low", "high", "verdict", "low_with_chance", "high_with_chance",
    "detectable_with_chance", "verdict_with_chance", "sure_up_to",
)  # fmt: skip
STEP, MOST = 0.1, 5.0  # points of spread: how finely, and how far, it is asked which claims it would undo


def adaptation_chance(records: pd.DataFrame, *, draws: int = 1000, seed: int = 0) -> pd.DataFrame:
    """DAPT less DAPT by another seed, points of F1: a row a task, and 'all' for their mean.

    records: as `load_records` gives them. draws, seed: of the bootstrap over test examples. low, high, p: as in
    `claims`, the chance of draws and of test rows; an interval without zero is the adaptation's own chance. spread, of
    'all' alone: the standard deviation, in points, that this chance gives the score of one adaptation on one task,
    from the effects' squares beside their standard errors, see `spread_of` (nan where ADAPTATION_SEEDS are several,
    which every interval holds already); spread_at_most: its upper bound at 95 %. A mean effect over t tasks has spread
    / sqrt(t) of it, a difference of two adaptations sqrt(2) times that. Not in the paper. Returns COLUMNS, empty where
    no task has both.

    >>> from helpers import load_records
    >>> adaptation_chance(load_records(tmp / "no run yet")).empty
    True
    """
    rows = []
    for recipe, group in records.groupby("recipe", sort=True):
        cells = Cells(group, draws, seed)
        tasks = [task for task in cells.domains if {(task, name) for name in CHANCE.methods} <= set(cells.cells)]
        found = [cells.compare(task, *CHANCE.methods) for task in tasks]
        if not found:
            continue
        unknown = (np.nan, np.nan)
        spread = spread_of(found) if adaptations_of_a_text(group) <= 1 else unknown
        named = [(task, cells.domains[task], one, unknown) for task, one in zip(tasks, found, strict=True)]
        rows += [
            (task, domain, recipe, cells.comparison(*CHANCE.methods), one.effect, one.low, one.high, one.p, one.n, *s)
            for task, domain, one, s in [*named, ("all", "", mean_effect(found), spread)]
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def spread_of(found: Sequence[Comparison]) -> tuple[float, float]:
    """The spread of one adaptation and its upper bound at 95 %, from differences of two; nan without errors.

    An effect of two adaptations has variance 2 spread^2 + standard error^2; over it the n squares sum to a chi-square.
    The estimate is the spread at which that sum is n, so that a task counts by what it can tell (0 where chance of
    draws and test rows explains all); the bound is where a sum so small has a chance of 5 %.
    """
    squares, errors = (np.array([getattr(one, name) ** 2 for one in found]) for name in ("effect", "standard_error"))
    if not (errors > 0).all():
        return np.nan, np.nan

    def at(expected: float) -> float:
        def beyond(variance: float) -> float:
            return float(np.sum(squares / (2 * variance + errors))) - expected

        return float(np.sqrt(optimize.brentq(beyond, 0.0, squares.sum() / expected))) if beyond(0.0) > 0 else 0.0

    return at(len(found)), at(stats.chi2.ppf(0.05, len(found)))


def claims_with_chance(
    records: pd.DataFrame, chance: pd.DataFrame, overlap: pd.DataFrame | None = None, *, alpha: float = 0.05,
    draws: int = 1000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """The claims over all tasks once more, with the chance of one adaptation in every interval.

    records, overlap, alpha, draws, seed: as for `claims`. chance: from `adaptation_chance`; a read-out that is not in
    it, or whose records are of several adaptations of a text, which their intervals hold already, is left out. The
    spread counts for each adapted side of a difference, with as many degrees of freedom as tasks it was found on.
    Returns CLAIM_COLUMNS: effect, interval and verdict as in `claims`, then those with the chance. sure_up_to: the
    largest spread, in steps of 0.1 points to 5, with which the claim would still be sure; nan where it is not sure
    without any. Not in the paper.

    >>> from helpers import load_records
    >>> none = load_records(tmp / "no run yet")
    >>> claims_with_chance(none, adaptation_chance(none)).empty
    True
    """
    rows = []
    for recipe, known in chance.groupby("recipe", sort=True):
        spread, group = known["spread"].iloc[-1], records[records["recipe"] == recipe]
        if not len(group) or adaptations_of_a_text(group) > 1 or not np.isfinite(spread):
            continue
        cells = Cells(group, draws, seed)
        degrees = len(known) - 1
        both = (judged(one, overlap, alpha) for one in (cells, WithChance(cells, spread, degrees)))
        borne = _borne(cells, degrees, overlap, alpha)
        for plain, wide in zip(*both, strict=True):
            if plain.scope == "all":
                rows.append(
                    (plain.claim, recipe, plain.found.effect, plain.found.low, plain.found.high, plain.verdict,
                     wide.found.low, wide.found.high, wide.detectable_effect, wide.verdict,
                     borne.get(plain.claim, np.nan))
                )  # fmt: skip
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def _borne(cells: Cells, degrees: int, overlap: pd.DataFrame | None, alpha: float) -> dict[str, float]:
    """The largest spread with which each claim over all tasks that is sure without any would still be sure."""
    borne = {}
    for spread in np.arange(0, MOST + STEP / 2, STEP):
        rows = judged(WithChance(cells, spread, degrees), overlap, alpha)
        sure = [row.claim for row in rows if row.scope == "all" and row.verdict in SURE]
        borne.update(dict.fromkeys(sure, round(float(spread), 1)))
        if not sure:
            break
    return borne
