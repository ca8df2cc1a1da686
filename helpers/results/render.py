"""A table as Markdown, and scores written the way the paper writes them."""

import numpy as np
import pandas as pd

from helpers.methods import method_order, method_title


def score(mean, sd=None, digits: int = 1) -> str:
    """'63.0 ±5.8', '63.0' without an sd, '' without a mean."""
    if mean is None or pd.isna(mean):
        return ""
    return f"{mean:.{digits}f}" if sd is None or pd.isna(sd) else f"{mean:.{digits}f} ±{sd:.{digits}f}"


def interval(effect, low, high, digits: int = 1) -> str:
    """'+2.3 [-0.4, +5.0]', '+2.3' without an interval, '' without an effect."""
    if effect is None or pd.isna(effect):
        return ""
    effect, low, high = (round(float(value), digits) + 0.0 for value in (effect, low, high))  # never "-0.0"
    bounds = "" if pd.isna(low) else f" [{low:+.{digits}f}, {high:+.{digits}f}]"
    return f"{effect:+.{digits}f}{bounds}"


def beside_paper(table: pd.DataFrame, digits: int = 1) -> pd.DataFrame:
    """A score table to read: one row a task and recipe, two columns a method, ours and the paper's.

    table: as `score_table` gives it. Returns text cells such as '63.0 ±5.8'; a number the paper prints
    but whose source is doubtful appears as '(grade C)', one it does not have as an empty cell.
    """
    ours, theirs = {}, {}
    for row in table.to_dict("records"):
        key = (row["task"], row["recipe"])
        name = method_title(row["method"])
        ours.setdefault(key, {})[name] = score(row["mean"], row["sd"], digits)
        graded = isinstance(row["paper_grade"], str) and row["paper_grade"]  # an empty cell of a CSV comes back as NaN
        doubtful = graded and pd.isna(row["paper_mean"])
        printed = f"(grade {row['paper_grade']})" if doubtful else score(row["paper_mean"], row["paper_sd"], digits)
        theirs.setdefault(key, {})[name] = printed
    methods = sorted(table["method"].unique(), key=lambda name: (method_order(name), name))
    names = [method_title(name) for name in methods]
    rows = []
    for (task, recipe), cells in ours.items():
        row = {"task": task, "recipe": recipe}
        for name in names:
            row[name] = cells.get(name, "")
            row[f"{name} (paper)"] = theirs[task, recipe].get(name, "")
        rows.append(row)
    frame = pd.DataFrame(rows)
    empty = [name for name in frame if name.endswith(" (paper)") and (frame[name] == "").all()]
    return frame.drop(columns=empty)


def markdown(table: pd.DataFrame, digits: int = 2) -> str:
    """The table as GitHub Markdown; numbers to the right."""
    lines = [_markdown_row(table.columns), _markdown_row(["---:" if one else "---" for one in _numeric(table)])]
    return "\n".join([*lines, *(_markdown_row(row, digits) for row in table.itertuples(index=False))]) + "\n"


def _numeric(table: pd.DataFrame) -> list[bool]:
    return [pd.api.types.is_numeric_dtype(table.iloc[:, i]) for i in range(table.shape[1])]


def _cell(value, digits: int) -> str:
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    return f"{value:z.{digits}f}" if isinstance(value, float | np.floating) else str(value)


def _markdown_row(cells, digits: int = 2) -> str:
    text = (_cell(cell, digits).replace("|", r"\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(text) + " |"
