"""How often a cheap look is right: what was foretold of an adaptation's gain, beside the gain that was found.

Found are the gains of every task, adaptation and number of labels at hand, fine-tuned and by frozen read-outs. Four
looks are cheaper, and each foretells them: the frozen read-out of the same model (of what fine-tuning finds); the
frozen read-out from the fewest labels (of what more labels find); the mean gain of the same adaptation on the *other*
tasks with about as many labels; and the fall of masked-LM loss on the task's dev text, turned into points by a line
through the other tasks' pairs. The last two leave the task out with all its budgets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from helpers.data.registry import without_twins
from helpers.errors import UserError
from helpers.results.cells import Cells

PREDICTORS = {
    "frozen": "frozen read-out of the same model", "few": "frozen read-out from the fewest labels",
    "others": "mean gain on the other tasks", "loss": "fall of the loss on dev text, line fitted on the other tasks",
}  # fmt: skip
COLUMNS = ("task", "method", "recipe", "labels", "gain", "low", "high",
           *(name + end for name in PREDICTORS for end in ("", "_low", "_high")), "preset", "run")  # fmt: skip
_RUN = ["run", "preset", "base_model"]
_CELL = [*_RUN, "recipe", "train_size", "task", "method"]
_UNTOLD = (np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class _Cell:
    """A gain that was found, with its 95 % interval."""

    run: tuple
    recipe: str
    labels: int
    task: str
    method: str
    gain: float
    low: float
    high: float


def calibration(records: pd.DataFrame, task_losses: pd.DataFrame | None = None) -> pd.DataFrame:
    """What was foretold and what was found, a row a task, adaptation, read-out and number of labels.

    records: fine-tunings of the recipe 'paper' and frozen read-outs, as `load_records` gives them, from any number of
    label budgets (`helpers.study.views.curve_records`) and of runs; a column 'run' tells runs of one preset and base
    apart. task_losses: as `helpers.study.views.task_losses`, with the same column where there is one. Returns COLUMNS:
    recipe ('paper' for fine-tuned, 'frozen'), labels (training rows), gain over the base (points of F1) with its 95 %
    interval, and what each of PREDICTORS foretold (nan where it cannot) with 95 %: of 'frozen' and 'few' the read-out's
    own interval, which knows nothing of the chance in what is foretold; of the others that of one more gain.
    Raises UserError where two runs cannot be told apart.

    >>> from helpers import load_records
    >>> calibration(load_records(tmp / "no run yet")).empty
    True
    """
    cells = _found(records)
    falls = _falls(task_losses) if task_losses is not None else {}
    rows = []
    for cell in cells:
        own = [one for one in cells if (one.run, one.task, one.method, one.recipe) == (
            cell.run, cell.task, cell.method, "frozen")]  # fmt: skip
        others = _of_other_tasks(cell, cells)
        told = {"frozen": _UNTOLD, "few": _UNTOLD}
        if own and cell.recipe == "paper":
            near = min(own, key=lambda one: _apart(one, cell))
            told["frozen"] = near.gain, near.low, near.high
        elif own and (least := min(own, key=lambda one: one.labels)).labels < cell.labels:
            told["few"] = least.gain, least.low, least.high
        told["others"] = _mean([one.gain for one in others if one.method == cell.method])
        told["loss"] = _by_line(falls.get((cell.run[0], cell.task, cell.method), np.nan), [
            (falls[key], one.gain) for one in others if (key := (one.run[0], one.task, one.method)) in falls
        ])  # fmt: skip
        foretold = [value for name in PREDICTORS for value in told[name]]
        rows.append((cell.task, cell.method, cell.recipe, cell.labels, cell.gain, cell.low, cell.high, *foretold,
                     cell.run[1], cell.run[0]))  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def hit_rates(calibration: pd.DataFrame) -> pd.DataFrame:
    """How often each predictor was right, over the pairs for which it foretold anything.

    Returns recipe (of what was found), predictor, pairs, called (those where its interval leaves zero out), decided
    (the called where that of the gain found does too; where it does not, the sign found is chance), right (share of
    the decided whose sign was that found, 0 to 1), error (mean absolute, points), error_of_zero (that of foretelling
    no gain at all, for the same pairs), held (share of its intervals that hold the gain found), and wrong (the
    decided whose sign was not that found).

    >>> pairs = pd.DataFrame({"task": ["a", "b"], "method": "dapt", "recipe": "paper", "labels": 100,
    ...                       "gain": [2.0, -1.0], "low": [1.0, -1.5], "high": [3.0, -0.5], "frozen": [1.0, 1.5],
    ...                       "frozen_low": [0.5, 0.5], "frozen_high": [1.5, 2.5]})
    >>> hit_rates(pairs).drop(columns=["recipe", "error_of_zero"]).values.tolist()
    [['frozen', 2, 2, 2, 0.5, 1.75, 0.0, 'b dapt 100']]
    """
    rows = []
    for recipe in ("paper", "frozen"):
        for name in PREDICTORS:
            if name not in calibration:
                continue
            known = calibration[calibration["recipe"] == recipe].dropna(subset=[name])
            if not len(known):
                continue
            low, high = known[f"{name}_low"], known[f"{name}_high"]
            bounded, called = low.notna() & high.notna(), (low > 0) | (high < 0)
            decided = called & ((known["low"] > 0) | (known["high"] < 0))
            hit = np.sign(known[name]) == np.sign(known["gain"])
            held = ((low <= known["gain"]) & (known["gain"] <= high))[bounded]
            rows.append({
                "recipe": recipe, "predictor": name, "pairs": len(known), "called": int(called.sum()),
                "decided": int(decided.sum()), "right": hit[decided].mean(),
                "error": (known[name] - known["gain"]).abs().mean(),
                "error_of_zero": known["gain"].abs().mean(), "held": held.mean(),
                "wrong": "; ".join(f"{row.task} {row.method} {row.labels}"
                                   for row in known[decided & ~hit].itertuples()),
            })  # fmt: skip
    columns = ["recipe", "predictor", "pairs", "called", "decided", "right", "error", "error_of_zero", "held", "wrong"]
    return pd.DataFrame(rows, columns=columns)


def _found(records: pd.DataFrame) -> list[_Cell]:
    """The gains of every cell. One read-out that stands in the records twice counts once."""
    known = records if "run" in records else records.assign(run="")
    known = known[known["recipe"].isin(["paper", "frozen"])].drop_duplicates([*_CELL, "seed", "score"])
    if len(twice := known[known.duplicated([*_CELL, "seed"])]):
        row = twice.iloc[0]
        raise UserError(f"calibration: two records of {row['task']} {row['method']} seed {row['seed']} with other "
                        "scores; tell the runs apart by a column 'run'")  # fmt: skip
    cells = []
    for (*run, recipe, labels), part in known.groupby(_CELL[:5], sort=False, dropna=False):
        for (task, method), gain in Cells(part).gains().items():
            size = int(labels) if labels == labels and labels is not None else 0
            cells.append(_Cell(tuple(run), recipe, size, task, method, gain.effect, gain.low, gain.high))
    return cells


def _apart(one: _Cell, other: _Cell) -> float:
    """How many times as many labels one has as the other, as a logarithm."""
    return abs(np.log(max(one.labels, 1) / max(other.labels, 1)))


def _of_other_tasks(cell: _Cell, cells: Sequence[_Cell]) -> list[_Cell]:
    """The cells by the same read-out of tasks with other test rows: of each run and task those with labels nearest."""
    nearest: dict[tuple, list[_Cell]] = {}
    for one in cells:
        if one.recipe != cell.recipe or len(without_twins({one.task, cell.task})) < 2:
            continue
        kept = nearest.setdefault((one.run, one.task, one.method), [])
        if not kept or _apart(one, cell) < _apart(kept[0], cell):
            kept[:] = [one]
    return [kept[0] for kept in nearest.values()]


def _falls(losses: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """(run, task, method) -> how far the loss on the task's dev text lies below the base's, nats."""
    known = losses if "run" in losses else losses.assign(run="")
    means = known.groupby(["run", "task", "method"])["loss"].mean()
    return {
        (run, task, method): means[run, task, "base"] - loss
        for (run, task, method), loss in means.items()
        if method != "base" and (run, task, "base") in means.index
    }


def _mean(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean, and the 95 % interval for one more value, by Student's t."""
    n = len(values)
    if n < 2:
        return (values[0], np.nan, np.nan) if values else _UNTOLD
    mean = float(np.mean(values))
    reach = stdtrit(n - 1, 0.975) * np.std(values, ddof=1) * np.sqrt(1 + 1 / n)
    return mean, mean - reach, mean + reach


def _by_line(at: float, pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """The value at `at` of the line through the pairs by least squares, with the 95 % interval for one more value."""
    if len(pairs) < 3 or np.isnan(at):
        return _UNTOLD
    falls, gains = np.array(pairs).T
    around = float(((falls - falls.mean()) ** 2).sum())
    if around == 0:
        return _UNTOLD
    slope, start = np.polyfit(falls, gains, 1)
    value, degrees = float(start + slope * at), len(pairs) - 2
    spread = np.sqrt(((gains - start - slope * falls) ** 2).sum() / degrees)
    reach = stdtrit(degrees, 0.975) * spread * np.sqrt(1 + 1 / len(pairs) + (at - falls.mean()) ** 2 / around)
    return value, value - reach, value + reach
