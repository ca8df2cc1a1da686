"""Neighbour search, VAMPIRE embedding and its rivals against scikit-learn, faiss and the libraries known for them.

    python -m benchmarks.select --json select.json [--size small|full] [--case streamed]

full: 10^6 x 5,000, k = 500, as a user with a million domain sentences and five thousand task sentences has it,
and three pool sizes up to 10^7, made block by block, for linearity.
"""

import ctypes
from collections.abc import Iterator
from functools import partial
from statistics import median

import numpy as np

from benchmarks.common import REPEATS, main, row, side_by_side, timed
from benchmarks.rivals import rivals, sentences
from helpers.compute import Meter
from helpers.select.nearest import neighbours, unit_vectors

DIMENSIONS = 81  # of VAMPIRE
SIZES = {  # pool, queries, k, pools for linearity, sentences
    "small": (50_000, 500, 100, (20_000, 40_000, 80_000), 2_000),
    "full": (1_000_000, 5_000, 500, (100_000, 1_000_000, 10_000_000), 200_000),
}
BLOCK = 50_000


def vectors(rows: int, seed: int) -> np.ndarray:
    """Clustered like sentence vectors: 300 themes and noise of the same size."""
    themes = np.random.default_rng(0).standard_normal((300, DIMENSIONS), np.float32)
    draw = np.random.default_rng(seed)
    return themes[draw.integers(0, 300, rows)] + draw.standard_normal((rows, DIMENSIONS), np.float32)


def stream(rows: int) -> Iterator[np.ndarray]:
    """The same as one matrix of `rows` vectors, never held as a whole."""
    for number, first in enumerate(range(0, rows, BLOCK)):
        yield vectors(min(BLOCK, rows - first), 1 + number)


def search(pool_rows: int, query_rows: int, k: int):
    import faiss
    from sklearn.neighbors import NearestNeighbors

    pool, queries = np.concatenate(list(stream(pool_rows))), vectors(query_rows, 0)
    name = f"{pool_rows:,} x {query_rows:,}, k={k}"

    def ours():
        return neighbours(queries, pool, k)

    def scikit():
        fitted = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="cosine", n_jobs=-1).fit(pool)
        return fitted.kneighbors(queries, return_distance=True)[::-1]

    def flat():
        index = faiss.IndexFlatIP(DIMENSIONS)
        index.add(unit_vectors(pool))
        return index.search(unit_vectors(queries), k)[::-1]

    ours()  # warm
    for peer_name, peer in (("scikit-learn brute force", scikit), ("faiss flat", flat)):
        runs = [(_metered(ours, turn), _metered(peer, turn)) for turn in range(REPEATS)]
        seconds = [median(run[side][0].seconds for run in runs) for side in (0, 1)]
        grown = [max(1, runs[0][side][0].grown_mb) for side in (0, 1)]
        shared = np.mean([np.isin(*pair).mean() for pair in zip(runs[0][1][1], runs[0][0][1], strict=True)])
        yield row(f"neighbours {name}", "s", *seconds, peer_name)
        yield row(f"memory grown {name}", "MiB", *grown, peer_name)
        yield row(f"neighbours shared {name}", "share", 1.0, shared, peer_name, more_is_better=True)


def streamed(pools: tuple[int, ...], query_rows: int, k: int):
    """Linear means: the time a pool row takes does not grow. The peer is ours at the smallest size."""
    queries, each = vectors(query_rows, 0), []
    for rows in pools:
        making = timed(lambda rows=rows: [None for _ in stream(rows)])
        with Meter() as meter:
            neighbours(queries, stream(rows), k)
        each.append((meter.seconds - making) / rows * 1e6)
        case = f"streamed {rows:,} x {query_rows:,}, k={k}"
        yield row(case, "us/pool row", each[-1], each[0], f"ours at {pools[0]:,}")
        yield row(f"streamed {rows:,} peak memory", "MiB", meter.peak_mb, 4096, "limit of 4 GiB")


def _metered(search, turn: int):
    """Seconds and memory of a search, and the indices it found."""
    if turn == 0 and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)  # a benchmark keeps freed memory, in which a search would not be seen to grow
    with Meter() as meter:
        indices = search()[0]
    return meter, indices


def embedding(count: int):
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    from helpers.select.vampire import Vampire

    texts = sentences(count)
    model = Vampire.fit(texts[:20_000], epochs=1)
    tfidf = TfidfVectorizer(token_pattern=r"\b[^\d\W]{3,30}\b", stop_words="english", max_features=30_000)
    lsa = make_pipeline(tfidf, TruncatedSVD(DIMENSIONS, random_state=0)).fit(texts[:20_000])
    seconds = side_by_side(lambda: [None for _ in model.embed_blocks(texts)], lambda: lsa.transform(texts))
    rates = [len(texts) / each for each in seconds]
    yield row(f"embed {len(texts):,} sentences", "sentences/s", *rates, "scikit-learn TF-IDF + SVD", True)


def parts(size: str):
    pool_rows, query_rows, k, pools, count = SIZES[size]
    yield "neighbours", partial(search, pool_rows, query_rows, k)
    yield "streamed", partial(streamed, pools, query_rows, k)
    yield "embedding", partial(embedding, count)
    yield "rivals", partial(rivals, size)


if __name__ == "__main__":
    main(parts, __doc__.splitlines()[0])
