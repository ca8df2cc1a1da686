"""A task in memory: checked, capped, its labels in a fixed order."""

import random
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers.data import jsonl, sources, toy
from helpers.data.corpus import Corpus
from helpers.data.registry import TaskSpec, domain_spec, task_spec
from helpers.errors import UserError


@dataclass(frozen=True)
class Task:
    """A classification task with its rows.

    train, dev, test: DataFrames with the columns text and label (str). unlabeled: further text of the task's
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
    name: str,
    *,
    data_dir: str | Path = "",
    task_file: str | Path = "",
    max_train: int = 0,
    max_dev: int = 0,
    max_test: int = 0,
) -> Task:
    """Read a task from the first source that has it, and check it.

    data_dir: a data root tried first ("toy" generates text). task_file: registers your own tasks.
    max_train, max_dev, max_test: at most so many rows of the split; 0 takes all. A cap keeps a stratified
    subsample, the same rows every time, in the file's order.
    Raises UserError for an unknown task, rows that cannot be used, a dev or test label that train lacks, and
    fewer than two labels. Paper: section 3.1 and Table 2.
    """
    spec = task_spec(name, task_file)
    if spec.kind == "toy":
        frames, unlabeled, source, where = toy.task_frames(name), [], "generated", f"task {name}"
    else:
        folder, source = sources.task_folder(spec, data_dir)
        frames = {split: jsonl.read_labelled(path) for split, path in sources.split_files(spec, folder).items()}
        extra = jsonl.find(folder, "unlabeled")
        unlabeled, where = list(jsonl.read_texts(extra)) if extra else [], str(folder)
    labels = tuple(sorted(frames["train"]["label"].unique()))
    check_labels(frames, where)
    most = {"train": max_train, "dev": max_dev, "test": max_test}
    kept = {split: subsample(frames[split], rows) for split, rows in most.items()}
    return Task(spec, **kept, unlabeled=unlabeled, labels=labels, source=source)


def load_domain(name: str, *, data_dir: str | Path = "", domain_file: str | Path = "") -> Corpus:
    """The text of a domain as a Corpus, from the first source that has it.

    name: biomed, cs, news, reviews, generic, or the stem of domain_file. data_dir: as for load_task.
    Raises UserError for an unknown domain or an unreadable file.
    """
    spec = domain_spec(name, domain_file)
    if spec.path:
        path = Path(spec.path)
        if not path.is_file():
            raise UserError(f"DOMAIN_FILE {path}: no such file; expected JSONL (or .jsonl.gz) with a text a row")
        return Corpus(name, f"your file {path.name}", path=path)
    if str(data_dir) == "toy":
        return Corpus(name, "generated", texts=toy.domain_texts(name))
    path, source = sources.domain_path(name, data_dir)
    return Corpus(name, source, path=path)


def check_labels(frames: dict[str, pd.DataFrame], where: str) -> None:
    """Refuse, with UserError, a single class and labels that dev or test has and train has not."""
    known = set(frames["train"]["label"])
    if len(known) < 2:
        raise UserError(f"{where}, train: all rows have the label {next(iter(known))!r}; expected two or more labels")
    for split in ("dev", "test"):
        unseen = ~frames[split]["label"].isin(known)
        if unseen.any():
            row = int(unseen.to_numpy().argmax())
            raise UserError(
                f"{where}, {split}: {int(unseen.sum())} rows have labels that train lacks, first row {row + 1}: "
                f"{frames[split]['label'].iloc[row]!r}; expected one of {', '.join(sorted(known)[:20])}"
            )


def subsample(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows (0: all), each label by its share and at least once while there is room.

    Seed 0 always: the same rows every time, in their old order, with a fresh index.
    """
    if not most or len(rows) <= most:
        return rows.reset_index(drop=True)
    groups = {label: index.tolist() for label, index in sorted(rows.groupby("label").indices.items())}
    exact = {label: most * len(index) / len(rows) for label, index in groups.items()}
    quota = {label: max(1, int(share)) for label, share in exact.items()}
    # Largest remainders fill the cap; where the "at least once" overshot it, the largest classes give way.
    while sum(quota.values()) < most:
        quota[max(groups, key=lambda label: (exact[label] - quota[label], label))] += 1
    while sum(quota.values()) > most:
        quota[max(groups, key=lambda label: (quota[label], label))] -= 1
    draw = random.Random(0)
    kept = sorted(row for label, index in groups.items() for row in draw.sample(index, quota[label]))
    return rows.iloc[kept].reset_index(drop=True)
