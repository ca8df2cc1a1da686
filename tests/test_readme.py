"""What the README says to type works, and what it points at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["overlap", "select", "adapt"])
def test_snippets_run_in_any_folder(snippet, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {"__name__": "snippet"})
    assert capsys.readouterr().out.strip()


def test_the_selection_snippet_finds_the_sentences_about_the_task(capsys):
    exec(compile(SNIPPETS[1], "README.md", "exec"), {"__name__": "snippet"})
    found = capsys.readouterr().out
    assert "enzyme" in found and "blood pressure" in found and "market" not in found


def test_links_and_paths_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    named = re.findall(r"`((?:notebooks|helpers|tests|benchmarks)/[\w./]+\.\w+)`", TEXT)
    missing = [name for name in [*links, *named, "CITATION.cff", "LICENSE"] if not (ROOT / name).exists()]
    assert links and not missing


def test_make_targets_and_commands_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"^\s*make (\w+)|`make (\w+)`", TEXT, re.M)):
        assert re.search(rf"^{''.join(target)}:", makefile, re.M), target
    from helpers.run.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"\bdsp (\w+)", TEXT)) <= commands


def test_parameters_named_in_capitals_are_parameters():
    from helpers.config import Config

    given = set(re.findall(r"-p ([A-Z_]+)[ =]", TEXT)) | set(re.findall(r"`([A-Z]+_[A-Z]+|WORKERS)`", TEXT))
    assert {name.lower() for name in given} - {"dsp_cache", "dsp_data"} <= set(Config.model_fields)


def test_every_preset_has_a_row():
    from helpers.config import PRESETS

    assert all(f"| `{name}` |" in TEXT for name in PRESETS)
