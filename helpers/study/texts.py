"""Texts in the folders of artifacts: streamed in and out, thinned, shuffled."""

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from helpers.data import jsonl, unique_sentences
from helpers.data.records import GROUP_COLUMN
from helpers.words import joined, loose_words, normalised, word_count


class Lines:
    """Texts of a JSONL file, read anew by every iteration."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __iter__(self) -> Iterator[str]:
        return (row["text"] for _, row in jsonl.read_rows(self.path))


def write_lines(path: Path, texts: Iterable[str]) -> dict:
    """Write texts as JSONL, one at a time. Returns their number (documents), words and bytes of text.

    >>> write_lines(tmp / "two.jsonl", ["one text", "another"])
    {'documents': 2, 'words': 3, 'bytes': 15}
    """
    found = {"documents": 0, "words": 0, "bytes": 0}

    def rows() -> Iterator[dict]:
        for text in texts:
            found["words"] += word_count(text)
            found["bytes"] += len(text.encode())
            yield {"text": text}

    return found | {"documents": jsonl.write(path, rows())}


class Thinned:
    """A random `wanted` of some texts in their order, chosen by content, so the same on every machine.

    A sample of n texts is spread over the whole and is part of every larger sample. Read anew by every iteration, so
    texts: no generator. wanted: 0 keeps all. Held in memory: 8 bytes a text.

    >>> few, more = (set(Thinned([f"text {i}" for i in range(99)], n)) for n in (5, 20))
    >>> len(few), few < more
    (5, True)
    """

    def __init__(self, texts: Iterable[str], wanted: int):
        self.texts, self.wanted = texts, wanted

    def __iter__(self) -> Iterator[str]:
        if not self.wanted:
            return iter(self.texts)
        codes = np.fromiter(map(_code, self.texts), np.uint64)
        if len(codes) <= self.wanted:
            return iter(self.texts)
        bound = np.partition(codes, self.wanted - 1)[self.wanted - 1]
        return self._kept(bound, self.wanted - int((codes < bound).sum()))

    def _kept(self, bound: int, equal: int) -> Iterator[str]:
        """The texts below the bound, and the first `equal` of those on it, which are copies of one text."""
        for text in self.texts:
            code = _code(text)
            equal -= code == bound
            if code < bound or (code == bound and equal >= 0):
                yield text


def groups_of_thinned(rows, wanted: int) -> list[str] | None:
    """The group of each text that `Thinned` keeps of a split's rows; None where rows stand alone.

    rows: DataFrame of text and maybe group_id. wanted: as for `Thinned`.
    """
    if GROUP_COLUMN not in rows:
        return None
    groups = dict(zip(rows["text"], rows[GROUP_COLUMN], strict=True))
    return [groups[text] for text in Thinned(rows["text"].tolist(), wanted)]


def grouped(losses, groups: list[str] | None):
    """Losses by document with the document's group; a document without a masked token has no row."""
    return losses.assign(group=None if groups is None else [groups[place] for place in losses["document"]])


def distinct_sentences(documents: Iterable[str], wanted: int) -> Iterator[str]:
    """A random `wanted` of the distinct sentences of the documents, in their order, chosen by content.

    Sentences that differ only in case or punctuation count as one. Held in memory: at most some twice `wanted`.
    """
    kept: dict[int, str] = {}  # those with the smallest codes so far, in order of first appearance
    bound = 2**64
    for document in documents:
        for sentence in unique_sentences([document]):
            if (code := _code(normalised(sentence))) <= bound:
                kept.setdefault(code, sentence)
        if len(kept) > 2 * wanted:
            bound = sorted(kept)[wanted - 1]
            kept = {code: sentence for code, sentence in kept.items() if code <= bound}
    chosen = set(sorted(kept)[:wanted])
    return (sentence for code, sentence in kept.items() if code in chosen)


def _code(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, salt=b"thin").digest(), "little")


def shuffled_words(texts: Iterable[str], seed: int) -> Iterator[str]:
    """Each text with its words in random order: topic and frequency without syntax, a bag-of-words control."""
    order = random.Random(seed)
    for text in texts:
        words = loose_words(text)
        order.shuffle(words)
        yield joined(words)


def logger(folder: Path) -> Callable[[str], None]:
    """A log function that appends to log.txt of the artifact, each line with its time."""
    stream = open(folder / "log.txt", "a", encoding="utf-8", buffering=1)
    return lambda message: print(time.strftime("%H:%M:%S"), message, file=stream)
