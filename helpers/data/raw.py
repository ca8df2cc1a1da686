"""Opening a data file: unpacked, decoded, and named for what it is where its name says something else."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from helpers.errors import UserError
from helpers.hashing import JUNK

FORMS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")
_PACKED = (".gz", ".zip", ".zst")
_LONGEST = 1 << 28  # bytes a line
_KINDS = (
    (b"\x1f\x8b", "gzip-compressed; name it {name}.gz"),
    (b"PK\x03\x04", "a zip archive or an office document; name it {name}.zip, or save it as CSV"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed; name it {name}.zst"),
    (b"version https://git-lfs", "a Git LFS pointer, not the data; run git lfs pull"),
    (b"\xff\xfe", "UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16; save it as UTF-8"),
    (b"<!doctype html", "a web page, not the data; fetch the file itself"),
    (b"<html", "a web page, not the data; fetch the file itself"),
)  # fmt: skip


def form(path: str | Path) -> str:
    """The data format a name ends in, '.zip' where that alone is said, or "" for none that is known.

    >>> form("Reviews.CSV.gz"), form("reviews.zip"), form("reviews.docx")
    ('.csv', '.zip', '')
    """
    return _taken_apart(path)[1]


def stem(path: str | Path) -> str:
    """The name of a file or folder without its known endings.

    >>> stem("texts/law.v2.jsonl.gz")
    'law.v2'
    """
    return _taken_apart(path)[0]


def _taken_apart(path: str | Path) -> tuple[str, str, str]:
    name, packed = Path(path).name, ""
    if name.lower().endswith(_PACKED):
        name, _, packed = name.rpartition(".")
    for ending in FORMS:
        if name.lower().endswith(ending) and name.lower() != ending:
            return name[: -len(ending)], ending, packed.lower()
    return name if packed else Path(path).name, ".zip" if packed.lower() == "zip" else "", packed.lower()


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked where its name ends in .gz, .zip (of one file) or .zst.

    Raises UserError for a file that cannot be read, is damaged, or is of another kind than its name says.
    """
    path = Path(path)
    try:
        with _unpacked(path) as file:
            head = file.peek(32)[:32].lower()
            for start, kind in _KINDS:
                if head.startswith(start.lower()):
                    raise UserError(f"{path}: this is {kind.format(name=path.name)}")
            if head.startswith(b"par1") and form(path) != ".parquet":
                raise UserError(f"{path}: this is Parquet; name it {stem(path)}.parquet")
            yield file
    except (gzip.BadGzipFile, EOFError, zlib.error, zipfile.BadZipFile) as error:
        kind = "zip" if path.suffix.lower() == ".zip" else "gzip"
        raise UserError(f"{path}: damaged {kind} file ({error}); fetch it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None


def members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files in a zip, without folders and what systems add by themselves."""
    return [one for one in archive.infolist() if not one.is_dir() and not JUNK.search(one.filename)]


def _unpacked(path: Path) -> io.BufferedReader:
    packed = _taken_apart(path)[2]
    if packed == "gz":
        return gzip.open(path, "rb")
    if packed == "zip":
        archive = zipfile.ZipFile(path)
        files = members(archive)
        if len(files) != 1:
            raise UserError(f"{path}: a zip of {len(files)} files; expected one, so unpack it and give the folder")
        try:
            return archive.open(files[0])
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed by a method Python has not
            raise UserError(f"{path}: cannot be unpacked ({error}); unpack it and give the file") from None
    if packed == "zst":
        try:
            import zstandard
        except ImportError:
            raise UserError(f"{path}: .zst needs the package zstandard; install it, or unpack the file") from None
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(open(path, "rb"), closefd=True))
    return open(path, "rb")


def lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """(row number from 1, line) of a text file in UTF-8, with or without a byte order mark."""
    row = 0
    with opened(path) as file:
        while line := file.readline(_LONGEST):
            row += 1
            if len(line) == _LONGEST:
                raise UserError(f"{path}, row {row}: over {_LONGEST >> 20} MB long; expected a document a line")
            try:
                yield row, line.decode("utf-8-sig" if row == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{path}, row {row}: not UTF-8 (byte 0x{line[error.start]:02x}, as in Windows-1252 or Latin-1); "
                    "convert the file: iconv -f cp1252 -t utf-8"
                ) from None
