"""The chance of one adaptation: DAPT beside DAPT of the same text by another seed, which no other interval holds."""

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from scipy.special import gammaincinv  # scipy.stats takes half a second to import

from helpers.methods import CHANCE
from helpers.results.cells import Cells, TextLosses, WithChance
from helpers.results.claims import judged
from helpers.results.stats import Comparison
from helpers.results.verdicts import SURE, mean_effect

COLUMNS = (
    "task", "domain", "measure", "recipe", "comparison", "effect", "low", "high", "unit", "p", "n", "spread",
    "spread_at_most",
)  # fmt: skip
CLAIM_COLUMNS = (
    "claim", "measure", "recipe", "effect", "low", "high", "unit", "verdict", "low_with_chance", "high_with_chance",
    "detectable_with_chance", "verdict_with_chance", "sure_up_to",
)  # fmt: skip
STEPS, STEP = 50, {"points": 0.1, "nats": 0.002}  # how far, and how finely, it is asked which claims a spread undoes


def adaptation_chance(
    records: pd.DataFrame, task_losses: pd.DataFrame | None = None, *, draws: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """DAPT beside DAPT by another seed, by every read-out: a row a task, and 'all' for their mean.

    records: as `load_records` gives them; task_losses: as `helpers.study.views.task_losses` does, of both. draws, seed:
    of the bootstrap over test examples. effect: DAPT less the other in points of F1, or how many nats lower it leaves
    the loss of the task's dev text. low, high, p: as in `claims`, the chance of draws and of test rows or documents; an
    interval without zero is the adaptation's own chance. spread, of 'all' alone: the standard deviation, in the
    effect's unit, that this chance gives one adaptation's number on one task, from the effects' squares beside their
    standard errors, see `spread_of` (nan where ADAPTATION_SEEDS are several, which every interval holds already);
    spread_at_most: its upper bound at 95 %, nan where the run tells none. A mean effect over t tasks has
    spread / sqrt(t) of it, a difference of two adaptations sqrt(2) times that. Not in the paper. Returns COLUMNS, empty
    where no task has both.

    >>> from helpers import load_records
    >>> adaptation_chance(load_records(tmp / "no run yet")).empty
    True
    """
    rows = []
    for (measure, recipe), cells in _read_outs(records, task_losses, draws, seed).items():
        tasks = [task for task in cells.domains if {(task, name) for name in CHANCE.methods} <= set(cells.cells)]
        found = [cells.compare(task, *CHANCE.methods) for task in tasks]
        if not found:
            continue
        unknown = (np.nan, np.nan)
        adapted = [cells.corpus(task, CHANCE.methods[0]) for task in tasks]
        spread = spread_of(found, adapted) if cells.adaptations <= 1 else unknown
        named = [(task, cells.domains[task], one, unknown) for task, one in zip(tasks, found, strict=True)]
        rows += [
            (task, domain, measure, recipe, cells.comparison(*CHANCE.methods), one.effect, one.low, one.high,
             cells.unit, one.p, one.n, *s)
            for task, domain, one, s in [*named, ("all", "", mean_effect(found), spread)]
        ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _read_outs(records: pd.DataFrame, task_losses: pd.DataFrame | None, draws: int, seed: int) -> dict:
    """(measure, recipe) -> cells, of each recipe's F1 and of the masked-LM loss of the dev texts."""
    found: dict = {("f1", recipe): Cells(group, draws, seed) for recipe, group in records.groupby("recipe", sort=True)}
    if task_losses is not None and len(task_losses):
        found["text_loss", ""] = TextLosses(task_losses)
    return found


def spread_of(found: Sequence[Comparison], adapted: Sequence[Hashable] | None = None) -> tuple[float, float]:
    """The spread of one adaptation and its upper bound at 95 %, from differences of two; nan where it tells none.

    adapted: which pair of adaptations each difference is of, by default another each. A pair that serves several tasks
    may move them together, so that they tell of no more than one chance: the bound counts pairs.

    An effect of two adaptations has variance 2 spread^2 + standard error^2; over it the n squares sum to a chi-square.
    The estimate is the spread at which that sum is n, so that a task counts by what it can tell (0 where chance of
    draws and test rows explains all); the bound is where a sum so small has a chance of 5 %. Where even without any
    spread the chance is less, no spread is such a bound, and it is nan.
    """
    from scipy.optimize import brentq

    squares, errors = (np.array([getattr(one, name) ** 2 for one in found]) for name in ("effect", "standard_error"))
    if not (errors > 0).all():
        return np.nan, np.nan

    def at(expected: float, below: float) -> float:
        def beyond(variance: float) -> float:
            return float(np.sum(squares / (2 * variance + errors))) - expected

        return float(np.sqrt(brentq(beyond, 0.0, squares.sum() / expected))) if beyond(0.0) > 0 else below

    pairs = len(set(adapted or range(len(found))))
    least = 2 * gammaincinv(pairs / 2, 0.05)  # of a chi-square, so small by chance in 5 %
    return at(len(found), 0.0), at(least * len(found) / pairs, np.nan)


def claims_with_chance(
    records: pd.DataFrame, chance: pd.DataFrame, overlap: pd.DataFrame | None = None,
    task_losses: pd.DataFrame | None = None, *, alpha: float = 0.05, draws: int = 1000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """The claims over all tasks once more, with the chance of one adaptation in every interval.

    records, overlap, task_losses, alpha, draws, seed: as for `claims`. chance: from `adaptation_chance`; a read-out
    that is not in it, or that is of several adaptations of a text, which its intervals hold already, is left out. The
    spread counts for each adapted side of a difference, with as many degrees of freedom as adaptations it was found of.
    Returns CLAIM_COLUMNS: effect, interval and verdict as in `claims`, then those with the chance. sure_up_to: the
    largest spread, in steps of 0.1 points to 5 or of 0.002 nats to 0.1, with which the claim would still be sure (the
    last step: that at least); nan where it is not sure without any. Not in the paper.

    >>> from helpers import load_records
    >>> none = load_records(tmp / "no run yet")
    >>> claims_with_chance(none, adaptation_chance(none)).empty
    True
    """
    rows = []
    for key, cells in _read_outs(records, task_losses, draws, seed).items():
        known = chance[(chance["measure"] == key[0]) & (chance["recipe"] == key[1])]
        if known.empty or cells.adaptations > 1 or not np.isfinite(spread := known["spread"].iloc[-1]):
            continue
        degrees = known.loc[known["task"] != "all", "domain"].nunique()  # one pair of adaptations a domain
        both = (judged(one, overlap, alpha) for one in (cells, WithChance(cells, spread, degrees)))
        borne = _borne(cells, degrees, overlap, alpha)
        for plain, wide in zip(*both, strict=True):
            if plain.scope == "all":
                rows.append(
                    (plain.claim, *key, plain.found.effect, plain.found.low, plain.found.high, cells.unit,
                     plain.verdict, wide.found.low, wide.found.high, wide.detectable_effect, wide.verdict,
                     borne.get(plain.claim, np.nan))
                )  # fmt: skip
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def _step(number: int, unit: str) -> float:
    return round(number * STEP[unit], 3)


def last_step(unit: str) -> float:
    """The largest spread that is asked about: a claim that is sure with it is so up to that at least."""
    return _step(STEPS, unit)


def _borne(cells, degrees: int, overlap: pd.DataFrame | None, alpha: float) -> dict[str, float]:
    """The largest spread with which each claim over all tasks that is sure without any would still be sure."""
    borne = {}
    for number in range(STEPS + 1):
        spread = _step(number, cells.unit)
        rows = judged(WithChance(cells, spread, degrees), overlap, alpha)
        sure = [row.claim for row in rows if row.scope == "all" and row.verdict in SURE]
        borne.update(dict.fromkeys(sure, spread))
        if not sure:
            break
    return borne
