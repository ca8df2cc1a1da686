"""Artifacts on disk, found by what they were computed from: keyed, locked, atomic, verified, resumable.

root/<kind>/<key>/...            the files, and manifest.json, written last
root/<kind>/.partial-<key>/      where they are being made; kept when the maker is killed
root/<kind>/.<key>.lock          held while one is made
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from helpers.compute import versions
from helpers.errors import UserError
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
        folder = self.root / kind / name
        if self._whole(folder):
            return folder
        with self._locked(kind, name):
            if not self._whole(folder):
                self._make(folder, kind, recipe, make, resume)
        return folder

    def find(self, kind: str, recipe: Mapping) -> Path | None:
        """The artifact's folder when it is there whole, else None. Writes nothing."""
        folder = self.root / kind / key(recipe)
        return folder if self._whole(folder) else None

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
            whole = (folder / MANIFEST).exists() and not folder.name.startswith(".")
            known = self.manifest(folder) if whole else {}
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
        oldest = datetime.now(UTC) - timedelta(days=older_than_days)
        freed = 0
        for folder in sorted(self.root.glob(f"{kind or '*'}/*")):
            if not folder.is_dir() or datetime.fromtimestamp(folder.stat().st_mtime, UTC) > oldest:
                continue
            try:
                with self._lock(folder.parent.name, folder.name.rpartition("-")[2]).acquire(timeout=0):
                    freed += sum(file.stat().st_size for file, _ in files_of(folder))
                    self._remove(folder)
            except Timeout:
                continue
        return freed

    def _lock(self, kind: str, name: str) -> FileLock:
        return FileLock(self.root / kind / f".{name}.lock")

    @contextmanager
    def _locked(self, kind: str, name: str):
        lock = self._lock(kind, name)
        try:
            (self.root / kind).mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0.5)
            except Timeout:
                self.log(f"{kind} {name}: another process is making it, waiting")
                lock.acquire()
        except OSError as error:
            reason = error.strerror or error
            raise UserError(
                f"{self.root}: cannot write artifacts there ({reason}); set DSP_CACHE to a folder you own"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _whole(self, folder: Path) -> bool:
        """Whether every file of the manifest is there, byte for byte; says so when one is damaged."""
        try:
            files = self.manifest(folder)["files"]
        except (FileNotFoundError, NotADirectoryError):
            return False
        except (ValueError, KeyError, TypeError):
            self.log(f"{folder}: its manifest is damaged, making it again")
            return False
        for name, expected in files.items():
            path = folder / name
            if not path.is_file() or checksum(path) != expected:
                self.log(f"{path}: missing or damaged, making the artifact again")
                return False
        return True

    def _make(self, folder: Path, kind: str, recipe: Mapping, make: Callable, resume: bool) -> None:
        if folder.exists():
            self._remove(folder)
        work = folder.with_name(f".partial-{folder.name}")
        if not resume and work.exists():
            self._remove(work)
        if self._whole(work):  # killed between the manifest and the rename
            os.replace(work, folder)
            return
        if work.exists() and any(work.iterdir()):
            self.log(f"{kind} {folder.name}: going on from what an earlier call left")
        work.mkdir(exist_ok=True)
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
        aside = work / f"{MANIFEST}.new"
        aside.write_text(json.dumps(manifest, indent=1, ensure_ascii=False), "utf-8")
        os.replace(aside, work / MANIFEST)
        os.replace(work, folder)

    def _remove(self, folder: Path) -> None:
        """Take a folder out of sight in one step, then delete it: no reader meets half of it."""
        aside = folder.with_name(f".removed-{os.getpid()}-{folder.name.rpartition('-')[2]}")
        os.replace(folder, aside)
        shutil.rmtree(aside)


def open_store(log: Callable[[str], None] = print) -> Store:
    """The user's own store, in the cache folder (DSP_CACHE)."""
    return Store(cache_dir() / "store", log)
