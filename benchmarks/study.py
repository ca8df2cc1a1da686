"""What the runner adds to papermill: `python -m benchmarks.study --json FILE`.

Six notebooks that only wait, so that nothing but the running of notebooks is measured: the first run, and a
second one with nothing changed. Ours and the peer take turns on the same files.
"""

import io
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from benchmarks.common import main, row
from helpers.run import run_notebooks

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


def cases(size: str):
    """The first run, and a second with nothing changed, beside the loop; medians over turns after one that warms up."""
    seconds: dict[str, list[float]] = {"first": [], "second": [], "papermill": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "notebooks"
        folder.mkdir()
        write_notebooks(folder)
        for turn in range(2 if size == "small" else 4):
            output = Path(scratch) / f"ours-{turn}"
            measured = {"first": ours(folder, output), "second": ours(folder, output)}
            measured["papermill"] = papermill_loop(folder, Path(scratch) / f"papermill-{turn}")
            for name, value in measured.items():
                if turn:
                    seconds[name].append(value)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    for case, name in (("six notebooks, first run", "first"), ("six notebooks, nothing changed", "second")):
        yield row(case, "s", median[name], median["papermill"], "papermill in a loop")


if __name__ == "__main__":
    main(cases, __doc__.splitlines()[0])
