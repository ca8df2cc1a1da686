"""The chance of one adaptation: DAPT beside DAPT of the same text by another seed, which no other interval holds."""

import numpy as np
import pandas as pd

from helpers.methods import CHANCE
from helpers.results.cells import Cells, WithChance
from helpers.results.claims import judged
from helpers.results.verdicts import mean_effect

COLUMNS = ("task", "domain", "recipe", "comparison", "effect", "low", "high", "p", "n", "spread")
CLAIM_COLUMNS = (
    "claim", "recipe", "effect", "low", "high", "verdict", "low_with_chance", "high_with_chance",
    "detectable_with_chance", "verdict_with_chance",
)  # fmt: skip


def adaptation_chance(records: pd.DataFrame, *, draws: int = 1000, seed: int = 0) -> pd.DataFrame:
    """DAPT less DAPT by another seed, points of F1: a row a task, and 'all' for their mean.

    records: as `load_records` gives them. draws, seed: of the bootstrap over test examples. low, high, p: as in
    `claims`, the chance of draws and of test rows; an interval without zero is the adaptation's own chance. spread, of
    'all' alone: the standard deviation, in points, that this chance gives the score of one adaptation on one task,
    estimated from the effects' squares beyond their standard errors (0 where those explain them; halved, for two
    adaptations differ). A mean effect over t tasks has spread / sqrt(t) of it, a difference of two adaptations
    sqrt(2) times that. Not in the paper. Returns COLUMNS, empty where no task has both.

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
        beyond = np.mean([one.effect**2 - one.standard_error**2 for one in found])
        spread = float(np.sqrt(max(0.0, beyond) / 2)) if np.isfinite(beyond) else np.nan
        named = [(task, cells.domains[task], one, np.nan) for task, one in zip(tasks, found, strict=True)]
        rows += [
            (task, domain, recipe, cells.comparison(*CHANCE.methods), one.effect, one.low, one.high, one.p, one.n, s)
            for task, domain, one, s in [*named, ("all", "", mean_effect(found), spread)]
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def claims_with_chance(
    records: pd.DataFrame, chance: pd.DataFrame, overlap: pd.DataFrame | None = None, *, alpha: float = 0.05,
    draws: int = 1000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """The claims over all tasks once more, with the chance of one adaptation in every interval.

    records, overlap, alpha, draws, seed: as for `claims`. chance: from `adaptation_chance`; a read-out that is not in
    it, or whose records are of several adaptations of a text, which their intervals hold already, is left out. The
    spread counts for each adapted side of a difference, with as many degrees of freedom as tasks it was found on.
    Returns CLAIM_COLUMNS: effect, interval and verdict as in `claims`, then those with the chance. Not in the paper.

    >>> from helpers import load_records
    >>> none = load_records(tmp / "no run yet")
    >>> claims_with_chance(none, adaptation_chance(none)).empty
    True
    """
    rows = []
    for recipe, known in chance.groupby("recipe", sort=True):
        spread, group = known["spread"].iloc[-1], records[records["recipe"] == recipe]
        if not len(group) or group["adaptation_seed"].nunique() > 1 or not np.isfinite(spread):
            continue
        cells = Cells(group, draws, seed)
        both = (judged(one, overlap, alpha) for one in (cells, WithChance(cells, spread, len(known) - 1)))
        for plain, wide in zip(*both, strict=True):
            if plain.scope == "all":
                rows.append(
                    (plain.claim, recipe, plain.found.effect, plain.found.low, plain.found.high, plain.verdict,
                     wide.found.low, wide.found.high, wide.detectable_effect, wide.verdict)
                )  # fmt: skip
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))
