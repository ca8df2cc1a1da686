"""What a report says of how its run came about, by the logs of its notebooks."""

import json

import pytest

from helpers.compute import git_commit, versions
from helpers.config import make_config
from helpers.run.report import write_report
from tests.run.conftest import write_table


@pytest.fixture
def run(tmp_path):
    run = write_table(tmp_path / "demo", "anything", [{"x": 1}])
    (run / "config.json").write_text(make_config("demo").model_dump_json())
    return run


def test_a_report_of_several_runs_opens_with_that(run):
    assert "not of one run" not in write_report(run).read_text("utf-8")
    (run / "logs").mkdir()
    for name, seeds in {"02_dapt": 6, "06_report": 5}.items():
        state = {"status": "done", "seconds": 1.0, "message": "", "parameters": {"PRESET": "demo", "SEEDS": seeds}}
        (run / "logs" / f"{name}.json").write_text(json.dumps(state))
    text = write_report(run).read_text("utf-8")
    assert text.index("not of one run: SEEDS is 6 in 02_dapt; 5 in 06_report. To run") < text.index("seeds a cell")


def test_the_code_that_made_a_run_is_named_and_not_that_which_shows_it(run):
    ours = git_commit()
    text = write_report(run).read_text("utf-8")
    assert f"report written by commit <code>{ours}</code>" in text and f"<td>{versions()['torch']}</td>" not in text
    (run / "logs").mkdir()
    for name, torch in {"02_dapt": "2.1", "03_tapt": "2.1", "06_report": "2.2"}.items():
        state = {"status": "done", "seconds": 1.0, "message": "", "commit": "abc1", "versions": {"torch": torch}}
        (run / "logs" / f"{name}.json").write_text(json.dumps(state))
    text = write_report(run).read_text("utf-8")
    assert "commit <code>abc1</code>." in text and "written by commit" not in text
    assert "<td>2.1 (02_dapt, 03_tapt), 2.2 (06_report)</td>" in text
