"""Ways to select text, all behind one signature: SELECTORS[name](task, pool, k, seed, ...) -> Found."""

import numpy as np

from helpers.errors import UserError
from helpers.select.neighbours import neighbours
from helpers.select.pool import Found, deepen


def vampire(task, pool, k, seed, *, budget, model, log, config=None, backend="exact", **changes) -> Found:
    """The paper's: cosine neighbours of VAMPIRE embeddings; fitted on the pool and the task unless given."""
    from helpers.select.vampire import MENDED, Vampire

    if model is None:
        model = Vampire.fit([*pool, *task], MENDED if config is None else config, seed=seed, log=log, **changes)
    elif config is not None or changes:
        raise UserError("select_text: a fitted model and settings to fit one were both given; give one of them.")
    queries, vectors = model.embed(task), model.embed(pool)
    indices, similarities = deepen(
        lambda width: neighbours(queries, vectors, width, backend=backend), k, budget, len(pool)
    )
    return Found(indices, similarities, model=model, notes=dict(vampire_epochs=len(model.history)))


def random(task, pool, k, seed, *, budget, model, log) -> Found:
    """RAND of the paper: k pool sentences drawn for each task text, independently of it."""
    draw = np.random.default_rng([seed, 2])
    if budget is not None:
        chosen = draw.permutation(len(pool))[:budget]
        return Found(ranking=chosen, scores=np.full(len(chosen), np.nan))
    width = min(k, len(pool))
    indices = np.stack([draw.choice(len(pool), width, replace=False) for _ in task])
    return Found(ranking=np.unique(indices), scores=np.full(len(np.unique(indices)), np.nan))


SELECTORS = {"vampire": vampire, "random": random}
