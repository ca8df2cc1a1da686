"""Names for content: canonical JSON, keys of recipes, fingerprints of texts, tables, files and folders."""

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from helpers.errors import UserError

MANIFEST = "manifest.json"  # of an artifact in the store; no part of its content
# What systems add to folders by themselves.
JUNK = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\.nfs[^/]*$)")

# Identity, size and times of a file -> SHA-256: within one process an unchanged file is read once.
_checksums: dict[tuple[int, ...], str] = {}


def key(recipe: Mapping) -> str:
    """24 hex digits that name `recipe`: equal content gives equal keys in any process on any machine.

    recipe: plain data (text, numbers, lists, mappings, dataclasses, NumPy scalars). Put in what is computed
    (settings, fingerprints of inputs, seed, version of the step), never device, workers or paths.
    Raises TypeError for values that have no canonical form.
    """
    return hashlib.sha256(canonical_json(plain(recipe)).encode()).hexdigest()[:24]


def plain(value):
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(part) for part in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return plain(value.item())
    raise TypeError(f"a recipe holds plain data, not {type(value).__name__} {value!r}")


def fingerprint(content) -> str:
    """24 hex digits of content: a file or folder (Path), a DataFrame, or an iterable of texts in their order.

    A folder counts by its files' names and bytes, its store manifest left out, so a copy of an artifact has
    the fingerprint of the original. A DataFrame counts by column names and values, not by its index.
    Raises UserError when a path does not exist, TypeError when an item is not text.
    """
    digest = hashlib.sha256()
    if isinstance(content, str | os.PathLike):
        _add_path(digest, Path(content))
    elif hasattr(content, "columns"):
        for column in content.columns:
            _add_texts(digest, [str(column)])
            _add_texts(digest, (repr(value) for value in content[column].tolist()))
    else:
        _add_texts(digest, content)
    return digest.hexdigest()[:24]


def _add_texts(digest, texts: Iterable[str]) -> None:
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"expected text, not {type(text).__name__}")
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    digest.update(b"\xff" * 8)  # ends a list: no text is that long


def _add_path(digest, path: Path) -> None:
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder")
    if path.is_file():
        digest.update(checksum(path).encode())
        return
    for file, name in files_of(path):
        if name != MANIFEST:
            _add_texts(digest, [name, checksum(file)])


def files_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file under `folder` with its relative name, in name order, but for what systems add by themselves."""
    for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()):
        if not JUNK.search(name):
            yield folder / name, name


def checksum(path: Path) -> str:
    status = path.stat()
    stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if stamp not in _checksums:
        with open(path, "rb") as file:
            _checksums[stamp] = hashlib.file_digest(file, "sha256").hexdigest()
    return _checksums[stamp]


def mix64(codes):
    """A fixed one-to-one scrambling of an array of 64-bit numbers (add, multiply, shift): equal on every machine."""
    codes = (codes + 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9  # wraps at 2**64, as arrays of uint64 do
    codes = (codes ^ (codes >> 29)) * 0x94D049BB133111EB
    return codes ^ (codes >> 32)


def canonical_json(value) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text.

    >>> canonical_json({"b": 1, "a": [2]})
    '{"a":[2],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
