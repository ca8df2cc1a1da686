"""The notebooks in order, by papermill: checked first, one process each, continued where it stopped.

outputs/<run>/notebooks/03_tapt.ipynb          executed; 03_tapt.failed.ipynb when it failed
outputs/<run>/logs/03_tapt.{log,json}          what it printed; how it ended, and from which sources
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from helpers import hashing, paths
from helpers.compute import versions
from helpers.config import Config, make_config
from helpers.errors import UserError
from helpers.jobs import duration
from helpers.run import notebooks

LINE_EVERY = 60.0  # seconds between lines about a running notebook where the output is a file
_OWN = ("notebooks", "logs", ".scratch")  # the runner's own folders in a run


@dataclass
class Outcome:
    """How a notebook ended. status: done, found (nothing had changed), failed, timed out or not run."""

    name: str
    status: str
    seconds: float = 0.0
    message: str = ""
    key: str = ""
    files: tuple[str, ...] = ()


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
    Raises UserError for bad input and when another process is at work on the same outputs.
    """
    make_config(preset, parameters)
    chosen = notebooks.find(names, folder)
    first = notebooks.find([start], folder)[0] if start else None
    if first is not None and first not in chosen:
        raise UserError(f"--from {start}: {first.stem} is not among the notebooks to run")
    config, passed = notebooks.check(chosen, preset, parameters or {})
    run = paths.outputs_dir(config.preset, config.output_dir).absolute()
    display = Display(len(chosen), out or sys.stdout)
    outcomes: list[Outcome] = []
    forced = force
    with _lock(run), _sigterm_interrupts():
        common = _common_key(config)
        for path in chosen:
            forced = forced or path == first
            step = Step(path, run, passed[path], common)
            ran = any(outcome.status == "done" for outcome in outcomes)
            again = forced or (step.gathers and ran)
            stopped = not keep_going and any(outcome.status in ("failed", "timed out") for outcome in outcomes)
            if stopped:
                outcomes.append(Outcome(path.stem, "not run"))
            elif not again and (found := step.found()):
                outcomes.append(found)
            else:
                outcomes.append(step.execute(display, time_limit))
            display.ended(outcomes[-1])
        shutil.rmtree(run / ".scratch", ignore_errors=True)
    display.summary(outcomes, run)
    return outcomes


def problem(outcomes: Sequence[Outcome]) -> str:
    """One line on the first notebook that failed, or an empty string."""
    for outcome in outcomes:
        if outcome.status in ("failed", "timed out"):
            return f"{outcome.name} {outcome.status}: {outcome.message}"
    return ""


class Step:
    """One notebook of one run."""

    def __init__(self, notebook: Path, run: Path, parameters: dict, common: dict):
        self.notebook, self.run, self.parameters, self.common = notebook, run, parameters, common
        self.name = notebook.stem
        self.gathers = self.name.endswith("_report")  # reads what the others wrote
        self.executed = run / "notebooks" / f"{self.name}.ipynb"
        self.log = run / "logs" / f"{self.name}.log"
        self.state = run / "logs" / f"{self.name}.json"

    def key(self, own_files: Sequence[str]) -> str:
        """Hash of all that the notebook's result depends on."""
        recipe = {
            **self.common,
            "source": notebooks.source_hash(notebooks.read(self.notebook)),
            "parameters": self.parameters,
            "gathered": self._gathered(own_files) if self.gathers else None,
        }
        return hashing.key(recipe)

    def _gathered(self, own_files: Sequence[str]) -> dict:
        files = [file for part in ("tables", "records") for file in (self.run / part).rglob("*") if file.is_file()]
        names = {file.relative_to(self.run).as_posix(): file for file in files}
        return {name: hashing.fingerprint(file) for name, file in sorted(names.items()) if name not in own_files}

    def found(self) -> Outcome | None:
        """The earlier outcome, if the notebook ended well then and running it again would change nothing."""
        try:
            earlier = json.loads(self.state.read_text("utf-8"))
            files = earlier["files"]
            whole = earlier["status"] == "done" and self.executed.exists()
            if whole and earlier["key"] == self.key(files) and all((self.run / name).exists() for name in files):
                return Outcome(self.name, "found", earlier["seconds"], "", earlier["key"], tuple(files))
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def execute(self, display: "Display", time_limit: float) -> Outcome:
        """Run the notebook now."""
        scratch = self.run / ".scratch"
        for folder in (scratch, self.executed.parent, self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.state.unlink(missing_ok=True)
        before = self._snapshot()
        output, result = scratch / f"{self.name}.ipynb", scratch / f"{self.name}.result.json"
        result.unlink(missing_ok=True)
        request = scratch / f"{self.name}.request.json"
        wanted = {"notebook": self.notebook, "output": output, "result": result, "parameters": self.parameters}
        request.write_text(json.dumps(wanted, default=str), "utf-8")
        start = time.monotonic()
        with open(self.log, "w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "helpers.run.step", str(request)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=_environment(scratch), start_new_session=True,
            )  # fmt: skip
            try:
                status = self._watch(process, display, start, time_limit)
            except BaseException:
                _end(process)
                raise
        outcome = Outcome(self.name, "done", round(time.monotonic() - start, 2))
        failed = self.executed.with_suffix(".failed.ipynb")
        if status == 0:
            os.replace(output, self.executed)
            failed.unlink(missing_ok=True)
            after = self._snapshot()
            outcome.files = tuple(name for name in sorted(after) if after[name] != before.get(name))
            outcome.key = self.key(outcome.files)
        else:
            outcome.status = "timed out" if status is None else "failed"
            outcome.message = self._why(status, result, time_limit)
            if output.exists():
                os.replace(output, failed)
        aside = scratch / f"{self.name}.state.json"
        aside.write_text(json.dumps(asdict(outcome) | {"parameters": self.parameters}, indent=1), "utf-8")
        os.replace(aside, self.state)
        return outcome

    def _watch(self, process: subprocess.Popen, display: "Display", start: float, time_limit: float) -> int | None:
        """Exit status of the step, None when its time ran out."""
        while True:
            try:
                return process.wait(timeout=0.25)
            except subprocess.TimeoutExpired:
                passed = time.monotonic() - start
                if time_limit and passed > 60 * time_limit:
                    _end(process)
                    return None
                display.running(self.name, passed, self.log)

    def _why(self, status: int | None, result: Path, time_limit: float) -> str:
        log = _short(self.log)
        if status is None:
            return f"stopped after the time limit of {duration(60 * time_limit)}; log in {log}"
        try:
            error = json.loads(result.read_text("utf-8"))
        except (OSError, ValueError):
            return f"its process ended with status {status}; log in {log}"
        lines = str(error["message"]).strip().splitlines() or ["no message"]
        if error["error"] == "UserError":
            return f"{' '.join(lines)} (log in {log})"
        what = lines[0] if error["error"] == "kernel" else f"{error['error']}: {lines[0]}"
        return f"{what} (log in {log})"

    def _snapshot(self) -> dict[str, tuple]:
        """Files of the run that are not the runner's own, with size and time."""
        found = {}
        for file in self.run.rglob("*"):
            name = file.relative_to(self.run)
            if name.parts[0] not in _OWN and name.name != ".lock" and file.is_file():
                status = file.stat()
                found[name.as_posix()] = (status.st_size, status.st_mtime_ns, status.st_ino)
        return found


def _common_key(config: Config) -> dict:
    """What every notebook of a run depends on: the helpers, the data, the base model, the versions."""
    named = [config.data_dir, config.task_file, config.domain_file, config.base_model, os.environ.get("DSP_DATA", "")]
    roots = [Path(name).expanduser() for name in named if name]
    return {
        "helpers": _content(Path(__file__).resolve().parent.parent),
        "data": {str(root.absolute()): _stamps(root) for root in roots if root.exists()},
        "versions": versions(),
    }


def _content(package: Path) -> str:
    """Hash of a package's sources and bundled files."""
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(f"{file.relative_to(package).as_posix()}\0{hashing.fingerprint(file)}\0".encode())
    return digest.hexdigest()


def _stamps(root: Path) -> list:
    """Name, size and time of a file or of the files in a folder: data roots can be too large to read."""
    files = [root] if root.is_file() else sorted(file for file in root.rglob("*") if file.is_file())
    return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def _environment(scratch: Path) -> dict[str, str]:
    """The step's environment: kernel 'python3' is this interpreter, and it imports these helpers."""
    kernel = scratch / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec), "utf-8")
    package = str(Path(__file__).resolve().parent.parent.parent)
    found = {name: os.environ[name] for name in ("JUPYTER_PATH", "PYTHONPATH") if os.environ.get(name)}
    return {
        **os.environ,
        "JUPYTER_PATH": os.pathsep.join(filter(None, [str(scratch / "jupyter"), found.get("JUPYTER_PATH")])),
        "PYTHONPATH": os.pathsep.join(filter(None, [package, found.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": os.environ.get("MPLBACKEND", "module://matplotlib_inline.backend_inline"),
    }


def _end(process: subprocess.Popen) -> None:
    """End a step with its kernel and the kernel's workers, which live in sessions of their own."""
    import psutil

    try:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(family, timeout=5)
    for member in alive:
        member.kill()
    process.wait()


@contextmanager
def _lock(run: Path):
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = FileLock(run / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{_short(run)}: another dsp run is writing there; wait for it or give --output-dir") from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{run}: cannot write results there ({reason}); give another --output-dir") from None
    try:
        yield
    finally:
        lock.release()


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


def _short(path: Path) -> str:
    """The path as seen from the working folder when it lies in it."""
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


class Display:
    """One line about the running notebook, one line for each that ended, a table at the end."""

    def __init__(self, total: int, out):
        self.total, self.out, self.number = total, out, 0
        self.live = out.isatty() if hasattr(out, "isatty") else False
        self.shown = -LINE_EVERY

    def running(self, name: str, seconds: float, log: Path) -> None:
        """Show the running notebook with the last line it printed."""
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            text = f"[{self.number + 1}/{self.total}] {name} {duration(seconds)} {last_line(log)}"[:width]
            self.out.write(f"\r{text:<{width}}")
        elif time.monotonic() - self.shown >= LINE_EVERY:
            self.shown = time.monotonic()
            self.out.write(f"[{self.number + 1}/{self.total}] {name} {duration(seconds)} {last_line(log)}\n")
        self.out.flush()

    def ended(self, outcome: Outcome) -> None:
        """Show how a notebook ended."""
        self.number += 1
        self.shown = -LINE_EVERY
        clear = "\r\033[K" if self.live else ""
        if outcome.status != "not run":
            passed = "" if outcome.status == "found" else f" in {duration(outcome.seconds)}"
            self.out.write(f"{clear}[{self.number}/{self.total}] {outcome.name} {outcome.status}{passed}\n")
            self.out.flush()

    def summary(self, outcomes: Sequence[Outcome], run: Path) -> None:
        """Show the table of the run and where its results are."""
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table("notebook", "status", "time", "files", "message")
        for outcome in outcomes:
            spent = duration(outcome.seconds) if outcome.status != "not run" else ""
            files = str(len(outcome.files)) if outcome.files else ""
            table.add_row(outcome.name, outcome.status, spent, files, escape(outcome.message))
        Console(file=self.out).print(table)
        report = run / "report.html"
        self.out.write(f"results in {_short(report if report.exists() else run)}\n")


def last_line(log: Path) -> str:
    """The last line a notebook printed, papermill's own lines left out."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - 4000))
            lines = file.read().decode("utf-8", "replace").replace("\r", "\n").splitlines()
    except OSError:
        return ""
    own = ("Executing Cell", "Ending Cell", "Input Notebook", "Output Notebook", "Executing notebook")
    for line in reversed(lines):
        if line.strip() and not line.startswith(own):
            return line.strip()[:150]
    return ""
