"""How often a cheap look is right: what was foretold of each adaptation's gain, beside the gain that fine-tuning found.

Three things are asked before a full study is made, and each is judged on what it foretells of F1 after fine-tuning:
the frozen read-out of the same model on the same task; the mean gain of the same adaptation on the *other* tasks; and
the fall of masked-LM loss on the task's dev text, turned into points by a line through the other tasks' pairs. Nothing
of a task itself is used in the last two: it is left out.
"""

import numpy as np
import pandas as pd

from helpers.results.cells import Cells

PREDICTORS = {
    "frozen": "frozen read-out of the same model", "others": "mean gain on the other tasks",
    "loss": "fall of the loss on dev text, line fitted on the other tasks",
}  # fmt: skip


def calibration(records: pd.DataFrame, task_losses: pd.DataFrame | None = None) -> pd.DataFrame:
    """What was foretold and what was found, a row a task and adaptation.

    records: fine-tunings of the recipe 'paper' and frozen read-outs, as `load_records` gives them. task_losses: as
    `helpers.study.views.task_losses`. Returns task, method, gain (F1 points over the base by fine-tuning), low, high
    (95 %), and what each of PREDICTORS foretold (points; nan where it cannot): frozen, frozen_low, frozen_high,
    others, loss.

    >>> from helpers import load_records
    >>> calibration(load_records(tmp / "no run yet")).empty
    True
    """
    by_recipe = (records[records["recipe"] == recipe] for recipe in ("paper", "frozen"))
    tuned, frozen = (Cells(rows).gains() if len(rows) else {} for rows in by_recipe)
    falls = _falls(task_losses) if task_losses is not None else {}
    rows = []
    for (task, method), found in tuned.items():
        others = [one.effect for (name, same), one in tuned.items() if same == method and name != task]
        read = frozen.get((task, method))
        rows.append({
            "task": task, "method": method, "gain": found.effect, "low": found.low, "high": found.high,
            "frozen": read.effect if read else np.nan, "frozen_low": read.low if read else np.nan,
            "frozen_high": read.high if read else np.nan, "others": np.mean(others) if others else np.nan,
            "loss": _by_loss(task, method, falls, tuned),
        })  # fmt: skip
    columns = ["task", "method", "gain", "low", "high", "frozen", "frozen_low", "frozen_high", "others", "loss"]
    return pd.DataFrame(rows, columns=columns)


def hit_rates(calibration: pd.DataFrame) -> pd.DataFrame:
    """How often each predictor was right, over the pairs for which it foretold anything.

    Returns predictor, pairs, right_sign (share, 0 to 1), error (mean absolute, points), error_of_zero (that of
    foretelling no gain at all, for the same pairs), and wrong (the pairs where its sign was wrong although
    fine-tuning's interval leaves zero out).

    >>> pairs = pd.DataFrame({"task": ["a", "b"], "method": "dapt", "gain": [2.0, -1.0], "low": [1.0, -2.0],
    ...                       "high": [3.0, 0.5], "frozen": [1.0, 1.0], "others": [-1.0, 2.0], "loss": np.nan})
    >>> hit_rates(pairs)[["predictor", "pairs", "right_sign", "error", "wrong"]].values.tolist()
    [['frozen', 2, 0.5, 1.5, ''], ['others', 2, 0.0, 3.0, 'a dapt']]
    """
    rows = []
    for name in PREDICTORS:
        known = calibration.dropna(subset=[name])
        if not len(known):
            continue
        right = np.sign(known[name]) == np.sign(known["gain"])
        missed = known[~right & ((known["low"] > 0) | (known["high"] < 0))]
        rows.append({
            "predictor": name, "pairs": len(known), "right_sign": right.mean(),
            "error": (known[name] - known["gain"]).abs().mean(), "error_of_zero": known["gain"].abs().mean(),
            "wrong": "; ".join(f"{row.task} {row.method}" for row in missed.itertuples()),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=["predictor", "pairs", "right_sign", "error", "error_of_zero", "wrong"])


def _falls(losses: pd.DataFrame) -> dict[tuple[str, str], float]:
    """(task, method) -> how far the loss on the task's dev text lies below the base's, nats."""
    means = losses.groupby(["task", "method"])["loss"].mean()
    return {
        (task, method): means[task, "base"] - loss
        for (task, method), loss in means.items()
        if method != "base" and (task, "base") in means.index
    }


def _by_loss(task: str, method: str, falls: dict, tuned: dict) -> float:
    """The gain on a line through the other tasks' falls and gains, by least squares; nan below three pairs."""
    pairs = [(falls[key], found.effect) for key, found in tuned.items() if key in falls and key[0] != task]
    if len(pairs) < 3 or (task, method) not in falls:
        return np.nan
    slope, start = np.polyfit(*np.array(pairs).T, 1)
    return float(start + slope * falls[task, method])
