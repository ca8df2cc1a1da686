"""Where things lie: the checkout, the outputs of runs, the user's cache."""

import os
import re
from pathlib import Path

from helpers.errors import UserError

MINI = Path(__file__).parent / "mini" / "weights"  # the bundled base model
A_MODEL = "give BASE_MODEL=mini, a local Hugging Face folder of a masked LM, or a hub name with network"


def expanded(place: str | Path) -> Path:
    """The path with ~ and ~name as the folders they mean; raises UserError for a user that this machine has not."""
    try:
        return Path(place).expanduser()
    except RuntimeError:
        raise UserError(f"{place}: there is no such user on this machine") from None


def project_root() -> Path:
    """The checkout this package runs from, or the working folder when it was installed as a wheel."""
    parent = Path(__file__).resolve().parent.parent
    return parent if (parent / "pyproject.toml").exists() else Path.cwd()


def outputs_root() -> Path:
    """Where runs that name no folder put theirs."""
    return project_root() / "outputs"


def outputs_dir(run: str, override: str = "") -> Path:
    """Folder of one run's results: `override` when given, else outputs/<run> in the checkout."""
    return expanded(override) if override else outputs_root() / run


def cache_dir() -> Path:
    """Folder for downloads and reusable artifacts: $DSP_CACHE, else the user's cache folder."""
    override = os.environ.get("DSP_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return expanded(override) if override else Path(base) / "dont-stop-pretraining"


def model_folder(name: str | Path, where: str) -> Path | None:
    """The folder of a model on this machine; None where `name` can only be one on the hub.

    where: how an error begins, "BASE_MODEL=x". Raises UserError for a folder without a model's config.json, and for
    what is neither a folder nor the form of a hub name, as roberta-base or allenai/cs_roberta_base.
    """
    folder = Path(os.path.expanduser(name))
    if os.path.isdir(folder):  # False for a name too long, where Path.is_dir raises
        if not (folder / "config.json").is_file():
            raise UserError(f"{where}: not readable, the folder holds no config.json of a masked LM; {A_MODEL}")
        return folder
    if not re.fullmatch(r"[\w-][\w.-]{0,95}(/[\w-][\w.-]{0,95})?", str(name), re.ASCII):
        raise UserError(f"{where}: not readable, there is no such folder, and no model of the hub has that name; "
                        f"{A_MODEL}")  # fmt: skip
    return None
