"""The runner on tiny notebooks: what is passed, refused, found, killed and told."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest
from typer.testing import CliRunner

from helpers import files
from helpers.compute import git_commit, versions
from helpers.errors import UserError
from helpers.run import cli, notebooks, runner
from helpers.run.description import read_run
from helpers.run.execution import Step, last_line
from helpers.run.runner import problem, run_notebooks

PARAMETERS = 'PRESET = "smoke"  # preset\nSEEDS = None  # seeds\nTASKS = None  # tasks\nOUTPUT_DIR = ""  # results'
WRITE = """\
import json, os, sys
from pathlib import Path
(Path(OUTPUT_DIR) / "tables").mkdir(parents=True, exist_ok=True)
values = dict(preset=PRESET, seeds=globals().get("SEEDS"), tasks=TASKS, python=sys.executable)
(Path(OUTPUT_DIR) / "tables" / "NAME.csv").write_text(json.dumps(values))
"""


def write_notebook(path, *cells, parameters=PARAMETERS):
    tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[tagged, *map(nbformat.v4.new_code_cell, cells)])
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "notebooks"
    write_notebook(folder / "01_one.ipynb", WRITE.replace("NAME", "one"))
    write_notebook(folder / "02_two.ipynb", WRITE.replace("NAME", "two"), parameters=PARAMETERS.replace("SEEDS", "K"))
    return folder


@pytest.fixture
def go(folder, tmp_path, monkeypatch):
    # This checkout's sources may be edited while the tests run.
    monkeypatch.setattr(runner, "_content", lambda package: "the same")

    def go(names=(), parameters=None, **options):
        out = io.StringIO()
        parameters = {"OUTPUT_DIR": str(tmp_path / "run"), **(parameters or {})}
        outcomes = run_notebooks(names, "smoke", parameters, folder=folder, out=out, **options)
        return [(outcome.name, outcome.status) for outcome in outcomes], out.getvalue(), outcomes

    return go


def test_a_run_leaves_its_description_and_another_run_takes_it(go, tmp_path, monkeypatch):
    go(["1"], {"SEEDS": "3", "TASKS": "bbc"})
    told = tmp_path / "run" / "run.toml"
    given = {"OUTPUT_DIR": str(tmp_path / "run"), "SEEDS": 3, "TASKS": ["bbc"]}
    assert read_run(told) == ("smoke", given)
    asked = []
    monkeypatch.setattr(runner, "run_notebooks", lambda *arguments, **options: asked.append(arguments) or [])
    assert CliRunner().invoke(cli.app, ["run", "--file", str(told), "--jobs", "2", "-p", "SEEDS=1"]).exit_code == 0
    assert asked == [([], "smoke", {**given, "WORKERS": 2, "SEEDS": "1"})]


def test_find_by_number_word_stem_and_path(folder, tmp_path):
    one, two = sorted(folder.glob("*.ipynb"))
    for name in ("1", "01", "one", "01_one", str(one)):
        assert notebooks.find([name], folder) == [one]
    assert notebooks.find(["two", "1"], folder) == notebooks.find([], folder) == [one, two]
    with pytest.raises(UserError, match=r"'twoo': expected one of .* Did you mean two\?"):
        notebooks.find(["twoo"], folder)
    with pytest.raises(UserError, match="run from a checkout"):
        notebooks.find([], tmp_path)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"SEED": "2"}, "parameter SEED: there is none of that name. Did you mean SEEDS?"),
        ({"SEEDS": "two"}, "parameter SEEDS='two'"),
        ({"SEEDS": "0"}, "parameter SEEDS='0'"),
        ({"TASKS": "bbc,chemprt"}, "task 'chemprt': there is none of that name. Did you mean chemprot?"),
        ({"MAX_TRAIN": "5"}, "parameter MAX_TRAIN: not declared by 01_one, 02_two"),
        ({"OUTPUT_DIR": __file__}, f"OUTPUT_DIR={__file__!r}: a file lies there"),
        ({"PRESET": "paper"}, "parameter PRESET: the preset is chosen by --preset"),
    ],
)
def test_bad_parameters_are_refused_before_a_kernel_starts(go, monkeypatch, tmp_path, parameters, message):
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("a process was started"))
    with pytest.raises(UserError) as caught:
        go(parameters=parameters)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("A = 1\nB = A * 2", "parameters, line 2: expected a literal"),
        ("import os", "line 1: expected NAME = value"),
        ("A: int", "line 1: expected NAME = value"),
        ("A += 1", "line 1: expected NAME = value"),
        ("A = 1\nB = (", "parameters, line 2: not Python"),
        ("A = {[]: 1}", "parameters, line 1: expected a literal"),
        ("A = '\0'", "not Python"),
        ("A = " + "(" * 300, "not Python"),
    ],
)
def test_a_parameters_cell_holds_literals_only(tmp_path, source, message):
    path = write_notebook(tmp_path / "01_one.ipynb", parameters=source)
    with pytest.raises(UserError, match=message):
        notebooks.declared(notebooks.read(path))


def test_a_file_that_is_no_notebook_is_said(tmp_path):
    (tmp_path / "01_one.ipynb").write_text("{")
    with pytest.raises(UserError, match="not a readable notebook"):
        notebooks.read(tmp_path / "01_one.ipynb")


def test_each_notebook_gets_what_it_declares_with_the_right_type(folder):
    _, passed = notebooks.check(notebooks.find([], folder), "smoke", {"seeds": "2", "TASKS": "toy_cs, bbc"})
    assert list(passed.values()) == [
        {"PRESET": "smoke", "SEEDS": 2, "TASKS": ["toy_cs", "bbc"]},
        {"PRESET": "smoke", "TASKS": ["toy_cs", "bbc"]},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "malformed"),
        (json.dumps([{"name": "n" * 300, "domain": "cs"}]), "100 bytes at most"),
        (json.dumps([{"name": "a/b", "domain": "cs"}]), "letters, digits"),
        ("{", "malformed"),
    ],
)
def test_a_task_file_that_will_not_do_is_one_line(folder, tmp_path, text, message):
    (tmp_path / "tasks.json").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        notebooks.check(notebooks.find([], folder), "smoke", {"TASK_FILE": str(tmp_path / "tasks.json")})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_run_then_found_then_run_again_for_what_changed(go, folder, tmp_path, monkeypatch):
    run = tmp_path / "run"
    code = "from pathlib import Path\n(Path(OUTPUT_DIR) / 'report.html').write_text('')"
    write_notebook(folder / "06_report.ipynb", code)
    before = set(os.environ)
    statuses, text, outcomes = go(parameters={"SEEDS": "2"})
    assert statuses == [("01_one", "done"), ("02_two", "done"), ("06_report", "done")]
    written = json.loads((run / "tables" / "one.csv").read_text())
    assert written == {"preset": "smoke", "seeds": 2, "tasks": None, "python": sys.executable}
    assert outcomes[0].files == ("tables/one.csv",) and outcomes[2].files == ("report.html",)
    state = files.read_json(run / "logs" / "01_one.json")
    assert (state["commit"], state["versions"]) == (git_commit(), versions())
    assert "[3/3] 06_report done" in text and text.rstrip().endswith("report.html")
    executed = nbformat.read(run / "notebooks" / "01_one.ipynb", 4)
    assert executed.metadata.papermill.end_time and "injected-parameters" in executed.cells[1].metadata.tags
    assert not (run / ".scratch").exists() and set(os.environ) == before

    with monkeypatch.context() as patch:  # nothing is executed the second time
        patch.setattr(Step, "execute", lambda *_: pytest.fail("a notebook was run"))
        assert {status for _, status in go(parameters={"SEEDS": "2"})[0]} == {"found"}

    # a file gone, a parameter one of them declares, a source: those that depend on it run again, and the report
    (run / "tables" / "one.csv").unlink()
    assert [status for _, status in go(parameters={"SEEDS": "2"})[0]] == ["done", "found", "done"]
    assert [status for _, status in go(["1", "2"], {"SEEDS": "3"})[0]] == ["done", "found"]
    path = folder / "02_two.ipynb"
    write_notebook(path, WRITE.replace("NAME", "two") + "1 + 1", parameters=PARAMETERS.replace("SEEDS", "K"))
    assert [status for _, status in go(["1", "2"], {"SEEDS": "3"})[0]] == ["found", "done"]
    assert [status for _, status in go(["1", "2"], {"SEEDS": "3"}, start="2")[0]] == ["found", "done"]
    assert [status for _, status in go(["2"], force=True)[0]] == ["done"]
    (run / "tables" / "one.csv").write_text("edited")
    assert [status for _, status in go(["6"], {"SEEDS": "3"})[0]] == ["done"]
    assert [status for _, status in go(["1"], {"SEEDS": "3"})[0]] == ["done"]  # what it wrote is not there any more


def test_a_failure_ends_the_run_says_one_line_and_the_next_run_goes_on_there(go, folder, tmp_path):
    fail = "from helpers.errors import UserError\nraise UserError('task x: no such task')"
    write_notebook(folder / "02_two.ipynb", fail)
    write_notebook(folder / "03_three.ipynb", "1")
    statuses, text, outcomes = go()
    assert statuses == [("01_one", "done"), ("02_two", "failed"), ("03_three", "not run")]
    log = tmp_path / "run" / "logs" / "02_two.log"
    assert problem(outcomes) == f"02_two failed: task x: no such task (log in {log})"
    assert "no such task" in log.read_text()
    assert (tmp_path / "run" / "notebooks" / "02_two.failed.ipynb").exists()
    assert go(keep_going=True)[0] == [("01_one", "found"), ("02_two", "failed"), ("03_three", "done")]

    write_notebook(folder / "02_two.ipynb", "1")
    assert go()[0] == [("01_one", "found"), ("02_two", "done"), ("03_three", "found")]
    assert not (tmp_path / "run" / "notebooks" / "02_two.failed.ipynb").exists()


def test_other_errors_and_dead_kernels_are_told_apart(go, folder):
    write_notebook(folder / "01_one.ipynb", "1 / 0")
    write_notebook(folder / "02_two.ipynb", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    _, _, outcomes = go(keep_going=True)
    assert outcomes[0].message.startswith("ZeroDivisionError: division by zero (log in ")
    assert outcomes[0].cell == 3
    assert outcomes[1].message.startswith("the kernel died, in cell 3 (log in ")


def _processes_with(mark: str) -> list[int]:
    found = []
    for process in psutil.process_iter(["pid", "environ", "status"]):
        environ = process.info["environ"] or {}
        if environ.get("TEST_MARK") == mark and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.info["pid"])
    return found


def _gone(mark: str) -> bool:
    limit = time.monotonic() + 15
    while _processes_with(mark) and time.monotonic() < limit:
        time.sleep(0.1)
    return not _processes_with(mark)


def test_the_time_limit_ends_the_notebook_with_its_kernel(go, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("TEST_MARK", str(tmp_path))
    write_notebook(folder / "01_one.ipynb", "import time\ntime.sleep(60)")
    statuses, _, outcomes = go(["1"], time_limit=4 / 60)
    assert statuses == [("01_one", "timed out")] and "time limit of 4s" in outcomes[0].message
    assert _gone(str(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_runner_ends_everything_it_started(folder, tmp_path, number):
    begun = tmp_path / "begun"
    write_notebook(folder / "01_one.ipynb", f"open({str(begun)!r}, 'w').close()\nimport time\ntime.sleep(60)")
    script = (
        # a shell that starts the tests in the background has them, and their children, ignore interrupts
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\nfrom helpers.run import run_notebooks\n"
        f"run_notebooks(['1'], 'smoke', {{'OUTPUT_DIR': {str(tmp_path / 'run')!r}}}, folder=Path({str(folder)!r}))\n"
    )
    environment = {**os.environ, "TEST_MARK": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL)
    while not begun.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(30) != 0
    assert _gone(str(tmp_path))
    assert not (tmp_path / "run" / "logs" / "01_one.json").exists()


def test_two_runs_do_not_write_into_one_folder(go, tmp_path):
    run = tmp_path / "run"
    with files.locked(run / ".lock"), pytest.raises(UserError, match="another dsp run is writing there"):
        go()


def test_the_kernel_is_this_interpreter_whatever_the_user_has_registered(go, tmp_path, monkeypatch):
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    assert go(["1"])[0] == [("01_one", "done")]
    assert json.loads((tmp_path / "run" / "tables" / "one.csv").read_text())["python"] == sys.executable


def test_the_last_line_of_progress_is_shown_and_no_other(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "Executing Cell 3----\nmodel 1/8, 10s\r"
        "model 2/8, 1 failed, 1m20s, 4m00s \x1b]0;owned\x07\x1b[31mleft\x1b[0m\n\n"
        "Writing model shards: 100%|###| 1/1 [00:00<00:00, 24.05it/s]\nF1 3/4, done\n"
        "<Figure size 825x825 with 4 Axes>\n[<matplotlib.lines.Line2D at 0x7f>]\nEnding Cell 3---\n"
    )
    assert last_line(log) == "model 2/8, 1 failed, 1m20s, 4m00s left"
    assert last_line(Path("nowhere")) == ""


def test_a_message_of_the_data_cannot_steer_the_terminal(go, folder):
    write_notebook(folder / "01_one.ipynb", "raise ValueError('\x1b]0;owned\x07red \x1b[31mlabel')")
    _, text, outcomes = go(["1"])
    assert outcomes[0].message.startswith("ValueError: red label (log in ") and "\x1b" not in text


def test_results_that_cannot_be_written_are_one_line(go, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Step, "_watch", full)
    monkeypatch.setattr("helpers.run.execution._end", lambda process: process.kill())
    with pytest.raises(UserError, match="cannot be written .No space left on device.; make room") as caught:
        go(["1"])
    assert "\n" not in str(caught.value)


def test_a_disk_without_room_is_refused_before_a_kernel_starts(go, monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("a process was started"))
    monkeypatch.setattr("shutil.disk_usage", lambda place: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(UserError, match="the run wants about .* MB there and 0 are free; .*dsp store prune") as caught:
        go()
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_the_report_is_named_where_there_is_one(tmp_path, monkeypatch):
    rows = [("DAPT", "cs", 0, "~/one"), ("TAPT", "sciie", 0, "~/two"), ("TAPT", "bbc", 0, "~/three")]
    made = pd.DataFrame(rows, columns=["model", "adapted_to", "adaptation", "folder"])
    monkeypatch.setattr(runner, "adapted_models", lambda run: made)

    def said():
        runner._summary([], tmp_path, out := io.StringIO())
        return [line for line in out.getvalue().splitlines() if "DAPT" in line]

    assert said() == ["DAPT on cs is a model of its own: ~/one, and 2 more"]
    (tmp_path / "report.html").write_text("<html>")
    assert said() == ["DAPT on cs is a model of its own: ~/one, and 2 more in the report"]


def test_strip_leaves_only_what_an_author_wrote(go, folder, tmp_path):
    go(["1"])
    copy = tmp_path / "copy.ipynb"
    copy.write_bytes((tmp_path / "run" / "notebooks" / "01_one.ipynb").read_bytes())
    assert notebooks.strip_file(copy) is True and notebooks.strip_file(copy) is False
    stripped, source = nbformat.read(copy, 4), nbformat.read(folder / "01_one.ipynb", 4)
    nbformat.validate(stripped)
    assert [cell.source for cell in stripped.cells] == [cell.source for cell in source.cells]
    assert [cell.id for cell in stripped.cells] == [cell.id for cell in source.cells]
    assert stripped.cells[0].metadata == {"tags": ["parameters"]}
    assert all(cell.outputs == [] and cell.execution_count is None for cell in stripped.cells)
    assert set(stripped.metadata) == {"kernelspec", "language_info"} and "papermill" not in copy.read_text()
