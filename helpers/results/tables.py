"""The paper's tables from records: mean, spread and interval of every cell, beside the number the paper prints.

Every table has one row a cell and the columns of SCORE_COLUMNS or those its function names. `paper_mean` is filled
where the paper has the number for the same task and method, from a source graded B or better; a doubtful number
leaves it empty and shows its grade alone. Scores are percent, intervals 95 % over fine-tuning seeds.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers import paper
from helpers.data.registry import DOMAINS
from helpers.errors import UserError
from helpers.methods import METHODS, TABLE_8, TABLE_9, Experiment, method_order, split_selection
from helpers.results.loss_claims import loss_changes
from helpers.results.stats import mean_interval
from helpers.words import WORDS

SCORE_COLUMNS = (
    "task", "domain", "method", "recipe", "corpus", "metric", "mean", "sd", "n", "low", "high", "dev_mean", "dev_sd",
    "leaked", "mean_without_leaked", "sd_without_leaked", "degenerate", "paper_mean", "paper_sd", "paper_grade",
    "base_model", "preset", "records",
)  # fmt: skip
_CELL = ["task", "domain", "method", "recipe", "metric", "base_model", "preset"]
_SELECTION = ("selected_words", "word_cover", "kl_reduction", "selection_seconds", "selection_mb")
_COST = ("steps", "documents", "tokens", "bytes", "seconds")


def score_table(records: pd.DataFrame, *experiments: Experiment) -> pd.DataFrame:
    """Records as one row per task, method and recipe, as in Tables 3, 5, 6 and 7.

    records: as `load_records` gives them. experiments: tables of `helpers.methods`, whose methods are kept and
    whose printed numbers stand beside ours; none keeps every method without printed numbers. The stronger recipe
    has no printed number, for the paper did not run it.
    Returns SCORE_COLUMNS: `corpus` is the text adapted to, `leaked` the test rows whose text is in train,
    `degenerate` the seeds that predicted one class only (they count in the mean). Raises UserError for a seed
    that is there twice.

        score_table(records, TABLE_5, TABLE_7)
    """
    if experiments:
        held = {method for method in records["method"].unique() for one in experiments if one.holds(method)}
        records = records[records["method"].isin(held)]
    published = dict.fromkeys(name for one in experiments for name in one.published)
    rows = []
    for cell, group in records.groupby(_CELL, sort=False, dropna=False):
        if (repeated := group["seed"][group["seed"].duplicated()]).size:
            raise UserError(f"records: seed {repeated.iloc[0]} of {cell[0]}/{cell[2]} is there twice")
        score, clean = mean_interval(group["score"]), mean_interval(group["score_without_leaked"].dropna())
        dev = mean_interval(group["dev_score"])
        rows.append({
            **dict(zip(_CELL, cell, strict=True)),
            "corpus": ";".join(sorted(group["adaptation_corpus"].dropna().astype(str).unique())),
            "mean": score.mean, "sd": score.sd, "n": score.n, "low": score.low, "high": score.high,
            "dev_mean": dev.mean, "dev_sd": dev.sd, "leaked": int(group["leaked"].max()),
            "mean_without_leaked": clean.mean, "sd_without_leaked": clean.sd,
            "degenerate": int(group["degenerate"].sum()), "records": ";".join(group["path"]),
        })  # fmt: skip
    table = pd.DataFrame(rows, columns=[name for name in SCORE_COLUMNS if not name.startswith("paper_")])
    numbers = [
        next(filter(None, (paper.value(name, row.task, row.method) for name in published)), None)
        if row.recipe == "paper"
        else None
        for row in table.itertuples()
    ]
    table = _with_paper(table, numbers)[list(SCORE_COLUMNS)]
    return _in_paper_order(table)


def selection_table(records: pd.DataFrame) -> pd.DataFrame:
    """TAPT on selected text, with base, TAPT and DAPT as the lines to compare with. Paper: Table 8.

    Only tasks with at least one selection are listed. Returns SCORE_COLUMNS with, after `recipe`: `selector`, `k`
    (neighbours a task sentence), `selected_words`, `word_cover` (share of the task's dev words that the selection
    holds, 0 to 1), `kl_reduction` (nats, against random text), `selection_seconds` and `selection_mb` (peak memory),
    which are empty for base, TAPT and DAPT; and `dev_mlm_loss` (of the model on the task's dev text, nats).
    """
    picked = records["method"].map(split_selection)
    tasks = records.loc[picked.notna(), "task"].unique()
    table = score_table(records[records["task"].isin(tasks)], TABLE_8)
    picked = table["method"].map(split_selection)
    measured = _cell_means(records, [f"adaptation_{name}" for name in (*_SELECTION, "mlm_loss_after")])
    place = list(SCORE_COLUMNS).index("corpus")
    table.insert(place, "selector", [one[0] if one else "" for one in picked])
    table.insert(place + 1, "k", pd.array([one[1] if one else None for one in picked], dtype="Int64"))
    for offset, name in enumerate(_SELECTION, 2):
        table.insert(place + offset, name, _looked_up(table, measured, f"adaptation_{name}"))
    dev_loss = _looked_up(table, measured, "adaptation_mlm_loss_after").copy()
    dev_loss[table["method"] == "dapt"] = np.nan  # told on the domain's text, not on the task's
    before = records[records["method"] == "tapt"].groupby("task")["adaptation_mlm_loss_before"].mean()
    base = (table["method"] == "base").to_numpy()
    dev_loss[base] = table.loc[base, "task"].map(before.astype(float))
    table.insert(place + 2 + len(_SELECTION), "dev_mlm_loss", dev_loss)
    return table


def cost_table(records: pd.DataFrame) -> pd.DataFrame:
    """What each adaptation reads and takes, beside the F1 it buys. Paper: Table 9 (on RCT-500).

    Returns one row per task, method and recipe that adapts, and base: the columns of SCORE_COLUMNS up to `high`,
    then steps (updates), documents, tokens, bytes (of text), seconds (adaptation), fine_tune_seconds (one seed),
    each with paper_steps, paper_documents, paper_bytes where Table 9 has them. DAPT+TAPT counts both its stages.
    """
    table = score_table(records, TABLE_9)
    names = [f"adaptation_{name}" for name in _COST]
    costs = _cell_means(records, [*names, "seconds"])
    for name in _COST:
        table[name] = _looked_up(table, costs, f"adaptation_{name}")
    table["fine_tune_seconds"] = _looked_up(table, costs, "seconds")
    both = table["method"].isin([name for name, method in METHODS.items() if len(method.texts) == 2])
    if both.any():
        first = table.assign(method=np.where(both, "dapt", table["method"]))
        for name in _COST:
            dapt = _looked_up(first, costs, f"adaptation_{name}")
            table.loc[both, name] = table.loc[both, name] + dapt[both]
    printed = paper.table("table9").set_index(["task", "method"])
    for name in ("steps", "documents", "bytes"):
        known = printed[name].where(printed["asserted"]).to_dict()
        values = [known.get((row.task, row.method), np.nan) for row in table.itertuples()]
        table[f"paper_{name}"] = np.where(table["recipe"] == "paper", values, np.nan)
    kept = [*SCORE_COLUMNS[: SCORE_COLUMNS.index("high") + 1], *_COST, "fine_tune_seconds"]
    kept += ["paper_mean", "paper_sd", "paper_grade", "paper_steps", "paper_documents", "paper_bytes"]
    return table[[*kept, "base_model", "preset", "records"]]


def overlap_table(overlap: pd.DataFrame, preset: str, records: str = "") -> pd.DataFrame:
    """Vocabulary overlap of every pair beside Figure 2's. Paper: section 3.1, Figure 2.

    overlap: as `helpers.overlap.overlap_matrix` gives it. Returns a, b, definition, mean (percent), sd (empty), n
    (documents of the smaller sample), low, high, documents_a, documents_b, unit (what was counted: words, or character
    pairs), paper_mean, paper_sd, paper_grade, preset, records. Figure 2 belongs to the definition of the paper's text;
    rows of the script's stay without it.
    """
    table = overlap.rename(columns={"percent": "mean"})
    table["sd"] = np.nan
    table["unit"] = table.get("unit", WORDS)
    table["n"] = table[["documents_a", "documents_b"]].min(axis=1)
    numbers = [paper.value("figure2", row.a, row.b) if row.definition == "text" else None for row in table.itertuples()]
    table = _with_paper(table, numbers).assign(preset=preset, records=records)
    return table[["a", "b", "definition", "mean", "sd", "n", "low", "high", "documents_a", "documents_b",
                  "unit", "paper_mean", "paper_sd", "paper_grade", "preset", "records"]]  # fmt: skip


def mlm_loss_table(
    losses: pd.DataFrame, preset: str, records: str = "", documents: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Masked-LM loss of every model on every held-out sample beside Table 12's. Paper: Tables 1 and 12.

    losses: one row per model and sample with model ('base', 'dapt_biomed', ...), sample ('generic', 'biomed', ...),
    loss (mean of the documents' losses, nats), low, high, n (documents) and, if known, sd, token_loss. documents:
    losses a document, as `loss_claims` takes them, for the interval of the change. Returns model, sample, mean, sd,
    n, low, high, token_loss, change (mean minus the base's; below 0 is better), change_low, change_high (95 %,
    paired by document; empty without documents), paper_mean, paper_sd, paper_grade, preset, records.
    """
    for column in ("model", "sample", "loss"):
        if column not in losses:
            raise UserError(f"mlm_loss_table: the losses have no column {column!r}")
    table = losses.rename(columns={"loss": "mean"})
    for column in ("sd", "n", "low", "high", "token_loss"):
        if column not in table:
            table[column] = np.nan
    base = table[table["model"] == "base"].set_index("sample")["mean"]
    table["change"] = table["mean"] - table["sample"].map(base)
    if documents is None:
        table[["change_low", "change_high"]] = np.nan
    else:
        changes = loss_changes(documents).drop(columns="change")
        table = table.merge(changes, "left", on=["model", "sample"], validate="one_to_one")
    numbers = [paper.value("table12", row.sample, row.model) for row in table.itertuples()]
    table = _with_paper(table, numbers).assign(preset=preset, records=records)
    return table[["model", "sample", "mean", "sd", "n", "low", "high", "token_loss", "change", "change_low",
                  "change_high", "paper_mean", "paper_sd", "paper_grade", "preset", "records"]]  # fmt: skip


def _with_paper(table: pd.DataFrame, numbers: Sequence[paper.Number | None]) -> pd.DataFrame:
    """The table with paper_mean, paper_sd and paper_grade; a number below grade B gives its grade only."""
    mean = [one.mean if one and one.asserted else np.nan for one in numbers]
    sd = [
        one.sd if one and one.asserted and one.sd is not None and one.sd_grade in paper.ASSERTED_GRADES else np.nan
        for one in numbers
    ]
    grade = [one.grade if one else "" for one in numbers]
    return table.assign(
        paper_mean=np.array(mean, float), paper_sd=np.array(sd, float), paper_grade=pd.Series(grade, table.index, "str")
    )


def _in_paper_order(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by domain and task as the paper lists them, then by method, the paper's recipe before the stronger."""
    tasks = {name: i for i, name in enumerate(paper.TASK_TITLES)}
    domains = {name: i for i, name in enumerate(DOMAINS)}
    order = pd.DataFrame({
        "domain": table["domain"].map(lambda name: domains.get(name, len(domains))), "domain_name": table["domain"],
        "task": table["task"].map(lambda name: tasks.get(name, len(tasks))), "task_name": table["task"],
        "recipe": table["recipe"], "method": table["method"].map(method_order), "method_name": table["method"],
        "preset": table["preset"], "base_model": table["base_model"],
    })  # fmt: skip
    return table.loc[order.sort_values(list(order), kind="stable").index].reset_index(drop=True)


def _cell_means(records: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    numbers = records[columns].apply(pd.to_numeric)
    return numbers.groupby([records[name] for name in _CELL]).mean()


def _looked_up(table: pd.DataFrame, means: pd.DataFrame, column: str) -> np.ndarray:
    """The column's mean for each row's cell; nan where there is none."""
    return means[column].reindex(pd.MultiIndex.from_frame(table[_CELL])).to_numpy(dtype=float)
