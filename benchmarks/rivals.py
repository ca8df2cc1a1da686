"""The rivals of VAMPIRE beside the libraries that are known for them, each asked where it is installed.

bm25s, data-selection (the authors' DSIR) and model2vec are in no requirement: `pip install bm25s data-selection
model2vec` in an environment that may be thrown away. Where one is missing its row says so and shows our own time.
"""

import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.common import row, side_by_side, timed
from helpers import compute
from helpers.data import jsonl
from helpers.encoder.pooled import mean_pooled
from helpers.select.nearest import neighbours
from helpers.select.ngrams import feature_log_ratio
from helpers.select.rivals import SELECTORS
from helpers.select.words import stop_words

SIZES = {"small": (2_000, 50, 10), "full": (50_000, 1_000, 50)}  # pool sentences, task sentences, k
BUCKETS = 10_000
SHARE = 0.1  # of the pool that is like the task
WORD = r"\b[^\d\W]{3,30}\b"  # of helpers.select.words.content_words


def sentences(count: int, seed: int = 7, on_theme: float = 0.0) -> list[str]:
    """Of 18 words each, their frequencies as in text (Zipf); a share of them prefers other words than the rest."""
    draw = np.random.default_rng(7)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(draw.choice(letters, draw.integers(3, 11))) for _ in range(30_000)])
    draw = np.random.default_rng(seed)
    picks = np.minimum(draw.zipf(1.3, size=(count, 18)) - 1, len(words) - 1)
    themed = draw.random(count) < on_theme
    picks[themed] = (picks[themed] + len(words) // 2) % len(words)
    return [" ".join(line) for line in words[picks]]


def rivals(size: str) -> Iterator[dict]:
    """Seconds of each, from texts to what it found, and the share of it that both found."""
    pool_rows, task_rows, k = SIZES[size]
    pool, task = sentences(pool_rows, 8, SHARE), sentences(task_rows, 9, 1.0)
    for title, library, ours, theirs in (
        ("BM25", "bm25s", our_bm25, bm25s_search),
        ("DSIR", "data_selection", our_dsir, reference_dsir),
        ("static vectors", "model2vec", our_static, model2vec_search),
    ):
        yield from _beside(f"{title} {pool_rows:,} x {task_rows:,}, k={k}", library, ours, theirs, (task, pool, k))


def _beside(case: str, library: str, ours: Callable, theirs: Callable, given: tuple) -> Iterator[dict]:
    if importlib.util.find_spec(library) is None:
        yield row(case, "s", timed(lambda: ours(*given)), None, f"{library}: not installed")
        return
    found = {}
    seconds = side_by_side(lambda: found.update(ours=ours(*given)), lambda: found.update(theirs=theirs(*given)))
    yield row(case, "s", *seconds, library)
    shared = np.mean([np.isin(mine, other).mean() for mine, other in zip(found["ours"], found["theirs"], strict=True)])
    yield row(f"{case}: found by both", "share", 1.0, float(shared), library, more_is_better=True)


def our_bm25(task: list[str], pool: list[str], k: int) -> np.ndarray:
    """[task, k] pool rows, best first."""
    return SELECTORS["bm25"](task, pool, k, 0, budget=None, model=None, log=None).indices


def bm25s_search(task: list[str], pool: list[str], k: int) -> np.ndarray:
    """The same with our words and constants; a query's words once, as ours takes them."""
    import bm25s

    def words(texts):
        stop = list(stop_words())
        return bm25s.tokenize(texts, token_pattern=WORD, stopwords=stop, return_ids=False, show_progress=False)

    index = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    index.index(words(pool), show_progress=False)
    queries = [list(dict.fromkeys(query)) for query in words(task)]
    return index.retrieve(queries, k=k, show_progress=False).documents


def our_dsir(task: list[str], pool: list[str], k: int) -> np.ndarray:
    """[1, a tenth] of the pool, of largest weight, without the draw by which DSIR chooses among them."""
    weights = feature_log_ratio(pool, task, BUCKETS)
    return _largest(weights)


def reference_dsir(task: list[str], pool: list[str], k: int) -> np.ndarray:
    """The same by its authors' package, a process a core; it reads and leaves files, hashes and smooths otherwise."""
    from data_selection import HashedNgramDSIR

    quiet = mock.patch.dict(os.environ, TQDM_DISABLE="1")
    with tempfile.TemporaryDirectory() as scratch, quiet:
        names = [str(Path(scratch) / name) for name in ("pool.jsonl", "task.jsonl")]
        for name, texts in zip(names, (pool, task), strict=True):
            jsonl.write(Path(name), ({"text": text} for text in texts))
        dsir = HashedNgramDSIR(
            [names[0]], [names[1]], cache_dir=f"{scratch}/cache", num_proc=compute.cores(), num_buckets=BUCKETS,
            min_example_length=0,
        )  # fmt: skip
        dsir.fit_importance_estimator(num_tokens_to_fit="all")
        dsir.compute_importance_weights()
        shards = [
            np.load(file) for file in sorted(dsir.log_importance_weights_dir.iterdir(), key=lambda f: int(f.stem))
        ]
    # shard i holds the rows i, i + shards, i + 2 x shards, …
    weights = np.empty(len(pool))
    for number, shard in enumerate(shards):
        weights[number :: len(shards)] = shard
    return _largest(weights)


def _largest(weights: np.ndarray) -> np.ndarray:
    return np.argsort(-weights, kind="stable")[None, : int(SHARE * len(weights))]


def our_static(task: list[str], pool: list[str], k: int) -> np.ndarray:
    """[task, k] pool rows by cosine of the mean of mini's word embeddings, best first."""
    queries, vectors = (mean_pooled(texts, "mini", layer="words") for texts in (task, pool))
    return neighbours(queries, vectors, k)[0]


def model2vec_search(task: list[str], pool: list[str], k: int) -> np.ndarray:
    """The same embeddings pooled by model2vec, which leaves out <s> and </s>."""
    from model2vec import StaticModel

    from helpers.encoder.load import encoder_of

    encoder, tokenizer = encoder_of("mini")
    table = encoder.get_input_embeddings().weight.detach().numpy()
    model = StaticModel(table[: len(tokenizer)], tokenizer.backend_tokenizer, max_length=128)
    queries, vectors = (model.encode(texts) for texts in (task, pool))
    return neighbours(queries, vectors, k)[0]
