"""Sparse rows against scikit-learn's."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from helpers.data.text import checked
from helpers.errors import UserError
from helpers.select.words import Vocabulary, content_words, count_rows, tokenize
from helpers.words import any_words, word_count

TEXTS = ["The mouse genome, the MOUSE protein.", "", "a an it 123 x9 ok", "Protein binding sites bind protein",
         "genome-wide study of mouse binding été"]  # fmt: skip


def test_tfidf_equals_scikit_learn():
    reference = TfidfVectorizer(token_pattern=r"\b[^\d\W]{3,30}\b", stop_words="english")
    expected = reference.fit_transform(TEXTS).toarray()
    vocabulary, counts = Vocabulary.fit(TEXTS, size=100)
    assert sorted(vocabulary.words) == sorted(reference.vocabulary_)
    columns = [reference.vocabulary_[word] for word in vocabulary.words]
    np.testing.assert_allclose(vocabulary.tfidf(counts).toarray(), expected[:, columns], atol=1e-6)
    np.testing.assert_array_equal(vocabulary.counts(TEXTS).toarray(), counts.toarray())


def test_vocabulary_keeps_the_most_frequent_and_the_shared():
    assert Vocabulary.fit(TEXTS, size=2)[0].words == ["mouse", "protein"]
    assert set(Vocabulary.fit(TEXTS, size=100, min_texts=2)[0].words) == {"mouse", "protein", "genome", "binding"}


def test_no_word_at_all_is_said():
    with pytest.raises(UserError, match="no word of 3 to 30 letters"):
        Vocabulary.fit(["1 2 3"], size=10)


def test_tokens_take_and_count():
    tokens = tokenize(["b a b", "", "c"], any_words)
    assert tokens.words == ["b", "a", "c"] and tokens.ids.tolist() == [0, 1, 0, 2]
    assert count_rows(tokens).toarray().tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 1]]
    part = tokens.take(np.array([0, 2]))
    assert part.ids.tolist() == [0, 1, 0, 2] and part.starts.tolist() == [0, 3, 4]


@pytest.mark.parametrize(
    "texts, found",
    [("one string", "one string"), (b"bytes", "one string"), (None, "NoneType"), ({"text": ["a"]}, "dict"), (3, "int"),
     (pd.DataFrame({"text": ["a"]}), "DataFrame")],
)  # fmt: skip
def test_what_is_no_list_of_texts_is_refused(texts, found):
    with pytest.raises(UserError, match=f"^task: expected a list of texts, got {found}"):
        list(checked(texts, "task"))


@pytest.mark.parametrize(
    "item, found",
    [(None, "missing .None"), (float("nan"), "missing .NaN"), ({"text": "a"}, "not a string but dict"),
     (b"a", "not a string but bytes"),
     (["a"], "not a string but list"), ("wor\ud83dd", "damaged at character 4 .half a character")],
)  # fmt: skip
def test_an_item_that_is_no_text_is_named_by_its_number(item, found):
    with pytest.raises(UserError, match=f"^texts, item 2: text is {found}") as raised:
        tokenize(iter(["fine", item, "fine"]))
    assert "\n" not in str(raised.value)


def test_texts_are_checked_as_they_come():
    texts = checked(iter(["one", "zwölf", "\U0001f600", 4]))
    assert [next(texts) for _ in range(3)] == ["one", "zwölf", "\U0001f600"]


@pytest.mark.parametrize(
    "text, content, every",
    [
        ("The été of 42 mice_x a-b", ["the", "été", "mice_x"], ["the", "été", "of", "42", "mice_x", "a", "b"]),
        ("कीमत और काम", ["कीमत", "काम"], ["कीमत", "और", "काम"]),  # vowel signs stay in their words
        ("Москва ждёт", ["москва", "ждёт"], ["москва", "ждёт"]),
    ],
)
def test_words_by_hand(text, content, every):
    assert content_words(text) == content and any_words(text) == every


def test_text_without_spaces_has_more_than_one_word():
    words = content_words("鍋に湯を沸かして、塩を入れる。IL-2とKinase")
    assert len(words) > 8 and "kinase" in words and "il" not in words and not any("、" in word for word in words)
    assert 5 <= word_count("鍋に湯を沸かして、塩を入れる。") <= 9 and word_count(" one  two-three\n") == 2
