"""What single predictions tell: confusion matrices, and the test rows that another method gets right or wrong."""

import numpy as np
import pandas as pd

from helpers.errors import UserError


def confusion(records: pd.DataFrame, task: str, method: str, recipe: str = "paper") -> pd.DataFrame:
    """Where the test rows of a task go: the true label in rows, the predicted one in columns, percent of each row.

    records: of `load_records`. Counts are added over seeds; a row without test texts is empty (nan).
    Raises UserError where there is no such fine-tuning.

    >>> records = pd.DataFrame([dict(task="t", method="base", recipe="paper", labels=("no", "yes"),
    ...     test_gold=[0, 0, 1, 1], test_predictions=[0, 1, 1, 1])])
    >>> confusion(records, "t", "base").loc["no"].tolist()
    [50.0, 50.0]
    """
    rows = _rows(records, task, method, recipe)
    labels = list(rows["labels"].iloc[0])
    counts = np.zeros((len(labels), len(labels)))
    for gold, predicted in zip(rows["test_gold"], rows["test_predictions"], strict=True):
        np.add.at(counts, (np.asarray(gold), np.asarray(predicted)), 1)
    with np.errstate(invalid="ignore"):
        percent = 100 * counts / counts.sum(axis=1, keepdims=True)
    return pd.DataFrame(percent, pd.Index(labels, name="true"), pd.Index(labels, name="predicted"))


def changed_rows(records: pd.DataFrame, task: str, before: str, after: str, recipe: str = "paper") -> pd.DataFrame:
    """Test rows by how many more seeds get them right with `after` than with `before`.

    records: of `load_records`; the seeds that both methods have count. Returns a row a test text: row (its place in
    the task's test split), label (the true one), right_before, right_after (seeds), seeds, change; the largest gains
    first. Raises UserError where the two share no seed.

    >>> common = dict(task="t", recipe="paper", seed=0, labels=("no", "yes"), test_gold=[0, 1])
    >>> records = pd.DataFrame([common | dict(method="base", test_predictions=[1, 1]),
    ...     common | dict(method="tapt", test_predictions=[0, 1])])
    >>> changed_rows(records, "t", "base", "tapt")[["row", "label", "change"]].values.tolist()
    [[0, 'no', 1], [1, 'yes', 0]]
    """
    first, second = (_rows(records, task, method, recipe).set_index("seed") for method in (before, after))
    seeds = first.index.intersection(second.index)
    if seeds.empty:
        raise UserError(f"task {task}: {before} and {after} share no seed, so their predictions do not compare")
    gold = np.asarray(first.loc[seeds[0], "test_gold"])
    right = [(np.stack(list(rows.loc[seeds, "test_predictions"])) == gold).sum(axis=0) for rows in (first, second)]
    labels = np.asarray(first["labels"].iloc[0])[gold]
    table = pd.DataFrame({"row": np.arange(len(gold)), "label": labels, "right_before": right[0],
                          "right_after": right[1], "seeds": len(seeds), "change": right[1] - right[0]})  # fmt: skip
    return table.sort_values(["change", "row"], ascending=[False, True], ignore_index=True)


def _rows(records: pd.DataFrame, task: str, method: str, recipe: str) -> pd.DataFrame:
    rows = records[(records["task"] == task) & (records["method"] == method) & (records["recipe"] == recipe)]
    if rows.empty:
        there = ", ".join(records.loc[records["task"] == task, "method"].unique()) or "none"
        raise UserError(f"task {task}: no fine-tuning of {method} by recipe {recipe}; there are {there}")
    return rows
