"""Sparse rows against scikit-learn's."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from helpers.errors import UserError
from helpers.select.words import ANY_WORD, Vocabulary, count_rows, tokenize

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
    tokens = tokenize(["b a b", "", "c"], ANY_WORD)
    assert tokens.words == ["b", "a", "c"] and tokens.ids.tolist() == [0, 1, 0, 2]
    assert count_rows(tokens).toarray().tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 1]]
    part = tokens.take(np.array([0, 2]))
    assert part.ids.tolist() == [0, 1, 0, 2] and part.starts.tolist() == [0, 3, 4]


@pytest.mark.parametrize("texts", ["one string", ["fine", 3]])
def test_what_is_not_a_list_of_strings_is_refused(texts):
    with pytest.raises(UserError, match="expected a"):
        tokenize(texts)
