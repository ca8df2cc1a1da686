"""The time left of a run, by the store and the updates of what is at work."""

import json

import pytest
from typer.testing import CliRunner

from helpers import files
from helpers.run import cli, left, runner
from helpers.run.description import write_run
from helpers.study import Study
from helpers.study.outlook import outlook


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of three steps, reckoned at 60, 100 and 40 seconds, begun 280 seconds ago: one made, one half done."""
    monkeypatch.setattr(left.time, "time", lambda: 1280.0)
    folders = [tmp_path / "store" / "model" / name for name in "abc"]
    steps = [[str(folder), seconds] for folder, seconds in zip(folders, (60, 100, 40), strict=True)]
    files.write_json(tmp_path / left.FILE, {"began": 1000.0, "steps": steps})
    files.write_text(folders[0] / "manifest.json", "{}")
    files.write_text(folders[1].with_name(".b.share"), "0.5")
    return tmp_path


def test_what_remains_is_told_at_the_pace_of_what_has_been_made(run):
    # 110 of 200 reckoned seconds took 280; with the 60 that are trusted beforehand, 340 for 170
    assert left.Left(run).seconds() == pytest.approx(90 * 340 / 170)
    (run / "store" / "model" / ".b.share").write_text("damaged")
    assert left.Left(run).seconds() == pytest.approx(140 * 340 / 120)


def test_status_of_a_run_that_is_going_says_it(run, monkeypatch):
    files.write_text(run / "logs" / "01_overlap.log", "model 1/3, 5s\n")
    assert "left" not in CliRunner().invoke(cli.app, ["status", str(run)]).output
    with files.locked(run / ".lock"):
        assert "about 3m00s left" in CliRunner().invoke(cli.app, ["status", str(run)]).output.splitlines()[-1]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"began": 1}', '{"began": 1, "steps": [1]}'])
def test_what_is_not_reckoned_yet_is_not_told(tmp_path, text):
    files.write_text(tmp_path / left.FILE, text)
    assert left.Left(tmp_path).seconds() is None


def test_where_nothing_is_to_make_no_time_is_told(tmp_path):
    files.write_json(tmp_path / left.FILE, {"began": 1000.0, "steps": []})
    assert left.Left(tmp_path).seconds() is None


def test_what_a_killed_run_reckoned_is_forgotten_by_the_next(run, monkeypatch):
    resumed = left.Left(run)
    assert resumed.seconds() is not None, "as asked while the first notebooks are found"
    monkeypatch.setattr(left.subprocess, "Popen", lambda *command, **how: None)
    resumed.start()
    assert resumed.seconds() is None and resumed.made == set() and not resumed.file.exists()
    files.write_json(resumed.file, {"began": 1280.0, "steps": [[str(run / "store" / "model" / "c"), 40]]})
    assert resumed.seconds() == pytest.approx(40)


def test_a_run_tells_no_time_that_a_killed_one_reckoned(tmp_path, monkeypatch):
    told, stale = [], tmp_path / left.FILE
    files.write_json(stale, {"began": 0.0, "steps": [[str(tmp_path / "never"), 60]]})

    def execute(step, progress, time_limit):
        told.append(stale.exists())
        return runner.Outcome(step.name, "done")

    monkeypatch.setattr(runner.Step, "execute", execute)
    runner.run_notebooks(["1"], "smoke", {"OUTPUT_DIR": str(tmp_path)})
    assert told == [False]


def test_the_plan_of_a_run_is_reckoned_from_its_description(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.compute.matrix_rate", lambda: 1e9)
    monkeypatch.setattr(left, "die_with_parent", lambda: None)
    write_run(tmp_path, "smoke", {"SEEDS": 1, "READ_OUTS": 0})
    (tmp_path / left.FILE).parent.mkdir()
    left.main(tmp_path)
    found = json.loads((tmp_path / left.FILE).read_text())["steps"]
    table = outlook(Study.open("smoke", SEEDS=1, READ_OUTS=0, OUTPUT_DIR=str(tmp_path / "out")))
    assert len(found) == table["to_make"].sum() > 50
    assert sum(seconds for _, seconds in found) == pytest.approx(60 * table["minutes"].sum())
