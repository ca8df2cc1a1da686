"""Nearest neighbours by cosine: exact, in bounded memory, equal vectors at equal similarity wherever they stand."""

from collections.abc import Iterable, Iterator

import numpy as np

from helpers.errors import UserError, whole

_SPARE = 64  # neighbours that faiss is asked for beyond k, among which equal ones are settled
_ROWS = 1 << 16  # vectors brought to length 1 at a time, in float64: 42 MB at 81 dimensions
_PAIRS = 1 << 13  # pairs settled at a time: 5 MB a side at 81 dimensions


def unit_vectors(vectors: np.ndarray, what: str = "vectors", first: int = 0) -> np.ndarray:
    """Rows scaled to length 1 and rounded to multiples of 2^-24, float32; zero rows stay zero.

    Raises UserError when `vectors` is not a matrix of finite numbers, naming the row; `first` rows came before.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise UserError(f"{what}: expected a matrix of numbers (rows x dimensions), found shape {vectors.shape}.")
    double = vectors.astype(np.float64)
    largest = np.abs(double).max(axis=1, initial=0.0)
    if not np.isfinite(largest).all():
        row = first + int(np.argmin(np.isfinite(largest))) + 1
        raise UserError(f"{what}, row {row}: found NaN or infinity; every coordinate must be finite.")
    double /= np.where(largest > 0, largest, 1.0)[:, None]  # no square overflows or vanishes
    lengths = np.sqrt(np.einsum("ij,ij->i", double, double))
    double *= (2.0**24 / np.where(lengths > 0, lengths, 1.0))[:, None]
    return (np.rint(double) / 2.0**24).astype(np.float32)


def neighbours(
    queries: np.ndarray, pool: np.ndarray | Iterable[np.ndarray], k: int, *, block_rows: int = 262_144
) -> tuple[np.ndarray, np.ndarray]:
    """The k vectors of the pool nearest to each query by cosine.

    queries: [q, d]. pool: [n, d], or an iterable of such blocks, read once and never held as a whole.
    k: neighbours a query, at least 1; a pool of fewer rows gives as many as it has. block_rows: pool rows searched at a
    time, about.
    Returns indices [q, min(k, n)] int64 and similarities float32 in [-1, 1], best first; equal similarities in
    order of index. A zero vector is at similarity 0 from everything. The order is that of the vectors as
    `unit_vectors` rounds them, whatever the blocks and threads.
    Raises UserError on bad shapes, NaN, an empty pool or k < 1.
    Paper: section 5.2 (FAISS flat index, cosine), Table 8 with k = 50, 150, 500.

    >>> indices, similarities = neighbours(np.eye(2), np.array([[0, 3], [3, 4], [2, 0]]), 2)
    >>> indices.tolist(), similarities.astype(float).round(2).tolist()
    ([[2, 1], [0, 1]], [[1.0, 0.6], [1.0, 0.8]])
    """
    k, queries = whole(k, "k"), unit_vectors(queries, "queries")
    rows, scores = np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0))
    seen = 0
    for block in _unit_blocks(pool, queries.shape[1], block_rows):
        rows, scores = _merge(queries, block, seen, rows, scores, k)
        seen += len(block)
    if not seen:
        raise UserError("pool: found no vectors; expected at least one.")
    return rows, np.clip(scores, -1, 1).astype(np.float32)


def _unit_blocks(pool, dimensions: int, block_rows: int) -> Iterator[np.ndarray]:
    """The pool's unit vectors, small blocks joined: each block that is merged costs as much again as a search."""
    seen, waiting = 0, []
    for block in [pool] if isinstance(pool, np.ndarray) else pool:
        step = min(block_rows, _ROWS)
        for first in range(0, len(block), step):
            part = unit_vectors(block[first : first + step], "pool", seen)
            if part.shape[1] != dimensions:
                raise UserError(f"pool: {part.shape[1]} dimensions, but the queries have {dimensions}.")
            waiting.append(part)
            seen += len(part)
            if sum(map(len, waiting)) >= block_rows:
                yield np.concatenate(waiting)
                waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _merge(queries, block, first: int, rows, scores, k: int, spare: int = _SPARE) -> tuple[np.ndarray, np.ndarray]:
    """The k best of those kept (rows, scores, best first) and the block, whose first row has the number `first`."""
    import faiss

    known, wanted = rows.shape[1], min(k + spare, len(block))
    width = min(k, known + len(block))
    if not len(queries):
        return np.empty((0, width), np.int64), np.empty((0, width))
    rough, place = faiss.knn(queries, block, wanted, metric=faiss.METRIC_INNER_PRODUCT)
    # A float32 product of unit vectors is off by at most about d * 2^-24; two products can lie that far apart.
    margin = 2.2 * (queries.shape[1] + 4) * 2.0**-24
    floor = scores[:, -1] if known == k else np.full(len(queries), -np.inf)
    if len(block) >= k:
        floor = np.maximum(floor, rough[:, k - 1])
    near = rough >= (floor - margin)[:, None]
    place = np.where(near, place, len(block))[:, : near.sum(axis=1).max()]
    place.sort(axis=1)  # of equals the lower row comes first
    numbers = np.concatenate([rows, place + first], axis=1)
    best = np.concatenate([scores, _exact(queries, block, place)], axis=1)
    order = np.argsort(-best, axis=1, kind="stable")[:, :width]
    best, numbers = (np.take_along_axis(side, order, axis=1) for side in (best, numbers))
    more = near[:, -1] if wanted < len(block) else np.zeros(len(queries), bool)
    if more.any():  # so many lie so near that faiss was not asked for all of them
        numbers[more], best[more] = _merge(queries[more], block, first, rows[more], scores[more], k, 8 * spare)
    return numbers, best


def _exact(queries, block, place) -> np.ndarray:
    """[q, n] float64 similarities of each query and the block's rows in its line of `place`; -inf beyond the block.

    Products of multiples of 2^-24 are exact in float64 in any order of summation: equal vectors tie.
    """
    import torch

    asked, found = torch.from_numpy(queries), torch.from_numpy(block)
    query, column = torch.from_numpy(place < len(block)).nonzero(as_tuple=True)
    chosen = torch.from_numpy(place)[query, column]
    similarities = torch.full(place.shape, -torch.inf, dtype=torch.float64)
    similarities[query, column] = torch.cat([
        torch.linalg.vecdot(asked.index_select(0, one).double(), found.index_select(0, other).double())
        for one, other in zip(query.split(_PAIRS), chosen.split(_PAIRS), strict=True)
    ])  # fmt: skip
    return similarities.numpy()
