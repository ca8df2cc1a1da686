"""The audit against texts whose duplicates are known, and against a slow, plain reckoning of the same."""

import random
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.data import audit, exclude, leaked_rows, load_task, split_heldout
from helpers.data.leaks import repeats, without_near_copies
from helpers.data.shingles import SHINGLE, Shingles, contained, containing, holding
from helpers.errors import UserError
from helpers.words import normalised

WORDS = [f"word{n}" for n in range(400)]


def sentence(draw, words=12):
    return " ".join(draw.choice(WORDS) for _ in range(words))


def make_task(train, dev, test):
    frames = (pd.DataFrame(rows, columns=["text", "label"]) for rows in (train, dev, test))
    return SimpleNamespace(**dict(zip(("train", "dev", "test"), frames, strict=True)))


@pytest.fixture
def task():
    draw = random.Random(0)
    train = [(sentence(draw), "a") for _ in range(50)] + [("Methods", "a"), ("Results", "b")]
    train.append((train[0][0].upper(), "b"))  # the first once more, with another label
    marked = train[2][0].replace(" ", " << ", 1)
    dev = [(sentence(draw), "a"), (train[1][0] + "  ", "a"), ("methods", "a")]
    test = [(sentence(draw), "b"), (marked, "a"), (train[3][0], "b"), (dev[0][0], "a")]
    return make_task(train, dev, test)


def test_copies_between_splits_are_counted(task):
    table = audit(task).set_index(["held", "against"])
    assert table.loc[("train", "train"), ["exact", "near", "same_label"]].tolist() == [1, 0, 0]
    assert table.loc[("dev", "train"), ["exact", "near", "same_label"]].tolist() == [2, 0, 2]
    assert table.loc[("test", "train"), ["exact", "near", "same_label"]].tolist() == [1, 1, 0]
    assert table.loc[("test", "dev"), ["exact", "near", "same_label"]].tolist() == [1, 0, 1]
    assert table.loc[("test", "dev"), ["rows", "exact_percent"]].tolist() == [4, 25.0]


def test_leaked_rows_are_the_rows_the_audit_counts(task):
    rows = leaked_rows(task)
    assert {split: array.tolist() for split, array in rows.items()} == {"train": [52], "dev": [1, 2], "test": [2]}
    assert leaked_rows(task, near=0.8)["test"].tolist() == [1, 2]


def test_texts_inside_documents_of_a_corpus_are_found(task):
    draw = random.Random(1)
    test = task.test["text"].tolist()
    nearly = test[3].split()
    nearly[-1] = "other"  # one word of twelve: seven of eight shingles stay
    corpus = [sentence(draw, 300) for _ in range(30)]
    corpus[4] += f". {test[0].title()}! " + sentence(draw, 50)
    corpus[9] += " " + " ".join(nearly)
    corpus[11] += " methods"
    table = audit(task, {"news": iter(corpus)}).set_index(["held", "against"])
    assert table.loc[("test", "news"), ["exact", "near"]].tolist() == [1, 1]
    assert table["same_label"].isna().tolist() == [False] * 4 + [True] * 3  # a corpus has no labels to compare
    # The nearly copied text is the dev row as well; "methods" is too short to be looked for in documents.
    assert table.loc[("dev", "news"), ["exact", "near"]].tolist() == [0, 1]
    assert table.loc[("train", "news"), ["exact", "near"]].tolist() == [0, 0]


def plain_containment(held, others, share):
    def grams(text):
        words = normalised(text).split()
        return [tuple(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)]

    sets = [set(grams(text)) for text in others]
    return [
        any(mine and sum(gram in other for gram in mine) >= share * len(mine) for other in sets)
        for mine in map(grams, held)
    ]


@pytest.mark.parametrize("share", [0.3, 0.8, 1.0])
def test_shingles_agree_with_plain_sets(share):
    draw = random.Random(2)
    held = [" ".join(draw.choice("abc") for _ in range(draw.randint(0, 9))) for _ in range(150)]
    held.append("ünï – cödé “x” y z")
    others = [" ".join(draw.choice("abc") for _ in range(draw.randint(0, 30))) for _ in range(150)]
    others.append("ünï cödé x y z")
    result = contained(Shingles(held), Shingles(others), share)
    assert 0 < result.sum() < len(held)
    assert result.tolist() == plain_containment(held, others, share)


def test_near_copies_of_templated_texts_are_all_found():
    """More texts than are looked at for one shingle begin alike; only what follows tells a pair."""
    draw = random.Random(6)
    head = sentence(draw, 20)
    notes = [f"{head} {sentence(draw)}" for _ in range(130)]
    copies = [f"{note} again" for note in notes]
    every = Shingles(notes + copies)
    pairs = {(row, row + 130) for row in range(130)}
    assert set(zip(*containing(every, every, 0.8), strict=True)) == pairs | {(other, row) for row, other in pairs}
    task = make_task([(text, "a") for text in notes], [], [(text, "a") for text in copies])
    assert audit(task).set_index(["held", "against"]).loc[("test", "train"), "near"] == 130
    assert leaked_rows(task, near=0.8)["test"].tolist() == list(range(130))
    assert list(exclude(copies, notes, near=0.8)) == []
    assert without_near_copies(list(range(260)), notes + copies) == list(range(130))


def test_holding_agrees_with_looking_for_substrings():
    draw = random.Random(3)
    held = [" ".join(draw.choice("ab") for _ in range(draw.randint(5, 8))) for _ in range(60)]
    documents = [" ".join(draw.choice("ab") for _ in range(25)) for _ in range(40)]
    found = set(holding(Shingles(held), Shingles(documents)))
    assert found == {
        (row, at) for row, text in enumerate(held) for at, whole in enumerate(documents) if f" {text} " in f" {whole} "
    }


def test_blocks_of_any_size_hash_alike(monkeypatch):
    texts = [sentence(random.Random(n)) for n in range(40)] + ["", "short"]
    whole = Shingles(texts)
    monkeypatch.setattr("helpers.data.shingles._BLOCK", 50)
    cut = Shingles(texts)
    assert np.array_equal(whole.hashes, cut.hashes) and np.array_equal(whole.owners, cut.owners)


def test_exclude_drops_documents_that_hold_a_held_text_and_no_others():
    held = ["The quick brown fox jumps.", "Methods"]
    texts = ["See: the quick, brown FOX jumps high!", "methods", "Methods are described.", "The quick brown fox"]
    kept = exclude(texts, held)
    assert list(kept) == list(kept) == texts[2:]
    assert list(exclude(texts, [])) == texts and list(exclude([], held)) == []


def test_near_copies_can_be_dropped_as_well():
    draw = random.Random(4)
    first, second, third = (sentence(draw, 40) for _ in range(3))
    edited = first.replace(first.split()[20], "edited")
    longer = f"{edited} {sentence(draw, 20)}"
    assert list(exclude([longer, second], [first])) == [longer, second]
    assert list(exclude([longer, second], [first], near=0.8)) == [second]
    assert without_near_copies([1, 2, 3, 4], [first, second, longer, third]) == [1, 2, 4]
    assert without_near_copies([1, 2, 3, 4], [longer, second, first, third]) == [1, 2, 4]


def test_excluding_dev_and_test_leaves_no_exact_leak():
    task = load_task("toy_news")
    corpus = [f"Before. {text} After." for text in [*task.train["text"], *task.test["text"], *task.dev["text"]]]
    clean = exclude(corpus, [*task.dev["text"], *task.test["text"]])
    table = audit(task, {"dirty": corpus, "clean": clean}).set_index(["held", "against"])
    assert table.loc[("test", "dirty"), "exact"] == 80 and table.loc[("test", "clean"), "exact"] == 0
    assert table.loc[("dev", "clean"), "exact"] == 0 and table.loc[("train", "clean"), "exact"] == 200


def test_a_hundred_thousand_rows_take_seconds():
    draw = np.random.default_rng(0)
    words = np.array([f"w{n}" for n in range(5000)])
    rows = [" ".join(row) for row in words[draw.integers(0, 5000, (100_000, 12))]]
    task = make_task([(text, "a") for text in rows[:80_000]], [(text, "a") for text in rows[80_000:90_000]],
                     [(text, "a") for text in rows[90_000:] + rows[:100]])  # fmt: skip
    table = audit(task).set_index(["held", "against"])
    assert table.loc[("test", "train"), "exact"] == 100 and table.loc[("test", "train"), "near"] == 0


def test_repeats_agrees_with_a_plain_reckoning():
    draw = random.Random(5)
    held = [" ".join(draw.choice("abc") for _ in range(draw.randint(1, 9))) for _ in range(40)]
    texts = [" ".join(draw.choice("abc") for _ in range(draw.randint(1, 12))) for _ in range(400)]
    runs = {tuple(text.split()[at : at + 5]) for text in held for at in range(len(text.split()) - 4)}

    def plain(text):
        words = text.split()
        if len(words) < 5:
            return text in held
        mine = {tuple(words[at : at + 5]) for at in range(len(words) - 4)}
        inside = any(len(other.split()) >= 5 and f" {other} " in f" {text} " for other in held)
        return inside or mine <= runs

    found = repeats(texts, held)
    assert found.dtype == bool and 0 < found.sum() < len(texts)
    assert found.tolist() == [plain(text) for text in texts]
    assert repeats([], held).tolist() == [] and not repeats(texts, []).any()


@pytest.mark.parametrize("ask", [exclude, repeats, lambda texts, held: split_heldout(texts)])
def test_one_string_or_an_item_that_is_no_text_is_refused(ask):
    with pytest.raises(UserError, match="expected a list of texts"):
        ask("one text", ["held"])
    if ask is not repeats and ask is not exclude:
        return
    with pytest.raises(UserError, match="item 2: text is missing"):
        list(ask(["fine", None], ["held"]))
    with pytest.raises(UserError, match="held texts, item 1: text is .*half"):
        ask(["fine"], ["half \ud83d"])


def test_a_part_of_a_held_text_is_kept_out_of_a_corpus_too():
    held = ["The court held that the claim was barred. The appeal is dismissed with costs to the other side."]
    lines = ["The appeal is dismissed with costs to the other side.", "The appeal is dismissed.",
             "The appeal is dismissed with costs to the state and to nobody else."]  # fmt: skip
    assert list(exclude(lines, held)) == lines[1:]  # four words are in everything
    assert repeats(lines, held).tolist() == [True, False, False]
