"""Select domain text for a task: one call on two lists of strings.

selection = select_text(task_sentences, domain_sentences, "vampire", k=50)
tapt_text = join_with_task(selection.texts, task_sentences)
"""

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from helpers.compute import Meter
from helpers.data import jsonl, repeats
from helpers.data.text import checked
from helpers.errors import UserError, nearest, whole
from helpers.select.found import Budget
from helpers.select.rivals import SELECTORS
from helpers.words import normalised, word_count

UNITS = ("sentences", "words")


@dataclass(frozen=True)
class Selection:
    """Selected domain text.

    texts: distinct, in order of `indices`, which ascend and count in `domain_sentences` as they were given.
    similarities: for each text the best similarity or score it was selected with (NaN for random), float32.
    seconds: of the whole call, fitting included. summary: counts, bytes, seconds and memory, one flat dict.
    neighbour_indices [q, k], neighbour_similarities [q, k]: for selectors that work query by query (else None);
    a budget may go deeper into the lists than k. Where a text matches fewer: index -1, similarity 0.
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


def write_selection(selection: Selection, path: str | Path) -> Path:
    """Write a selection as JSON Lines, a line a text: text, similarity (null for random) and index in the pool.

    path: gzipped when it ends in .gz. Returns it. The file is a domain like any other: DOMAIN_FILE takes it.

    >>> chosen = select_text(["the enzyme binds"], ["an enzyme binds it", "shares fell"], "tfidf", k=1)
    >>> print(write_selection(chosen, tmp / "picked.jsonl").read_text(encoding="utf-8")[:32])
    {"text": "an enzyme binds it", "
    """
    scores = [None if np.isnan(score) else round(float(score), 6) for score in selection.similarities]
    found = zip(selection.texts, scores, selection.indices.tolist(), strict=True)
    jsonl.write(path, ({"text": text, "similarity": score, "index": index} for text, score, index in found))
    return Path(path)


def select_text(
    task_texts: Iterable[str], domain_sentences: Iterable[str], selector: str = "vampire", k: int = 50, seed: int = 0,
    *, exclude: Iterable[str] = (), budget: int | None = None, unit: str = "sentences", model=None, log=None, **options,
) -> Selection:  # fmt: skip
    """Domain sentences to add to a task's text before TAPT.

    task_texts: the task's training texts, one query each. domain_sentences: the pool; repeats are dropped.
    selector: a name in SELECTORS. k: sentences per task text, before repeats between queries are dropped.
    seed: of VAMPIRE's training and of every random draw. exclude: dev and test texts; pool sentences that repeat
    them (see helpers.data.repeats) are dropped first.
    budget: None selects as the paper does: k a task text, each query on its own, repeats between queries dropped
    (kNN: its k nearest; random: k drawn). moore_lewis and dsir, which rank the whole pool once, then take
    len(task_texts) * k. A number selects that many distinct sentences, or as many as reach that many words (over by
    less than the last sentence), with any selector: pass the length or the words of a VAMPIRE selection to compare at
    an equal budget. Per-query selectors take every query's nearest, then every query's second nearest, and so on.
    unit: of the budget, "sentences" or "words" (see words.word_count).
    model: a fitted Vampire to reuse, so that several k share it (selector vampire), or the base model's folder or
    name (selector embedding). options: passed to the selector (vampire: config, epochs=... and other fields).
    A sentence at similarity 0 is never selected: fewer than k, or than the budget, where too few match;
    summary["without_match"] counts the task texts that nothing matches.
    Raises UserError for an unknown selector, unit or option, a value or a model that the selector cannot take,
    an empty pool or task, items that are not strings, k < 1, seed < 0, and a task that shares no word with the pool.
    Paper: section 5.2, Table 8.

    >>> chosen = select_text(["the kinase binds"], ["a film plot", "one kinase domain", "it binds"], "tfidf", k=2)
    >>> chosen.texts, chosen.summary["without_match"]
    (['one kinase domain', 'it binds'], 0)
    """
    for what, name, valid in (("selector", selector, SELECTORS), ("unit", unit, UNITS)):
        if name not in valid:
            raise UserError(f"{what} {name!r}: expected one of {', '.join(valid)}.{nearest(name, valid)}")
    whole(k, "k")
    whole(seed, "seed", 0)
    _check_options(selector, options)
    task, domain = _some(task_texts, "task_texts"), _some(domain_sentences, "domain_sentences")
    with Meter() as meter:
        kept, dropped = _usable(domain, list(checked(exclude, "exclude")))
        pool = [domain[row] for row in kept]
        if budget is not None:
            sizes = [word_count(text) for text in pool] if unit == "words" else np.ones(len(pool), np.int64)
            budget = Budget(whole(budget, "budget"), np.asarray(sizes))
        found = SELECTORS[selector](task, pool, k, seed, budget=budget, model=model, log=log, **options)
        notes = dict(found.notes)
        if found.indices is not None:
            notes["without_match"] = int((found.indices < 0).all(axis=1).sum())
            if notes["without_match"] == len(task):
                raise UserError(f"{selector}: no task text is similar to any of {len(pool)} domain_sentences.")
        places, scores = found.choose(k, budget)
    order = np.argsort(places, kind="stable")
    places, scores = places[order], scores[order]
    texts = [pool[row] for row in places]
    return Selection(
        texts, kept[places], scores.astype(np.float32), meter.seconds,
        summary=dict(
            selector=selector, k=k, seed=seed, budget=budget and budget.amount, unit=unit, task_texts=len(task),
            pool=len(pool), **dropped, selected=len(texts), words=sum(map(word_count, texts)),
            bytes=sum(len(text.encode()) + 1 for text in texts), seconds=meter.seconds,
            peak_memory_mb=meter.peak_mb, grown_memory_mb=meter.grown_mb, **notes,
        ),
        neighbour_indices=None if found.indices is None else np.where(found.indices < 0, -1, kept[found.indices]),
        neighbour_similarities=found.similarities if found.indices is not None else None,
        model=found.model,
    )  # fmt: skip


def join_with_task(selected: Sequence[str], task_texts: Sequence[str]) -> list[str]:
    """The text of kNN-TAPT: the task's texts first, then what was selected, repeats dropped.

    Paper: DATA_SELECTION.md of its code, "both the task data and the selected candidate pool".
    """
    return list(dict.fromkeys([*task_texts, *selected]))


def _check_options(selector: str, options: Iterable[str]) -> None:
    """Refuse an option that is another selector's, or nobody's."""
    taken = inspect.signature(SELECTORS[selector]).parameters.values()
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken):  # VAMPIRE's, which knows its own
        return
    own = [one.name for one in taken if one.kind is inspect.Parameter.KEYWORD_ONLY and one.default is not one.empty]
    for name in options:
        if name not in own:
            raise UserError(f"option {name!r}: selector {selector!r} takes {', '.join(own) or 'none'}.")


def _some(texts: Iterable[str], what: str) -> list[str]:
    found = list(checked(texts, what))
    if not found:
        raise UserError(f"{what}: found none; expected at least one text.")
    return found


def _usable(domain: list[str], held: list[str]) -> tuple[np.ndarray, dict]:
    """Rows of the pool that hold a word and are neither repeats nor held-out text, and how many were not."""
    first = {}
    for row, text in enumerate(domain):
        first.setdefault(text, row)
    rows = np.fromiter(first.values(), np.int64, len(first))
    leaking = repeats(list(first), held)
    # a line of dashes says nothing against the task, and would be preferred to every sentence that does
    wordless = np.array([not normalised(text) for text in first], bool)
    if (leaking | wordless).all():
        raise UserError(f"domain_sentences: all {len(rows)} repeat dev or test text or hold no word; nothing is left "
                        "to select.")  # fmt: skip
    dropped = dict(repeats_dropped=len(domain) - len(rows), excluded=int(leaking.sum()), wordless=int(wordless.sum()))
    return rows[~(leaking | wordless)], dropped
