"""A zip of several files, read as the folder it was made of: looked at first, then unpacked into a temporary folder."""

import functools
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from helpers.data.raw import form, members
from helpers.errors import UserError

_RATIO = 200  # of what is in it to its size; text packs to a tenth, the same line again and again to a hundredth
_SMALL = 1 << 27  # bytes that are unpacked whatever the ratio
_MOST = 1_000_000  # files
_kept: list[TemporaryDirectory] = []  # each goes with the process


def laid_out(path: str | Path) -> Path:
    """What is to be read where a zip may stand: its file, or the folder of its files, in a temporary folder.

    A zip of one file whose name says what is in it, such as rows.csv.zip, is read as it is, and so is what is no zip:
    the path comes back. A zip that holds one folder stands for that folder. Raises UserError for a zip that is
    damaged, encrypted, empty, holds another zip, or would write outside its folder, make a link or fill the disk.
    """
    path = Path(path)
    if path.suffix.lower() != ".zip" or not path.is_file():
        return path
    try:
        seen = path.stat()
        return _laid_out(path, seen.st_mtime_ns, seen.st_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path}: damaged zip file, or packed in an unknown way ({error}); zip it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be unpacked ({error.strerror or error})") from None


@functools.lru_cache(maxsize=64)
def _laid_out(path: Path, _written: int, size: int) -> Path:
    with zipfile.ZipFile(path) as archive:
        files = members(archive)
        if len(files) == 1 and form(path) != ".zip":
            return path
        _check(path, files, size)
        _kept.append(TemporaryDirectory(prefix="dsp-"))
        folder = Path(_kept[-1].name) / path.name
        if sum(one.file_size for one in files) > shutil.disk_usage(_kept[-1].name).free:
            raise UserError(f"{path}: what is in it is larger than the room left in {folder.parent.parent}")
        for one in files:
            archive.extract(one, folder)
    while len(found := list(folder.iterdir())) == 1:
        folder = found[0]
        if folder.is_file():
            break
    return folder


def _check(path: Path, files: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse a zip before anything of it is written."""
    if not files:
        raise UserError(f"{path}: an empty zip; expected files with texts")
    total = sum(one.file_size for one in files)
    if len(files) > _MOST or (total > _SMALL and total > _RATIO * size):
        raise UserError(f"{path}: {len(files):,} files of {total / 1e6:,.0f} MB in a zip of {size / 1e6:,.1f} MB; "
                        "not unpacked, it could fill the disk")  # fmt: skip
    names = set()
    for one in files:
        name = one.filename
        parts = re.split(r"[/\\]", one.orig_filename)
        kind = stat.S_IFMT(one.external_attr >> 16)
        said = f"{path}: {name[:80]!r} in it"
        if parts[0] == "" or ".." in parts or ":" in parts[0]:
            raise UserError(f"{said} would be written outside the folder; not unpacked, zip the files anew")
        if kind not in (0, stat.S_IFREG):
            raise UserError(f"{said} is a link or no ordinary file; not unpacked, zip the files themselves")
        if one.flag_bits & 1:
            raise UserError(f"{said} is encrypted; unpack it and give the folder")
        if PurePosixPath(name).suffix.lower() == ".zip":
            raise UserError(f"{said} is a zip itself; unpack it and give the folder")
        if name in names:
            raise UserError(f"{said} is there twice; zip the files anew")
        names.add(name)
