"""The notebooks in order, by papermill: checked first, one process each, continued where it stopped.

outputs/<run>/notebooks/03_tapt.ipynb          executed; 03_tapt.failed.ipynb when it failed
outputs/<run>/logs/03_tapt.{log,json}          what it printed; how it ended, and from which sources
outputs/<run>/run.toml                         preset and parameters: dsp run --file
"""

import hashlib
import os
import shutil
import signal
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

from helpers import files, hashing, paths
from helpers.compute import versions
from helpers.config import DATA_FOLDERS, Config
from helpers.data import own_domains
from helpers.data.sources import data_root, in_data_root
from helpers.errors import UserError
from helpers.progress import Progress, duration
from helpers.run import notebooks
from helpers.run.description import write_run
from helpers.run.execution import Outcome, Step, short
from helpers.run.left import Left
from helpers.run.models import adapted_models
from helpers.study.disk import check_disk
from helpers.study.opening import spec_of

FIRST_DOCUMENTS = 10_000  # of a domain are looked at before a notebook starts: a second at most
LINE_EVERY = 60.0  # seconds between lines about a running notebook where the output is a file


def run_notebooks(
    names: Sequence[str] = (),
    preset: str = "demo",
    parameters: Mapping | None = None,
    *,
    force: bool = False,
    start: str = "",
    keep_going: bool = False,
    time_limit: float = 0.0,
    folder: Path | None = None,
    out=None,
) -> list[Outcome]:
    """Run notebooks in order and return how each ended.

    names: as in `notebooks.find`, none for all. parameters: checked before a kernel starts.
    A notebook is found rather than run when neither its source, its parameters, the helpers, the data nor
    the files it wrote have changed. force: run all of them anyway; start: run this one and all after it.
    The first failure ends the run unless keep_going. time_limit: minutes a notebook may take, 0 for any.
    folder: where the notebooks lie. out: where progress goes, standard output by default.
    Raises UserError for bad input, for a disk without room for what all the notebooks make, and when another process is
    at work on the same outputs.
    """
    chosen = notebooks.find(names, folder)
    first = notebooks.find([start], folder)[0] if start else None
    if first is not None and first not in chosen:
        raise UserError(f"--from {start}: {first.stem} is not among the notebooks to run")
    config, passed = notebooks.check(chosen, preset, parameters or {})
    if not names:  # what fewer notebooks take is not reckoned apart
        check_disk(config)
    run = paths.outputs_dir(config.preset, config.output_dir).absolute()
    common = _common_key(config)
    steps = [Step(path, run, passed[path], common) for path in chosen]
    brought = config.task_file or config.domain_file or data_root(config.data_dir)
    if brought and (force or start or not all(step.found() for step in steps)):
        _check_texts(config)
    out = out or sys.stdout
    outcomes: list[Outcome] = []
    forced = force
    whole = not names and folder is None  # what is reckoned is all six notebooks'
    busy = files.locked(run / ".lock", busy=_BUSY.format(short(run)), way_out=_WAY_OUT)
    with busy, _sigterm_interrupts(), closing(Left(run)) as left:
        with files.writing(run, _WAY_OUT):
            left.forget()
            write_run(run, config.preset, notebooks.given(config, parameters or {}))
        progress = Progress("notebooks", len(chosen), out, LINE_EVERY, left.seconds if whole else None)
        for path, step in zip(chosen, steps, strict=True):
            forced = forced or path == first
            ran = any(outcome.status == "done" for outcome in outcomes)
            again = forced or (step.gathers and ran)
            stopped = not keep_going and any(outcome.status in ("failed", "timed out") for outcome in outcomes)
            if stopped:
                outcomes.append(Outcome(path.stem, "not run"))
            elif not again and (found := step.found()):
                outcomes.append(found)
            else:
                with files.writing(run, _WAY_OUT):
                    if whole:
                        left.start()
                    outcomes.append(step.execute(progress, time_limit))
            _tell(progress, outcomes)
        progress.close()
        left.close()  # it writes there
        shutil.rmtree(run / ".scratch", ignore_errors=True)
        if any(outcome.status == "done" for outcome in outcomes):
            _renew_report(run, progress)
    _summary(outcomes, run, out)
    return outcomes


_BUSY = "{}: another dsp run is writing there; wait for it or give --output-dir"
_WAY_OUT = "make room or give another --output-dir"


def _tell(progress: Progress, outcomes: Sequence[Outcome]) -> None:
    """One line that stays about the notebook that came last."""
    last = outcomes[-1]
    progress.step(failed=last.status in ("failed", "timed out"), found=last.status == "found")
    if last.status != "not run":
        passed = "" if last.status == "found" else f" in {duration(last.seconds)}"
        progress.say(f"[{len(outcomes)}/{progress.total}] {last.name} {last.status}{passed}")


def _renew_report(run: Path, progress: Progress) -> None:
    """Write the report anew when there is one: the pages of notebooks that ended after it are linked then."""
    from helpers.run.report import write_report

    if (run / "report.html").exists():
        try:
            write_report(run)
        except UserError as error:
            progress.say(f"report.html is not renewed: {error}")


def _summary(outcomes: Sequence[Outcome], run: Path, out) -> None:
    """The table of the run and where its results are."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("notebook", "status", "time", "files", "message")
    for outcome in outcomes:
        spent = duration(outcome.seconds) if outcome.status != "not run" else ""
        written = str(len(outcome.files)) if outcome.files else ""
        table.add_row(outcome.name, outcome.status, spent, written, escape(outcome.message))
    Console(file=out).print(table)
    made, report = adapted_models(run), run / "report.html"
    where = " in the report" if report.exists() else ""
    for row in made.head(1).itertuples():
        others = f", and {len(made) - 1} more{where}" if len(made) > 1 else ""
        out.write(f"{row.model} on {row.adapted_to} is a model of its own: {row.folder}{others}\n")
    out.write(f"results in {short(report if report.exists() else run)}\n")


def problem(outcomes: Sequence[Outcome]) -> str:
    """One line on the first notebook that failed, or an empty string."""
    for outcome in outcomes:
        if outcome.status in ("failed", "timed out"):
            return f"{outcome.name} {outcome.status}: {outcome.message}"
    return ""


def _check_texts(config: Config) -> None:
    """Read the tasks that the user brought and the first documents of each such domain; UserError for what is amiss.

    What no notebook could read is so refused before one starts.
    """
    from helpers.study.plan import Plan

    plan = Plan(config)
    for name in plan.tasks:
        if spec_of(name, config).kind == "user" or in_data_root(config.data_dir, "tasks", name):
            plan.task(name)
    own = own_domains(config.domain_file)
    for name in plan.domains:
        if name in own or in_data_root(config.data_dir, "domains", name):
            deque(islice(plan.corpus(name), FIRST_DOCUMENTS), maxlen=0)


def _common_key(config: Config) -> dict:
    """What every notebook of a run depends on: the helpers, the data, the base model, the versions, a precision."""
    named = [config.task_file, config.base_model]
    for root in (config.data_dir, os.environ.get("DSP_DATA", "")):
        named += [os.path.join(root, part) for part in (*DATA_FOLDERS, "tasks.toml") if root]
    specs = [spec_of(task, config) for task in (*config.tasks, *config.selection_tasks)]
    specs += [spec_of(spec.partner, config) for spec in specs if spec.partner]  # read even where no task of the run
    named += [spec.folder for spec in specs]
    named += [domain.path for domain in own_domains(config.domain_file).values()]
    places = [paths.expanded(name) for name in named if name]
    return {
        "helpers": _content(Path(__file__).resolve().parent.parent),
        "data": {str(place.absolute()): _stamps(place) for place in places if place.exists()},
        "versions": versions(),
        "precision": os.environ.get("DSP_PRECISION", ""),
    }


def _content(package: Path) -> str:
    """Hash of a package's sources and bundled files."""
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(f"{file.relative_to(package).as_posix()}\0{hashing.fingerprint(file)}\0".encode())
    return digest.hexdigest()


def _stamps(place: Path, above: tuple[Path, ...] = ()) -> list:
    """Name, size and time of a file or of all files below a folder, which can be too large to read.

    above: the folders on the way here, links resolved; what leads back to one of them or higher is passed over.
    """
    if place.is_file():
        status = place.stat()
        return [[str(place), status.st_size, status.st_mtime_ns]]
    here = place.resolve()
    if any(folder.is_relative_to(here) for folder in above):
        return []
    try:
        inner = [path for path in sorted(place.iterdir()) if os.path.exists(path)]  # Path.exists raises in a closed one
    except PermissionError:
        return []
    return [stamp for path in inner for stamp in _stamps(path, (*above, here))]


@contextmanager
def _sigterm_interrupts():
    """SIGTERM ends the run as Ctrl-C does: the notebook and its kernel with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number, frame):
        raise SystemExit(128 + number)

    earlier = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
