"""A task in memory: checked, capped, its labels in a fixed order."""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from helpers.data import download, sample, toy
from helpers.data.apart import set_apart
from helpers.data.archive import laid_out
from helpers.data.corpus import Corpus
from helpers.data.raw import form, stem
from helpers.data.records import (
    ALIKE,
    GROUP_COLUMN,
    TEXT_COLUMNS,
    Texts,
    find_column,
    folded,
    labelled,
    load_saved,
    records,
    saved_by_datasets,
)
from helpers.data.registry import (
    TaskSpec,
    domain_spec,
    known_domains,
    known_tasks,
    own_domains,
    own_task,
    task_spec,
)
from helpers.data.sources import ALIASES, SPLITS, data_root, domain_name, find, in_data_root, splits_in
from helpers.errors import UserError, whole
from helpers.paths import expanded


@dataclass(frozen=True)
class Task:
    """A classification task with its rows.

    train, dev, test: DataFrames with the columns text and label (str), and group_id where rows belong together
    (sentences of one document). unlabeled: further text of the task's
    own kind (Curated-TAPT), often none. labels: the labels of train, sorted; a label's place is its class
    number everywhere. source: one line that says where the rows come from.
    """

    spec: TaskSpec
    train: pd.DataFrame
    dev: pd.DataFrame
    test: pd.DataFrame
    unlabeled: list[str]
    labels: tuple[str, ...]
    source: str

    @property
    def name(self) -> str:
        return self.spec.name

    def draw(self, labels: int, seed: int) -> "Task":
        """The task with `labels` of its training rows (0: all), each label by its share, another draw each seed.

        Raises UserError where there are fewer rows wanted than labels, and for seed < 0.

        >>> from helpers import load_task
        >>> load_task("toy_cs", data_dir="toy").draw(12, seed=1)
        Task('toy_cs', 12/80/80 rows, 3 labels, 'generated')
        """
        if labels and labels < len(self.labels):
            raise UserError(f"task {self.name}: {labels} labelled rows are too few for its {len(self.labels)} labels")
        return replace(self, train=subsample(self.train, labels, seed))

    def groups(self) -> list[int] | None:
        """A number a test row, the same for rows of one group (sentences of one abstract); None: rows stand alone."""
        return self.test[GROUP_COLUMN].factorize()[0].tolist() if GROUP_COLUMN in self.test else None

    def as_datasets(self):
        """The rows as a `datasets.DatasetDict` of train, dev and test, for a Trainer or any other library.

        Its features are text and label, a ClassLabel whose numbers are the places in `labels`.
        """
        from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

        features = Features({"text": Value("string"), "label": ClassLabel(names=list(self.labels))})
        splits = {"train": self.train, "dev": self.dev, "test": self.test}
        return DatasetDict({name: Dataset.from_dict(rows[["text", "label"]].to_dict("list"), features=features)
                            for name, rows in splits.items()})  # fmt: skip

    def __repr__(self) -> str:
        sizes = "/".join(str(len(rows)) for rows in (self.train, self.dev, self.test))
        return f"Task({self.name!r}, {sizes} rows, {len(self.labels)} labels, {self.source!r})"


def load_task(
    task,
    *,
    data_dir: str | Path = "",
    task_file: str | Path = "",
    domain: str = "",
    name: str = "",
    text_column: str = "",
    label_column: str = "",
    max_train: int = 0,
    max_dev: int = 0,
    max_test: int = 0,
) -> Task:
    """Read a task from the first source that has it, and check it.

    task: a name; or a file or folder (see `helpers.data.records`); or a DataFrame, a `datasets.Dataset` or
    DatasetDict, or a dict of DataFrames by split. Splits are train, dev (or validation, valid, val) and test; those
    that your own data lack are set apart from train, see `helpers.data.apart`, and `source` says so. data_dir: a data
    root tried first ("toy" generates text). task_file: registers your own tasks, or is one. domain: of your own task
    that names none. name: for what has no file name. text_column, label_column: the columns' names in your own data;
    the usual ones are found. max_train, max_dev, max_test: at most so many rows of the split; 0 takes all. A cap keeps
    a stratified subsample, the same rows every time, in the file's order.
    Raises UserError for an unknown task, rows that cannot be used, a dev or test label that train lacks, and
    fewer than two labels. Paper: section 3.1 and Table 2.

    >>> load_task("toy_cs", data_dir="toy", max_train=30)
    Task('toy_cs', 30/80/80 rows, 3 labels, 'generated')
    """
    extra = None
    if not isinstance(task, str | Path):
        spec = TaskSpec(name or "own", domain or name or "own", description="rows given in memory", kind="user")
        splits, source, where = _splits_of(task), "given in memory", f"task {spec.name}"
    else:
        spec = _spec(task, task_file, data_dir, domain)
        where = f"task {spec.name}"
        if spec.kind == "toy":
            splits, source = toy.task_frames(spec.name), "generated"
        else:
            place, source = _task_place(spec, data_dir)
            place = laid_out(place)
            splits, where = task_splits(spec, place), str(place)
            extra = find(place, "unlabeled")
    if spec.kind in ("toy", "sample"):
        text_column = label_column = ""  # of your own data, which these are not
    frames, notes = {}, []
    for split, rows in splits.items():
        frames[split], note = labelled(rows, text_column, label_column)
        notes += [note] if note and note not in notes else []
    if missing := tuple(split for split in ("test", "dev") if split not in frames):
        frames |= set_apart(frames["train"], missing, where)
        notes.append(f"{' and '.join(missing)} set apart from train by content")
    labels = tuple(sorted(frames["train"]["label"].unique()))
    check_labels(frames, where)
    most = {"train": max_train, "dev": max_dev, "test": max_test}
    for split, rows in most.items():
        if 0 < rows < len(labels):
            raise UserError(
                f"{where}: {rows} rows of {split} are fewer than the {len(labels)} labels; give MAX_{split.upper()} "
                f"(max_{split}) of {len(labels)} or more, or 0 for all rows"
            )
    kept = {split: subsample(frames[split], rows) for split, rows in most.items()}
    unlabeled = list(Texts(extra, text_column)) if extra else []
    return Task(spec, **kept, unlabeled=unlabeled, labels=labels, source="; ".join([source, *notes]))


def load_domain(
    domain, *, data_dir: str | Path = "", domain_file: str | Path = "", name: str = "", text_column: str = ""
) -> Corpus:
    """The text of a domain as a Corpus, from the first source that has it.

    domain: biomed, cs, news, reviews, generic, one in domain_file or in the data root; or a file or folder (see
    `helpers.data.records`), a list of texts, a DataFrame or a `datasets.Dataset`. data_dir: as for load_task.
    domain_file: your own, see `own_domains`. name: for what has no file name. text_column: the text's in your own
    data; the usual ones are found. Raises UserError for an unknown domain or an unreadable file.

    >>> len(load_domain("news", data_dir="toy"))
    400
    """
    if domain is None:
        raise UserError("domain: expected a name, a file or texts, got None")
    if not isinstance(domain, str | Path):
        return Corpus(name or "own", "given in memory", texts=domain, text_column=text_column)
    if _is_path(domain, known_domains(domain_file, data_dir)):
        return _own_corpus(name or domain_name(domain), expanded(domain), "your file", text_column)
    spec = domain_spec(str(domain), domain_file, data_dir)
    if spec.path and spec.name in own_domains(domain_file):
        return _own_corpus(spec.name, Path(spec.path), "DOMAIN_FILE", text_column)
    if found := in_data_root(data_dir, "domains", spec.name):
        path, said = found
        return Corpus(spec.name, said, path=path, text_column=text_column)
    if str(data_dir) == "toy":
        return Corpus(spec.name, "generated", texts=toy.domain_texts(spec.name))
    # The paper's own corpora were never published, so there is nothing to download before the sample.
    return Corpus(spec.name, "sample", path=find(sample.get_sample() / "domains", spec.name))


def _own_corpus(name: str, path: Path, said: str, text_column: str) -> Corpus:
    if not path.exists():
        raise UserError(f"{said} {path}: no such file or folder; expected a document a row, or a folder of text files")
    where, row, first = next(records(path), ("", 0, {}))
    if not row:
        raise UserError(f"{said} {path}: no texts; expected a document a row")
    column = find_column(first, text_column, TEXT_COLUMNS, f"{where}, row {row}") or next(iter(first), "text")
    note = "" if column == "text" else f", text from {column!r}"
    return Corpus(name, f"your {'folder' if path.is_dir() else 'file'} {path.name}{note}", path=path,
                  text_column=text_column)  # fmt: skip


def _is_path(value: str | Path, known) -> bool:
    """Whether a name means a file or folder: what is registered is no path."""
    if isinstance(value, Path):
        return True
    return (
        value != ""
        and value not in known
        and bool(form(value) or "/" in value or os.sep in value or Path(value).is_dir())
    )


def _spec(task: str | Path, task_file, data_dir, domain: str) -> TaskSpec:
    known = known_tasks(task_file, data_dir, domain)
    if _is_path(task, known):
        return own_task(task, domain)
    return task_spec(str(task), task_file, data_dir, domain)


def _splits_of(task) -> dict:
    """{split: rows} of what was given in memory; one table is all train."""
    if not isinstance(task, Mapping):
        return {"train": task}
    found = {split: rows for name, rows in task.items() for split in SPLITS if name in ALIASES[split]}
    if "train" not in found:
        raise UserError(f"task: found the splits {', '.join(map(str, task))}; expected train, dev and test")
    return found


def rows_of(path: str | Path):
    """What to read a file or folder of your own by: the training split of a folder that has one, else itself."""
    path = laid_out(expanded(path))
    if path.is_dir() and saved_by_datasets(path):
        saved = load_saved(path)
        return _splits_of(saved)["train"] if isinstance(saved, Mapping) else saved
    return splits_in(path).get("train", path) if path.is_dir() else path


def task_splits(spec: TaskSpec, place: Path) -> dict[str, object]:
    """{"train", "dev", "test": its files} of a task's file or folder.

    A task of your own may lack dev and test. A task that is evaluated on another's dev and test (rct-sample on
    rct's) takes them from the folder beside. Raises UserError for a split that is missing.
    """
    if not place.exists():
        raise UserError(f"task {spec.name!r}: {place}: no such file or folder; expected train, dev, test in it")
    if place.is_file():
        return {"train": place}
    if saved_by_datasets(place):
        return _splits_of(load_saved(place))
    found = splits_in(place)
    if spec.evaluation and (place.parent / spec.evaluation).is_dir():
        found = splits_in(place.parent / spec.evaluation) | found
    single = [path for path in place.iterdir() if form(path) and stem(path) != "unlabeled"]
    if spec.kind == "user" and not found and len(single) == 1:
        return {"train": single[0]}
    for split in SPLITS:
        if split not in found and (split == "train" or spec.kind != "user"):
            raise UserError(f"{place}: no {split}.jsonl (or .csv, .tsv, .parquet); a task needs train, dev and test")
    return found


def _task_place(spec: TaskSpec, data_dir: str | Path) -> tuple[Path, str]:
    """(file or folder of a task's rows, one line that says which source it is)."""
    root = data_root(data_dir)
    if spec.folder:
        place = Path(spec.folder)
        if root and place.parent == root / "tasks":
            return place, f"data root {root.name}"
        if not place.exists():
            raise UserError(f"task {spec.name!r}: {place} is no folder or file; expected rows with a text and a label")
        return place, f"your {'folder' if place.is_dir() else 'file'} {place.name}"
    if found := in_data_root(data_dir, "tasks", spec.name):
        return found
    if spec.kind == "user":
        raise UserError(
            f"task {spec.name!r}: no {root / 'tasks' / spec.name if root else 'data root'}; put its files there "
            "or give the task a path in TASK_FILE"
        )
    if spec.kind == "sample":
        return sample.get_sample() / "tasks" / spec.name, "sample"
    return download.get_task(spec), "download"


def check_labels(frames: dict[str, pd.DataFrame], where: str) -> None:
    """Refuse, with UserError, a single class and labels that dev or test has and train has not."""
    known = set(frames["train"]["label"])
    if len(known) < 2:
        raise UserError(f"{where}, train: all rows have the label {next(iter(known))!r}; expected two or more labels")
    for split in ("dev", "test"):
        unseen = ~frames[split]["label"].isin(known)
        if unseen.any():
            row, label = next(frames[split]["label"][unseen].items())
            alike = next((one for one in sorted(known) if folded(one) == folded(label)), "")
            listed = ", ".join(sorted(known)[:20])
            way = f"it and {alike!r} {ALIKE}" if alike else f"expected one of {listed}"
            raise UserError(
                f"{where}, {split}: {int(unseen.sum())} rows have labels that train lacks, first row {row}: {label!r}; "
                f"{way}"
            )


def subsample(rows: pd.DataFrame, most: int, seed: int = 0) -> pd.DataFrame:
    """At most `most` rows (0: all), each label by its share and at least once while there is room.

    seed: of the draw; the same rows every time, in their old order, with a fresh index.
    """
    return rows.iloc[drawn_rows(rows["label"], most, seed)].reset_index(drop=True)


def drawn_rows(labels: pd.Series, most: int, seed: int = 0) -> list[int]:
    """Places, ascending, of the rows that `subsample` keeps. labels: a label a row."""
    if not most or len(labels) <= most:
        return list(range(len(labels)))
    groups = {label: index.tolist() for label, index in sorted(labels.groupby(labels).indices.items())}
    exact = {label: most * len(index) / len(labels) for label, index in groups.items()}
    quota = {label: max(1, int(share)) for label, share in exact.items()}
    # Largest remainders fill the cap; where the "at least once" overshot it, the largest classes give way.
    while sum(quota.values()) < most:
        quota[max(groups, key=lambda label: (exact[label] - quota[label], label))] += 1
    while sum(quota.values()) > most:
        quota[max(groups, key=lambda label: (quota[label], label))] -= 1
    draw = random.Random(whole(seed, "seed", 0))  # of -1 it would be the draw of 1
    return sorted(row for label, index in groups.items() for row in draw.sample(index, quota[label]))
