"""What the README says to type works, and what it points at is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def run(number, capsys):
    """What a snippet of the README prints."""
    exec(compile(SNIPPETS[number], "README.md", "exec"), {"__name__": "snippet"})
    return capsys.readouterr().out


def test_the_overlap_snippet_counts_what_two_collections_share(capsys):
    # "court" is the one word of both
    rows = [line.split() for line in run(0, capsys).splitlines()]
    shared = {(row[1], row[2]): float(row[3]) for row in rows[1:]}
    assert shared["law", "law"] == shared["reviews", "reviews"] == 100
    assert 0 < shared["law", "reviews"] == shared["reviews", "law"] < 20


def test_the_adaptation_snippet_lowers_the_loss_of_its_own_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tokens, before, after = run(2, capsys).splitlines()[-1].split()
    # 4 updates of 8 texts, each of eleven words and two more tokens at least
    assert int(tokens) >= 4 * 8 * 13 and float(after) < float(before)


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
