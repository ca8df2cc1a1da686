"""Texts of the study thinned, shuffled and written; its parameters."""

from collections import Counter

import pandas as pd
import pytest

from helpers.config import PRESETS
from helpers.methods import split_selection
from helpers.study import environment, parameters
from helpers.study.texts import Lines, Thinned, distinct_sentences, shuffled_words, write_lines


def test_parameters_are_the_upper_case_names():
    names = {"PRESET": "smoke", "TASKS": None, "study": 1, "__name__": "x", "_X": 2, "pd": pd, "DAPT_STEPZ": 3}
    assert parameters(names) == {"PRESET": "smoke", "TASKS": None, "DAPT_STEPZ": 3}
    assert "torch" in environment().index


def test_shuffled_words_keep_each_texts_words():
    texts = ["a b c d e f g h", "the dose was low and the tumour was small"]
    shuffled = list(shuffled_words(texts, 0))
    assert [Counter(text.split()) for text in shuffled] == [Counter(text.split()) for text in texts]
    assert shuffled != texts and shuffled == list(shuffled_words(texts, 0)) != list(shuffled_words(texts, 1))


def test_a_sample_is_spread_over_the_text_and_part_of_a_larger_one():
    texts = [f"text {number}" for number in range(5000)]
    kept = list(Thinned(texts, 500))
    assert len(kept) == 500 and set(kept) < set(texts)
    assert kept == sorted(kept, key=texts.index)
    assert sum(map(texts.index, kept)) / 500 == pytest.approx(2500, abs=200)  # 3 standard errors
    assert set(Thinned(texts[::-1], 500)) == set(kept) < set(Thinned(texts, 700))
    assert list(Thinned(texts, 6000)) == texts == list(Thinned(texts, 5000)) == list(Thinned(texts, 0))


def test_a_text_that_stands_everywhere_takes_no_more_of_a_sample_than_is_left():
    """Its copies all lie on the cut: what lies below is kept, and then the first of them."""
    documents = [f"doc {number}" for number in range(1000)]
    texts = [text for document in documents for text in (document, "No comment.")]
    below = next(n for n in range(1, 2000) if "No comment." in list(Thinned([*documents, "No comment."], n))) - 1
    samples = [Counter(Thinned(texts, wanted)) for wanted in (below, below + 100, below + 1000, below + 1500)]
    assert [sample.pop("No comment.", 0) for sample in samples] == [0, 100, 1000, 1000]
    assert samples[0] == samples[1] == samples[2] <= samples[3] and sum(samples[2].values()) == below
    kept = list(Thinned(texts, below + 100))
    assert max(documents.index(text) for text in kept if text != "No comment.") > 900


def test_a_pool_is_distinct_sentences_from_all_over_the_documents():
    documents = [f"The first document number {n} says this. And it says one more thing {n}." for n in range(400)]
    documents += ["THE FIRST document, number 7, says this."]  # a repeat, case and punctuation aside
    every = list(distinct_sentences(documents, 10_000))
    assert len(every) == 800
    some = list(distinct_sentences(documents, 200))
    assert len(some) == 200 and some == [one for one in every if one in set(some)]
    places = [every.index(one) for one in some]
    assert sum(places) / 200 == pytest.approx(400, abs=50) and max(places) > 700
    assert set(distinct_sentences(documents, 50)) < set(some)


def test_write_lines_counts_and_reads_back(tmp_path):
    texts = ["two words", "Ünïcode\nwith a line break", "two words"]
    meta = write_lines(tmp_path / "x.jsonl", texts)
    assert list(Lines(tmp_path / "x.jsonl")) == texts
    assert meta == {"documents": 3, "words": 9, "bytes": len("".join(texts).encode())}
    assert write_lines(tmp_path / "y.jsonl", ["東京へ行く。"])["words"] == 3


def test_every_selector_of_every_preset_names_a_method():
    for preset in PRESETS.values():
        for selector in preset["selectors"]:
            assert split_selection(f"{selector}_50_tapt") == (selector, 50)


def test_shuffling_reaches_scripts_without_spaces():
    texts = ["東京へ行きました。天気がよかったので公園を歩いた。", "我们提出了一种新的图像分类方法。"]
    shuffled = list(shuffled_words(texts, 0))
    assert [Counter(text) for text in shuffled] == [Counter(text) for text in texts]
    assert all(one != other for one, other in zip(shuffled, texts, strict=True))
