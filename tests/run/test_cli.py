"""The command line: quick help, one clear line for bad input, exit status."""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from typer.testing import CliRunner

from helpers import __version__, files
from helpers.errors import UserError
from helpers.run import cli, runner, status

invoke = CliRunner().invoke


def dsp(*arguments):
    return subprocess.run([sys.executable, "-m", "helpers.run.cli", *arguments], capture_output=True, text=True)


def test_a_command_that_looks_at_results_loads_nothing_that_it_does_not_need():
    heavy = {"torch", "transformers", "matplotlib", "sklearn", "scipy.stats", "scipy.optimize"}
    script = f"import sys, helpers.study, helpers.results, helpers.run\nprint('heavy:', {heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "heavy: set()" in done.stdout


def test_help_loads_nothing_heavy():
    script = (
        "import sys\nfrom helpers.run.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('heavy:', {'torch', 'pandas', 'numpy', 'papermill', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "heavy: set()" in done.stdout
    for command in (
        "run",
        "trial",
        "data",
        "presets",
        "report",
        "status",
        "compare",
        "strip",
        "store",
        "--install-completion",
    ):
        assert command in done.stdout
    assert "Exit status: 0 done, 1 a notebook failed, 2 bad input" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "--preset", "dmeo"], "PRESET 'dmeo': expected one of smoke, demo, laptop, paper. Did you mean demo?"),
        (["run", "-p", "SEEDS"], "-p SEEDS: expected NAME=VALUE, for example -p SEEDS=2"),
        (["data", "get", "everything"], "dsp data get everything: expected sample; other sources are"),
        (["report", "no_such_run"], "no_such_run: there is no such run"),
        (["status", "no_such_run"], "no_such_run: there is no such run"),
        (["compare", "reference", "no_such_run"], "no_such_run: there are no tables"),
        (["store", "prune", "--older-than", "0", "--kind", "../.."], "kind '../..': the store is empty"),
        (["run", "-p", "SELECTORS=vampir"], "'vampir' is none of"),
        (["run", "1", "zz", "--dry-run"], "notebook 'zz': expected one of 01_overlap"),
        (["run", "--data-dir", "/"], "DATA_DIR='/': no tasks/ and no domains/ in it"),
        (["run", "-p", "PRESET=paper"], "parameter PRESET: the preset is chosen by --preset"),
        (["trial", "-p", "SELECTORS=vampir"], "'vampir' is none of"),
        (["strip", "no_such_file.ipynb"], "no_such_file.ipynb"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, line):
    done = dsp(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert line in done.stderr and done.stderr.count("\n") == 1


def test_a_failed_notebook_is_one_line_and_status_1(monkeypatch):
    seen = {}

    def run_notebooks(names, preset, parameters, **options):
        seen.update(names=names, preset=preset, parameters=parameters, **options)
        return [runner.Outcome("01_overlap", "done"), runner.Outcome("03_tapt", "failed", message="no such task")]

    monkeypatch.setattr(runner, "run_notebooks", run_notebooks)
    arguments = ["run", "01", "tapt", "--preset", "smoke", "-p", "seeds=2", "-p", "TASKS=a=b", "--data-dir", "d"]
    result = invoke(cli.app, [*arguments, "--workers", "0", "--from", "3", "--force"])
    assert result.exit_code == 1 and "03_tapt failed: no such task" in result.output
    assert seen["names"] == ["01", "tapt"] and seen["preset"] == "smoke" and seen["start"] == "3" and seen["force"]
    assert seen["parameters"] == {"DATA_DIR": "d", "WORKERS": 0, "SEEDS": "2", "TASKS": "a=b"}


def test_pairs_refuses_a_value_without_a_name():
    with pytest.raises(UserError):
        cli.pairs(["=2"])


def test_presets_shows_every_parameter():
    from helpers.config import Config

    text = invoke(cli.app, ["presets"]).output
    assert all(name.upper() in text for name in Config.model_fields if name != "preset")


def test_data_shows_what_is_where(monkeypatch):
    text = invoke(cli.app, ["data"]).output
    assert "toy_biomed" in text and "generated" in text and "sample" in text and "nan" not in text.lower()
    monkeypatch.setattr("helpers.data.get_sample", lambda: "the/cache")
    assert invoke(cli.app, ["data", "get", "sample"]).output == "the sample is in the/cache\n"


def test_store_lists_and_prunes():
    from helpers.store import open_store

    open_store().get_or_make("models", {"seed": 0}, lambda folder: (folder / "weights").write_bytes(b"x" * 2_000_000))
    assert "1 artifacts, 2.0 MB" in invoke(cli.app, ["store"]).output
    assert invoke(cli.app, ["store", "prune", "--older-than", "0"]).output == "2.0 MB freed\n"
    assert "0 artifacts, 0.0 MB" in invoke(cli.app, ["store"]).output


def test_strip_says_what_it_did(tmp_path):
    path = tmp_path / "one.ipynb"
    cell = nbformat.v4.new_code_cell("1", execution_count=3)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert "stripped" in invoke(cli.app, ["strip", str(path)]).output
    assert "was clean" in invoke(cli.app, ["strip", str(path)]).output


def test_version_is_the_packages():
    assert invoke(cli.app, ["--version"]).output == f"{__version__}\n"


def test_a_terminal_of_another_encoding_shows_what_it_can(tmp_path):
    folder = tmp_path / "é 日本"
    done = subprocess.run(
        [sys.executable, "-m", "helpers.run.cli", "report", str(folder)], capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert "é ??: there is no such run".encode("latin-1") in done.stderr or b"there is no such run" in done.stderr


def test_the_status_of_a_run_is_read_from_its_logs(tmp_path):
    notebooks, run = tmp_path / "notebooks", tmp_path / "run"
    (run / "logs").mkdir(parents=True)
    for number, name in enumerate(("done", "failed", "running", "not_run", "damaged"), 1):
        files.write_text(notebooks / f"0{number}_{name}.ipynb", "{}")
    ended = {"seconds": 65.0, "message": "", "cell": None}
    failed = {"status": "failed", "message": "ValueError: no", "cell": 7}
    (run / "logs" / "01_done.json").write_text(json.dumps(ended | {"status": "done"}))
    (run / "logs" / "02_failed.json").write_text(json.dumps(ended | failed))
    (run / "logs" / "03_running.log").write_text("model 3/10, 5s\n<Figure size 1x1 with 1 Axes>\n")
    (run / "logs" / "05_damaged.json").write_text("[")
    (run / "logs" / "04_not_run.log").write_text("of a run that was interrupted\n")
    os.utime(run / "logs" / "04_not_run.log", (1, 1))
    found = status.status(run, notebooks)
    assert found["status"].tolist() == ["done", "failed", "stopped", "stopped", "unknown"]
    assert found["time"].tolist()[:2] == ["1m05s", "1m05s"]
    assert found["message"].tolist()[1:3] == ["cell 7: ValueError: no", "model 3/10, 5s"]
    with files.locked(run / ".lock"):
        assert status.status(run, notebooks)["status"].tolist()[2:4] == ["running", "stopped"]


def test_a_data_file_is_checked_by_the_data_room(monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr("helpers.data.check_report", lambda path, **given: seen.update(given) or "fine", raising=False)
    assert invoke(cli.app, ["data", "check", "own.csv", "--text-column", "body"]).output == "fine\n"
    assert seen == {"text_column": "body"}
