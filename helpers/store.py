"""Artifacts on disk, found by what they were computed from: keyed, locked, atomic, verified, resumable.

root/<kind>/<key>/...            the files, and manifest.json, written last
root/<kind>/.partial-<key>/      where they are being made; kept when the maker is killed
root/<kind>/.<key>.lock          held while one is made
"""

import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from helpers import files
from helpers.compute import versions
from helpers.errors import UserError, nearest
from helpers.hashing import MANIFEST, checksum, files_of, key, plain
from helpers.paths import cache_dir


class Store:
    """A folder of artifacts. Any number of processes may use it at once.

    root: the folder, made when first written to; one that can only be read still answers.
    log: called with a line when there is something to say (waiting, rebuilding, resuming).
    """

    def __init__(self, root: Path | str, log: Callable[[str], None] = print):
        self.root = Path(root)
        self.log = log

    def get_or_make(self, kind: str, recipe: Mapping, make: Callable[[Path], None], *, resume: bool = True) -> Path:
        """The folder of the artifact that `recipe` describes, made first if it is not there whole.

        kind: a plain word, the folder's name. recipe: see `key`.
        make: called with a work folder to fill. With `resume` it finds there what an earlier, killed call
        left (its checkpoints), and removes what does not belong to the result; without, an empty folder.
        Of several processes one makes it and the others wait. What `make` raises is passed on.
        Raises UserError when the store cannot be written.
        """
        name = key(recipe)
        folder = self.folder(kind, name)
        if self.whole(kind, name):
            return folder
        wait = f"{kind} {name}: another process is making it, waiting"
        with files.locked(self._lock(kind, name), waiting=lambda: self.log(wait), way_out=_WAY_OUT):
            if not self.whole(kind, name):
                with files.writing(self.root, _WAY_OUT):
                    self._make(folder, kind, recipe, make, resume)
        return folder

    def find(self, kind: str, recipe: Mapping) -> Path | None:
        """The artifact's folder when it is there whole, else None. Writes nothing."""
        name = key(recipe)
        return self.folder(kind, name) if self.whole(kind, name) else None

    def folder(self, kind: str, key: str) -> Path:
        """Where an artifact lies, there or not. kind, key: as its manifest names them."""
        return self.root / kind / key

    def whole(self, kind: str, key: str) -> bool:
        """Whether an artifact is there with every file of its manifest byte for byte and no other; says what is not."""
        return self._intact(self.folder(kind, key))

    def manifest(self, folder: Path) -> dict:
        """What is known of an artifact: kind, key, recipe, created, seconds, versions, files."""
        return json.loads((Path(folder) / MANIFEST).read_text("utf-8"))

    def list(self):
        """DataFrame of whole and half-made artifacts: kind, key, state, megabytes, created, recipe."""
        import pandas as pd

        rows = []
        for folder in sorted(self.root.glob("*/*")) if self.root.exists() else []:
            if not folder.is_dir():
                continue
            known = {} if folder.name.startswith(".") else self._known(folder)
            whole = bool(known)
            size = sum(file.stat().st_size for file, _ in files_of(folder))
            rows.append(
                {
                    "kind": folder.parent.name,
                    "key": folder.name.rpartition("-")[2],
                    "state": "whole" if whole else "partial",
                    "megabytes": size / 1e6,
                    "created": known.get("created", ""),
                    "recipe": json.dumps(known.get("recipe", {}), ensure_ascii=False),
                }
            )
        columns = ["kind", "key", "state", "megabytes", "created", "recipe"]
        return pd.DataFrame(rows, columns=columns)

    def prune(self, *, older_than_days: float = 0, kind: str = "") -> int:
        """Remove artifacts made longer ago than that, half-made ones included; returns the bytes freed.

        kind: only this kind; empty: every kind. What is being made at this moment stays. A run that is
        going on may hold the path of an artifact, so prune between runs.
        """
        if not (math.isfinite(older_than_days) and 0 <= older_than_days <= 36_500):
            raise UserError(f"older than {older_than_days} days: expected a number from 0 to 36500")
        kinds = [path.name for path in self.root.iterdir() if path.is_dir()] if self.root.is_dir() else []
        if kind and kind not in kinds:
            valid = f"expected one of {', '.join(sorted(kinds))}" if kinds else "the store is empty"
            raise UserError(f"kind {kind!r}: {valid}.{nearest(kind, kinds)}")
        oldest = datetime.now(UTC) - timedelta(days=older_than_days)
        freed = 0
        for folder in sorted(path for name in kinds if kind in ("", name) for path in (self.root / name).iterdir()):
            if not folder.is_dir() or datetime.fromtimestamp(folder.stat().st_mtime, UTC) > oldest:
                continue
            try:
                lock = self._lock(folder.parent.name, folder.name.rpartition("-")[2])
                with files.locked(lock, busy="being made", way_out=_WAY_OUT), files.writing(self.root, _WAY_OUT):
                    size = sum(file.stat().st_size for file, _ in files_of(folder))
                    self._remove(folder)
                    freed += size
            except files.Busy:
                continue
        return freed

    def _lock(self, kind: str, name: str) -> Path:
        return self.root / kind / f".{name}.lock"

    def _known(self, folder: Path) -> dict:
        """The manifest of an artifact, or an empty one where there is none that names its files."""
        try:
            known = self.manifest(folder)
            names = known["files"] if known["key"] == folder.name.removeprefix(".partial-") else None
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            names = None
        if not isinstance(names, dict) or not all(_is_checksum(value) for value in names.values()):
            self.log(f"{folder}: its manifest is damaged, making it again")
            return {}
        return known

    def _intact(self, folder: Path) -> bool:
        if not folder.is_dir():
            if os.path.lexists(folder):
                self.log(f"{folder}: a file where a folder was, making the artifact again")
            return False
        known = self._known(folder)
        if not known:
            if not (folder / MANIFEST).exists():
                self.log(f"{folder}: its manifest is missing, making it again")
            return False
        there = {name: file for file, name in files_of(folder) if name != MANIFEST}
        for name in sorted({*there, *known["files"]}):
            if name not in known["files"]:
                self.log(f"{folder / name}: does not belong there (damaged), making the artifact again")
                return False
            if name not in there or checksum(there[name]) != known["files"][name]:
                self.log(f"{folder / name}: missing or damaged, making the artifact again")
                return False
        return True

    def _make(self, folder: Path, kind: str, recipe: Mapping, make: Callable, resume: bool) -> None:
        if os.path.lexists(folder):
            self._remove(folder)
        work = folder.with_name(f".partial-{folder.name}")
        if not resume and work.exists():
            self._remove(work)
        if os.path.lexists(work) and not work.is_dir():
            self._remove(work)
        if (work / MANIFEST).exists() and self._intact(work):  # killed between the manifest and the rename
            os.replace(work, folder)
            return
        if work.exists() and any(work.iterdir()):
            self.log(f"{kind} {folder.name}: going on from what an earlier call left")
        work.mkdir(exist_ok=True)
        files.clear(work)
        start = time.perf_counter()
        make(work)
        manifest = {
            "kind": kind,
            "key": folder.name,
            "recipe": plain(recipe),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - start, 3),
            "versions": versions(),
            "files": {name: checksum(file) for file, name in files_of(work)},
        }
        files.write_json(work / MANIFEST, manifest)
        os.replace(work, folder)

    def _remove(self, folder: Path) -> None:
        """Take a folder out of sight in one step, then delete it: no reader meets half of it."""
        aside = folder.with_name(f".removed-{os.getpid()}-{folder.name.rpartition('-')[2]}")
        os.replace(folder, aside)
        if aside.is_dir() and not aside.is_symlink():
            shutil.rmtree(aside)
        else:
            aside.unlink()


_WAY_OUT = "make room, or set DSP_CACHE to a folder you own"


def _is_checksum(value) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def open_store(log: Callable[[str], None] = print) -> Store:
    """The user's own store, in the cache folder (DSP_CACHE)."""
    return Store(cache_dir() / "store", log)
