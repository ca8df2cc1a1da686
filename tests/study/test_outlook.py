"""What a run would make is told beforehand, with the parts that only some runs have."""

import random

import pytest

from helpers.study.outlook import outlook, seconds_to_make
from tests.study.conftest import sentence, write_jsonl


def test_the_stronger_recipe_is_counted_at_twice_the_epochs(open_study, monkeypatch):
    monkeypatch.setattr("helpers.compute.matrix_rate", lambda: 1e9)
    given = {"BASE_MODEL": "mini", "EPOCHS": 2, "TESTED_WEIGHTS": "last"}
    without, study = open_study(**given), open_study(**given, STRONG_SEEDS=1)
    more = outlook(study)["planned"] - outlook(without)["planned"]
    # base, DAPT, TAPT and DAPT+TAPT of 2 tasks, by models that the paper's recipe has made
    assert more[more != 0].to_dict() == {"record": 8}
    seconds = {step.key: one for step, one in seconds_to_make(study).items()}
    usual, strong = (study.plan.record("sciie", "base", 0, recipe) for recipe in ("paper", "strong"))
    # of texts all as long: 40 trained on (6 operations) in each of 2 or 4 epochs, 24 scored once (2 operations)
    assert seconds[strong.key] / seconds[usual.key] == pytest.approx((4 * 6 * 40 + 2 * 24) / (2 * 6 * 40 + 2 * 24))


def test_curated_tapt_is_counted_for_tasks_with_unlabelled_text(open_study, root):
    before = outlook(open_study(BASE_MODEL="mini"))["planned"]
    draw = random.Random(1)
    texts = [{"text": sentence(draw, "biomed")} for _ in range(30)]
    write_jsonl(root / "tasks" / "chemprot" / "unlabeled.jsonl", texts)
    more = outlook(open_study(BASE_MODEL="mini"))["planned"] - before
    # of one task: alone and after DAPT, each fine-tuned under 2 seeds; its loss told after, before it is with TAPT's
    assert more[more != 0].to_dict() == {"task_text": 1, "model": 2, "losses": 2, "record": 4}
