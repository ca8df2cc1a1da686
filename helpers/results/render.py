"""A table as Markdown, LaTeX or HTML, and scores written the way the paper writes them."""

import html

import numpy as np
import pandas as pd

from helpers.results.records import method_order, split_selection

METHOD_TITLES = {
    "tfidf": "TF-IDF", "base": "base", "shuffled_dapt": "shuffled DAPT", "not_dapt": "not-DAPT", "dapt": "DAPT",
    "tapt": "TAPT", "dapt_tapt": "DAPT+TAPT", "transfer_tapt": "Transfer-TAPT", "curated_tapt": "Curated-TAPT",
    "dapt_curated_tapt": "DAPT+Curated-TAPT",
}  # fmt: skip
SELECTOR_TITLES = {
    "vampire": "kNN", "random": "random", "tfidf": "TF-IDF", "bm25": "BM25", "moore_lewis": "Moore-Lewis",
    "dsir": "DSIR", "embedding": "embedding",
}  # fmt: skip
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": r"$-$", "≥": r"$\geq$",
}  # fmt: skip


def method_title(method: str, recipe: str = "paper") -> str:
    """A method as the paper prints it: 'DAPT+TAPT', '50NN-TAPT', 'random-50-TAPT', 'DAPT, strong'."""
    if selection := split_selection(method):
        selector, k = selection
        title = f"{k}NN-TAPT" if selector == "vampire" else f"{SELECTOR_TITLES.get(selector, selector)}-{k}-TAPT"
    else:
        title = METHOD_TITLES.get(method, method)
    return title if recipe == "paper" else f"{title}, {recipe}"


def score(mean, sd=None, digits: int = 1) -> str:
    """'63.0 ±5.8', '63.0' without an sd, '' without a mean."""
    if mean is None or pd.isna(mean):
        return ""
    return f"{mean:.{digits}f}" if sd is None or pd.isna(sd) else f"{mean:.{digits}f} ±{sd:.{digits}f}"


def interval(effect, low, high, digits: int = 1) -> str:
    """'+2.3 [-0.4, +5.0]', '+2.3' without an interval, '' without an effect."""
    if effect is None or pd.isna(effect):
        return ""
    bounds = "" if pd.isna(low) else f" [{low:+.{digits}f}, {high:+.{digits}f}]"
    return f"{effect:+.{digits}f}{bounds}"


def beside_paper(table: pd.DataFrame, digits: int = 1) -> pd.DataFrame:
    """A score table to read: one row a task and recipe, two columns a method, ours and the paper's.

    table: as `dapt_table` and its like give it. Returns text cells such as '63.0 ±5.8'; a number the paper prints
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


def latex(table: pd.DataFrame, digits: int = 2, caption: str = "") -> str:
    """The table as LaTeX for the booktabs package, its text escaped; with a caption inside a table float."""
    columns = "".join("r" if one else "l" for one in _numeric(table))
    rows = [" & ".join(_latex(cell, digits) for cell in row) + r" \\" for row in table.itertuples(index=False)]
    head = " & ".join(_latex(name, digits) for name in table.columns) + r" \\"
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}"]
    if caption:
        body = [r"\begin{table}", r"\centering", *body, rf"\caption{{{_latex(caption, digits)}}}", r"\end{table}"]
    return "\n".join(body) + "\n"


def html_table(table: pd.DataFrame, digits: int = 2, caption: str = "") -> str:
    """The table as HTML, every cell escaped; class 'number' on columns of numbers."""
    numeric = _numeric(table)
    cells = [
        "".join(_html_cell("td", cell, number, digits) for cell, number in zip(row, numeric, strict=True))
        for row in table.itertuples(index=False)
    ]
    head = "".join(_html_cell("th", name, number, digits) for name, number in zip(table.columns, numeric, strict=True))
    title = f"<caption>{html.escape(caption)}</caption>\n" if caption else ""
    body = "".join(f"<tr>{row}</tr>\n" for row in cells)
    return f'<table class="result">\n{title}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n'


def _numeric(table: pd.DataFrame) -> list[bool]:
    return [pd.api.types.is_numeric_dtype(table.iloc[:, i]) for i in range(table.shape[1])]


def _cell(value, digits: int) -> str:
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    return f"{value:.{digits}f}" if isinstance(value, float | np.floating) else str(value)


def _markdown_row(cells, digits: int = 2) -> str:
    text = (_cell(cell, digits).replace("|", r"\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(text) + " |"


def _latex(value, digits: int) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in _cell(value, digits)).replace("\n", " ")


def _html_cell(tag: str, value, number: bool, digits: int) -> str:
    kind = ' class="number"' if number else ""
    return f"<{tag}{kind}>{html.escape(_cell(value, digits))}</{tag}>"
