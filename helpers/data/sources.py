"""Where data lie: the data root, the cache of downloads, a task's splits in a folder, names of files."""

import os
import re
from pathlib import Path

from helpers.data.raw import form, stem
from helpers.errors import UserError
from helpers.paths import cache_dir, expanded

SPLITS = ("train", "dev", "test")
ALIASES = {"train": ("train", "training"), "dev": ("dev", "validation", "valid", "val"), "test": ("test",)}
_SHARD = re.compile(r"-\d+-of-\d+$")


def data_root(data_dir: str | Path = "") -> Path | None:
    """The data root given by the caller, else by DSP_DATA, checked to exist; None when neither is set.

    "toy" stands for generated text, of tasks and domains alike: DSP_DATA is not looked at then.
    """
    value = str(data_dir) or os.environ.get("DSP_DATA", "")
    if not value or value == "toy":
        return None
    root = expanded(value)
    if not root.is_dir():
        raise UserError(f"data root {value}: no such folder; expected one with tasks/ and domains/ in it")
    return root


def downloads() -> Path:
    """The data root in the cache that downloaded tasks are kept in."""
    return cache_dir() / "data" / "downloads"


def domain_name(path: str | Path) -> str:
    """The name of a domain kept in this file or folder: what is left without the known endings.

    Raises UserError for a name that cannot serve as one.

    >>> domain_name("texts/law.v2.jsonl.gz"), domain_name("LAW.JSONL")
    ('law.v2', 'LAW')
    """
    name = stem(path)
    if not name.strip(".") or not all(mark.isalnum() or mark in "._-" for mark in name):
        raise UserError(f"{path}: {name!r} cannot name a domain or task; letters, digits, '.', '_' and '-' only")
    return name


def find(folder: Path, name: str) -> Path | None:
    """The file or folder of that name in a folder, whatever its known ending, or None; raises UserError for two."""
    if not folder.is_dir():
        return None
    found = [path for path in sorted(folder.iterdir()) if stem(path) == name and (form(path) or path.is_dir())]
    if len(found) > 1:
        raise UserError(f"{folder}: both {found[0].name} and {found[1].name}; keep one of them")
    return found[0] if found else None


def in_data_root(data_dir: str | Path, kind: str, name: str) -> tuple[Path, str] | None:
    """(file or folder of a text in the data root, words that say so), or None. kind: 'tasks' or 'domains'."""
    root = data_root(data_dir)
    place = find(root / kind, name) if root else None
    return (place, f"data root {root.name}") if place else None


def splits_in(folder: Path) -> dict[str, list[Path]]:
    """{"train", "dev", "test": its files} of those splits a folder has; validation, valid and val stand for dev."""
    found: dict[str, list[Path]] = {}
    for path in sorted([*folder.iterdir(), *(folder / "data").glob("*")]):
        name = _SHARD.sub("", stem(path)).lower()
        for split, aliases in ALIASES.items():
            if name in aliases and form(path):
                found.setdefault(split, []).append(path)
    for split, paths in found.items():
        if len(paths) > 1 and not all(_SHARD.search(stem(path)) for path in paths):
            raise UserError(f"{folder}: both {paths[0].name} and {paths[1].name} could be {split}; keep one of them")
    return found
