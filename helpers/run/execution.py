"""One notebook of one run: executed in a process of its own, or found because nothing it depends on has changed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from helpers import files, hashing
from helpers.compute import git_commit, versions
from helpers.progress import LINE, Progress, duration, printable
from helpers.run import notebooks

OWN = ("notebooks", "logs", ".scratch")  # the runner's own folders in a run


@dataclass
class Outcome:
    """How a notebook ended. status: done, found (nothing had changed), failed, timed out or not run.

    cell: the number in brackets of the cell that failed.
    """

    name: str
    status: str
    seconds: float = 0.0
    message: str = ""
    key: str = ""
    files: tuple[str, ...] = ()
    cell: int | None = None


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
        read = [file for part in ("tables", "records") for file in (self.run / part).rglob("*") if file.is_file()]
        names = {file.relative_to(self.run).as_posix(): file for file in read}
        return {name: hashing.fingerprint(file) for name, file in sorted(names.items()) if name not in own_files}

    def _content(self, written: Sequence[str]) -> dict:
        """Fingerprints of the tables and figures among the files it wrote; of the others, that they are there."""
        found = {}
        for name in written:
            file = self.run / name
            shown = name.startswith(("tables/", "figures/"))
            found[name] = file.exists() and (not shown or hashing.fingerprint(file))
        return found

    def _as_written(self, written: Sequence[str]) -> bool:
        """Whether each of these files is as a notebook of this run left it: the report writes some tables anew."""
        known = []
        for state in self.state.parent.glob("*.json"):
            try:
                known.append(files.read_json(state)["content"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
        now = self._content(written)
        return all(now[name] and any(one.get(name) == now[name] for one in known) for name in written)

    def found(self) -> Outcome | None:
        """The earlier outcome, if the notebook ended well then and running it again would change nothing."""
        try:
            earlier = files.read_json(self.state)
            written = earlier["files"]
            whole = earlier["status"] == "done" and self.executed.exists()
            if whole and earlier["key"] == self.key(written) and self._as_written(written):
                return Outcome(self.name, "found", earlier["seconds"], "", earlier["key"], tuple(written))
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def execute(self, progress: Progress, time_limit: float) -> Outcome:
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
                status = self._watch(process, progress, start, time_limit)
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
            outcome.message, outcome.cell = self._why(status, result, time_limit)
            if output.exists():
                os.replace(output, failed)
        more = {"parameters": self.parameters, "content": self._content(outcome.files),
                "commit": git_commit(), "versions": versions()}  # fmt: skip
        files.write_json(self.state, asdict(outcome) | more)
        return outcome

    def _watch(self, process: subprocess.Popen, progress: Progress, start: float, time_limit: float) -> int | None:
        """Exit status of the step, None when its time ran out."""
        while True:
            try:
                return process.wait(timeout=0.25)
            except subprocess.TimeoutExpired:
                passed = time.monotonic() - start
                if time_limit and passed > 60 * time_limit:
                    _end(process)
                    return None
                progress.tick(": ".join(filter(None, [f"{self.name} {duration(passed)}", last_line(self.log)])))

    def _why(self, status: int | None, result: Path, time_limit: float) -> tuple[str, int | None]:
        log = short(self.log)
        if status is None:
            return f"stopped after the time limit of {duration(60 * time_limit)}; log in {log}", None
        try:
            error = json.loads(result.read_text("utf-8"))
        except (OSError, ValueError):
            return f"its process ended with status {status}; log in {log}", None
        lines = [printable(line) for line in str(error["message"]).strip().splitlines()] or ["no message"]
        if error["error"] == "UserError":
            return f"{' '.join(lines)} (log in {log})", error["cell"]
        what = lines[0] if error["error"] == "kernel" else f"{error['error']}: {lines[0]}"
        return f"{what} (log in {log})", error["cell"]

    def _snapshot(self) -> dict[str, tuple]:
        """Files of the run that are not the runner's own, with size and time."""
        found = {}
        for file in self.run.rglob("*"):
            name = file.relative_to(self.run)
            if name.parts[0] not in OWN and name.name != ".lock" and file.is_file():
                status = file.stat()
                found[name.as_posix()] = (status.st_size, status.st_mtime_ns, status.st_ino)
        return found


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
        "PYTHONIOENCODING": "utf-8",
        # tqdm asks for ipywidgets in a kernel and warns in red where there are none; a line of text is what is wanted
        "PYTHONWARNINGS": ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), "ignore:IProgress not found"])),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # of transformers too
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


def short(path: Path) -> str:
    """The path as seen from the working folder when it lies in it."""
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def last_line(log: Path) -> str:
    """The last line of progress in a notebook's log, '' where there is none: never an echo of what else it printed."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - 4000))
            lines = file.read().decode("utf-8", "replace").replace("\r", "\n").splitlines()
    except OSError:
        return ""
    return next((line[:150] for line in map(printable, reversed(lines)) if LINE.match(line)), "")
