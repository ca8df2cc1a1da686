"""What the notebooks of a run depend on, seen in the key they share: the helpers' sources, every file of data."""

import json
from pathlib import Path

from helpers.config import make_config
from helpers.run import runner


def test_the_helpers_sources_count_towards_the_key(tmp_path):
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "one.py").write_text("1")
    before = runner._content(tmp_path)
    (tmp_path / "__pycache__" / "one.pyc").write_text("1")
    assert runner._content(tmp_path) == before
    (tmp_path / "one.py").write_text("2")
    assert runner._content(tmp_path) != before


def test_data_and_model_folders_count_towards_the_key(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_content", lambda package: "the same")
    root = tmp_path / "data"
    (root / "domains").mkdir(parents=True)
    config = make_config("smoke", {"data_dir": str(root)})
    before = runner._common_key(config)
    assert runner._common_key(config) == before
    monkeypatch.setenv("DSP_PRECISION", "fp32")
    chosen = runner._common_key(config)
    assert chosen != before
    (root / "domains" / "cs.jsonl").write_text("{}")
    assert runner._common_key(config) != chosen


def test_a_data_root_is_looked_at_where_data_lies_and_nowhere_else(tmp_path):
    for name in ("tasks/a/train.jsonl", "domains/cs.jsonl", "tasks/a/b/c/deep.jsonl", "elsewhere/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    config = make_config("smoke", {"data_dir": str(tmp_path)})
    found = [name for stamps in runner._common_key(config)["data"].values() for name, _, _ in stamps]
    inside = {Path(name).relative_to(tmp_path).as_posix() for name in found if name.startswith(str(tmp_path))}
    assert inside == {"tasks/a/train.jsonl", "domains/cs.jsonl", "tasks/a/b/c/deep.jsonl"}
    (tmp_path / "domains" / "round").symlink_to(tmp_path)  # leads back to where it lies
    again = [name for stamps in runner._common_key(config)["data"].values() for name, _, _ in stamps]
    assert sorted(again) == sorted(found)


def test_what_a_link_in_a_data_root_leads_to_counts_towards_the_key(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_content", lambda package: "the same")
    files = [tmp_path / name for name in ("far/law/a.txt", "far/bbc/train.jsonl", "deep/train.jsonl")]
    for folder in ("root/tasks/own", "root/domains", *(file.parent for file in files)):
        (tmp_path / folder).mkdir(parents=True)
    for link, to in (("domains/law", "far/law"), ("tasks/bbc", "far/bbc"), ("tasks/own/data", "deep")):
        (tmp_path / "root" / link).symlink_to(tmp_path / to)
    (tmp_path / "far" / "law" / "round").symlink_to(tmp_path / "far" / "bbc")
    (tmp_path / "far" / "bbc" / "round").symlink_to(tmp_path / "far" / "law")
    for file in files:
        file.write_text("x")
    config = make_config("smoke", {"data_dir": str(tmp_path / "root")})
    for file in files:
        before = runner._common_key(config)
        file.write_text(file.read_text() + " longer")
        assert runner._common_key(config) != before, file


def test_the_files_of_a_registered_task_count_towards_the_key(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_content", lambda package: "the same")
    mine, other = ({"name": name, "domain": "cs", "path": name} for name in ("mine", "other"))
    (tmp_path / "tasks.json").write_text(json.dumps([{**mine, "partner": "other"}, other]))
    config = make_config("smoke", {"task_file": str(tmp_path / "tasks.json"), "tasks": "mine"})
    for name in ("mine", "other"):  # Transfer-TAPT reads the partner
        (tmp_path / name).mkdir()
        before = runner._common_key(config)
        (tmp_path / name / "train.jsonl").write_text("{}")
        assert runner._common_key(config) != before, name


def test_every_own_domain_and_the_roots_list_of_tasks_count_towards_the_key(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_content", lambda package: "the same")
    (tmp_path / "root" / "tasks").mkdir(parents=True)
    files = [tmp_path / name for name in ("a.txt", "deep/x/y/z/one.txt", "root/tasks.toml")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('[[task]]\nname = "mine"\ndomain = "cs"\n')
    domains = f"{tmp_path / 'a.txt'}, {tmp_path / 'deep'}"
    config = make_config("smoke", {"domain_file": domains, "data_dir": str(tmp_path / "root")})
    for file in files:
        before = runner._common_key(config)
        file.write_text(file.read_text() + "# longer\n")
        assert runner._common_key(config) != before, file
