"""Records: one small JSON file for each fine-tuning, the only source of every table and claim."""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import methods
from helpers.config import ABOUT, REPEATS
from helpers.errors import UserError
from helpers.results.stats import macro_f1_of_counts

METRICS = ("macro_f1", "micro_f1")
# How a score was come by, and what readers see instead of its name; the last reads a model out that is left as it is.
RECIPES = {"paper": "fine-tuned", "strong": "fine-tuned, stronger recipe", "frozen": "frozen read-out"}
# Settings in which the runs of two records may differ: neither score hangs on them, or its method's name holds them.
FREE = (*ABOUT, *REPEATS, "neighbours", "label_budgets", "overlap_documents", "top_words", "heldout_documents")
_TEXT = ("task", "domain", "method", "recipe", "preset", "base_model", "metric")
_NAME = re.compile(r"[\w.-]+")
_ADAPTATION = (
    "corpus", "seed", "selector", "k", "selected_words", "steps", "epochs", "documents", "tokens", "bytes", "seconds",
    "mlm_loss_before", "mlm_loss_after", "word_cover", "kl_reduction", "selection_seconds", "selection_mb",
)  # fmt: skip
COLUMNS = (
    *_TEXT, "seed", "score", "dev_score", "score_without_leaked", "leaked", "macro_f1", "micro_f1", "accuracy",
    "degenerate", "train_size", "dev_size", "test_size", "best_epoch", "epochs_run", "seconds",
    *(f"adaptation_{name}" for name in _ADAPTATION), "labels", "test_gold", "test_predictions",
    "test_log_loss", "test_leaked", "test_groups", "path",
)  # fmt: skip


def record_path(record: Mapping) -> Path:
    """Path of a record inside its records folder: <task>/<method>[+strong]/seed-<seed>.json."""
    suffix = "" if record["recipe"] == "paper" else f"+{record['recipe']}"
    return Path(record["task"]) / f"{record['method']}{suffix}" / f"seed-{record['seed']}.json"


def write_record(folder, record: Mapping) -> Path:
    """Check a record and write it below `folder`, whole or not at all.

    folder: the run's records folder. record: the fields of one fine-tuning; scores lie in 0..1.
    Returns the file's path. Raises UserError when a field is missing or out of range.
    """
    check_record(record, f"record {record.get('task')}/{record.get('method')}/{record.get('seed')}")
    path = Path(folder) / record_path(record)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False, default=_plain, allow_nan=False)
    # Long lists of numbers on one line keep a record readable; a string holds no line break as such.
    text = re.sub(r"\[\n[-\d\s,.e+]+\]", lambda numbers: re.sub(r"\s+", "", numbers[0]), text)
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".record-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.replace(scratch, path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
    return path


def read_record(path) -> dict:
    """One record from its file, checked. Raises UserError naming the file and what is wrong with it."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not a readable record ({error}); delete it and run the study again") from None
    check_record(record, str(path))
    return record


def load_records(folder, files: Iterable[Path] | None = None) -> pd.DataFrame:
    """Every record below a folder as one row each, sorted by task, method, recipe and seed.

    folder: the run's records folder; an empty or missing one gives an empty frame with the same columns. files: these
    of it only. Returns a DataFrame with COLUMNS: `score`, `dev_score`, `score_without_leaked`, `macro_f1`, `micro_f1`
    and `accuracy` in percent as the paper prints them (score is the task's own metric on test; nan without the leaked
    rows where all are), `leaked` the number of test rows whose text is in train, the arrays `test_gold`,
    `test_predictions`, `test_log_loss` (nats; nan in records that lack it), `test_leaked`, `test_groups` (a number a
    row, the same for rows that belong together; None where rows stand alone), and `path` relative to the folder's
    parent. Raises UserError for a damaged record and for records that an earlier run with other settings left there.

    >>> load_records(tmp / "no run yet").empty
    True
    """
    folder = Path(folder)
    files = sorted(folder.rglob("seed-*.json")) if files is None else list(files)
    read = [(read_record(path), path.relative_to(folder.parent)) for path in files]
    _check_one_run(read, folder)
    frame = as_table(read)
    frame["method_order"] = frame["method"].map(methods.method_order)
    frame = frame.sort_values(["task", "method_order", "method", "recipe", "seed"], ignore_index=True)
    return frame.drop(columns="method_order")


def _check_one_run(records: Iterable[tuple[Mapping, Path]], folder: Path) -> None:
    """Raise UserError where one read-out of a task is of other labelled rows, or one method's of other settings."""
    first: dict[tuple, tuple] = {}
    for record, path in records:
        cell = tuple(record[name] for name in ("task", "recipe", "base_model", "preset"))
        settings = {name: value for name, value in (record.get("config") or {}).items() if name not in FREE}
        found = {cell: {"training rows": (record.get("sizes") or {}).get("train")}, (*cell, record["method"]): settings}
        for key, values in found.items():
            known, where = first.setdefault(key, (values, path))
            for name, value in values.items():
                if known.get(name, value) != value:
                    raise UserError(
                        f"{folder}: {where} is of {known[name]} {name}, {path} of {value}: one of them is of an "
                        f"earlier run; remove {folder} and run the notebooks again, they find what is computed"
                    )


def as_table(records: Iterable[tuple[Mapping, Path]]) -> pd.DataFrame:
    """A row of COLUMNS for each checked record and its path, in their order; see `load_records`."""
    return pd.DataFrame([_row(record, path) for record, path in records], columns=list(COLUMNS))


def check_record(record: Mapping, where: str) -> None:
    """Raise UserError, one line, for the first thing wrong with a record; `where` opens the message."""

    def need(ok, problem: str) -> None:
        if not ok:
            raise UserError(f"{where}: {problem}")

    need(isinstance(record, Mapping), "expected a JSON object")
    for name in _TEXT:
        need(isinstance(record.get(name), str) and record[name], f"field {name!r} must be a word")
    for name in ("task", "method"):
        need(_NAME.fullmatch(record[name]), f"{name} {record[name]!r} cannot name a folder")
    need(record["metric"] in METRICS, f"metric {record['metric']!r}: expected one of {', '.join(METRICS)}")
    need(record["recipe"] in RECIPES, f"recipe {record['recipe']!r}: expected one of {', '.join(RECIPES)}")
    try:
        methods.check(record["method"])
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    seed = record.get("seed")
    need(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0, "field 'seed' must be 0, 1, 2, ...")
    labels = record.get("labels")
    need(isinstance(labels, list | tuple) and len(labels) > 0, "field 'labels' must list the task's labels")
    for part in ("dev", "test"):
        scores = record.get(part)
        need(isinstance(scores, Mapping), f"field {part!r} must hold the scores")
        for name in ("macro_f1", "micro_f1", "accuracy"):
            value = scores.get(name)
            need(isinstance(value, int | float) and 0 <= value <= 1, f"{part} {name} is {value!r}, expected 0..1")
    gold, predicted = (np.asarray(record.get(name, ())) for name in ("test_gold", "test_predictions"))
    same = gold.ndim == 1 and gold.shape == predicted.shape and len(gold)
    need(same, "test_gold and test_predictions must be lists of one size")
    for name, values in (("test_gold", gold), ("test_predictions", predicted)):
        inside = np.issubdtype(values.dtype, np.integer) and values.min() >= 0 and values.max() < len(labels)
        need(inside, f"{name} must hold label numbers 0..{len(labels) - 1}")
    accuracy = float(np.mean(gold == predicted))
    found = {"accuracy": accuracy, "micro_f1": accuracy, "macro_f1": macro_f1(gold, predicted, range(len(labels)))}
    for name, value in found.items():
        given = record["test"][name]
        need(abs(value - given) < 1e-6, f"test {name} {given} is not that of its predictions, {value:.6f}")
    losses = np.asarray(record.get("test_log_loss") or np.zeros(len(gold)), dtype=float)
    need(losses.shape == gold.shape and (losses >= 0).all(), "test_log_loss must hold a number a test row, at least 0")
    groups = record.get("test_groups")
    need(groups is None or np.shape(groups) == gold.shape, "test_groups must hold a number a test row")
    leaked = np.asarray(record.get("test_leaked", ()), dtype=float)
    need(((leaked >= 0) & (leaked < len(gold))).all(), f"test_leaked must hold row numbers 0..{len(gold) - 1}")


def _row(record: Mapping, path: Path) -> dict:
    """One record as one flat row, scores in percent."""
    gold, predicted = (np.asarray(record[name], dtype=np.int32) for name in ("test_gold", "test_predictions"))
    leaked = np.unique(np.asarray(record.get("test_leaked", ()), dtype=np.int64))
    kept = np.ones(len(gold), bool)
    kept[leaked] = False
    metric, sizes, adaptation = record["metric"], record.get("sizes") or {}, record.get("adaptation") or {}
    score = 100.0 * record["test"][metric]
    clean = score
    if not kept.any():
        clean = np.nan
    elif len(leaked) and metric == "micro_f1":
        clean = 100.0 * np.mean(gold[kept] == predicted[kept])
    elif len(leaked):
        lost = np.setdiff1d(gold, gold[kept])  # labels without a row left; one without any to begin with counts 0
        clean = 100.0 * macro_f1(gold[kept], predicted[kept], np.setdiff1d(range(len(record["labels"])), lost))
    return {
        **{name: record[name] for name in (*_TEXT, "seed")},
        "score": score,
        "dev_score": 100.0 * record["dev"][metric],
        "score_without_leaked": clean,
        "leaked": len(leaked),
        **{name: 100.0 * record["test"][name] for name in ("macro_f1", "micro_f1", "accuracy")},
        "degenerate": bool(record.get("degenerate", False)),
        **{f"{part}_size": sizes.get(part) for part in ("train", "dev", "test")},
        **{name: record.get(name) for name in ("best_epoch", "epochs_run", "seconds")},
        **{f"adaptation_{name}": adaptation.get(name) for name in _ADAPTATION},
        "labels": tuple(record["labels"]),
        "test_gold": gold,
        "test_predictions": predicted,
        "test_log_loss": np.asarray(record.get("test_log_loss") or np.full(len(gold), np.nan), dtype=float),
        "test_leaked": leaked,
        "test_groups": None if record.get("test_groups") is None else np.asarray(record["test_groups"]),
        "path": path.as_posix(),
    }


def macro_f1(gold: np.ndarray, predicted: np.ndarray, labels: Sequence[int]) -> float:
    """The mean F1 of these labels, 0 to 1; one that is nowhere counts 0. scikit-learn's digits, in a hundredth of its
    time: a run's records are checked by it whenever they are read."""
    size = max(gold.max(), predicted.max(), *labels) + 1
    hits, support, chosen = (
        np.bincount(one, minlength=size)[np.asarray(labels)] for one in (gold[gold == predicted], gold, predicted)
    )
    return float(macro_f1_of_counts(hits, support, chosen, never=int((support == 0).sum())))


def _plain(value):
    """JSON for numpy numbers and arrays, tuples and paths."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"a record cannot hold a {type(value).__name__}")
