"""Language models, hashed features, measures and tables."""

import math

import numpy as np
import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.select import compare_selections, kl_reduction, map_2d, neighbours_table, select_text, selection_overlap
from helpers.select.ngrams import bigram_entropy, feature_log_ratio, hashed_ngrams
from helpers.select.views import word_cover
from helpers.select.words import ANY_WORD, tokenize


def test_bigram_entropy_by_hand():
    numbers = {}
    corpus = tokenize(["a b a b a c"], ANY_WORD, numbers=numbers)
    texts = tokenize(["a b", "c a", ""], ANY_WORD, numbers=numbers)
    single = {"a": 4 / 9, "b": 3 / 9, "c": 2 / 9}  # add-one over three words
    b_after_a = 0.5 * 2 / 3 + 0.5 * single["b"]
    wanted = [-(math.log2(single["a"]) + math.log2(b_after_a)) / 2,
              -(math.log2(single["c"]) + math.log2(single["a"])) / 2, 0]  # nothing ever followed c  # fmt: skip
    np.testing.assert_allclose(bigram_entropy(texts, corpus, 3), wanted)


def test_hashed_features_count_words_and_pairs_and_are_the_same_everywhere():
    rows = hashed_ngrams(["a b a", "", "x"], 10_000)
    assert rows.sum(axis=1).ravel().tolist() == [[5, 0, 1]]  # three words and two pairs
    assert hashed_ngrams(["alice"], 10_000).indices.tolist() == [7258]


def test_importance_weight_is_a_log_likelihood_ratio():
    pool, task = ["a b", "c d"], ["a b", "a b"]
    weights = feature_log_ratio(pool, task, 1000)
    total, seen = 1000 + 6, 1000 + 6  # features: 2 x 3 in both, plus one for each bucket
    assert weights[0] == pytest.approx(3 * (math.log(3 / total) - math.log(2 / seen)))
    assert weights[1] == pytest.approx(3 * (math.log(1 / total) - math.log(2 / seen)))


def test_kl_reduction_is_positive_for_like_text_only(themes):
    pool = [text for texts in themes.values() for text in texts]
    task = themes["cells"][:50]
    assert kl_reduction(task, themes["cells"][50:], pool, buckets=500) > 0.1
    assert kl_reduction(task, themes["money"][:100], pool, buckets=500) < 0


@pytest.fixture(scope="module")
def selections(themes):
    pool = [text for texts in themes.values() for text in texts]
    task = ["protein cell gene membrane", "market profit bank"]
    return task, pool, {name: select_text(task, pool, name, k=4, budget=8) for name in ("tfidf", "random", "dsir")}


def test_neighbours_table_has_the_form_of_table_21(selections):
    task, pool, chosen = selections
    table = neighbours_table(task, pool, chosen["tfidf"], rows=(1,), k=3)
    assert list(table.columns) == ["task_sentence", "rank", "similarity", "domain_sentence"]
    assert table["rank"].tolist() == [1, 2, 3] and set(table.task_sentence) == {task[1]}
    assert table.similarity.is_monotonic_decreasing and set(table.domain_sentence) <= set(pool)
    with pytest.raises(UserError, match="no task text has neighbours"):
        neighbours_table(task, pool, chosen["dsir"])


def test_overlap_of_selections_by_hand():
    table = selection_overlap({"x": ["a", "b"], "y": ["b", "c"], "z": []})
    assert table.values.tolist() == [["x", "y", 1, 1 / 3], ["x", "z", 0, 0.0], ["y", "z", 0, 0.0]]


def test_word_cover_by_hand():
    assert word_cover(["gene cell"], ["gene gene film the", "cell"]) == 0.75


def test_rivals_side_by_side(selections):
    task, pool, chosen = selections
    table = compare_selections(chosen, task, pool)
    assert isinstance(table, pd.DataFrame) and table.name.tolist() == ["tfidf", "random", "dsir"]
    assert set(table.selected) == {8}
    row = table.set_index("name")
    assert row.kl_reduction["tfidf"] > row.kl_reduction["random"] and row.word_cover["tfidf"] == 1


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_map_keeps_clusters_apart(method):
    draw = np.random.default_rng(0)
    vectors = np.concatenate([draw.normal(size=(20, 5)) * 0.05 + np.eye(5)[i] for i in (0, 1)]) * 7
    points = map_2d(vectors, method)
    assert points.shape == (40, 2)
    spread = max(points[:20].std(0).max(), points[20:].std(0).max())
    assert np.linalg.norm(points[:20].mean(0) - points[20:].mean(0)) > 2 * spread
    with pytest.raises(UserError, match="expected 'pca' or 'tsne'"):
        map_2d(vectors, "umap")
