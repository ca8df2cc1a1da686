"""What `dsp data check` says of files whose content is known."""

import json

import pandas as pd
import pytest

from helpers.data import check_report, describe
from helpers.data.toy import domain_texts, task_frames
from helpers.errors import UserError


def found(path, **options):
    return describe(path, **options).set_index("what")


def test_a_task_is_described_with_its_labels_copies_and_leaks(tmp_path):
    frames = task_frames("toy_news")
    frames["test"] = pd.concat([frames["test"], frames["train"][:7]])
    (tmp_path / "mine").mkdir()
    for split, rows in frames.items():
        rows.rename(columns={"text": "body"}).to_csv(tmp_path / "mine" / f"{split}.csv", index=False)
    table = found(tmp_path / "mine")
    assert table.loc["rows", "found"] == "train 200, dev 80, test 87"
    assert "text from 'body'" in table.loc["rows", "done"]
    counts = pd.concat(frames.values())["label"].value_counts()
    assert all(f"{label} {count}" in table.loc["labels", "found"] for label, count in counts.items())
    assert table.loc["test rows that are in train", "found"].startswith("7 equal (0 with another label)")
    assert table.loc["script", "found"] == "Latin 100%" and "English" in table.loc["script", "done"]
    lines = check_report(tmp_path / "mine").splitlines()
    assert len(lines) == len(table) and lines[0].startswith("kind") and "-> named mine" in lines[0]
    assert table.loc["columns", "done"] == "all but the text and the label are left aside"
    grouped = frames["train"].assign(group_id=[number // 2 for number in range(len(frames["train"]))])
    grouped.to_csv(tmp_path / "grouped.csv", index=False)
    said = found(tmp_path / "grouped.csv").loc["columns", "done"]
    assert said == "all but the text, the label and the group are left aside"


def test_groups_that_cross_the_splits_of_ones_own_are_counted(tmp_path):
    frames = task_frames("toy_news")
    # dev shares b and c with train, test b with both and d with dev; rows without a group share their numbers alone
    groups = {"train": [None, "a", "b", "c"], "dev": [None, "d", "b", "c"], "test": [None, None, "b", "d"]}
    for split, own in groups.items():
        rows = frames[split].assign(group_id=(own + [None] * len(frames[split]))[: len(frames[split])])
        rows.to_csv(tmp_path / f"{split}.csv", index=False)
    table = found(tmp_path)
    counted = {what: row["found"] for what, row in table.iterrows() if "rows of a group" in what}
    assert counted == {"dev rows of a group in train": "2 of 80", "test rows of a group in train": "1 of 80",
                       "test rows of a group in dev": "2 of 80"}  # fmt: skip
    frames["test"].to_csv(tmp_path / "test.csv", index=False)
    assert [what for what in found(tmp_path).index if "rows of a group" in what] == ["dev rows of a group in train"]
    pd.read_csv(tmp_path / "train.csv").to_csv(tmp_path / "one.csv", index=False)
    assert not any("rows of a group" in what for what in found(tmp_path / "one.csv").index)


def test_a_domain_is_described_with_its_empty_and_repeated_documents(tmp_path):
    texts = [*domain_texts("cs")[:150], *domain_texts("cs")[:4], "", " "]
    (tmp_path / "law.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    table = found(tmp_path / "law.jsonl")
    assert table.loc["documents"].tolist() == ["154", "2 empty ones are left out"]
    assert table.loc["duplicates", "found"] == "4 documents repeat another"
    assert found(tmp_path / "law.jsonl", tokenizer=lambda some: {"input_ids": [[0] * 9 for _ in some]}).loc[
        "tokens a text", "found"].startswith("median 9, ")  # fmt: skip


def test_japanese_is_told_and_so_are_the_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.words._segmenter", lambda language: None)
    (tmp_path / "ja.txt").write_text("雪が降る。\n道が凍る。\n", encoding="utf-8")
    table = found(tmp_path / "ja.txt")
    assert "looks like Japanese" in table.loc["script", "done"] and "pairs" in table.loc["script", "done"]
    assert "too few" in table.loc["documents", "done"]


def test_a_fault_is_raised_with_its_row(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nx,a\n,b\n")
    with pytest.raises(UserError, match="row 3: text is empty"):
        describe(tmp_path / "a.csv")


def test_few_test_rows_numbers_and_joined_labels_are_told(tmp_path):
    texts = [f"case {i} of the court was heard at noon by the judge" for i in range(120)]
    rows = pd.DataFrame({"text": texts, "label": [str(i % 12 + 1) for i in range(120)]})
    rows.to_csv(tmp_path / "stars.csv", index=False)
    table = found(tmp_path / "stars.csv")
    tested = int(table.loc["test rows", "found"])
    # two standard errors of a share of one half
    assert f"{100 * 1.96 * (0.25 / tested) ** 0.5:.0f} points" in table.loc["test rows", "done"]
    assert "classes without an order" in table.loc["labels", "done"]
    rows.assign(label=["law" if i % 2 else "law|tax" for i in range(120)]).to_csv(tmp_path / "two.csv", index=False)
    assert "'law|tax' is taken for one class" in found(tmp_path / "two.csv").loc["labels", "done"]
    rows.assign(label=[str(i % 2) for i in range(120)]).to_csv(tmp_path / "binary.csv", index=False)
    assert found(tmp_path / "binary.csv").loc["labels", "done"] == ""


def test_a_column_without_a_header_is_not_read_as_if_its_first_text_were_one(tmp_path):
    (tmp_path / "notes.csv").write_text("The court sat at noon today.\nIt rose at one.\n")
    with pytest.raises(UserError, match="row 1: 'The court sat at noon today.' reads as a text"):
        describe(tmp_path / "notes.csv")
    (tmp_path / "named.csv").write_text("what they wrote\nIt rose at one.\n")
    assert found(tmp_path / "named.csv").loc["documents", "found"] == "1"
