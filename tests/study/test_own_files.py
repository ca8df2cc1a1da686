"""A study of your own files: what is in the store stands for what the files hold, however they are named or edited."""

import inspect
import json

import numpy as np
import pandas as pd
import pytest

from helpers.config import make_config
from helpers.errors import UserError
from helpers.methods import METHODS
from helpers.study import makers, scripts
from helpers.study.opening import foreign_rates
from helpers.study.steps import make_one, missing
from helpers.study.texts import Thinned, grouped, groups_of_thinned
from helpers.study.views import selection_methods
from tests.study.conftest import write_jsonl


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

    assert planned("a café") == [False] * 3 and planned("東京へ行く") == planned("İzmir") == [True, False, False]


def test_learning_rates_of_another_base_are_said(capsys, open_study):
    said = foreign_rates(make_config("demo", {"BASE_MODEL": "roberta-base", "TAPT_LEARNING_RATE": 1e-4}))
    assert said.startswith("BASE_MODEL=roberta-base: LEARNING_RATE=0.001, DAPT_LEARNING_RATE=0.001 of preset demo were")
    assert foreign_rates(make_config("demo")) == foreign_rates(make_config("paper")) == ""
    open_study()
    assert "another base may want other rates" in capsys.readouterr().out


def test_learning_rates_of_the_paper_are_said_for_what_they_are():
    given = {"BASE_MODEL": "allenai/cs_roberta_base", "LEARNING_RATE": 1e-4}
    assert foreign_rates(make_config("paper", given)) == (
        "BASE_MODEL=allenai/cs_roberta_base: DAPT_LEARNING_RATE=0.0005, TAPT_LEARNING_RATE=0 (the paper's) of preset "
        "paper were chosen for roberta-base; another base may want other rates"
    )
    one = foreign_rates(make_config("paper", given | {"TAPT_LEARNING_RATE": 1e-4}))
    assert one.endswith(": DAPT_LEARNING_RATE=0.0005 of preset paper was chosen for roberta-base; "
                        "another base may want another rate")  # fmt: skip
    all_given = given | {"TAPT_LEARNING_RATE": 1e-4, "DAPT_LEARNING_RATE": 1e-4}
    assert foreign_rates(make_config("paper", all_given)) == ""
    demo = foreign_rates(make_config("demo", {"BASE_MODEL": "roberta-base"}))
    assert demo.endswith("other rates (preset paper has those for roberta-base)")


def test_segmenters_count_towards_the_key_of_what_counts_words_they_cut(open_study, tmp_path, monkeypatch):
    def keys(text, at_hand):
        monkeypatch.setattr(scripts, "segmenters", lambda: at_hand)
        rows = [f"{text} {number},{'ab'[number % 2]}" for number in range(80)]
        (tmp_path / "notes.csv").write_text("\n".join(["text,label", *rows]) + "\n")
        (tmp_path / "law.txt").write_text("\n".join(f"{text} {number}" for number in range(400)))
        own = dict(TASK_FILE=str(tmp_path / "notes.csv"), DOMAIN_FILE=str(tmp_path / "law.txt"))
        made = open_study(**own, TASKS=None, SELECTION_TASKS=None).plan
        steps = [
            made.overlap(),
            made.vampire("notes"),
            made.selection("notes", "random", 2),
            made.record("notes", "tfidf", 0),
        ]
        return [step.key for step in steps]

    assert keys("the court", "") == keys("the court", "jieba 0.42")
    assert not set(keys("東京へ行く", "")) & set(keys("東京へ行く", "jieba 0.42"))


def test_hidden_characters_count_towards_the_key_of_what_selects_by_words(open_study, tmp_path):
    def words(text):
        write_rows(tmp_path / "notes.csv", text)
        (tmp_path / "law.txt").write_text("\n".join(f"{text} {number}" for number in range(400)))
        own = dict(TASK_FILE=str(tmp_path / "notes.csv"), DOMAIN_FILE=str(tmp_path / "law.txt"))
        made = open_study(**own, TASKS=None, SELECTION_TASKS=None).plan
        steps = made.overlap(), made.vampire("notes"), made.record("notes", "tfidf", 0)
        return ["hidden" in step.settings.get("words", "") for step in steps]

    for text in ("İzmir", "co\u00adoperate", "می\u200cخواهم"):
        assert words(text) == [False, True, True]
    for text in ("the court", "here \u200b", "cafe\u0301 co\u00adoperate"):  # a mark had them cut by script before
        assert words(text) == [False] * 3


def test_a_domain_that_is_another_than_was_planned_is_not_made(open_study, tmp_path):
    (tmp_path / "law.txt").write_text("\n".join(documents()))
    study = open_study(DOMAIN_FILE=str(tmp_path / "law.txt"))
    step = study.plan.domain("law")
    (tmp_path / "law.txt").write_text("\n".join(documents(70)))
    with pytest.raises(UserError, match="domain law: its text .* changed while the study was at work, or is another"):
        makers.domain(tmp_path, **step.settings, **step.here, held=study.folder(study.plan.held))


def test_a_domain_goes_by_the_name_it_has_now(open_study, tmp_path):
    (tmp_path / "law.txt").write_text("\n".join(documents()))
    open_study(DOMAIN_FILE=str(tmp_path / "law.txt")).prepare_domains(["law"])
    (tmp_path / "law.txt").rename(tmp_path / "rulings.txt")
    table = open_study(DOMAIN_FILE=str(tmp_path / "rulings.txt")).prepare_domains(["rulings"])
    assert table.index.tolist() == ["rulings"] and "rulings.txt" in table["source"].item()


def test_a_step_whose_input_is_gone_makes_nothing(open_study):
    study = open_study()
    text = study.plan.task_text("chemprot")
    with pytest.raises(UserError, match="task_text chemprot: the held dev and test that it reads is gone from"):
        make_one(str(study.store.root), text)
    assert text.folder(study.store) is None
    study.make([text])
    assert text.folder(study.store)


def test_every_maker_takes_what_its_step_has(open_study, root):
    """Settings are part of a key and arguments of the maker alike."""
    write_jsonl(root / "tasks" / "chemprot" / "unlabeled.jsonl", [{"text": f"more of it {n}"} for n in range(30)])
    study = open_study(SELECTORS="vampire,random,embedding", NEIGHBOURS="2,5")
    named = (*METHODS, *selection_methods(study))
    pairs = study.possible(named, ["chemprot"])
    steps = [*study.planned(named, ["chemprot"]), study.plan.overlap(), study.plan.audit("chemprot")]
    steps += [step for method, task in pairs for step in study.plan.read_outs(task, method, 8, 2)]
    steps += [study.plan.quality("chemprot", selector, 2) for selector in ("vampire", "random")]
    kinds = set()
    for step in missing(steps, study.store):
        inspect.signature(step.make).bind("folder", **step.settings, **step.here, **step.reads)
        kinds.add(step.kind)
    assert kinds >= {"held", "task_text", "domain", "model", "losses", "record", "read_outs", "vectors", "pool"}
    assert kinds >= {"vampire", "selection", "quality", "overlap", "audit"}
    text = study.plan.task_text("chemprot", "unlabeled")
    study.make([text])
    assert "more of it 3" in (study.folder(text) / makers.TEXTS).read_text()


def test_losses_of_dev_texts_bear_their_groups():
    rows = pd.DataFrame({"text": [f"text {n}" for n in range(30)], "group_id": [f"g{n // 3}" for n in range(30)]})
    kept = list(Thinned(rows["text"].tolist(), 7))
    assert groups_of_thinned(rows, 7) == [f"g{int(text.split()[1]) // 3}" for text in kept]
    assert groups_of_thinned(rows.drop(columns="group_id"), 7) is None
    losses = pd.DataFrame({"document": [0, 2], "loss": [1.0, 2.0]})  # the second had no token to mask
    assert grouped(losses, ["a", "b", "c"])["group"].tolist() == ["a", "c"]
    assert grouped(losses, None)["group"].isna().all()


def test_numbers_of_labels_below_the_classes_are_refused_before_anything_is_computed(open_study, tmp_path):
    rows = [f"text {n} of class {n % 12},{n % 12}" for n in range(240)]
    (tmp_path / "many.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    own = dict(
        TASK_FILE=str(tmp_path / "many.csv"), TASKS=None, SELECTION_TASKS=None, MAX_DEV=0, MAX_TEST=0, MAX_TRAIN=0
    )
    few = open_study(**own, LABEL_BUDGETS=(8, 100, 0))
    with pytest.raises(
        UserError, match=r"task many: LABEL_BUDGETS=8,100,0 draws fewer .* its 12 labels; give LABEL_BUDGETS=100,0"
    ):
        few.task("many")
    with pytest.raises(UserError, match=r"LABELS=8 draws fewer rows than its 12 labels; give LABELS=0"):
        open_study(**own, LABELS=8, LABEL_BUDGETS=(0,)).task("many")
    assert len(open_study(**own, LABELS=12, LABEL_BUDGETS=(0,)).task("many").labels) == 12
