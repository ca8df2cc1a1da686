import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from helpers.classify import STRONG, baseline, fine_tune
from helpers.progress import listening


def test_learns_the_task_and_reports_it(task, tiny_model, quick):
    lines = []
    result = fine_tune(tiny_model, task, replace(quick, epochs=10), seed=1, log=lines.append)
    assert result.score > 0.8 and not result.degenerate
    assert len(lines) == len(result.history) == result.epochs_run
    gold = [task.labels.index(label) for label in task.test["label"]]
    assert result.test_gold == gold
    assert result.test["macro_f1"] == pytest.approx(f1_score(gold, result.test_predictions, average="macro"))
    best = max(result.history, key=lambda row: row["dev_macro_f1"])
    assert (result.best_epoch, result.dev["macro_f1"]) == (best["epoch"], best["dev_macro_f1"])
    record = json.loads(json.dumps(result.record()))
    assert record["recipe"] == "paper" and record["sizes"] == {"train": 90, "dev": 30, "test": 30}
    assert record["fine_tuning"]["epochs"] == 10 and record["labels"] == ["anger", "calm", "joy"]


def test_each_update_is_reported(task, tiny_model, quick):
    shares = []
    with listening(shares.append):
        fine_tune(tiny_model, task, replace(quick, epochs=2, patience=0))
    updates = 2 * -(-90 // quick.batch_size)
    assert shares == [number / updates for number in range(1, updates + 1)]


def test_one_seed_one_result_another_seed_another(task, tiny_model, quick):
    short = replace(quick, epochs=2)
    first, again, other = (fine_tune(tiny_model, task, short, seed=seed, keep_model=True) for seed in (3, 3, 4))
    assert first == replace(again, seconds=first.seconds)
    for name, weight in first.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name]), name
    assert first.history != other.history
    assert not torch.equal(first.model.dense.weight, other.model.dense.weight)


def test_the_weights_tested_are_those_of_the_best_dev_epoch(task, tiny_model, quick):
    # A huge rate ruins the model after the first good epoch or two; patience then stops the run.
    long = fine_tune(tiny_model, task, replace(quick, epochs=12, patience=2), seed=1, keep_model=True)
    assert long.epochs_run == 12 or long.epochs_run == long.best_epoch + 2
    stopped = fine_tune(tiny_model, task, replace(quick, epochs=long.best_epoch), seed=1, keep_model=True)
    assert stopped.test_predictions == long.test_predictions
    for name, weight in long.model.state_dict().items():
        assert torch.equal(weight, stopped.model.state_dict()[name]), name


def test_patience_stops_a_run_that_no_longer_improves(task, tiny_model, quick):
    frozen = replace(quick, learning_rate=0.0, epochs=9, patience=3)
    result = fine_tune(tiny_model, task, frozen)
    assert (result.best_epoch, result.epochs_run) == (1, 4)
    assert fine_tune(tiny_model, task, replace(frozen, epochs=5, patience=0)).epochs_run == 5


def test_a_seed_that_predicts_one_class_is_flagged(task, tiny_model, quick):
    one_sided = pd.concat([task.train.groupby("label").head(2), task.train.query("label == 'joy'")])
    skewed = SimpleNamespace(**{**vars(task), "train": one_sided})
    result = fine_tune(tiny_model, skewed, replace(quick, epochs=1, learning_rate=2e-3))
    assert result.degenerate and set(result.test_predictions) == {2}
    assert result.record()["degenerate"] is True


def test_training_that_diverges_stops_and_is_reported(task, tiny_model, quick):
    result = fine_tune(tiny_model, task, replace(quick, learning_rate=1e30, epochs=5, patience=0))
    assert result.epochs_run < 5 and result.degenerate


def test_strong_recipe_runs_every_epoch(task, tiny_model):
    result = fine_tune(tiny_model, task, replace(STRONG, epochs=3, learning_rate=3e-3))
    assert result.epochs_run == 3 and result.record()["recipe"] == "strong"


def test_micro_f1_tasks_are_judged_by_it(task, tiny_model, quick):
    micro = SimpleNamespace(**{**vars(task), "spec": SimpleNamespace(metric="micro_f1")})
    result = fine_tune(tiny_model, micro, replace(quick, epochs=2))
    assert result.score == result.test["micro_f1"] and "dev_micro_f1" in result.history[0]


def test_baseline_solves_a_task_of_cue_words(task):
    result = baseline(task)
    assert result.score > 0.8 and result.labels == task.labels
    assert result.recipe["C"] == max(result.history, key=lambda row: row["dev_macro_f1"])["C"]
    assert result == replace(baseline(task), seconds=result.seconds)
    assert np.mean(np.array(result.test_gold) == result.test_predictions) == result.test["accuracy"]
