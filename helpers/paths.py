"""Where things lie: the checkout, the outputs of runs, the user's cache."""

import os
from pathlib import Path

MINI = Path(__file__).parent / "mini" / "weights"  # the bundled base model


def project_root() -> Path:
    """The checkout this package runs from, or the working folder when it was installed as a wheel."""
    parent = Path(__file__).resolve().parent.parent
    return parent if (parent / "pyproject.toml").exists() else Path.cwd()


def outputs_dir(run: str, override: str = "") -> Path:
    """Folder of one run's results: `override` when given, else outputs/<run> in the checkout."""
    return Path(override).expanduser() if override else project_root() / "outputs" / run


def cache_dir() -> Path:
    """Folder for downloads and reusable artifacts: $DSP_CACHE, else the user's cache folder."""
    override = os.environ.get("DSP_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(override).expanduser() if override else Path(base) / "dont-stop-pretraining"
