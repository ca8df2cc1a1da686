"""The chance of one adaptation: DAPT beside DAPT of the same text by another seed, which no other interval holds."""

import numpy as np
import pandas as pd

from helpers.methods import CHANCE
from helpers.results.cells import Cells
from helpers.results.verdicts import mean_effect

COLUMNS = ("task", "domain", "recipe", "comparison", "effect", "low", "high", "p", "n", "spread")


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
