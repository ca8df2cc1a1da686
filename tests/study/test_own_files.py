"""A study of your own files: what is in the store stands for what the files hold, however they are named or edited."""

import json

import numpy as np
import pytest

from helpers.config import make_config
from helpers.errors import UserError
from helpers.study import makers
from helpers.study.opening import foreign_rates


def write_rows(path, word):
    draw = np.random.default_rng(0)
    rows = [f"{word} {' '.join(map(str, draw.integers(0, 900, 9)))},{'ab'[n % 2]}" for n in range(60)]
    path.write_text("\n".join(["text,label", *rows]) + "\n")


def documents(count=60):
    return [f"document {number} speaks of law number {number * number}" for number in range(count)]


def test_a_file_edited_in_the_same_process_is_another_text(open_study, tmp_path):
    own = dict(TASK_FILE=str(tmp_path / "notes.csv"), TASKS=None, SELECTION_TASKS=None)
    write_rows(tmp_path / "notes.csv", "old")
    before = open_study(**own)
    assert all(text.startswith("old") for text in before.task_texts("notes"))
    write_rows(tmp_path / "notes.csv", "new")
    after = open_study(**own)
    assert all(text.startswith("new") for text in after.task_texts("notes"))
    with pytest.raises(UserError, match="task notes: its rows changed while the study was at work; run it again"):
        makers.load("notes", before.plan.source, "of rows that are gone")


def test_a_domain_is_keyed_by_how_its_file_is_read(open_study, tmp_path):
    text = "".join(json.dumps({"title": f"law {n}", "text": text}) + "\n" for n, text in enumerate(documents()))
    (tmp_path / "law.txt").write_text(text)
    as_text = open_study(DOMAIN_FILE=str(tmp_path / "law.txt"))
    assert next(iter(as_text.domain_texts("law"))).startswith('{"title"')
    (tmp_path / "law.txt").rename(tmp_path / "law.jsonl")
    rows = open_study(DOMAIN_FILE=str(tmp_path / "law.jsonl"))
    assert next(iter(rows.domain_texts("law"))).startswith("document")
    titles = open_study(DOMAIN_FILE=str(tmp_path / "law.jsonl"), TEXT_COLUMN="title")
    assert next(iter(titles.domain_texts("law"))).startswith("law")
    assert set(titles.task("chemprot").train.columns) >= {"text", "label"}  # whose column it does not name
    assert titles.prepare_domains(["cs"]).loc["cs", "documents"] > 0


@pytest.mark.parametrize("name", ["documents", "top", "folder"])
def test_a_domain_may_be_named_as_a_setting(open_study, tmp_path, name):
    (tmp_path / f"{name}.txt").write_text("\n".join(documents()))
    study = open_study(DOMAIN_FILE=str(tmp_path / f"{name}.txt"), DOMAINS="biomed")
    assert set(study.overlap()["a"]) == {"generic", "biomed", name}


def test_a_task_named_as_its_domain_leaves_the_domains_losses_alone(open_study, made, tmp_path):
    study = open_study()
    samples = {"generic", "biomed", "cs", "task_chemprot", "task_sciie"}
    assert set(study.document_losses(study.tasks)["sample"]) == samples


def test_a_script_that_says_what_a_word_is_counts_towards_a_baselines_key(open_study, tmp_path):
    def planned(text):
        rows = [f"{text} {number},{'ab'[number % 2]}" for number in range(80)]
        (tmp_path / "notes.csv").write_text("\n".join(["text,label", *rows]) + "\n")
        study = open_study(TASK_FILE=str(tmp_path / "notes.csv"), TASKS=None, SELECTION_TASKS=None)
        settings = [study.plan.record("notes", name, 0).settings for name in ("tfidf", "static", "base")]
        return ["words" in one for one in settings]

    assert planned("a café") == [False] * 3 and planned("東京へ行く") == [True, False, False]


def test_learning_rates_of_another_base_are_said(capsys, open_study):
    said = foreign_rates(make_config("demo", {"BASE_MODEL": "roberta-base", "TAPT_LEARNING_RATE": 1e-4}))
    assert said.startswith("BASE_MODEL=roberta-base: LEARNING_RATE=0.001, DAPT_LEARNING_RATE=0.001 of preset demo were")
    assert foreign_rates(make_config("demo")) == foreign_rates(make_config("paper")) == ""
    open_study()
    assert "another base may want other rates" in capsys.readouterr().out
