"""Where the minutes of a run went, told from what it left: manifests in the store, executed notebooks."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import nbformat
import pandas as pd

from benchmarks.common import row
from helpers import compute, files
from helpers.config import Config
from helpers.errors import UserError
from helpers.study import Study
from helpers.study.outlook import every_step

WORK = {  # what it is called -> the kinds of artifact it makes
    "data": ("held", "task_text", "domain", "overlap", "audit"),
    "adaptation": ("model",),
    "held-out loss": ("losses",),
    "fine-tuning": ("record",),
    "read-outs": ("vectors", "read_outs"),
    "selection": ("pool", "vampire", "selection", "quality"),
}


def minutes(run: Path) -> Iterator[dict]:
    """Minutes of each kind of work of a run whose store is at hand ($DSP_CACHE), and of its notebooks besides.

    Jobs ran a process a core, so their minutes are divided by the cores, those of this machine where WORKERS is 0.
    Notebooks: their time less that of the artifacts made while they ran. Raises UserError where there is no run.
    """
    if not (run / "config.json").is_file():
        raise UserError(f"{run}: no config.json there; expected the folder of a run, like outputs/demo")
    study = Study(Config.model_validate(files.read_json(run / "config.json")))
    workers = study.config.workers or compute.cores()
    made, steps = _artifacts(study), len(every_step(study))
    for work, kinds in WORK.items():
        own = made[made.kind.isin(kinds)]
        yield row(f"{work}: {len(own)} made", "min", own.seconds.sum() / workers / 60, None, f"on {workers} cores")
    spent = [_notebook(path, made, workers) for path in sorted(run.glob("notebooks/[0-9][0-9]_*.ipynb"))]
    yield row(f"notebooks: {len(spent)} run", "min", sum(spent) / 60, None, "what they made apart")
    total = made.seconds.sum() / workers + sum(spent)
    yield row(f"whole run, {len(made)} of {steps} artifacts found", "min", total / 60, None, f"on {workers} cores")


def _artifacts(study: Study) -> pd.DataFrame:
    """kind, seconds and ended of the run's artifacts that are in the store."""
    rows = []
    for step in every_step(study):
        try:
            known = study.store.manifest(study.store.folder(step.kind, step.key))
        except FileNotFoundError:
            continue
        rows.append((step.kind, known["seconds"], datetime.fromisoformat(known["created"])))
    return pd.DataFrame(rows, columns=["kind", "seconds", "ended"])


def _notebook(path: Path, made: pd.DataFrame, workers: int) -> float:
    """Seconds of an executed notebook in which no artifact was made."""
    ran = nbformat.read(path, as_version=4).metadata.papermill
    began, ended = (datetime.fromisoformat(ran[name]) for name in ("start_time", "end_time"))
    inside = made[(made.ended >= began) & (made.ended <= ended)]
    return max(0.0, ran.duration - inside.seconds.sum() / workers)
