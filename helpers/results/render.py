"""A table as a notebook shows it and as Markdown, and scores written the way the paper writes them."""

import hashlib
import html

import numpy as np
import pandas as pd

from helpers.methods import method_order, method_title
from helpers.results.captions import caption
from helpers.results.numbers import of_zero
from helpers.results.records import RECIPES

HEADERS = {
    "sd": "SD", "n": "n", "low": "interval from", "high": "to", "paper_effect": "effect in the paper",
    "p_holm": "p (Holm)", "detectable_effect": "smallest effect this run would see", "kl_reduction": "KL reduction",
    "selection_mb": "selection MB", "dev_mlm_loss": "dev masked-LM loss",
}  # fmt: skip
_INNER = ("records", "preset", "base_model", "path", "checkpoint_key")  # where numbers come from, not what they say


def score(mean, sd=None, digits: int = 1) -> str:
    """'63.0 ±5.8', '63.0' without an sd, '' without a mean."""
    if mean is None or pd.isna(mean):
        return ""
    return f"{mean:.{digits}f}" if sd is None or pd.isna(sd) else f"{mean:.{digits}f} ±{sd:.{digits}f}"


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


def show(table: pd.DataFrame, digits: int = 1, told: pd.DataFrame | None = None):
    """A table as a notebook shows it: plain headers, thousands separators, whole sentences, no empty columns.

    digits: decimals of numbers that are not whole. told: the table that a sentence is computed from, see
    `helpers.results.caption`; None: no sentence. Columns that tell where a number comes from (records, grades) are
    left out, and so is an index that only counts. Returns a pandas Styler, the same for the same table.

    >>> shown = show(pd.DataFrame({"method": ["tapt"], "fine_tune_seconds": [1234.5], "paper_grade": ["A"]}))
    >>> shown.data.columns.tolist(), shown.data.method.tolist()
    (['method', 'fine tune seconds'], ['TAPT'])
    """
    inner = [name for name in table if name in _INNER or str(name).endswith("_grade")]
    shown = table.drop(columns=inner).dropna(axis="columns", how="all")
    shown = titled(shown)
    floats = shown.select_dtypes("float")
    whole = [name for name in floats if (floats[name].dropna() % 1 == 0).all()]  # counts that some rows lack
    shown = shown.astype(dict.fromkeys(whole, "Int64"))
    counts = table.index.name is None and pd.api.types.is_integer_dtype(table.index)
    fractions = {_header(name): f"{{:{of_zero(str(name))},.{digits}f}}" for name in shown.select_dtypes("float")}
    shown = shown.rename(columns=_header)
    style = shown.style.format(fractions, precision=digits, na_rep="", thousands=",", escape="html")
    style.set_uuid(hashlib.sha256(shown.to_csv().encode()).hexdigest()[:8])
    texts = [name for name in shown if not pd.api.types.is_numeric_dtype(shown[name])]
    style.set_properties(subset=texts, **{"text-align": "left"})
    if sentence := caption(told) if told is not None else "":
        below = [{"selector": "caption", "props": "caption-side: bottom; text-align: left; font-style: italic"}]
        style.set_caption(html.escape(sentence)).set_table_styles(below)
    return style.hide() if counts else style


def titled(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its methods and recipes by their titles: 'dapt' is DAPT, 'paper' fine-tuned."""
    titles = {"method": method_title, "recipe": lambda name: RECIPES.get(name, name)}
    known = [name for name in titles if name in table]
    return table.assign(**{name: table[name].map(titles[name], na_action="ignore") for name in known})


def header(name: str) -> str:
    """A column's name in plain words: 'fine_tune_seconds' is 'fine tune seconds'."""
    return HEADERS.get(name, name.replace("_", " "))


def _header(name):
    return header(name) if isinstance(name, str) else name


def markdown(table: pd.DataFrame, digits: int = 2) -> str:
    """The table as GitHub Markdown; numbers to the right."""
    rules = ["---:" if one else "---" for one in _numeric(table)]
    zeros = [of_zero(str(name)) for name in table]
    rows = (map(_cell, row, zeros, [digits] * len(row)) for row in table.itertuples(index=False))
    return "\n".join(map(_markdown_row, (map(str, table.columns), rules, *rows))) + "\n"


def _numeric(table: pd.DataFrame) -> list[bool]:
    return [pd.api.types.is_numeric_dtype(table.iloc[:, i]) for i in range(table.shape[1])]


def _cell(value, zero: str, digits: int) -> str:
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    return f"{value:{zero}.{digits}f}" if isinstance(value, float | np.floating) else str(value)


def _markdown_row(cells) -> str:
    text = (cell.replace("|", r"\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(text) + " |"
