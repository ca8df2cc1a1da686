"""What the README says to type works, and what it points at is there."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers.data import load_task
from helpers.data.registry import read_task_file

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text("utf-8")
BOTH = TEXT + (ROOT / "README.ja.md").read_text("utf-8")
PAGES = [ROOT / "README.ja.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("outputs/reference*/README.md"))]
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def run(number, capsys):
    """What a snippet of the README prints."""
    exec(compile(SNIPPETS[number], "README.md", "exec"), {"__name__": "snippet"})
    return capsys.readouterr().out


def test_the_overlap_snippet_counts_what_two_collections_share(capsys):
    # 6 words of law and 9 of the reviews are no stop words, and "court" is the one of both
    rows = [line.split() for line in run(0, capsys).splitlines()]
    shared = {(row[1], row[2]): float(row[3]) for row in rows[1:]}
    assert shared["law", "law"] == shared["reviews", "reviews"] == 100
    assert shared["law", "reviews"] == shared["reviews", "law"] == pytest.approx(100 / 9, abs=1e-4)


def test_the_adaptation_snippet_lowers_the_loss_of_its_own_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tokens, before, after = run(2, capsys).splitlines()[-1].split()
    # 4 updates of 8 texts, each of eleven words and two more tokens at least
    assert int(tokens) >= 4 * 8 * 13 and float(after) < float(before)


def test_the_selection_snippet_finds_the_sentences_about_the_task(capsys):
    # two for each of the task's texts, in the pool's order
    assert ast.literal_eval(run(1, capsys)) == [
        "the substrate binds to the enzyme slowly", "blood pressure was lower with the drug",
        "an enzyme and its substrate", "the drug was tolerated",
    ]  # fmt: skip


def test_the_example_of_a_task_file_registers_its_tasks(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
    (tmp_path / "tasks.toml").write_text(example, "utf-8")
    rows = [(f"{text} number {n}", label) for n in range(30) for text, label in (("a claim", "law"), ("a sail", "sea"))]
    (tmp_path / "notes.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    tasks = read_task_file(tmp_path / "tasks.toml")
    assert list(tasks) == ["notes", "pleas"] and tasks["pleas"].partner == "notes"
    assert {spec.domain for spec in tasks.values()} == {"law"} and tasks["notes"].metric == "macro_f1"
    assert sum(map(len, load_task("notes", task_file=tmp_path / "tasks.toml").train["text"])) > 0


def test_links_and_paths_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", BOTH) if "://" not in link]
    named = re.findall(r"`((?:notebooks|helpers|tests|benchmarks)/[\w./]+\.\w+)`", TEXT)
    missing = [name for name in [*links, *named, "CITATION.cff", "LICENSE"] if not (ROOT / name).exists()]
    assert links and not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_other_pages_lead_somewhere(page):
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")) if "://" not in link]
    assert not [link for link in links if not (page.parent / link).exists()]


def test_make_targets_and_commands_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"^\s*make (\w+)|`make (\w+)`", BOTH, re.M)):
        assert re.search(rf"^{''.join(target)}:", makefile, re.M), target
    from helpers.run.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"\bdsp (\w+)", BOTH)) <= commands


# A line of code or a command in backticks, without what is set before it and what is said after it.
LINES = re.findall(r"(?:^ {4}(?:\w+=\S+ )*|`)(dsp [^`\n]+)", BOTH, re.M)
COMMANDS = [shlex.split(line, comments=True) for line in dict.fromkeys(LINES)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_are_read_with_their_options(command):
    from helpers.run.cli import app

    # asked for help, a command reads its options and does nothing
    result = CliRunner().invoke(app, [*command[1:], "--help"])
    assert result.exit_code == 0 and "Usage:" in result.output, result.output
    assert CliRunner().invoke(app, [*command[1:], "--no-such-option", "--help"]).exit_code == 2


def test_every_command_line_is_among_those_read():
    assert len(COMMANDS) >= 10 and ["dsp", "run", "--dry-run"] in COMMANDS


def test_parameters_named_in_capitals_are_parameters():
    from helpers.config import Config

    given = set(re.findall(r"-p ([A-Z_]+)[ =]", TEXT)) | set(re.findall(r"`([A-Z]+_[A-Z]+|WORKERS)`", TEXT))
    assert {name.lower() for name in given} - {"dsp_cache", "dsp_data", "dsp_wheels"} <= set(Config.model_fields)


def test_every_preset_has_a_row():
    from helpers.config import PRESETS

    assert all(f"| `{name}` |" in TEXT for name in PRESETS)
