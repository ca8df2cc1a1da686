"""Ways to select text, all behind one signature: SELECTORS[name](task, pool, k, seed, ...) -> Found.

vampire, tfidf, bm25 and embedding look for each task text's own neighbours; moore_lewis and dsir rank the
pool once against the task as a whole; random looks at nothing.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse

from helpers.errors import UserError, real, whole
from helpers.select.found import Budget, Found, by_query
from helpers.select.nearest import neighbours
from helpers.select.ngrams import bigram_entropy, feature_log_ratio
from helpers.select.words import (
    content_words,
    count_rows,
    inverse_document_frequency,
    stop_words,
    tokenize,
    unit_rows,
)
from helpers.words import any_words

_ROWS = 1 << 16  # pool vectors copied at a time


def vampire(task, pool, k, seed, *, budget, model, log, config=None, **changes) -> Found:
    """The paper's: cosine neighbours of VAMPIRE embeddings; fitted on the pool and the task unless given."""
    from helpers.select.vampire import MENDED, Vampire, changed

    if model is None:
        config = changed(MENDED if config is None else config, **changes)
    elif config is not None or changes:
        raise UserError("select_text: a fitted model and settings to fit one were both given; give one of them.")
    elif not isinstance(model, Vampire):
        raise UserError(
            f"model: selector 'vampire' takes a fitted Vampire, as load_vampire reads it, not {model!r:.60}."
        )
    _share_words(task, pool, content_words)
    if model is None:
        model = Vampire.fit([*pool, *task], config, seed=seed, log=log)
    known = dict(model=model, notes=dict(vampire_epochs=len(model.history)))
    return _by_cosine(model.embed(task), model.embed(pool), k, budget, **known)


def random(task, pool, k, seed, *, budget, model, log) -> Found:
    """RAND of the paper: k pool sentences drawn for each task text, independently of it."""
    draw = np.random.default_rng([seed, 2])
    if budget is not None:
        chosen = draw.permutation(len(pool))
    else:
        width = min(k, len(pool))
        chosen = np.unique(np.stack([draw.choice(len(pool), width, replace=False) for _ in task]))
    return Found(ranking=chosen, scores=np.full(len(chosen), np.nan))


def tfidf(task, pool, k, seed, *, budget, model, log) -> Found:
    """Cosine of TF-IDF rows over every content word of the pool."""
    pool_counts, task_counts = _counts(pool, task)
    idf = sparse.diags(inverse_document_frequency(pool_counts))
    return _sparse_neighbours(unit_rows((task_counts @ idf).tocsr()), unit_rows((pool_counts @ idf).tocsr()), k, budget)


def bm25(task, pool, k, seed, *, budget, model, log, k1: float = 1.2, b: float = 0.75) -> Found:
    """BM25, the task text's distinct content words as the query (Robertson and Zaragoza 2009, idf never negative)."""
    k1, b = real(k1, "k1", 0), real(b, "b", 0, 1)
    pool_counts, task_counts = _counts(pool, task)
    holding = np.bincount(pool_counts.indices, minlength=pool_counts.shape[1])
    idf = np.log1p((len(pool) - holding + 0.5) / (holding + 0.5))
    lengths = np.asarray(pool_counts.sum(axis=1)).ravel()
    norm = k1 * (1 - b + b * lengths / max(lengths.mean(), 1e-12))
    tf = pool_counts.data
    saturated = tf * (k1 + 1) / (tf + np.repeat(norm, np.diff(pool_counts.indptr))) * idf[pool_counts.indices]
    weighed = sparse.csr_matrix((saturated, pool_counts.indices, pool_counts.indptr), pool_counts.shape)
    return _sparse_neighbours((task_counts > 0).astype(np.float32), weighed.astype(np.float32), k, budget)


def moore_lewis(task, pool, k, seed, *, budget, model, log) -> Found:
    """Cross-entropy difference (Moore and Lewis 2010): bits a word under the pool's bigrams less the task's.

    The pool's model is trained on a sample with about as many words as the task has; words outside the task's
    vocabulary are one unknown word to both.
    """
    draw = np.random.default_rng([seed, 3])
    _share_words(task, pool, any_words)
    numbers: dict[str, int] = {}
    task_tokens = tokenize(task, any_words, numbers=numbers)
    pool_tokens = tokenize(pool, any_words, numbers=numbers, grow=False, unknown=len(numbers))
    order = draw.permutation(len(pool))
    count = max(1, int(np.searchsorted(np.cumsum(pool_tokens.lengths[order]), len(task_tokens.ids))) + 1)
    words = len(numbers) + 1
    gain = bigram_entropy(pool_tokens, pool_tokens.take(np.sort(order[:count])), words)
    gain -= bigram_entropy(pool_tokens, task_tokens, words)
    return _ranked(gain, k * len(task), budget)


def dsir(task, pool, k, seed, *, budget, model, log, buckets: int = 10_000) -> Found:
    """Data selection by importance resampling (Xie et al. 2023): hashed words and word pairs, Gumbel top-k."""
    draw = np.random.default_rng([seed, 4])
    _share_words(task, pool, any_words)
    weight = feature_log_ratio(pool, task, buckets)
    return _ranked(weight + draw.gumbel(size=len(weight)), k * len(task), budget, scores=weight)


def embedding(task, pool, k, seed, *, budget, model, log, max_length: int = 128, batch_size: int = 64) -> Found:
    """Cosine of the base model's last hidden states, mean over tokens; `model` is its folder or name."""
    if not model or not isinstance(model, str | Path):
        raise UserError("selector 'embedding' needs the base model: pass model='its folder or name'.")
    from helpers.encoder.pooled import mean_pooled

    sizes = whole(max_length, "max_length", 3), whole(batch_size, "batch_size")
    return _by_cosine(*(mean_pooled(texts, str(model), *sizes) for texts in (task, pool)), k, budget)


SELECTORS: dict[str, Callable[..., Found]] = {
    "vampire": vampire, "random": random, "tfidf": tfidf, "bm25": bm25, "moore_lewis": moore_lewis, "dsir": dsir,
    "embedding": embedding,
}  # fmt: skip


def _share_words(task: list[str], pool: list[str], words: Callable[[str], list[str]]) -> None:
    """Refuse a pool in which no word of the task occurs: every choice from it is as good as any other."""
    known = {word for text in task for word in words(text)} - stop_words()
    if not any(word in known for text in pool for word in words(text)):
        raise UserError(
            f"domain_sentences: none of {len(pool)} holds a word of the {len(task)} task texts, stop words aside; "
            "give text in the task's language and subject, or selector='random'."
        )


def _counts(pool, task) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Content-word counts of the pool and, over the pool's words, of the task."""
    _share_words(task, pool, content_words)
    numbers: dict[str, int] = {}
    pool_tokens = tokenize(pool, content_words, stop=stop_words(), numbers=numbers)
    task_tokens = tokenize(task, content_words, numbers=numbers, grow=False)
    return count_rows(pool_tokens, len(numbers)), count_rows(task_tokens, len(numbers))


def _by_cosine(queries: np.ndarray, vectors: np.ndarray, k: int, budget: Budget | None, **known) -> Found:
    """Neighbours among the pool's vectors that have a direction; known: further fields of Found."""
    rows = np.flatnonzero(vectors.any(axis=1))
    if not len(rows):
        rows = np.arange(len(vectors))
    parts = np.array_split(rows, len(rows) // _ROWS + 1)

    def search(width: int):
        places, similarities = neighbours(queries, (vectors[part] for part in parts), width)
        return rows[places], similarities

    return by_query(search, k, budget, len(rows), **known)


def _sparse_neighbours(queries: sparse.csr_matrix, pool: sparse.csr_matrix, k: int, budget: Budget | None) -> Found:
    """Neighbours by the dot product of non-negative sparse rows; of equals those of lowest index."""
    transposed = pool.T.tocsr()

    def search(width: int):
        indices = np.zeros((queries.shape[0], width), np.int64)
        scores = np.zeros((queries.shape[0], width), np.float32)
        for row in range(queries.shape[0]):
            first, last = queries.indptr[row], queries.indptr[row + 1]
            total = np.zeros(pool.shape[0])
            for word, value in zip(queries.indices[first:last], queries.data[first:last], strict=True):
                a, b = transposed.indptr[word], transposed.indptr[word + 1]
                total[transposed.indices[a:b]] += value * transposed.data[a:b]
            touched = np.flatnonzero(total)
            places, best = _largest(total[touched], width)
            indices[row, : len(places)], scores[row, : len(places)] = touched[places], best
        return indices, scores

    return by_query(search, k, budget, pool.shape[0])


def _largest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of the k largest, largest first, of equals those of lowest index."""
    k = min(k, len(values))
    if not k:
        return np.zeros(0, np.int64), values[:0]
    border = np.partition(values, len(values) - k)[len(values) - k]
    above = np.flatnonzero(values > border)
    places = np.concatenate([above, np.flatnonzero(values == border)[: k - len(above)]])
    places = places[np.lexsort((places, -values[places]))]
    return places, values[places]


def _ranked(preference: np.ndarray, natural: int, budget: Budget | None, scores: np.ndarray | None = None) -> Found:
    ranking, _ = _largest(preference, natural if budget is None else len(preference))
    return Found(ranking=ranking, scores=(preference if scores is None else scores)[ranking])
