"""Dev and test rows set apart from one file: by content, every label in its share, what belongs together stays so."""

import numpy as np
import pandas as pd
import pytest

from helpers.data import load_task
from helpers.data.apart import set_apart
from helpers.errors import UserError
from tests.data.test_any_file import FRAME, write_jsonl


def topics(seed, count, label):
    draw = np.random.default_rng(seed)
    return [{"text": " ".join(f"{label}{n}" for n in draw.integers(0, 500, 12)), "label": label} for _ in range(count)]


def test_one_file_is_split_by_content_stratified_with_copies_on_one_side():
    rows = topics(0, 200, "a") + topics(1, 100, "b")
    near = [{**row, "text": row["text"] + " indeed"} for row in rows[:100]]
    copies = [{**row, "text": row["text"].upper()} for row in rows[100:150]]
    frame = pd.DataFrame(rows + near + copies)
    task = load_task(frame)
    assert "set apart from train by content" in task.source
    sizes = {split: len(getattr(task, split)) for split in ("train", "dev", "test")}
    assert sum(sizes.values()) == 450 and abs(sizes["test"] - 90) < 5 and abs(sizes["dev"] - 45) < 5
    share = task.test["label"].value_counts(normalize=True)["a"]
    assert share == pytest.approx((frame["label"] == "a").mean(), abs=0.03)

    def stems(split):
        return {" ".join(text.lower().split()[:12]) for text in getattr(task, split)["text"]}

    assert not stems("train") & stems("test") and not stems("train") & stems("dev") and not stems("dev") & stems("test")
    shuffled = load_task(frame.sample(frac=1, random_state=3))
    assert set(shuffled.test["text"]) == set(task.test["text"])


def test_near_copies_of_templated_rows_stay_on_one_side():
    head = "the patient was seen in the clinic today and the following was found on examination by the physician"
    rows = [{**row, "text": f"{head} {row['text']}"} for row in topics(0, 150, "a") + topics(1, 150, "b")]
    found = set_apart(pd.DataFrame(rows + [{**row, "text": f"{row['text']} again"} for row in rows]), ("test",), "rows")
    stems = [set(part["text"].str.removesuffix(" again")) for part in found.values()]
    assert sum(map(len, stems)) == 300 and len(stems[1]) == pytest.approx(60, abs=3)


def test_rows_of_one_document_stay_on_one_side_and_are_numbered():
    sentences = [f"sentence {n} of {n // 5} has words {n * n} and {n + 7}" for n in range(300)]
    frame = pd.DataFrame({"text": sentences, "label": ["a", "b", "c"] * 100, "group_id": [n // 5 for n in range(300)]})
    task = load_task(frame)
    sides = [set(part["group_id"]) for part in (task.train, task.dev, task.test)]
    assert all(sides) and sum(map(len, sides)) == len(set.union(*sides)) == 60
    assert "rows of one group_id belong together" in task.source
    numbers = task.groups()
    assert len(numbers) == len(task.test) and max(numbers) + 1 == len(sides[2])
    assert pd.Series(numbers).groupby(task.test["group_id"]).nunique().eq(1).all()
    alone = load_task(frame.assign(group_id=None)), load_task(frame[["text", "label"]])
    assert [one.groups() for one in alone] == [None, None]
    assert load_task(frame.assign(group_id=[None, *frame["group_id"][1:]])).train["group_id"].notna().all()


def test_documents_of_many_labels_are_set_apart_whole():
    rows = pd.DataFrame(
        [{"text": f"line {line} of {n} is about {line * n % 97} and {n * 31 + line}", "label": "abcde"[line % 5],
          "group_id": f"document {n}"} for n in range(20) for line in range(50)]
    )  # fmt: skip
    rows.loc[777, "label"] = "rare"  # whose only document is then one to train on
    task = load_task(rows)
    assert [part["group_id"].nunique() for part in (task.train, task.dev, task.test)] == [14, 2, 4]
    assert "rare" in set(task.train["label"]) and len(task.train) == 700


def test_what_a_folder_lacks_is_set_apart_and_validation_is_dev(tmp_path):
    folder = tmp_path / "mine"
    write_jsonl(folder / "train.jsonl", topics(0, 50, "a") + topics(1, 50, "b"))
    write_jsonl(folder / "validation.jsonl", topics(2, 7, "a"))
    task = load_task(folder)
    assert len(task.dev) == 7 and len(task.test) == 20 and "test set apart" in task.source
    write_jsonl(folder / "valid.jsonl", topics(2, 7, "a"))
    with pytest.raises(UserError, match="valid.jsonl and validation.jsonl could be dev"):
        load_task(folder)


def test_a_file_too_small_to_split_is_refused():
    with pytest.raises(UserError, match="4 rows of [12] labels? are too few to set .* apart"):
        load_task(FRAME[:4])


def test_rows_that_are_all_near_copies_are_told_to_be_so():
    same = "the court held that the claim was barred by the statute and dismissed the appeal of the buyer"
    frame = pd.DataFrame({"text": [f"{same} {number}" for number in range(60)], "label": ["a", "b"] * 30})
    with pytest.raises(UserError, match="60 rows of 2 labels, near copies of 1 text that stay together, are too few"):
        load_task(frame)


def test_fewer_rows_than_labels_are_refused():
    frame = pd.DataFrame(topics(0, 40, "a") + topics(1, 40, "b") + topics(2, 40, "c"))
    for split in ("train", "dev", "test"):
        with pytest.raises(UserError, match=f"2 rows of {split} are fewer than the 3 labels; give MAX_{split.upper()}"):
            load_task(frame, **{f"max_{split}": 2})


def test_a_split_of_ours_leaves_every_label_in_train():
    """A row a label of texts with several: equal texts stay together, whatever their labels."""
    rows = []
    for number in range(400):
        rows.append((f"a text of its own, number {number} of them", "common"))
        if number < 45:
            rows.append((rows[-1][0], f"rare{number % 15}"))
    frame = pd.DataFrame(rows, columns=["text", "label"])
    for seed in range(5):
        found = set_apart(frame, ("dev", "test"), "rows", seed=seed)
        assert set(found["train"]["label"]) == set(frame["label"])
        assert not set(found["train"]["text"]) & set(found["test"]["text"])
