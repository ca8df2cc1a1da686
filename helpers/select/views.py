"""Looking at selections: neighbours as in Table 21, a map, how much selections share, rivals side by side."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.select.ngrams import kl_reduction
from helpers.select.pool import Selection
from helpers.select.words import stop_words, tokenize


def neighbours_table(
    task_texts: Sequence[str], domain_sentences: Sequence[str], selection: Selection, rows: Sequence[int] = (0, 1, 2),
    k: int = 5,
) -> pd.DataFrame:  # fmt: skip
    """The k nearest domain sentences of a few task texts.

    task_texts, domain_sentences: as they were given to select_text. rows: which task texts; those there are.
    Returns task_sentence, rank (1 is nearest), similarity, domain_sentence, fewer rows where fewer match.
    Paper: Table 21.
    Raises UserError for a selection that was not made query by query.
    """
    if selection.neighbour_indices is None:
        name = selection.summary.get("selector", "this selector")
        raise UserError(f"{name}: it ranks the pool as a whole, so no task text has neighbours; use vampire or tfidf.")
    found = [
        (task_texts[row], rank + 1, float(similarity), domain_sentences[index])
        for row in rows
        if row < len(selection.neighbour_indices)
        for rank, (index, similarity) in enumerate(
            zip(selection.neighbour_indices[row, :k], selection.neighbour_similarities[row, :k], strict=True)
        )
        if index >= 0
    ]
    return pd.DataFrame(found, columns=["task_sentence", "rank", "similarity", "domain_sentence"])


def map_2d(vectors: np.ndarray) -> np.ndarray:
    """Two coordinates for each vector, from directions alone: the two main axes of rows scaled to length 1.

    Returns [n, 2] float64, centred, the first axis the wider; distances mean something. One vector is at the origin.
    """
    from sklearn.decomposition import PCA

    vectors = np.asarray(vectors, np.float64)
    if len(vectors) < 2:
        return np.zeros((len(vectors), 2))
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return PCA(2, svd_solver="full").fit_transform(vectors)


def selection_overlap(selections: Mapping[str, Selection | Iterable[str]]) -> pd.DataFrame:
    """How much two selections share: a, b, shared (texts) and jaccard (shared / either, 0 to 1) for every pair."""
    sets = {name: set(getattr(chosen, "texts", chosen)) for name, chosen in selections.items()}
    return pd.DataFrame(
        [(a, b, len(sets[a] & sets[b]), len(sets[a] & sets[b]) / max(1, len(sets[a] | sets[b])))
         for a, b in combinations(sets, 2)],
        columns=["a", "b", "shared", "jaccard"],
    )  # fmt: skip


def word_cover(texts: Iterable[str], task_texts: Iterable[str]) -> float:
    """Share of the task's content words, repeats counted, that occur in `texts`; in [0, 1]."""
    numbers: dict[str, int] = {}
    tokenize(texts, stop=stop_words(), numbers=numbers)
    known = len(numbers)
    ids = tokenize(task_texts, stop=stop_words(), numbers=numbers).ids
    return float((ids < known).mean()) if len(ids) else 0.0


def compare_selections(
    selections: Mapping[str, Selection], task_texts: Iterable[str], domain_sentences: Iterable[str]
) -> pd.DataFrame:
    """Rivals side by side, without training anything.

    task_texts: best the task's *dev* texts, which no selector saw. Returns one row a selection: name, selected,
    words, bytes, word_cover, kl_reduction (nats against a random choice of as many words), seconds,
    peak_memory_mb.
    """
    task, pool = list(task_texts), list(domain_sentences)
    return pd.DataFrame(
        [dict(name=name, **{key: chosen.summary[key] for key in ("selected", "words", "bytes")},
              word_cover=word_cover(chosen.texts, task), kl_reduction=kl_reduction(task, chosen.texts, pool),
              **{key: chosen.summary[key] for key in ("seconds", "peak_memory_mb")})
         for name, chosen in selections.items()]
    )  # fmt: skip
