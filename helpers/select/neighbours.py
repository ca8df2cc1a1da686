"""Nearest neighbours by cosine: exact, in bounded memory, the same answer on every machine.

How it stays both exact and fast. Unit vectors are rounded to multiples of 2^-24, no more than float32
does anyway. A product of two such numbers is a multiple of 2^-48 and every partial sum is at most 2, so
float64 holds each dot product *exactly*, whatever the order of summation: equal vectors tie exactly,
wherever they stand. A matrix product of lower precision only screens: by the standard bounds on rounding it is
off by at most a margin, hence a vector whose screened score is below the k-th best by more than twice the
margin cannot belong to the answer. The few that pass are scored in float64. Screening is done in bfloat16
where the processor multiplies it much faster (margin 0.006), in float32 elsewhere (margin about d * 2^-24),
and also where vectors lie so close together that bfloat16 lets too many pass.
"""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from helpers import compute
from helpers.errors import UserError

GRID = 2.0**24
BACKENDS = ("exact", "faiss", "faiss-ivf")


def unit_vectors(vectors: np.ndarray, what: str = "vectors", first_row: int = 0) -> np.ndarray:
    """Rows scaled to length 1 and rounded to multiples of 2^-24, float32; zero rows stay zero.

    Raises UserError when `vectors` is not a matrix of finite numbers, naming the row.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise UserError(f"{what}: expected a matrix of numbers (rows x dimensions), found shape {vectors.shape}.")
    units = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), 1024):  # few enough to stay in a core's cache through all passes
        double = vectors[start : start + 1024].astype(np.float64)
        largest = np.abs(double).max(axis=1, initial=0.0, keepdims=True)
        if not np.isfinite(largest).all():
            row = first_row + start + int(np.flatnonzero(~np.isfinite(largest[:, 0]))[0])
            raise UserError(f"{what}, row {row}: found NaN or infinity; every coordinate must be finite.")
        double /= np.where(largest > 0, largest, 1.0)  # no square overflows or vanishes
        lengths = np.sqrt(np.einsum("ij,ij->i", double, double))[:, None]
        double *= GRID / np.where(lengths > 0, lengths, 1.0)
        np.multiply(np.rint(double, out=double), 1 / GRID, out=units[start : start + 1024], casting="same_kind")
    return units


def neighbours(
    queries: np.ndarray, pool: np.ndarray | Iterable[np.ndarray], k: int, *, backend: str = "exact",
    block_rows: int = 262_144, threads: int = 0, probes: int = 16,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The k vectors of the pool nearest to each query by cosine.

    queries: [q, d]. pool: [n, d], or an iterable of such blocks, read once and never held as a whole.
    k: neighbours a query, at least 1; a pool of fewer rows gives as many as it has.
    backend: "exact"; "faiss" (its flat index) and "faiss-ivf" (approximate) need the extra `faiss`.
    block_rows: pool rows in memory at a time. threads: 0 means one a core. probes: cells visited by faiss-ivf.
    Returns indices [q, min(k, n)] int64 and similarities float32 in [-1, 1], best first; equal similarities in
    order of index. A zero vector is at similarity 0 from everything. faiss-ivf pads with index -1, similarity -1.
    Raises UserError on bad shapes, NaN, an empty pool or k < 1.
    Paper: section 5.2 (FAISS flat index, cosine), Table 8 with k = 50, 150, 500.
    """
    if backend not in BACKENDS:
        raise UserError(f"backend {backend!r}: expected one of {', '.join(BACKENDS)}.")
    if int(k) != k or k < 1:
        raise UserError(f"k={k!r}: expected a whole number of at least 1.")
    queries = unit_vectors(queries, "queries")
    blocks = _unit_blocks(pool, queries.shape[1], block_rows)
    if backend == "exact":
        return _exact(queries, blocks, int(k), threads or compute.cores())
    return _faiss(queries, blocks, int(k), backend, probes)


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the true neighbours that were found, mean over queries, in [0, 1]. Both: [q, k] indices."""
    if len(found) != len(truth):
        raise UserError(f"found has {len(found)} rows, truth {len(truth)}: expected one row a query in both.")
    shares = [np.isin(right, left).mean() for left, right in zip(found, truth, strict=True) if len(right)]
    return float(np.mean(shares)) if shares else 1.0


def _unit_blocks(pool, dimensions: int, block_rows: int) -> Iterator[np.ndarray]:
    """The pool as unit vectors in blocks of `block_rows`, however it comes; the last may be smaller."""
    seen, waiting, rows = 0, [], 0
    for block in [pool] if isinstance(pool, np.ndarray) else pool:
        first = 0
        while first < len(block):
            part = unit_vectors(block[first : first + block_rows - rows], "pool", seen)
            if part.shape[1] != dimensions:
                raise UserError(f"pool: {part.shape[1]} dimensions, but the queries have {dimensions}.")
            waiting.append(part)
            first, seen, rows = first + len(part), seen + len(part), rows + len(part)
            if rows == block_rows:
                yield np.concatenate(waiting) if len(waiting) > 1 else part
                waiting, rows = [], 0
    if waiting:
        yield np.concatenate(waiting)
    if not seen:
        raise UserError("pool: found no vectors; expected at least one.")


def _exact(queries: np.ndarray, blocks: Iterator[np.ndarray], k: int, threads: int):
    import torch
    from threadpoolctl import threadpool_limits

    low = compute.bfloat16_is_faster()
    rows_each = max(1, min(512, -(-len(queries) // threads)))
    searches = [_Search(queries[first : first + rows_each], k, low) for first in range(0, len(queries), rows_each)]
    seen, running, threads_before = 0, [], torch.get_num_threads()
    # One matrix product a thread, each single-threaded: the passes over its scores then run in parallel too.
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as executor,
    ):
        for block in blocks:  # made here while the threads search the block before
            prepared = _Block.of(block, seen, low)
            for done in running:
                done.result()
            running = [executor.submit(search.add, prepared) for search in searches]
            seen += len(block)
        for done in running:
            done.result()
    torch.set_num_threads(threads_before)
    width = min(k, seen)
    if not searches:
        return np.empty((0, width), np.int64), np.empty((0, width), np.float32)
    ordered = [search.best() for search in searches]
    return np.concatenate([index for index, _ in ordered]), np.concatenate([score for _, score in ordered])


@dataclass(frozen=True)
class _Block:
    """Pool rows `first`, `first + 1`, ... in float32, and as a bfloat16 tensor where that is used."""

    first: int
    single: np.ndarray
    half: object

    @classmethod
    def of(cls, single: np.ndarray, first: int, low: bool) -> "_Block":
        return cls(first, single, _half(single) if low else None)


def _half(vectors: np.ndarray):
    """A bfloat16 tensor; its columns filled up with zeros to whole tiles of 32."""
    import torch

    columns = -vectors.shape[1] % 32
    return torch.nn.functional.pad(torch.from_numpy(vectors).bfloat16(), (0, columns))


class _Single:
    """Screening in float32."""

    # |computed - exact| <= d u / (1 - d u) * sum |q_i p_i| with u = 2^-24 and sum |q_i p_i| <= 1 + rounding.
    def __init__(self, queries: np.ndarray):
        self.queries = queries
        self.margin = 1.1 * (queries.shape[1] + 2) * 2.0**-24

    def passing(self, block: _Block, columns: slice, floor: np.ndarray, scratch):
        """(places in the flattened [queries, columns] scores, scores) of those not below each query's floor."""
        part = block.single[columns]
        size, shape = len(self.queries) * len(part), (len(self.queries), len(part))
        scores = np.matmul(self.queries, part.T, out=scratch.scores[:size].reshape(shape))
        passes = scratch.passing[:size].reshape(shape)
        flat = np.flatnonzero(np.greater_equal(scores, _below(floor)[:, None], out=passes))
        return flat, scores.ravel()[flat]


class _Half(_Single):
    """Screening in bfloat16: a fraction of the time, and of the memory traffic."""

    def __init__(self, queries: np.ndarray):
        super().__init__(queries)
        self.half = _half(queries)
        # Both factors and the result are rounded, each by at most 2^-9 of its size; sums are kept in float32.
        self.margin = 1.01 * 3 * 2.0**-9 + 2 * self.margin

    def passing(self, block: _Block, columns: slice, floor: np.ndarray, scratch):
        import torch

        part = block.half[columns]
        size, shape = len(self.half) * len(part), (len(self.half), len(part))
        torch.mm(self.half, part.t(), out=scratch.half[:size].view(shape))
        # The bits of positive bfloat16 numbers, read as integers, are in the numbers' own order, and negative
        # numbers are negative integers; cutting a float32's lower half rounds a positive floor down.
        bits = scratch.half.view(torch.int16).numpy()[:size].reshape(shape)
        lowest = np.where(floor > 0, _below(floor).view(np.uint32) >> 16, 0).astype(np.int16)
        lowest[~(floor > 0)] = np.iinfo(np.int16).min
        passes = scratch.passing[:size].reshape(shape)
        flat = np.flatnonzero(np.greater_equal(bits, lowest[:, None], out=passes))
        return flat, (bits.ravel()[flat].astype(np.uint32) << 16).view(np.float32)


class _Search:
    """The best k so far of a few queries; candidates always stand in order of pool index."""

    WIDTH = 2048  # pool columns scored at a time: with 512 queries they stay in a core's cache
    CROWDED = 1 / 50  # share of a block's scores that pass, above which bfloat16 tells too little apart

    def __init__(self, queries: np.ndarray, k: int, low: bool):
        self.double, self.k = queries.astype(np.float64), k
        self.screen = _Half(queries) if low else _Single(queries)
        self.scores = np.full((len(queries), 0), -np.inf)
        self.indices = np.full((len(queries), 0), -1, np.int64)

    @property
    def margin(self) -> float:
        return self.screen.margin

    def add(self, block: _Block) -> None:
        """Take in the pool rows of a block."""
        n, k, settled = len(self.double), self.k, self.scores.shape[1]
        room = k + max(k, 1024) + self.WIDTH
        scratch = _scratch(n * room, n * self.WIDTH)
        self.buffer, self.places = (part[: n * room].reshape(n, room) for part in (scratch.buffer, scratch.places))
        self.buffer[:], self.places[:] = -np.inf, -1
        self.buffer[:, :settled], self.places[:, :settled] = self.scores, self.indices
        self.fill = np.full(n, settled)
        self.known = np.full(n, settled)  # the first `known` of a row have their exact score
        floor = self.scores.min(axis=1) - self.margin if settled == k else np.full(n, -np.inf)
        passed, length = 0, len(block.single)
        for start in range(0, length, self.WIDTH):
            columns = slice(start, min(start + self.WIDTH, length))
            flat, screened = self.screen.passing(block, columns, floor, scratch)
            passed += len(flat)
            if len(flat):
                self._append(flat, screened, columns.stop - start, block.first + start)
            if self.fill.max() + self.WIDTH > room:
                floor = self._drop_hopeless(floor)
                if self.fill.max() + self.WIDTH > room:  # many ties at the border: only exact scores can tell
                    floor = self._settle(block)
        self._settle(block)
        if settled == k and passed > self.CROWDED * n * length and isinstance(self.screen, _Half):
            self.screen = _Single(self.screen.queries)
        width = int(self.fill.max())
        self.scores, self.indices = self.buffer[:, :width].copy(), self.places[:, :width].copy()
        del self.buffer, self.places

    def best(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(-self.scores, axis=1, kind="stable")
        return (
            np.take_along_axis(self.indices, order, axis=1),
            np.clip(np.take_along_axis(self.scores, order, axis=1), -1, 1).astype(np.float32),
        )

    def _append(self, flat: np.ndarray, screened: np.ndarray, width: int, first: int) -> None:
        rows, columns = np.divmod(flat, width)
        counts = np.bincount(rows, minlength=len(self.fill))
        starts = np.cumsum(counts) - counts
        slots = np.arange(len(rows)) - np.repeat(starts - self.fill, counts)
        self.buffer[rows, slots] = screened
        self.places[rows, slots] = first + columns
        self.fill += counts

    def _compact(self, keep: np.ndarray) -> None:
        """Move the kept candidates to the front of each row, in their order."""
        width = keep.shape[1]
        rows, slots = np.nonzero(keep)
        counts = np.bincount(rows, minlength=len(keep))
        target = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        scores, places = self.buffer[rows, slots], self.places[rows, slots]
        self.buffer[:, :width], self.places[:, :width] = -np.inf, -1
        self.buffer[rows, target], self.places[rows, target] = scores, places
        self.known = (keep & (np.arange(width) < self.known[:, None])).sum(axis=1)
        self.fill = counts

    def _drop_hopeless(self, floor: np.ndarray) -> np.ndarray:
        """Drop what the margin proves to be outside the k best; return what a newcomer must now reach."""
        width = int(self.fill.max())
        if width <= self.k:
            return floor
        used = self.buffer[:, :width]
        border = np.partition(used, width - self.k, axis=1)[:, width - self.k] - 2 * self.margin
        self._compact((used >= border[:, None]) & (used > -np.inf))
        return np.maximum(floor, border)

    def _settle(self, block: _Block) -> np.ndarray:
        """Score the newcomers exactly and keep the k best; of equals, those of lowest index."""
        self._drop_hopeless(np.full(len(self.fill), -np.inf))
        width = int(self.fill.max())
        slots = np.arange(width)
        rows, columns = np.nonzero((slots >= self.known[:, None]) & (slots < self.fill[:, None]))
        for start in range(0, len(rows), 2048):
            row, column = rows[start : start + 2048], columns[start : start + 2048]
            pairs = block.single[self.places[row, column] - block.first].astype(np.float64)
            self.buffer[row, column] = np.einsum("ij,ij->i", self.double[row], pairs)
        used = self.buffer[:, :width]
        if width > self.k:
            border = np.partition(used, width - self.k, axis=1)[:, width - self.k, None]
            above, equal = used > border, (used == border) & (used > -np.inf)
            self._compact(above | (equal & (np.cumsum(equal, axis=1) <= self.k - above.sum(axis=1, keepdims=True))))
        self.known = self.fill.copy()
        if int(self.fill.max()) < self.k:
            return np.full(len(self.fill), -np.inf)
        return self.buffer[:, : self.k].min(axis=1) - self.margin


_own = threading.local()


def _scratch(candidates: int, scores: int):
    """This thread's working arrays: new memory for every block costs more than the matrix product."""
    import torch

    if getattr(_own, "size", None) is None or _own.size[0] < candidates or _own.size[1] < scores:
        _own.buffer, _own.places = np.empty(candidates), np.empty(candidates, np.int64)
        _own.scores, _own.passing = np.empty(scores, np.float32), np.empty(scores, bool)
        _own.half = torch.empty(scores, dtype=torch.bfloat16)
        _own.size = (candidates, scores)
    return _own


def _below(floor: np.ndarray) -> np.ndarray:
    """The largest float32 not above each number."""
    single = floor.astype(np.float32)
    return np.where(single > floor, np.nextafter(single, np.float32(-np.inf)), single)


def _faiss(queries: np.ndarray, blocks: Iterator[np.ndarray], k: int, backend: str, probes: int):
    try:
        import faiss
    except ImportError:
        raise UserError(f"backend {backend!r} needs faiss: pip install faiss-cpu, or use backend='exact'.") from None
    dimensions, seen, index = queries.shape[1], 0, None
    for block in blocks:
        if index is None:
            index = faiss.IndexFlatIP(dimensions)
            if backend == "faiss-ivf":
                cells = max(1, min(4096, len(block) // 39))  # faiss asks for 39 training vectors a cell
                index = faiss.IndexIVFFlat(index, dimensions, cells, faiss.METRIC_INNER_PRODUCT)
                index.nprobe = probes
                index.train(block)
        index.add(block)
        seen += len(block)
    similarities, indices = index.search(queries, min(k, seen))
    similarities = np.where(indices < 0, -1, np.clip(similarities, -1, 1)).astype(np.float32)
    order = np.lexsort((indices, -similarities), axis=1)
    return np.take_along_axis(indices, order, axis=1), np.take_along_axis(similarities, order, axis=1)
