"""Files written whole or not at all, and JSON."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=path.suffix)
    os.close(handle)
    new = Path(name)
    try:
        yield new
        new.chmod(0o666 & ~_umask())  # here, since some libraries write a file of their own over it
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


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
    return write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: str | Path):
    """The plain data of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
