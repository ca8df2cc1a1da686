"""Neighbours against brute force in exact arithmetic, scikit-learn and faiss."""

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from helpers.errors import UserError
from helpers.select import neighbours
from helpers.select.nearest import unit_vectors


def brute_force(queries, pool, k):
    """Float64 products of the rounded unit vectors are exact, so this ordering has no rounding in it."""
    similarity = unit_vectors(queries).astype(float) @ unit_vectors(pool).astype(float).T
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(similarity, order, axis=1)


def assert_exact(queries, pool, k, **options):
    indices, similarities = neighbours(queries, pool, k, **options)
    expected, values = brute_force(queries, pool, k)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(similarities, np.clip(values, -1, 1), atol=1e-7)


def test_unit_vectors_are_cosines_to_float32():
    vectors = np.random.default_rng(0).normal(size=(50, 30)) * np.logspace(-150, 150, 50)[:, None]
    units = unit_vectors(vectors)
    exact = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.abs(units - exact).max() <= 2.0**-24
    assert np.array_equal(units.astype(float) * 2**24, np.rint(units.astype(float) * 2**24))


@pytest.mark.parametrize(
    "n, q, d, k, block_rows",
    [(5000, 40, 81, 30, 1000), (9000, 20, 3, 700, 4096), (300, 7, 5, 400, 50), (1, 1, 1, 1, 1)],
)
def test_random_vectors_equal_brute_force(n, q, d, k, block_rows):
    draw = np.random.default_rng(n)
    assert_exact(draw.normal(size=(q, d)), draw.normal(size=(n, d)).astype(np.float32), k, block_rows=block_rows)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.integers(1, 4), st.integers(1, 60), st.integers(1, 90), st.integers(0, 10**6))
def test_ties_go_to_the_lower_index(n, d, k, block_rows, seed):
    draw = np.random.default_rng(seed)  # few directions, zero rows among them: ties everywhere
    pool, queries = draw.integers(-1, 2, size=(n, d)), draw.integers(-1, 2, size=(5, d))
    assert_exact(queries, pool, k, block_rows=block_rows)


def test_many_copies_of_one_vector():
    pool = np.tile(np.random.default_rng(0).normal(size=(3, 17)), (4000, 1))  # 12,000 rows, three directions
    assert_exact(pool[:3] + 0.1, pool, 2500, block_rows=5000)


def test_pool_sorted_from_far_to_near():
    angles = np.linspace(np.pi, 0, 20_000)
    pool = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # each row beats all before it
    assert_exact(np.array([[1.0, 0.0]]), pool, 50)


def test_differences_below_float32_rounding_are_resolved():
    base = np.random.default_rng(1).normal(size=81)
    pool = base + np.random.default_rng(2).normal(size=(3000, 81)) * 1e-5
    assert_exact(base[None], pool, 100)


def test_vectors_close_together_over_many_blocks():
    draw = np.random.default_rng(4)
    pool = draw.normal(size=30) + 0.01 * draw.normal(size=(12_000, 30))  # cosines within 0.001 of each other
    assert_exact(draw.normal(size=30) + pool[:20], pool, 40, block_rows=3000)


def test_queries_that_point_away_from_the_pool():
    draw = np.random.default_rng(6)
    pool = np.abs(draw.normal(size=(6000, 12)))
    assert_exact(-np.abs(draw.normal(size=(9, 12))), pool, 60, block_rows=2500)  # every similarity is negative


def test_answer_does_not_depend_on_blocks_or_streaming():
    draw = np.random.default_rng(3)
    pool, queries = draw.normal(size=(3000, 20)), draw.normal(size=(300, 20))
    whole = neighbours(queries, pool, 25)
    streamed = neighbours(queries, (pool[first : first + 700] for first in range(0, 3000, 700)), 25, block_rows=333)
    one_by_one = [neighbours(query[None], pool, 25) for query in queries[:20]]
    np.testing.assert_array_equal(whole, streamed)
    np.testing.assert_array_equal([part[:20] for part in whole], np.concatenate(one_by_one, axis=1))


def test_zero_vectors_are_at_similarity_zero():
    indices, similarities = neighbours(np.zeros((1, 2)), np.array([[1.0, 0], [0, 0], [0, 1]]), 3)
    assert indices.tolist() == [[0, 1, 2]] and not similarities.any()
    indices, similarities = neighbours(np.array([[1.0, 0]]), np.array([[0.0, 0], [-1, 0], [1, 0]]), 3)
    assert indices.tolist() == [[2, 0, 1]] and similarities.tolist() == [[1, 0, -1]]


def test_no_queries():
    indices, similarities = neighbours(np.zeros((0, 4)), np.ones((3, 4)), 2)
    assert indices.shape == similarities.shape == (0, 2)


@pytest.mark.parametrize(
    "queries, pool, k, words",
    [
        (np.ones((2, 3)), np.ones((4, 3)), 0, "k=0"),
        (np.ones((2, 3)), np.ones((4, 3)), 2.0, "k=2.0: expected a whole number"),
        (np.ones((2, 3)), np.ones((4, 3)), True, "k=True"),
        (np.ones((2, 3)), np.ones((4, 5)), 1, "5 dimensions, but the queries have 3"),
        (np.ones((2, 3)), np.ones((0, 3)), 1, "no vectors"),
        (np.ones(3), np.ones((4, 3)), 1, "expected a matrix"),
        (np.ones((2, 3)), [np.ones((4, 3)), np.array([[1, np.nan, 1]])], 1, "pool, row 5: found NaN"),
    ],
)
def test_bad_input_is_named(queries, pool, k, words):
    with pytest.raises(UserError, match=words):
        neighbours(queries, pool, k)


def test_order_and_similarities_equal_scikit_learn_and_faiss():
    draw = np.random.default_rng(5)
    pool, queries = (draw.normal(size=(n, 16)).astype(np.float32) for n in (4000, 30))
    indices, similarities = neighbours(queries, pool, 10)
    brute = NearestNeighbors(n_neighbors=10, algorithm="brute", metric="cosine").fit(pool.astype(float))
    distances, expected = brute.kneighbors(queries.astype(float))
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(similarities, 1 - distances, atol=1e-6)
    index = faiss.IndexFlatIP(16)
    index.add(unit_vectors(pool))
    flat_similarities, flat = index.search(unit_vectors(queries), 10)
    np.testing.assert_allclose(similarities, flat_similarities, atol=1e-6)
    assert (flat == indices).mean() > 0.99  # faiss has no rule for near ties


def test_memory_follows_the_block_where_everything_ties():
    pool = np.ones((40_000, 4))
    found, _ = neighbours(np.concatenate([np.ones((300, 4)), np.zeros((300, 4))]), pool, 3, block_rows=20_000)
    assert (found == [0, 1, 2]).all()
