"""What selectors find, and how it is cut to size."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Budget:
    """How much to select: `amount` of `sizes`, one number a pool sentence (ones, or its words)."""

    amount: int
    sizes: np.ndarray

    def met_by(self, rows: np.ndarray) -> bool:
        return self.sizes[rows].sum() >= self.amount

    def spend(self, rows: np.ndarray) -> np.ndarray:
        """The first rows that reach the amount, the one that reaches it included; all of them if none does."""
        return rows[: np.searchsorted(np.cumsum(self.sizes[rows]), self.amount) + 1]


@dataclass(frozen=True)
class Found:
    """What a selector found: either neighbours per query, or one ranking of (part of) the pool.

    indices, similarities [q, width]: best first; width is k, or more where a budget asked for it. At similarity 0
    a text and a query have nothing in common: index -1.
    ranking, scores: pool rows in order of preference. notes: further fields of the summary.
    """

    indices: np.ndarray | None = None
    similarities: np.ndarray | None = None
    ranking: np.ndarray | None = None
    scores: np.ndarray | None = None
    notes: dict = field(default_factory=dict)
    model: object = None

    def choose(self, k: int, budget: Budget | None) -> tuple[np.ndarray, np.ndarray]:
        """Distinct pool rows in order of preference, and their best scores."""
        if self.ranking is not None:
            rows = self.ranking if budget is None else budget.spend(self.ranking)
            return rows, self.scores[: len(rows)]
        indices = self.indices[:, :k] if budget is None else self.indices
        # Rank by rank, nearest first within a rank: the order in which a budget is spent.
        ranks = np.broadcast_to(np.arange(indices.shape[1]), indices.shape).ravel()
        flat, scores = indices.ravel(), self.similarities[:, : indices.shape[1]].ravel()
        order = np.lexsort((flat, -scores, ranks))
        order = order[flat[order] >= 0]
        rows, first = np.unique(flat[order], return_index=True)
        chosen = rows[np.argsort(first, kind="stable")]
        if budget is not None:
            chosen = budget.spend(chosen)
        best = np.full(int(flat.max()) + 1, -np.inf)
        np.maximum.at(best, flat[order], scores[order])
        return chosen, best[chosen]


def by_query(
    search: Callable[[int], tuple[np.ndarray, np.ndarray]], k: int, budget: Budget | None, pool: int, **known
) -> Found:
    """Neighbours from `search(width)`: width k, or as wide as `budget` needs, to the width of the pool.

    known: further fields of Found.
    """
    width = k if budget is None else 2 * k
    while True:
        indices, similarities = search(min(width, pool))
        indices = np.where(similarities == 0, -1, indices)
        if budget is None or width >= pool or budget.met_by(np.unique(indices[indices >= 0])):
            return Found(indices, similarities, **known)
        width *= 2
