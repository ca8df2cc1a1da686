"""Two runs side by side: numbers and verdicts that differ."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.run import readable

_KEYS = ("task", "held", "against", "method", "recipe", "labels", "model", "sample", "a", "b", "definition", "claim",
         "measure", "scope", "domain", "comparison", "predictor")  # fmt: skip
_VALUES = ("mean", "effect", "worth", "gain", "exact", "error")
COLUMNS = ("table", "what", "first", "second", "difference", "beyond noise")


def compare(first: Path | str, second: Path | str) -> pd.DataFrame:
    """The numbers that two runs share: table, what, first, second, difference, beyond noise.

    first, second: folders of runs. A table's rows are matched by its keys (task, method, recipe and so on).
    'beyond noise': True where they lie farther apart than `beyond` allows two independent numbers, which one of twenty
    unchanged ones does too, and fewer where the runs share their test rows; None where a number has no interval. Raises
    UserError for a folder that is no run, a damaged table, and rows that cannot be told apart.

    >>> for run, mean in (("first", 60.0), ("second", 62.5)):
    ...     (tmp / run / "tables").mkdir(parents=True)
    ...     pd.DataFrame({"task": ["bbc"], "mean": [mean]}).to_csv(tmp / run / "tables" / "dapt.csv", index=False)
    >>> compare(tmp / "first", tmp / "second")["difference"].tolist()
    [2.5]
    """
    tables = [_tables(Path(run)) for run in (first, second)]
    rows = []
    for name in tables[0]:
        if name in tables[1]:
            rows += _rows(name, tables[0][name], tables[1][name])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def verdicts(first: Path | str, second: Path | str) -> pd.DataFrame:
    """The verdicts over all tasks of two runs: claim, measure, recipe, first, second, change.

    change: 'same'; 'one undecided', where one run could tell and the other could not; 'differ', where both could and
    say otherwise. Empty where a run has no claims.csv. Raises UserError as `compare` does.
    """
    keys, sides = ["claim", "measure", "recipe"], []
    for run in (first, second):
        frame = table(run, "claims", [*keys, "scope", "verdict"])
        side = frame.loc[frame["scope"] == "all", [*keys, "verdict"]]
        sides.append(side.assign(**side[keys].astype(object).fillna("").astype(str)))
    found = sides[0].merge(sides[1], on=keys, suffixes=("_1", "_2"))
    found = found.rename(columns={"verdict_1": "first", "verdict_2": "second"})
    pairs = zip(found["first"], found["second"], strict=True)
    return found.assign(change=["same" if a == b else "one undecided" if "undecided" in (a, b) else "differ"
                                for a, b in pairs])  # fmt: skip


def _tables(run: Path) -> dict[str, pd.DataFrame]:
    found = {path.stem: readable.read(path) for path in sorted(run.glob("tables/*.csv"))}
    if not found:
        raise UserError(f"{run}: there are no tables/*.csv in it; run the notebooks first")
    return found


def table(run: Path | str, name: str, columns: list[str]) -> pd.DataFrame:
    """A table of a run that must have these columns; empty where the run has no such table."""
    frame = _tables(Path(run)).get(name, pd.DataFrame(columns=columns))
    if missing := [column for column in columns if column not in frame]:
        raise UserError(
            f"{run}/tables/{name}.csv: there is no column {', '.join(missing)}; run the notebook that writes it again"
        )
    return frame


def _rows(name: str, one: pd.DataFrame, other: pd.DataFrame) -> list[tuple]:
    keys = [key for key in _KEYS if key in one and key in other]
    value = next((value for value in _VALUES if value in one and value in other), None)
    if not keys or value is None:
        return []
    kept = [value, "low", "high"]
    sides = [frame.reindex(columns=[*keys, *kept]) for frame in (one, other)]
    sides = [side.assign(**side[keys].astype(object).fillna("").astype(str)) for side in sides]
    for side in sides:
        if side.duplicated(keys).any():
            row = side.index[side.duplicated(keys)][0] + 2
            raise UserError(f"tables/{name}.csv, row {row}: the same {', '.join(keys)} as a row before it")
    rows = []
    for row in sides[0].merge(sides[1], on=keys, suffixes=("_1", "_2")).to_dict("records"):
        a, b = row[f"{value}_1"], row[f"{value}_2"]
        bounds = [row[f"{side}_{number}"] for number in (1, 2) for side in ("low", "high")]
        apart = None if pd.isna(bounds).any() else beyond((a, *bounds[:2]), (b, *bounds[2:]))
        rows.append((name, ", ".join(row[key] for key in keys if row[key]), a, b, b - a, apart))
    return rows


def beyond(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    """Whether two independent numbers (value, low, high) with 95 % intervals differ at the 5 % level.

    Their difference's interval reaches as far as the root of the two reaches' squares; that two intervals do not
    overlap asks for their sum, a level of half a percent where they are equally wide.

    >>> beyond((50, 48, 52), (53, 51, 55)), beyond((50, 48, 52), (52, 50, 54))
    (True, False)
    """
    below, above = sorted((one, other))
    if below[2] < above[1]:  # also where a value or an end is infinite
        return True
    return bool(above[0] - below[0] > np.hypot(below[2] - below[0], above[0] - above[1]))
