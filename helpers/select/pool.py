"""Select domain text for a task: one call on two lists of strings.

selection = select_text(task_sentences, domain_sentences, "vampire", k=50)
tapt_text = join_with_task(selection.texts, task_sentences)
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from helpers.compute import Meter
from helpers.errors import UserError
from helpers.select.exclusion import holds_any


@dataclass(frozen=True)
class Selection:
    """Selected domain text.

    texts: distinct, in order of `indices`, which ascend and count in `domain_sentences` as they were given.
    similarities: for each text the best similarity or score it was selected with (NaN for random), float32.
    seconds: of the whole call, fitting included. summary: counts, bytes, seconds and memory, one flat dict.
    neighbour_indices [q, k], neighbour_similarities [q, k]: for selectors that work query by query (else None);
    a budget may go deeper into the lists than k.
    model: the fitted VAMPIRE (selector vampire), to pass on to the next call.
    """

    texts: list[str]
    indices: np.ndarray
    similarities: np.ndarray
    seconds: float
    summary: dict
    neighbour_indices: np.ndarray | None = None
    neighbour_similarities: np.ndarray | None = None
    model: object = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.texts)


def select_text(
    task_texts: Iterable[str], domain_sentences: Iterable[str], selector: str = "vampire", k: int = 50, seed: int = 0,
    *, exclude: Iterable[str] = (), budget: int | None = None, model=None, log=None, **options,
) -> Selection:  # fmt: skip
    """Domain sentences to add to a task's text before TAPT.

    task_texts: the task's training texts, one query each. domain_sentences: the pool; repeats are dropped.
    selector: a name in SELECTORS. k: sentences per task text, before repeats between queries are dropped.
    seed: of VAMPIRE's training and of every random draw. exclude: dev and test texts; pool sentences that repeat
    them (see exclusion.holds_any) are dropped first.
    budget: None selects as the paper does: k a task text, each query on its own, repeats between queries dropped
    (kNN: its k nearest; random: k drawn). moore_lewis and dsir, which rank the whole pool once, then take
    len(task_texts) * k. A number selects exactly that many distinct sentences (or the whole pool, if smaller)
    with any selector: pass len(a VAMPIRE selection) to compare at an equal budget; per-query selectors take
    every query's nearest, then every query's second nearest, and so on.
    model: a fitted Vampire to reuse, so that several k share it (selector vampire), or the base model's folder or
    name (selector embedding). options: passed to the selector (vampire: config, epochs=... and other fields).
    Raises UserError for an unknown selector, an empty pool or task, items that are not strings, k < 1.
    Paper: section 5.2, Table 8.
    """
    from helpers.select.rivals import SELECTORS

    if selector not in SELECTORS:
        raise UserError(f"selector {selector!r}: expected one of {', '.join(SELECTORS)}.")
    for name, number in (("k", k), ("budget", 1 if budget is None else budget)):
        if isinstance(number, bool) or int(number) != number or number < 1:
            raise UserError(f"{name}={number!r}: expected a whole number of at least 1.")
    task, domain = _strings(task_texts, "task_texts"), _strings(domain_sentences, "domain_sentences")
    with Meter() as meter:
        kept, dropped = _usable(domain, _strings(exclude, "exclude", empty=True))
        pool = [domain[row] for row in kept]
        found = SELECTORS[selector](task, pool, k, seed, budget=budget, model=model, log=log, **options)
        places, scores = found.choose(k, budget)
    order = np.argsort(places, kind="stable")
    places, scores = places[order], scores[order]
    texts = [pool[row] for row in places]
    return Selection(
        texts, kept[places], scores.astype(np.float32), meter.seconds,
        summary=dict(
            selector=selector, k=k, seed=seed, budget=budget, task_texts=len(task), pool=len(pool), **dropped,
            selected=len(texts), words=sum(len(text.split()) for text in texts),
            bytes=sum(len(text.encode()) + 1 for text in texts), seconds=meter.seconds,
            peak_memory_mb=meter.peak_mb, grown_memory_mb=meter.grown_mb, **found.notes,
        ),
        neighbour_indices=None if found.indices is None else kept[found.indices],
        neighbour_similarities=found.similarities if found.indices is not None else None,
        model=found.model,
    )  # fmt: skip


def join_with_task(selected: Sequence[str], task_texts: Sequence[str]) -> list[str]:
    """The text of kNN-TAPT: the task's texts first, then what was selected, repeats dropped.

    Paper: DATA_SELECTION.md of its code, "both the task data and the selected candidate pool".
    """
    return list(dict.fromkeys([*task_texts, *selected]))


def _strings(texts: Iterable[str], what: str, empty: bool = False) -> list[str]:
    if isinstance(texts, str):
        raise UserError(f"{what}: found one string; expected a list of strings.")
    texts = list(texts)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(f"{what}, item {row}: expected a string, found {type(text).__name__}.")
    if not texts and not empty:
        raise UserError(f"{what}: found none; expected at least one text.")
    return texts


def _usable(domain: list[str], held: list[str]) -> tuple[np.ndarray, dict]:
    """Rows of the pool that are neither repeats nor held-out text, and how many were not."""
    first = {}
    for row, text in enumerate(domain):
        first.setdefault(text, row)
    rows = np.fromiter(first.values(), np.int64, len(first))
    leaking = holds_any(list(first), held)
    if leaking.all():
        raise UserError(f"domain_sentences: all {len(rows)} repeat dev or test text; nothing is left to select.")
    return rows[~leaking], dict(repeats_dropped=len(domain) - len(rows), excluded=int(leaking.sum()))


@dataclass(frozen=True)
class Found:
    """What a selector found: either neighbours per query, or one ranking of (part of) the pool.

    indices, similarities [q, width]: best first; width is k, or more where a budget asked for it.
    ranking, scores: pool rows in order of preference. notes: further fields of the summary.
    """

    indices: np.ndarray | None = None
    similarities: np.ndarray | None = None
    ranking: np.ndarray | None = None
    scores: np.ndarray | None = None
    notes: dict = field(default_factory=dict)
    model: object = None

    def choose(self, k: int, budget: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Distinct pool rows and their best scores."""
        if self.ranking is not None:
            return self.ranking[:budget], self.scores[:budget]
        indices = self.indices if budget else self.indices[:, :k]
        # Rank by rank, nearest first within a rank: the order in which a budget is spent.
        ranks = np.broadcast_to(np.arange(indices.shape[1]), indices.shape).ravel()
        flat, scores = indices.ravel(), self.similarities[:, : indices.shape[1]].ravel()
        order = np.lexsort((flat, -scores, ranks))
        order = order[flat[order] >= 0]
        rows, first = np.unique(flat[order], return_index=True)
        chosen = np.argsort(first, kind="stable")[:budget]
        best = np.full(int(flat.max()) + 1, -np.inf)
        np.maximum.at(best, flat[order], np.nan_to_num(scores[order], nan=-np.inf))
        values = best[rows[chosen]]
        return rows[chosen], np.where(np.isfinite(values), values, np.nan)


def deepen(search: Callable[[int], tuple[np.ndarray, np.ndarray]], k: int, budget: int | None, pool: int):
    """Neighbours from `search(width)`: width k, or as wide as `budget` distinct pool rows need."""
    width = k if budget is None else 2 * k
    while True:
        indices, similarities = search(min(width, pool))
        if budget is None or width >= pool or len(np.unique(indices[indices >= 0])) >= min(budget, pool):
            return indices, similarities
        width *= 2
