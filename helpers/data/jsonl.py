"""Reading and writing JSON Lines, gzipped or not, with errors that name the file and the row."""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from helpers.errors import UserError


def find(folder: Path, name: str) -> Path | None:
    """folder/name.jsonl or folder/name.jsonl.gz, whichever exists, else None."""
    for suffix in (".jsonl", ".jsonl.gz"):
        path = folder / (name + suffix)
        if path.is_file():
            return path
    return None


def read_rows(path: str | Path) -> Iterator[tuple[int, dict]]:
    """(row number from 1, object) of every line; blank lines are counted and passed over.

    Raises UserError for an unreadable file, malformed JSON or a line that is no object.
    """
    path = Path(path)
    loads = json.loads
    row = 0
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig") as lines:
            for row, line in enumerate(lines, 1):
                try:
                    value = loads(line)
                except ValueError as error:
                    if not line.strip():
                        continue
                    raise UserError(
                        f"{path}, row {row}: malformed JSON ({error}); expected one object a line"
                    ) from None
                if type(value) is not dict:
                    raise UserError(f"{path}, row {row}: expected a JSON object with a text, found {line[:40]!r}")
                yield row, value
    except UnicodeDecodeError:
        raise UserError(f"{path}, after row {row}: not UTF-8; convert the file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}, after row {row}: damaged gzip file ({error}); fetch it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None


def read_texts(path: str | Path) -> Iterator[str]:
    """The text of every row, one at a time; raises UserError for a missing or empty one."""
    for row, value in read_rows(path):
        yield _text(value, path, row)


def read_labelled(path: str | Path) -> pd.DataFrame:
    """A labelled file as a DataFrame with the columns text and label, both str, and nothing else.

    Whole numbers and true/false serve as labels by their JSON spelling. Raises UserError, with file and row,
    for a missing or empty text, a missing label, a label of another kind, and a file without rows.
    """
    texts, labels = [], []
    for row, value in read_rows(path):
        texts.append(_text(value, path, row))
        label = value.get("label")
        labels.append(label if type(label) is str and label.strip() else _label(value, path, row))
    if not texts:
        raise UserError(f"{path}: no rows; expected lines like {{'text': ..., 'label': ...}}")
    return pd.DataFrame({"text": texts, "label": labels}, dtype=object)


def write(path: str | Path, rows: Iterable[dict]) -> int:
    """Write rows as JSON Lines (gzipped when the name ends in .gz), aside first, and return their number.

    The bytes depend on the rows alone: no time stamp or file name goes into the gzip header.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    count = 0
    try:
        with open(aside, "wb") as raw:
            zipped = path.suffix == ".gz"
            out = gzip.GzipFile("", "wb", 6, raw, mtime=0) if zipped else raw
            for row in rows:
                out.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
                count += 1
            if zipped:
                out.close()
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return count


def _text(value: dict, path, row: int) -> str:
    text = value.get("text")
    if type(text) is str and text and not text.isspace():
        return text
    found = "missing" if "text" not in value else "empty" if isinstance(text, str) else "not a string"
    raise UserError(f"{path}, row {row}: text is {found}; give it a text or delete the line")


def _label(value: dict, path, row: int) -> str:
    label = value.get("label")
    if isinstance(label, int):  # bool is an int: true and false keep their JSON spelling
        return json.dumps(label)
    found = "missing" if label is None else "empty" if isinstance(label, str) else f"a {type(label).__name__}"
    raise UserError(f"{path}, row {row}: label is {found}; expected a string or a whole number")
