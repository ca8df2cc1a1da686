"""Files written whole or not at all, JSON, locks; a disk that cannot be written is said in one line."""

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from helpers.errors import UserError

_UNWRITABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR,
    errno.ENAMETOOLONG, errno.EFBIG, errno.EIO,
}  # fmt: skip

_NEW = ".new-"  # begins the name of a file that is not whole yet


@contextmanager
def aside(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed to it when the block ends well, removed when it does not.

    path: the file to make; its folder is made too. A reader meets the old file or the new one, never half of one.

    >>> with aside(tmp / "numbers.txt") as new:
    ...     _ = new.write_text("1 2 3", encoding="utf-8")
    >>> (tmp / "numbers.txt").read_text(encoding="utf-8")
    '1 2 3'
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{_NEW}{path.name[:40]}.", suffix=path.suffix)
        os.close(handle)
        new = Path(name)
        try:
            yield new
            new.chmod(0o666 & ~_umask())  # here, since some libraries write a file of their own over it
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise


def clear(folder: str | Path) -> None:
    """Remove what killed `aside` calls left below `folder`, where no other process may be writing.

    >>> (tmp / "run").mkdir()
    >>> (tmp / "run" / ".new-numbers.txt.ab12cd34.txt").touch()
    >>> clear(tmp)
    >>> list((tmp / "run").iterdir())
    []
    """
    for file in Path(folder).rglob(f"{_NEW}*"):
        file.unlink()


class Busy(UserError):
    """Another process holds the lock."""


@contextmanager
def locked(path: str | Path, *, busy: str = "", waiting: Callable[[], None] | None = None, way_out: str = ""):
    """Hold the lock file `path` while the block runs; it is freed when this process ends, however it ends.

    busy: raise Busy with this line when another process holds it; empty: wait. waiting: called before a wait of
    more than half a second. way_out: what to do when the folder cannot be written, see `writing`.
    """
    path = Path(path)
    lock = FileLock(path)
    with writing(path.parent, way_out):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0 if busy else 0.5)
        except Timeout:
            if busy:
                raise Busy(busy) from None
            if waiting:
                waiting()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing(place: str | Path, way_out: str = ""):
    """Turn a full disk or a folder that cannot be written, met inside the block, into a UserError about `place`.

    way_out: what to do about it. An error about a file elsewhere is passed on as it is.
    """
    try:
        yield
    except Exception as error:
        # safetensors has an error of its own for a full disk, with the system's words in it
        full = os.strerror(errno.ENOSPC) in str(error)
        if not full and not (isinstance(error, OSError) and error.errno in _UNWRITABLE and _about(error, place)):
            raise
        reason = os.strerror(errno.ENOSPC) if full else error.strerror
        way_out = way_out or "make room or choose another folder"
        raise UserError(f"{place}: cannot be written ({reason}); {way_out}") from None


def _about(error: OSError, place: str | Path) -> bool:
    if not isinstance(error.filename, str | os.PathLike):
        return True
    place, named = Path(place).absolute(), Path(error.filename).absolute()
    return place.parent in (named, *named.parents) or named in place.parents


def _umask() -> int:
    # the mask can only be read by setting it
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> Path:
    """Write `text` as UTF-8, whole or not at all; returns the path."""
    with aside(path) as new:
        new.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value) -> Path:
    """Write plain data as JSON, whole or not at all; returns the path."""
    return write_text(path, as_json(value))


def as_json(value) -> str:
    """Plain data as JSON, indented, with a line's end."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


# Columns that hold names: a task may be called 2019 or NA.
NAMES = (
    "task", "domain", "method", "corpus", "a", "b", "model", "sample", "claim", "recipe", "selector", "partner",
    "partner_domain", "against", "base_model", "preset",
)  # fmt: skip


def read_table(path: Path):
    """A CSV of ours as a DataFrame: nothing but an empty cell is missing, and a column of names is text."""
    import pandas as pd

    return pd.read_csv(path, dtype=dict.fromkeys(NAMES, "str"), keep_default_na=False, na_values=[""])


def read_json(path: str | Path):
    """The plain data of a JSON file. Raises OSError or ValueError for one that is not to be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply") from None
