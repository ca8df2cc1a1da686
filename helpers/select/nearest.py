"""Nearest neighbours by cosine: exact, in bounded memory, equal vectors at equal similarity wherever they stand."""

from collections.abc import Iterable, Iterator

import numpy as np

from helpers.errors import UserError
from helpers.select.checks import whole

_SCORES = 1 << 23  # float32 products held at a time: 32 MB
_PAIRS = 1 << 15  # pairs settled at a time: 20 MB a side at 81 dimensions


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
    queries: np.ndarray, pool: np.ndarray | Iterable[np.ndarray], k: int, *, block_rows: int = 65_536
) -> tuple[np.ndarray, np.ndarray]:
    """The k vectors of the pool nearest to each query by cosine.

    queries: [q, d]. pool: [n, d], or an iterable of such blocks, read once and never held as a whole.
    k: neighbours a query, at least 1; a pool of fewer rows gives as many as it has. block_rows: pool rows at a time.
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
        step = max(1, _SCORES // len(block))
        parts = [slice(first, first + step) for first in range(0, max(1, len(queries)), step)]
        merged = [_merge(queries[part], block, seen, rows[part], scores[part], k) for part in parts]
        rows, scores = (np.concatenate(side) for side in zip(*merged, strict=True))
        seen += len(block)
    if not seen:
        raise UserError("pool: found no vectors; expected at least one.")
    return rows, np.clip(scores, -1, 1).astype(np.float32)


def _unit_blocks(pool, dimensions: int, block_rows: int) -> Iterator[np.ndarray]:
    seen = 0
    for block in [pool] if isinstance(pool, np.ndarray) else pool:
        for first in range(0, len(block), block_rows):
            part = unit_vectors(block[first : first + block_rows], "pool", seen)
            if part.shape[1] != dimensions:
                raise UserError(f"pool: {part.shape[1]} dimensions, but the queries have {dimensions}.")
            yield part
            seen += len(part)


def _merge(queries, block, first: int, rows, scores, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of those kept (rows, scores, best first) and the block, whose first row has the number `first`."""
    import torch

    width = min(k, rows.shape[1] + len(block))
    rough = queries @ block.T
    floor = scores[:, -1] if rows.shape[1] == k else np.full(len(queries), -np.inf)
    if len(block) >= k:
        floor = np.maximum(floor, torch.from_numpy(rough).topk(k, sorted=False).values.amin(1).numpy())
    # A float32 product of unit vectors is off by at most about d * 2^-24; two products can lie that far apart.
    margin = 2.2 * (queries.shape[1] + 4) * 2.0**-24
    query, place = np.nonzero(rough >= (floor - margin).astype(np.float32)[:, None])
    # Products of multiples of 2^-24 are exact in float64 in any order of summation: equal vectors tie.
    exact = [
        np.einsum("ij,ij->i", queries[query[i : i + _PAIRS]].astype(float), block[place[i : i + _PAIRS]].astype(float))
        for i in range(0, len(query), _PAIRS)
    ]
    kept = np.repeat(np.arange(len(queries)), rows.shape[1])
    query, exact = np.concatenate([kept, query]), np.concatenate([scores.ravel(), *exact])
    place = np.concatenate([rows.ravel(), place + first])
    order = np.lexsort((-exact, query))  # stable: of equals the lower row, which comes first, stays first
    starts = np.searchsorted(query[order], np.arange(len(queries)))
    best = order[starts[:, None] + np.arange(width)]
    return place[best], exact[best]
