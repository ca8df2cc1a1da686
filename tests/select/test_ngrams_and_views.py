"""Language models, hashed features, measures and tables."""

import math

import numpy as np
import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.select import Selection, compare_selections, kl_reduction, map_2d, neighbours_table, selection_overlap
from helpers.select.ngrams import bigram_entropy, feature_log_ratio, hashed_ngrams
from helpers.select.views import word_cover
from helpers.select.words import tokenize
from helpers.words import any_words


def test_bigram_entropy_by_hand():
    numbers = {}
    corpus = tokenize(["a b a b a c"], any_words, numbers=numbers)
    texts = tokenize(["a b", "c a", ""], any_words, numbers=numbers)
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


def test_kl_reduction_by_hand():
    # One word each: all 100 buckets at 1 of 101, the word's at 2; whatever is drawn from this pool is "film".
    reduction = kl_reduction(["gene"], ["gene"], ["film"] * 3, buckets=100)
    assert reduction == pytest.approx((2 - 1) / 101 * math.log(2))
    assert kl_reduction(["gene"], ["film"], ["film"] * 3, buckets=100) == 0


def selection(texts, indices=None, similarities=None, **summary) -> Selection:
    known = dict(selected=len(texts), words=sum(map(len, map(str.split, texts))), bytes=40, seconds=2.5)
    return Selection(
        texts, np.arange(len(texts)), np.ones(len(texts)), 2.5, known | dict(peak_memory_mb=300.0) | summary,
        indices and np.array(indices), similarities and np.array(similarities),
    )  # fmt: skip


def test_neighbours_table_by_hand():
    task, pool = ["gene one", "film two", "gene three"], ["a gene", "the film", "some genes"]
    chosen = selection(pool, [[0, 2], [1, -1], [2, 0]], [[0.9, 0.5], [0.75, 0], [0.6, 0.25]])
    table = neighbours_table(task, pool, chosen, rows=(2, 1), k=2)
    assert list(table.columns) == ["task_sentence", "rank", "similarity", "domain_sentence"]
    assert table.values.tolist() == [
        ["gene three", 1, 0.6, "some genes"], ["gene three", 2, 0.25, "a gene"], ["film two", 1, 0.75, "the film"],
    ]  # fmt: skip
    assert neighbours_table(task, pool, chosen, k=1).domain_sentence.tolist() == ["a gene", "the film", "some genes"]
    with pytest.raises(UserError, match="dsir: it ranks the pool as a whole, so no task text has neighbours"):
        neighbours_table(task, pool, selection(pool, selector="dsir"))


def test_overlap_of_selections_by_hand():
    table = selection_overlap({"x": selection(["a", "b"]), "y": ["b", "c"], "z": []})
    assert table.values.tolist() == [["x", "y", 1, 1 / 3], ["x", "z", 0, 0.0], ["y", "z", 0, 0.0]]


def test_word_cover_by_hand():
    assert word_cover(["gene cell"], ["gene gene film the", "cell"]) == 0.75


def test_rivals_side_by_side_by_hand():
    rivals = {"near": selection(["gene"], bytes=5), "far": selection(["film"], peak_memory_mb=7.0)}
    table = compare_selections(rivals, iter(["gene"]), iter(["film"] * 3))
    wanted = pd.DataFrame(
        [["near", 1, 1, 5, 1.0, math.log(2) / 10_001, 2.5, 300.0], ["far", 1, 1, 40, 0.0, 0.0, 2.5, 7.0]],
        columns="name selected words bytes word_cover kl_reduction seconds peak_memory_mb".split(),
    )
    pd.testing.assert_frame_equal(table, wanted)


@pytest.mark.parametrize("count", [0, 1])
def test_one_vector_is_at_the_origin(count):
    assert map_2d(np.ones((count, 81))).tolist() == [[0, 0]] * count


def test_map_by_hand_shows_directions_on_the_two_widest_axes():
    x, y = np.array([0, 1.0, 0]), np.array([0, 0, 1.0])
    points = map_2d([2 * x, 7 * x, -x, -3 * x, y, -9 * y, 0 * x])
    sign = np.sign([points[0, 0], points[4, 1]])
    wanted = [[1, 0], [1, 0], [-1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]]
    np.testing.assert_allclose(points * sign, wanted, atol=1e-12)
