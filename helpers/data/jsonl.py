"""Reading and writing JSON Lines, packed or not, with errors that name the file and the row."""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from helpers.data.raw import lines
from helpers.errors import UserError
from helpers.files import aside


def read_rows(path: str | Path) -> Iterator[tuple[int, dict]]:
    """(row number from 1, object) of every line; blank lines are counted and passed over.

    Raises UserError for an unreadable file, malformed JSON or a line that is no object.
    """
    for row, line in lines(path):
        try:
            value = json.loads(line)
        except RecursionError:
            raise UserError(f"{path}, row {row}: nested too deeply; expected an object with a text") from None
        except ValueError as error:
            if not line.strip():
                continue
            array = row == 1 and line.lstrip().startswith("[")
            hint = "this looks like a JSON array: name it .json" if array else "expected one object a line"
            raise UserError(f"{path}, row {row}: malformed JSON ({error}); {hint}") from None
        if type(value) is not dict:
            raise UserError(f"{path}, row {row}: expected a JSON object with a text, found {line[:40]!r}")
        yield row, value


def write(path: str | Path, rows: Iterable[dict]) -> int:
    """Write rows as JSON Lines (gzipped when the name ends in .gz), aside first, and return their number.

    The bytes depend on the rows alone: no time stamp or file name goes into the gzip header.
    """
    count = 0
    with aside(path) as new, open(new, "wb") as raw:
        zipped = Path(path).suffix == ".gz"
        out = gzip.GzipFile("", "wb", 6, raw, mtime=0) if zipped else raw
        for row in rows:
            out.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
            count += 1
        if zipped:
            out.close()
    return count
