from types import SimpleNamespace

import pandas as pd
import pytest

from helpers.classify import baseline, check_task, encode, fine_tune
from helpers.encoder.load import encoder_of
from helpers.errors import UserError


def changed(task, split, **columns):
    """A copy of the task whose `split` has the given cells: column={row: value}."""
    rows = getattr(task, split).copy()
    for column, cells in columns.items():
        for row, value in cells.items():
            rows.loc[row, column] = value
    return SimpleNamespace(**{**vars(task), split: rows})


BAD = [
    ("dev", {"label": {4: "fear"}}, r"task 'moods', dev, row 4: label 'fear' is not in train \(anger, calm, joy\)"),
    ("test", {"label": {0: "fear"}}, r"test, row 0: label 'fear'"),
    ("train", {"text": {7: "  "}}, r"train, row 7: the text is empty"),
    ("dev", {"text": {2: None}}, r"dev, row 2: the text is empty"),
]


@pytest.mark.parametrize("split, cells, message", BAD)
def test_bad_rows_are_refused_in_one_line(task, tiny_model, split, cells, message):
    bad = changed(task, split, **cells)
    for attempt in (lambda: fine_tune(tiny_model, bad), lambda: baseline(bad)):
        with pytest.raises(UserError, match=message) as caught:
            attempt()
        assert "\n" not in str(caught.value)


def test_one_class_missing_column_and_empty_split(task):
    calm = {split: getattr(task, split).query("label == 'calm'") for split in ("train", "dev", "test")}
    with pytest.raises(UserError, match="train has one label, 'calm'"):
        check_task(SimpleNamespace(name="flat", labels=("calm",), **calm))
    with pytest.raises(UserError, match="dev: no column 'label'"):
        check_task(SimpleNamespace(**{**vars(task), "dev": task.dev[["text"]]}))
    with pytest.raises(UserError, match="test: no rows"):
        check_task(SimpleNamespace(**{**vars(task), "test": task.test.iloc[:0]}))


def test_encoding_holds_every_text_in_order_and_cuts_long_ones(task, tiny_model):
    tokenizer = encoder_of(tiny_model)[1]
    texts = list(task.train["text"])
    tokenizer(texts[0], truncation=True, max_length=5)  # leaves a limit behind that encoding has to lift
    encoded = encode(task, tokenizer, max_length=12)
    for row in (0, 7, 41):
        assert list(encoded.windows["train"][row]) == tokenizer(texts[row], truncation=True, max_length=12).input_ids
    assert [encoded.names[number] for number in encoded.labels["dev"]] == list(task.dev["label"])


def test_equal_texts_are_tokenised_once_whatever_else_the_task_holds(task, tiny_model):
    tokenizer = encoder_of(tiny_model)[1]
    mine = encode(task, tokenizer, 32).windows
    drawn = SimpleNamespace(**{**vars(task), "train": task.train.iloc[:9], "test": task.test.copy()})
    theirs = encode(drawn, tokenizer, 32).windows
    assert theirs["test"] is mine["test"] and theirs["dev"] is mine["dev"]
    assert len(theirs["train"]) == 9
    shorter = encode(task, tokenizer, 6)
    other = encode(changed(task, "test", text={0: "calm calm calm"}), tokenizer, 32)
    assert max(shorter.windows["test"].lengths) == 6
    assert list(other.windows["test"][0]) == tokenizer("calm calm calm").input_ids
    assert list(other.windows["test"][1]) == list(mine["test"][1])


def test_a_hundred_thousand_rows(task, tiny_model):
    rows = pd.DataFrame({"text": ["calm", "joy", "anger one"] * 34_000, "label": ["calm", "joy", "anger"] * 34_000})
    encoded = encode(SimpleNamespace(**{**vars(task), "train": rows}), encoder_of(tiny_model)[1], 32)
    assert len(encoded.windows["train"]) == len(encoded.labels["train"]) == 102_000
    assert encoded.labels["train"][:4].tolist() == [1, 2, 0, 1]
