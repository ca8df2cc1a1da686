"""Where a task or a domain is found: data root -> cache -> hub and the data sets' own URLs -> sample."""

import os
from pathlib import Path

from helpers.data import jsonl
from helpers.data.registry import TASKS, TaskSpec
from helpers.errors import UserError, nearest
from helpers.paths import cache_dir

SPLITS = ("train", "dev", "test")


def data_root(data_dir: str | Path = "") -> Path | None:
    """The data root given by the caller or by DSP_DATA, checked to exist; None when neither is set."""
    value = str(data_dir) if str(data_dir) not in ("", "toy") else os.environ.get("DSP_DATA", "")
    if not value or value == "toy":
        return None
    root = Path(value).expanduser()
    if not root.is_dir():
        raise UserError(f"data root {value}: no such folder; expected one with tasks/ and domains/ in it")
    return root


def downloads() -> Path:
    """The data root in the cache that downloaded tasks are kept in."""
    return cache_dir() / "data" / "downloads"


def split_files(spec: TaskSpec, folder: Path) -> dict[str, Path]:
    """{"train", "dev", "test": file} of a task's folder; raises UserError for one that is missing.

    A task that is evaluated on another's dev and test (rct-sample on rct's) takes them from the folder beside.
    """
    files = {}
    for split in SPLITS:
        path = jsonl.find(folder, split)
        if path is None and spec.evaluation and split != "train":
            path = jsonl.find(folder.parent / spec.evaluation, split)
        if path is None:
            raise UserError(f"{folder}: no {split}.jsonl or {split}.jsonl.gz; a task needs train, dev and test")
        files[split] = path
    return files


def task_folder(spec: TaskSpec, data_dir: str | Path = "") -> tuple[Path, str]:
    """(folder of a task's files, one line that says which source it is)."""
    if spec.folder:
        folder = Path(spec.folder)
        if not folder.is_dir():
            raise UserError(f"TASK_FILE, task {spec.name!r}: {folder} is no folder; expected train, dev, test in it")
        return folder, f"your folder {folder.name}"
    root = data_root(data_dir)
    if root and (root / "tasks" / spec.name).is_dir():
        return root / "tasks" / spec.name, f"data root {root.name}"
    if spec.kind == "user":
        raise UserError(
            f"task {spec.name!r}: no {root / 'tasks' / spec.name if root else 'data root'}; put its files there "
            "or give the task a path in TASK_FILE"
        )
    if spec.kind == "sample":
        from helpers.data import sample

        return sample.get_sample() / "tasks" / spec.name, "sample"
    from helpers.data import download

    return download.get_task(spec), "download"


def domain_path(name: str, data_dir: str | Path = "") -> tuple[Path, str]:
    """(file of a domain's text, one line that says which source it is)."""
    root = data_root(data_dir)
    if root:
        path = jsonl.find(root / "domains", name)
        if path:
            return path, f"data root {root.name}"
    # The paper's own corpora were never published, so there is nothing to download before the sample.
    from helpers.data import sample

    path = jsonl.find(sample.get_sample() / "domains", name)
    if path is None:
        raise UserError(f"domain {name!r}: not in the sample.{nearest(name, TASKS)}")
    return path, "sample"
