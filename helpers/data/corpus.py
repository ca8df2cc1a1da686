"""Corpora that are read again and again without being held in memory, and their held-out share."""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

from helpers.data.records import Texts
from helpers.data.text import checked
from helpers.errors import UserError

_GAP = re.compile(r"[\W_]+")


class Corpus:
    """The texts of a domain, re-iterable: each pass reads the file anew (or goes over a list).

    name: the domain. source: one line that says where the text comes from. Exactly one of path (anything
    `helpers.data.records` reads) and texts (a list, or a DataFrame or Dataset). text_column: the text's; found by
    itself where not given. Empty documents are left out; after a first whole pass left_out says how many, and a
    warning does. len() counts once, by reading. Raises UserError, with file and row, for what is no text.

    >>> list(Corpus("law", "a list", texts=["A statute.", "A court."]))
    ['A statute.', 'A court.']
    """

    def __init__(self, name: str, source: str, *, path: str | Path | None = None, texts=None, text_column: str = ""):
        if (path is None) == (texts is None):
            raise ValueError("give a Corpus either a path or texts")
        self.name, self.source = name, source
        self.path = None if path is None else Path(path)
        self.texts, self.text_column = texts, text_column
        if texts is not None and not hasattr(texts, "columns") and not hasattr(texts, "column_names"):
            checked(texts, name)  # one string is refused here, an item when it is reached
            self.texts = [{"text": text} for text in texts]
        self.left_out = 0
        self._length: int | None = None

    def __iter__(self) -> Iterator[str]:
        rows = Texts(self.path if self.texts is None else self.texts, self.text_column)
        yield from rows
        if rows.left_out and self._length is None:
            warnings.warn(
                f"domain {self.name}: {rows.left_out} of {rows.read} documents are empty (first: {rows.first_empty}) "
                "and were left out",
                stacklevel=2,
            )
        if self._length is None and rows.left_out == rows.read:
            raise UserError(f"{self.path or self.name}: no texts; expected a document a row")
        self.left_out, self._length = rows.left_out, rows.read - rows.left_out

    def __len__(self) -> int:
        if self._length is None:
            for _ in self:
                pass
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
    checked(texts)  # one string in place of texts is refused at once
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
