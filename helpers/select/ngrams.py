"""Words and word pairs: a bigram model for cross-entropies, hashed counts for importance weights."""

from collections.abc import Iterable, Sequence
from zlib import crc32

import numpy as np
from scipy import sparse

from helpers.errors import whole
from helpers.hashing import mix64
from helpers.select.found import Budget
from helpers.select.words import Tokens, tokenize
from helpers.words import any_words, word_count

BIGRAM_SHARE = 0.5  # weight of the bigram estimate against the unigram one


def bigram_entropy(texts: Tokens, corpus: Tokens, words: int) -> np.ndarray:
    """Bits a word of each text under a bigram model of `corpus`; [texts] float64, 0 for a text without words.

    words: how many different words there are, the unknown one included; both number them 0 .. words - 1.
    p(w | v) is half the share of w among what follows v in the corpus, half the add-one share of w; where v was
    never followed by anything, and for a text's first word, the latter alone.
    """
    counts = np.bincount(corpus.ids, minlength=words)
    single = (counts + 1.0) / (len(corpus.ids) + words)
    pairs, times = np.unique(_pairs(corpus, words), return_counts=True)
    followed = np.bincount((pairs // words).astype(np.int64), weights=times, minlength=words)
    wanted = _pairs(texts, words)
    place = np.minimum(np.searchsorted(pairs, wanted), max(0, len(pairs) - 1))
    seen = np.where(pairs[place] == wanted, times[place], 0) if len(pairs) else np.zeros(len(wanted))
    before = followed[(wanted // words).astype(np.int64)]
    probability = single[texts.ids]
    inner = _inner(texts)
    after = np.where(
        before > 0,
        BIGRAM_SHARE * seen / np.maximum(before, 1) + (1 - BIGRAM_SHARE) * probability[inner],
        probability[inner],
    )
    probability[inner] = after
    bits = np.bincount(texts.texts(), weights=-np.log2(probability), minlength=len(texts))
    return bits / np.maximum(texts.lengths, 1)


def _inner(tokens: Tokens) -> np.ndarray:
    """Places of tokens that follow another one in their text."""
    places = np.arange(len(tokens.ids))
    return places[~np.isin(places, tokens.starts[:-1])]


def _pairs(tokens: Tokens, words: int) -> np.ndarray:
    inner = _inner(tokens)
    return tokens.ids[inner - 1].astype(np.int64) * words + tokens.ids[inner]


def hashed_ngrams(texts: Iterable[str], buckets: int) -> sparse.csr_matrix:
    """Counts of words and adjacent word pairs in `buckets` columns; the same on every machine."""
    tokens = tokenize(texts, any_words)
    codes = np.array([crc32(word.encode()) for word in tokens.words], np.uint64)[tokens.ids]
    inner, text = _inner(tokens), tokens.texts()
    features = np.concatenate([mix64(codes), mix64(mix64(codes[inner - 1]) ^ codes[inner])]) % np.uint64(buckets)
    rows = sparse.coo_matrix(
        (np.ones(len(features), np.float32), (np.concatenate([text, text[inner]]), features.astype(np.int64))),
        shape=(len(tokens), buckets),
    )
    return rows.tocsr()


def feature_shares(rows: sparse.csr_matrix) -> np.ndarray:
    """Share of every feature in all rows together, add-one smoothed; sums to 1."""
    counts = np.asarray(rows.sum(axis=0), np.float64).ravel() + 1
    return counts / counts.sum()


def feature_log_ratio(pool: Iterable[str], task: Iterable[str], buckets: int = 10_000) -> np.ndarray:
    """log p_task(text) - log p_pool(text) of each pool text under bags of hashed n-grams."""
    rows = hashed_ngrams(pool, whole(buckets, "buckets", 2, 10**8))
    ratio = np.log(feature_shares(hashed_ngrams(task, buckets))) - np.log(feature_shares(rows))
    return rows @ ratio


def kl_reduction(
    task_texts: Iterable[str], selected: Sequence[str], pool: Sequence[str], *, buckets: int = 10_000, seed: int = 0,
    draws: int = 3,
) -> float:  # fmt: skip
    """How much closer to the task the selected text is than random text: KL(task || random) - KL(task || selected).

    In nats, over hashed words and word pairs, add-one smoothed; above 0 where selection helped. Random text is pool
    sentences of as many words as were selected (smoothing favours more text), the mean over `draws`.
    Paper: the measure of Xie et al. 2023, which found it to go with accuracy (r = 0.82).
    """
    task = feature_shares(hashed_ngrams(task_texts, buckets))
    chosen = feature_shares(hashed_ngrams(selected, buckets))
    draw = np.random.default_rng([seed, 5])
    budget = Budget(sum(map(word_count, selected)), np.array([word_count(text) for text in pool]))
    gains = []
    for _ in range(draws):
        rows = budget.spend(draw.permutation(len(pool)))
        gains.append(task @ (np.log(chosen) - np.log(feature_shares(hashed_ngrams([pool[i] for i in rows], buckets)))))
    return float(np.mean(gains))
