"""Duplicates between train, dev, test and corpora, exact and near, and keeping held-out text out of corpora."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import pandas as pd

from helpers.data.corpus import Filtered
from helpers.data.shingles import Shingles, contained, containing, holding, known
from helpers.data.text import checked
from helpers.words import clean, one_case

NEAR = 0.8  # share of a text's shingles that one other text must hold to be its near duplicate
_BLOCK = 2000  # documents of a corpus looked at together
_SPLITS = ("train", "dev", "test")
_COLUMNS = ("held", "rows", "against", "exact", "near", "exact_percent", "near_percent", "same_label", "unchecked")


def audit(task, corpora: dict[str, Iterable[str]] | None = None, *, near: float = NEAR) -> pd.DataFrame:
    """How many texts of a task's splits come again in its other splits and in corpora.

    task: a Task, or anything with DataFrames train, dev, test of text and label. corpora: name -> texts.
    Returns a DataFrame with a row for (train, train), (dev, train), (test, train), (test, dev) and every (split,
    corpus): held and against; rows of held; exact and near, in rows and in percent; same_label.
    exact, between splits: rows whose text, case and spacing aside, is there (in train itself: earlier); in a
    corpus: rows whose words, of which there are five or more, stand one after the other in a document.
    near: further rows of which one text holds at least `near` (0 to 1) of the five-word shingles, such as the
    same sentence with other entities marked. same_label: the exact rows whose copy carries the same label, NA
    for a corpus. unchecked: rows that are not looked for inside a corpus's documents, see `unchecked`; 0 between
    splits, which are compared whole.
    """
    frames = {split: getattr(task, split) for split in _SPLITS}
    texts = {split: [_same(text) for text in frame["text"]] for split, frame in frames.items()}
    pairs = {split: list(zip(texts[split], frame["label"], strict=True)) for split, frame in frames.items()}
    shingles = {split: Shingles(list(frame["text"])) for split, frame in frames.items()}
    table = []
    for held, other in (("train", "train"), ("dev", "train"), ("test", "train"), ("test", "dev")):
        exact = _copies(texts[held], texts[other])
        close = contained(shingles[held], shingles[other], near) | _copies(shingles[held].words, shingles[other].words)
        same = exact & _copies(pairs[held], pairs[other])
        table.append(_row(held, other, exact, close & ~exact, int(same.sum()), 0))
    for name, documents in (corpora or {}).items():
        exact = {split: np.zeros(len(frame), bool) for split, frame in frames.items()}
        close = {split: np.zeros(len(frame), bool) for split, frame in frames.items()}
        for block in _blocks(documents):
            block = Shingles(block)
            for split in _SPLITS:
                exact[split][[row for row, _ in holding(shingles[split], block)]] = True
                close[split] |= contained(shingles[split], block, near)
        for split in _SPLITS:
            short = int((shingles[split].sizes == 0).sum())
            table.append(_row(split, name, exact[split], close[split] & ~exact[split], pd.NA, short))
    return pd.DataFrame(table, columns=_COLUMNS).astype({"same_label": "Int64"})


def leaked_rows(task, *, near: float | None = None) -> dict[str, np.ndarray]:
    """Row numbers whose text is in train too: {"dev": array, "test": array, "train": later copies of a row}.

    near: also count near duplicates that share this part of their shingles, 0 to 1; None: exact ones only, case
    and spacing aside.
    """
    train = [_same(text) for text in task.train["text"]]
    shingled = Shingles(list(task.train["text"])) if near is not None else None
    found = {}
    for split in _SPLITS:
        texts = train if split == "train" else [_same(text) for text in getattr(task, split)["text"]]
        found[split] = _copies(texts, train)
        if shingled is not None:
            held = shingled if split == "train" else Shingles(list(getattr(task, split)["text"]))
            found[split] |= contained(held, shingled, near) | _copies(held.words, shingled.words)
    return {split: np.flatnonzero(mask) for split, mask in found.items()}


def exclude(texts: Iterable[str], held_texts: Iterable[str], *, near: float | None = None) -> Iterable[str]:
    """The texts that repeat none of the held texts, as a lazy, re-iterable view.

    A document goes when it holds a held text or is a part of one, as `repeats` says.
    near: also drop documents that hold this part of a held text's five-word shingles, 0 to 1.
    """
    checked(texts)  # one string in place of texts is refused before anything is read
    held = _Held(held_texts)

    def kept(some: Iterator[str]) -> Iterator[str]:
        for block in _blocks(some):
            documents = Shingles(block)
            dropped = held.repeated_in(documents)
            if near is not None:
                dropped[containing(held.shingles, documents, near)[1]] = True
            yield from (text for text, drop in zip(block, dropped, strict=True) if not drop)

    return Filtered(texts, kept)


def repeats(texts: Iterable[str], held_texts: Iterable[str]) -> np.ndarray:
    """Which texts repeat held-out text, as booleans [texts]: what corpora and pools must leave out.

    True where a text equals a held one, contains one of at least five words, or is made up entirely of runs of
    five words that occur in held text, as every text of five words or more inside a held one is. Shorter texts
    are only compared whole: "the results were" is in everything. Case, punctuation and spacing do not count.

    >>> repeats(["Well: the cat sat on a mat!", "The dog sat on a mat."], ["The cat sat on a mat."]).tolist()
    [True, False]
    """
    checked(texts)  # one string in place of texts is refused before anything is read
    held = _Held(held_texts)
    return np.concatenate([np.zeros(0, bool), *(held.repeated_in(Shingles(block)) for block in _blocks(texts))])


class _Held:
    """Held-out texts, each once, laid out to be looked for."""

    def __init__(self, texts: Iterable[str]):
        self.shingles = Shingles(list(dict.fromkeys(checked(texts, "held texts"))))
        every = zip(self.shingles.words, self.shingles.sizes, strict=True)
        self.short = {words for words, size in every if not size}  # without a shingle: compared whole

    def repeated_in(self, documents: Shingles) -> np.ndarray:
        """Which documents repeat one of these texts, or are made of their runs, as booleans."""
        mask = np.array([words in self.short for words in documents.words], bool)
        inside = np.bincount(documents.owners, known(documents, self.shingles), minlength=len(documents))
        mask |= (documents.sizes > 0) & (inside == documents.sizes)
        mask[[document for _, document in holding(self.shingles, documents)]] = True
        return mask


def without_near_copies(items: list, texts: list[str], *, near: float = NEAR) -> list:
    """The items but those of which an earlier one's text holds, or is held by, `near` of the shingles."""
    shingles = Shingles(texts)
    dropped = set(np.maximum(*containing(shingles, shingles, near)).tolist())
    return [item for place, item in enumerate(items) if place not in dropped]


def unchecked(held_texts: Iterable[str]) -> np.ndarray:
    """Which held texts cannot be looked for inside documents, as booleans [texts]: they are compared whole.

    Those of fewer than five words, or ten characters of a script without spaces, and those without any letter.

    >>> unchecked(["Methods.", "The cat sat on a mat.", "?!"]).tolist()
    [True, False, True]
    """
    return Shingles(list(held_texts)).sizes == 0


def _same(text: str) -> str:
    return " ".join(one_case(clean(text)).split())


def _copies(texts: list, others: list) -> np.ndarray:
    """Which texts are among the others; in one and the same list, which came before."""
    if texts is others:
        return pd.Series(texts, dtype=object).duplicated().to_numpy(copy=True)
    known = set(others)
    return np.array([text in known for text in texts], bool)


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    texts = checked(texts)
    while block := list(islice(texts, _BLOCK)):
        yield block


def _row(held: str, against: str, exact: np.ndarray, near: np.ndarray, same_label, short: int) -> tuple:
    rows, copies, close = len(exact), int(exact.sum()), int(near.sum())
    part = 100 / max(rows, 1)
    return held, rows, against, copies, close, copies * part, close * part, same_label, short
