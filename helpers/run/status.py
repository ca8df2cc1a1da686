"""What of a run is done, running or failed, read from its logs."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from helpers import files
from helpers.errors import UserError
from helpers.progress import duration
from helpers.run import notebooks
from helpers.run.execution import last_line


def status(run: Path | str, folder: Path | None = None) -> pd.DataFrame:
    """One row a notebook: notebook, status, time, message. Writes nothing but the run's lock.

    run: the folder of a run. folder: where the notebooks lie. status: done, failed, timed out, running, stopped
    (its run ended before it did) or not run. message: the last error with its cell, or the last line it printed.
    Raises UserError when there is no such run.
    """
    run = Path(run)
    if not run.is_dir():
        raise UserError(f"{run}: there is no such run; dsp run --preset demo makes outputs/demo")
    found = rows(run, [path.stem for path in notebooks.find([], folder)])
    return pd.DataFrame(found, columns=["notebook", "status", "time", "message"])


def rows(run: Path, names: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """(notebook, status, time, message) of each notebook of a run, see `status`."""
    going = _going(run)
    begun = [name for name in names if _log(run, name).exists() and not _state(run, name).exists()]
    # an interrupted notebook's log stays until its turn comes again
    at_work = max(begun, key=lambda name: _log(run, name).stat().st_mtime_ns) if going and begun else ""
    return [_row(name, run, name == at_work) for name in names]


def _log(run: Path, name: str) -> Path:
    return run / "logs" / f"{name}.log"


def _state(run: Path, name: str) -> Path:
    return run / "logs" / f"{name}.json"


def _row(name: str, run: Path, going: bool) -> tuple[str, str, str, str]:
    log, state = _log(run, name), _state(run, name)
    if state.exists():
        try:
            ended = files.read_json(state)
            where = f"cell {ended['cell']}: " if ended.get("cell") else ""
            return name, ended["status"], duration(ended["seconds"]), where + ended["message"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return name, "unknown", "", f"{state} is damaged; the next dsp run writes it anew"
    if log.exists():
        return name, "running" if going else "stopped", "", last_line(log)
    return name, "not run", "", ""


def _going(run: Path) -> bool:
    """Whether a process is at work on the run."""
    if not (run / ".lock").exists():
        return False
    try:
        with files.locked(run / ".lock", busy="running"):
            return False
    except files.Busy:
        return True
