"""Records on disk: whole, checked, and read back as they were written."""

import json
import os

import numpy as np
import pytest

from helpers.errors import UserError
from helpers.results import load_records, read_record, record_path, score_table, write_record
from helpers.results.records import COLUMNS, macro_f1


def test_a_record_comes_back_as_it_was(tmp_path, record):
    one = record("ag", "dapt", 2, 0.8, adaptation={"corpus": "news", "steps": 12}, leaked=[3, 9])
    path = write_record(tmp_path / "records", one)
    assert path == tmp_path / "records" / "ag" / "dapt" / "seed-2.json" and read_record(path) == one
    row = load_records(tmp_path / "records").iloc[0]
    assert list(row.index) == list(COLUMNS)
    assert row["score"] == pytest.approx(100 * one["test"]["macro_f1"])
    assert row["path"] == "records/ag/dapt/seed-2.json" and row["leaked"] == 2
    assert row["adaptation_corpus"] == "news" and row["adaptation_steps"] == 12
    assert row["test_predictions"].tolist() == one["test_predictions"]


def test_the_score_is_the_tasks_own_metric(tmp_path, record):
    write_record(tmp_path / "records", record("chemprot", "base", 0, 0.7, rows=50))
    row = load_records(tmp_path / "records").iloc[0]
    assert row["score"] == row["micro_f1"] != row["macro_f1"]


def test_numpy_values_and_the_strong_recipe(tmp_path, record):
    one = record("ag", "base", 0, 0.8, recipe="strong")
    one["test_predictions"] = np.array(one["test_predictions"])
    one["seconds"] = np.float32(1.5)
    path = write_record(tmp_path, one)
    assert path.parent.name == "base+strong" and record_path(one).as_posix() == "ag/base+strong/seed-0.json"
    assert read_record(path)["seconds"] == 1.5
    assert len(path.read_text().splitlines()) < 120, "lists of numbers belong on one line"


def test_scores_without_leaked_rows(tmp_path, record):
    one = record("chemprot", "base", 0, 0.5, rows=40)
    right = [i for i, (g, p) in enumerate(zip(one["test_gold"], one["test_predictions"], strict=True)) if g == p]
    one["test_leaked"] = right[:10]
    write_record(tmp_path / "records", one)
    row = load_records(tmp_path / "records").iloc[0]
    assert row["score_without_leaked"] == pytest.approx(100 * (len(right) - 10) / 30)


def test_macro_f1_without_leaked_rows_leaves_out_labels_that_lost_all_theirs(tmp_path, record):
    one = record("ag", "base", 0, 1.0, rows=6, classes=2)
    one |= {
        "labels": ["a", "b", "never", "lost"],
        "test_gold": [0, 0, 1, 1, 3, 3],
        "test_predictions": [0, 1, 1, 1, 3, 2],
    }
    # F1 of a, b, never, lost: 2/3, 4/5, 0, 2/3; a label that never had a row counts 0 with and without leaked rows.
    one["test"] = {"accuracy": 4 / 6, "micro_f1": 4 / 6, "macro_f1": (2 / 3 + 4 / 5 + 2 / 3) / 4}
    one["test_leaked"] = [4, 5]
    write_record(tmp_path / "records", one)
    row = load_records(tmp_path / "records").iloc[0]
    assert row["score_without_leaked"] == pytest.approx(100 * (2 / 3 + 4 / 5) / 3)


def test_records_are_sorted_as_the_paper_lists_methods(tmp_path, record):
    for method in ("dapt_tapt", "vampire_50_tapt", "dapt", "base", "tfidf"):
        for seed in (1, 0):
            write_record(tmp_path / "records", record("ag", method, seed, 0.7))
    frame = load_records(tmp_path / "records")
    assert frame["method"].unique().tolist() == ["tfidf", "base", "dapt", "dapt_tapt", "vampire_50_tapt"]
    assert frame["seed"].tolist() == [0, 1] * 5


def test_no_records_give_an_empty_frame(tmp_path):
    frame = load_records(tmp_path / "nothing")
    assert frame.empty and list(frame.columns) == list(COLUMNS)


def test_a_failed_write_leaves_the_old_record_and_no_rubbish(tmp_path, record, monkeypatch):
    path = write_record(tmp_path, record("ag", "base", 0, 0.7))
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_record(tmp_path, record("ag", "base", 0, 0.9))
    assert path.read_bytes() == before and os.listdir(path.parent) == ["seed-0.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "dabt"}, "record ag/dabt/0: method 'dabt': expected one of tfidf, tfidf_window"),
        ({"method": "vampyre_50_tapt"}, "Did you mean vampire?"),
        ({"metric": "f1"}, "metric 'f1': expected one of macro_f1, micro_f1"),
        ({"recipe": "longer"}, "recipe 'longer': expected one of paper, strong, frozen"),
        ({"task": "../up"}, "task '../up' cannot name a folder"),
        ({"task": ""}, "field 'task' must be a word"),
        ({"seed": True}, "field 'seed' must be 0, 1, 2"),
        ({"seed": -1}, "field 'seed' must be 0, 1, 2"),
        ({"labels": []}, "field 'labels' must list"),
        ({"test": None}, "field 'test' must hold the scores"),
        ({"test_predictions": [0, 1]}, "must be lists of one size"),
        ({"labels": ["one"]}, "test_gold must hold label numbers 0..0"),
        ({"test_groups": [0, 1]}, "test_groups must hold a number a test row"),
        ({"test_leaked": [4000]}, "test_leaked must hold row numbers 0..399"),
    ],
)
def test_a_bad_record_is_refused_by_name(tmp_path, record, change, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        write_record(tmp_path, record("ag", "base", 0, 0.7) | change)
    assert not list(tmp_path.rglob("*.json"))


def test_scores_must_be_those_of_the_predictions(tmp_path, record):
    one = record("ag", "base", 0, 0.7)
    for name, value, message in (("accuracy", 0.99, "test accuracy 0.99"), ("macro_f1", 0.99, "test macro_f1 0.99")):
        with pytest.raises(UserError, match=f"{message} is not that of its predictions"):
            write_record(tmp_path, one | {"test": one["test"] | {name: value}})
    with pytest.raises(UserError, match=r"dev micro_f1 is 70\.0, expected 0\.\.1"):
        write_record(tmp_path, one | {"dev": one["dev"] | {"micro_f1": 70.0}})
    with pytest.raises(UserError, match="dev micro_f1 is nan"):
        write_record(tmp_path, one | {"dev": one["dev"] | {"micro_f1": float("nan")}})


def test_a_damaged_file_is_named(tmp_path, record):
    path = write_record(tmp_path / "records", record("ag", "base", 0, 0.7))
    path.write_text(path.read_text()[:200])
    with pytest.raises(UserError, match=r"seed-0\.json: not a readable record .* run the study again"):
        load_records(tmp_path / "records")
    path.write_text(json.dumps(["a list"]))
    with pytest.raises(UserError, match="expected a JSON object"):
        load_records(tmp_path / "records")


def test_a_test_split_that_is_all_in_train_has_no_score_without_it(study, record, tmp_path):
    records = study({("ag", "base"): 0.6}, leaked=range(400))
    assert records["score_without_leaked"].isna().all() and records["leaked"].tolist() == [400] * 3
    assert np.isnan(score_table(records)["mean_without_leaked"].item())


def test_strings_that_look_like_lists_are_written_as_they_are(record, tmp_path):
    made = record("ag", "base", 0, 0.6) | {"labels": ["[0, 18]", "b", "c"]}
    assert read_record(write_record(tmp_path, made))["labels"] == ["[0, 18]", "b", "c"]


def test_what_an_earlier_run_with_other_settings_left_is_not_mixed_in(tmp_path, record):
    """SEEDS=4 LABELS=100 and then SEEDS=2 LABELS=1000 in one folder: seeds 2 and 3 are still of the first."""
    folder = tmp_path / "records"

    def leave(number, *, method="base", **config):
        sizes = {"train": config["labels"], "dev": 50, "test": 400}
        for seed in range(number):
            write_record(folder, record("ag", method, seed, 0.6) | {"sizes": sizes, "config": config})

    leave(4, labels=100, seeds=4, tasks=["ag"], neighbours=[2])
    leave(2, labels=100, seeds=2, tasks=["ag", "imdb"], neighbours=[2, 8], adaptation_seeds=2)
    assert len(load_records(folder)) == 4, "further repeats and tasks make no other run"
    leave(2, labels=1000, seeds=2)
    with pytest.raises(UserError, match=r"seed-0.json is of 1000 training rows, .*seed-2.json of 100: .*; remove "):
        load_records(folder)
    for seed in (2, 3):
        (folder / "ag" / "base" / f"seed-{seed}.json").unlink()
    leave(2, method="tapt", labels=100)
    with pytest.raises(UserError, match=r"base/seed-0.json is of 1000 training rows, .*tapt/seed-0.json of 100"):
        load_records(folder)
    leave(2, method="tapt", labels=1000, dapt_steps=8)
    leave(1, method="tapt", labels=1000, dapt_steps=800)
    with pytest.raises(UserError, match=r"tapt/seed-0.json is of 800 dapt_steps, .*tapt/seed-1.json of 8:"):
        load_records(folder)


@pytest.mark.parametrize("seed", range(20))
def test_macro_f1_is_scikit_learns_to_the_last_digit(seed):
    from sklearn.metrics import f1_score

    random = np.random.default_rng(seed)
    classes, rows = random.integers(2, 8), random.integers(1, 60)
    gold, predicted = random.integers(classes, size=(2, rows))
    labels = random.permutation(classes + 1)[: random.integers(1, classes + 1)]  # some are nowhere, some left out
    assert macro_f1(gold, predicted, labels) == f1_score(
        gold, predicted, labels=list(labels), average="macro", zero_division=0
    )
