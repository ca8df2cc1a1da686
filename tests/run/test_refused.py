"""Text that no notebook could read ends a run before it makes anything: one line, exit status 2."""

import json

import pytest
from typer.testing import CliRunner

from helpers.run import cli

GOOD = [{"text": f"the claim of case {i} was heard at noon", "label": "ab"[i % 2]} for i in range(40)]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def refused(tmp_path):
    def refused(**parameters):
        given = [f"-p{name}={value}" for name, value in parameters.items()]
        run = tmp_path / "run"
        done = CliRunner().invoke(cli.app, ["run", "--preset", "smoke", "--output-dir", str(run), *given])
        assert isinstance(done.exception, cli.UserError) and not run.exists()
        assert "\n" not in str(done.exception)
        return str(done.exception)

    return refused


def test_a_row_of_a_task_without_a_label(refused, tmp_path):
    own = write(tmp_path / "notes.jsonl", [*GOOD, {"text": "one more", "label": None}])
    assert "row 41" in refused(TASK_FILE=own)


def test_a_task_of_one_label(refused, tmp_path):
    own = write(tmp_path / "notes.jsonl", [row | {"label": "a"} for row in GOOD])
    assert "all rows have the label 'a'" in refused(TASK_FILE=own)


def test_a_row_of_a_domain_without_a_text(refused, tmp_path):
    law = write(tmp_path / "law.jsonl", [{"text": "the court sat"}, {"text": 3}])
    assert "law.jsonl, row 2" in refused(DOMAIN_FILE=law, TASK_FILE=write(tmp_path / "notes.jsonl", GOOD))


def test_a_task_in_a_data_root(refused, tmp_path):
    for split in ("train", "dev", "test"):
        write(tmp_path / "root" / "tasks" / "imdb" / f"{split}.jsonl", GOOD)
    write(tmp_path / "root" / "tasks" / "imdb" / "dev.jsonl", [*GOOD, {"text": "one more", "label": "c"}])
    assert "'c'" in refused(TASKS="imdb", DATA_DIR=tmp_path / "root")


def test_a_domain_in_a_data_root(refused, tmp_path):
    for split in ("train", "dev", "test"):
        write(tmp_path / "root" / "tasks" / "imdb" / f"{split}.jsonl", GOOD)
    write(tmp_path / "root" / "domains" / "reviews.jsonl", [{"words": 1}])
    assert "row 1" in refused(TASKS="imdb", DATA_DIR=tmp_path / "root")
