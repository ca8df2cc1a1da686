"""A run's tables: read with every fault named, arranged as the paper prints them, as cells of text."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers import files
from helpers.errors import UserError
from helpers.methods import method_title
from helpers.results.advice import QUESTIONS
from helpers.results.calibration import PREDICTORS
from helpers.results.numbers import of_zero
from helpers.results.render import beside_paper, header, score, titled

_SCORES = {"task", "recipe", "method", "mean", "sd", "paper_mean", "paper_sd", "paper_grade"}
_NUMBERS = ("mean", "sd", "n", "low", "high", "effect", "paper_mean", "paper_sd", "paper_effect", "detectable_effect",
            "exact", "near", "rows", "steps", "seconds")  # fmt: skip


@dataclass(frozen=True)
class Cells:
    """A table as text: (header, whether it holds numbers) by column, cells by row, a note under each row or none."""

    columns: list[tuple[str, bool]]
    rows: list[tuple[list[str], str]]


def read(path: Path) -> pd.DataFrame:
    """tables/<name>.csv. Raises UserError for a file that is no whole table, and for text where numbers belong."""
    again = "run the notebook that writes it again, with --force"
    try:
        frame = files.read_table(path) if path.read_bytes().strip() else pd.DataFrame()
        if path.stat().st_size == 0:
            raise ValueError("it is empty")
        if not isinstance(frame.index, pd.RangeIndex):
            raise ValueError("its rows have more cells than its header names")
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        reason = str(getattr(error, "strerror", None) or error).splitlines()[0]
        raise UserError(f"{path}: not a readable table ({reason}); {again}") from None
    for name in _NUMBERS:
        if name in frame and not pd.api.types.is_numeric_dtype(frame[name]):
            bad = frame.index[pd.to_numeric(frame[name], errors="coerce").isna() & frame[name].notna()]
            if len(bad):
                found = f"row {bad[0] + 2}, column {name}: expected a number, found {str(frame[name][bad[0]])[:60]!r}"
                raise UserError(f"{path}, {found}; {again}")
    return frame


def arranged(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table as the paper prints it where the paper has one like it, any other without file names.

    Score tables stand method by method beside the paper's, matrices with the paper's number in brackets,
    of the claims only the overall ones, of the audit a row a split, advice with its evidence below, hit rates
    with the pairs called wrong below.
    path: for the message.
    Raises UserError for a table of a known kind with rows that do not belong together.
    """
    try:
        return titled(_arranged(frame))
    except (KeyError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path}: its rows do not fit together ({reason}); run its notebook again, with --force"
        ) from None


def _arranged(frame: pd.DataFrame) -> pd.DataFrame:
    names = set(frame.columns)
    if not len(frame):
        return frame
    if {"model", "sample", "mean", "paper_mean"} <= names:
        return _matrix(frame, "model", "sample", digits=2)
    if {"a", "b", "definition", "mean", "paper_mean"} <= names:
        return _matrix(frame[frame["definition"] == frame["definition"].iloc[0]], "a", "b", digits=1)
    if {"claim", "scope", "verdict"} <= names:
        wanted = ("claim", "measure", "recipe", "verdict", "effect", "low", "high", "paper_effect",
                  "detectable_effect", "why")  # fmt: skip
        return frame.loc[frame["scope"] == "all", [name for name in wanted if name in names]]
    if {"held", "against", "exact", "near"} <= names:
        return _audit(frame)
    if {"task", "question", "answer", "evidence"} <= names:
        asked = frame["question"].map(lambda name: QUESTIONS.get(name, name))
        return frame.assign(question=asked).rename(columns={"evidence": "why"})
    if {"recipe", "predictor", "called", "wrong"} <= names:
        named = frame.assign(predictor=frame["predictor"].map(PREDICTORS))
        return named.assign(why=frame["wrong"].astype(object).fillna("").map(_wrong)).drop(columns="wrong")
    if {"recipe", "labels", "gain", *PREDICTORS} <= names:
        kept = ["task", "method", "recipe", "labels", "gain", "low", "high", *PREDICTORS]
        return frame[kept].dropna(axis="columns", how="all")
    if names >= _SCORES:
        return beside_paper(frame) if "steps" not in names else _cost(frame)
    return frame.drop(columns=["records", "preset"], errors="ignore").dropna(axis="columns", how="all")


def _wrong(cells: str) -> str:
    return f"Called wrong: {cells}" if cells else ""


def _matrix(frame: pd.DataFrame, row: str, column: str, digits: int) -> pd.DataFrame:
    """Rows by columns in their order, cells such as '4.12 (1.36)': ours, in brackets the paper's."""
    printed = [f" ({value:.{digits}f})" if pd.notna(value) else "" for value in frame["paper_mean"]]
    cells = [f"{mean:.{digits}f}{paper}" for mean, paper in zip(frame["mean"], printed, strict=True)]
    wide = frame.assign(cell=cells).pivot(index=row, columns=column, values="cell").fillna("")
    return wide.loc[frame[row].unique(), frame[column].unique()].rename_axis(columns=None).reset_index()


def _audit(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a split, and what its rows were looked for in as columns: '52 exact, 5 near', empty for none."""
    found = [
        "no text to compare with" if exact < 0
        else ", ".join(f"{count} {kind}" for count, kind in ((exact, "exact"), (near, "near")) if count)
        for exact, near in zip(frame["exact"], frame["near"], strict=True)
    ]  # fmt: skip
    split = [name for name in ("task", "held", "rows") if name in frame]
    wide = frame.assign(found=found).pivot(index=split, columns="against", values="found").fillna("")
    order = pd.MultiIndex.from_frame(frame[split].drop_duplicates())
    return wide.loc[order, frame["against"].unique()].rename_axis(columns=None).reset_index()


def _cost(frame: pd.DataFrame) -> pd.DataFrame:
    """What each method was adapted to and what that took, beside its score."""
    counts = ("steps", "documents", "tokens", "bytes", "seconds", "fine_tune_seconds")
    kept = frame[["task", "method", "corpus"]].assign(
        method=[method_title(*names) for names in zip(frame["method"], frame["recipe"], strict=True)],
        F1=[score(mean, sd) for mean, sd in zip(frame["mean"], frame["sd"], strict=True)],
    )
    return kept.join(frame[[name for name in counts if name in frame]].round().astype("Int64"))


def cells(frame: pd.DataFrame) -> Cells:
    """A table as text with plain headers and thousands separators; its column 'why' becomes the notes."""
    notes = [_cell(value) for value in frame["why"]] if "why" in frame else [""] * len(frame)
    frame = frame.drop(columns="why", errors="ignore")
    columns = [(header(str(name)), pd.api.types.is_numeric_dtype(frame[name])) for name in frame]
    zeros = [of_zero(str(name)) for name in frame]
    rows = [list(map(_cell, row, zeros)) for row in frame.itertuples(index=False)]
    return Cells(columns, list(zip(rows, notes, strict=True)))


def _cell(value, zero: str = "z") -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return str(value)
    whole = float(value).is_integer()
    return f"{int(value):,}" if whole and not isinstance(value, float) else f"{value:{zero},.2f}"
