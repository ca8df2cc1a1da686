"""Corpora that are read again and again without being held in memory, and their held-out share."""

import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

from helpers.data.jsonl import read_texts

_GAP = re.compile(r"[\W_]+")


class Corpus:
    """The texts of a domain, re-iterable: each pass reads the file anew (or goes over a list).

    name: the domain. source: one line that says where the text comes from. Exactly one of path (JSONL or
    JSONL.gz with a "text" a row) and texts. len() counts once, by reading.
    """

    def __init__(self, name: str, source: str, *, path: str | Path | None = None, texts: list[str] | None = None):
        if (path is None) == (texts is None):
            raise ValueError("give a Corpus either a path or texts")
        self.name, self.source = name, source
        self.path = None if path is None else Path(path)
        self.texts = texts
        self._length = None if texts is None else len(texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts) if self.path is None else read_texts(self.path)

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(1 for _ in self)
        return self._length

    def __repr__(self) -> str:
        return f"Corpus({self.name!r}, {self.source!r})"


class Filtered:
    """A lazy view of re-iterable texts: `choose` maps an iterator of texts to the texts that stay."""

    def __init__(self, texts: Iterable[str], choose: Callable[[Iterator[str]], Iterator[str]]):
        if iter(texts) is texts:  # a generator can be read only once, so it is held
            texts = list(texts)
        self.texts, self.choose = texts, choose

    def __iter__(self) -> Iterator[str]:
        return self.choose(iter(self.texts))


def split_heldout(texts: Iterable[str], share: float = 0.05) -> tuple[Iterable[str], Iterable[str]]:
    """Two re-iterable views of the texts: for training and held out.

    A text goes by a hash of its lower-case words, so duplicates land on one side, the split does not depend on
    the order of the texts, and nothing is held in memory. share: expected part held out, 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share {share}: expected 0 to 1")
    bound = int(share * 2**64)

    def held(text: str) -> bool:
        # Not `normalised`, whose rules grow: a text must not change sides from one version to the next.
        words = _GAP.sub(" ", text.lower()).strip()
        digest = blake2b(words.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < bound

    texts = Filtered(texts, iter).texts
    return (
        Filtered(texts, lambda some: (text for text in some if not held(text))),
        Filtered(texts, lambda some: (text for text in some if held(text))),
    )
