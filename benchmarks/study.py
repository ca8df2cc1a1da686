"""What the runner adds to papermill, and where a run's time goes.

    python -m benchmarks.study --json FILE [--case runner]
    python -m benchmarks.study --run outputs/demo     # where the minutes of that run went

The runner: six notebooks that only wait, so that nothing but the running of notebooks is measured. Then what the
notebooks of the study import, and preset smoke: first, with nothing changed, and into a new folder from the store.
"""

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import nbformat

from benchmarks.common import REPEATS, main, row, timed
from benchmarks.minutes import minutes
from helpers.run import run_notebooks
from helpers.run.notebooks import find

NAMES = ("01_one", "02_two", "03_three", "04_four", "05_five", "06_six")
PARAMETERS = 'PRESET = "smoke"  # preset\nOUTPUT_DIR = ""  # results'


def write_notebooks(folder: Path) -> None:
    """Six notebooks of three cells, each a tenth of a second of work."""
    for name in NAMES:
        cells = [nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
        cells += [nbformat.v4.new_code_cell("import time\ntime.sleep(0.1)") for _ in range(3)]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, folder / f"{name}.ipynb")


def ours(folder: Path, output: Path) -> float:
    """Seconds of our runner."""
    start = time.perf_counter()
    outcomes = run_notebooks((), "smoke", {"OUTPUT_DIR": str(output)}, folder=folder, out=io.StringIO())
    assert all(outcome.status in ("done", "found") for outcome in outcomes)
    return time.perf_counter() - start


def papermill_loop(folder: Path, output: Path) -> float:
    """Seconds of a shell loop over `papermill IN OUT`."""
    output.mkdir(exist_ok=True)
    start = time.perf_counter()
    for name in NAMES:
        command = [sys.executable, "-m", "papermill", folder / f"{name}.ipynb", output / f"{name}.ipynb"]
        subprocess.run([*command, "-p", "PRESET", "smoke", "--no-progress-bar"], check=True, capture_output=True)
    return time.perf_counter() - start


def parts(size: str):
    repeats = 1 if size == "small" else REPEATS
    yield "runner", partial(runner, repeats)
    yield "imports", partial(imports, repeats)
    if size == "full":
        yield "smoke", smoke


def runner(repeats: int):
    """The first run, and a second with nothing changed, beside the loop; medians over turns after one that warms up."""
    seconds: dict[str, list[float]] = {"first": [], "second": [], "papermill": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "notebooks"
        folder.mkdir()
        write_notebooks(folder)
        for turn in range(repeats + 1):
            output = Path(scratch) / f"ours-{turn}"
            measured = {"first": ours(folder, output), "second": ours(folder, output)}
            measured["papermill"] = papermill_loop(folder, Path(scratch) / f"papermill-{turn}")
            for name, value in measured.items():
                if turn:
                    seconds[name].append(value)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    for case, name in (("six notebooks, first run", "first"), ("six notebooks, nothing changed", "second")):
        yield row(case, "s", median[name], median["papermill"], "papermill in a loop")


def imports(repeats: int):
    """Seconds from a new process to the end of each notebook's first cell, which imports and says the versions."""
    for path in find([]):
        cells = nbformat.read(path, as_version=4).cells
        first = next(cell.source for cell in cells if cell.cell_type == "code")
        first += "\nimport os\nos._exit(0)"  # a kernel goes on here; to end a process with torch takes half a second
        seconds = [timed(partial(_python, "-c", first)) for _ in range(repeats + 1)][1:]  # the first one warms the disk
        yield row(f"start of {path.stem}", "s", statistics.median(seconds), 2.0, "goal")


def smoke():
    """Seconds of the command at preset smoke, three times on one store that is empty at first."""
    cases = (("first run", "one", None), ("second run, nothing changed", "one", 5.0), ("from the store", "two", None))
    turns = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as scratch:
            command = partial(
                _python, "-m", "helpers.run.cli", "run", "--preset", "smoke", DSP_CACHE=f"{scratch}/cache"
            )
            turns.append([timed(partial(command, "--output-dir", f"{scratch}/{folder}")) for _, folder, _ in cases])
    for (case, _, goal), seconds in zip(cases, zip(*turns, strict=True), strict=True):
        peer = "goal" if goal else "the command alone"
        yield row(f"preset smoke, {case}", "s", statistics.median(seconds), goal, peer)


def _python(*arguments: str, **environment: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env={**os.environ, **environment})


if __name__ == "__main__":
    main(parts, __doc__.splitlines()[0], minutes)
