"""Words as numbers: one pass over texts, sparse rows whose memory follows the words present."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import regex
from scipy import sparse

from helpers.data.text import checked
from helpers.errors import UserError
from helpers.words import Words, has_unspaced, needs_script

_CONTENT_WORD = re.compile(r"\b[^\d\W]{3,30}\b")
_LETTERS = regex.compile(r"[\p{L}\p{M}]{3,30}")
_by_script = Words()


def content_words(text: str) -> list[str]:
    """Lower-cased words of 3 to 30 letters, as in the authors' preprocessing; any length in scripts without spaces."""
    if needs_script(text):
        return [word for word in _by_script(text.replace("İ", "i")) if has_unspaced(word) or _LETTERS.fullmatch(word)]
    return _CONTENT_WORD.findall(text.lower())


def stop_words() -> frozenset[str]:
    """The English stop words of scikit-learn, as in the authors' preprocessing."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return ENGLISH_STOP_WORDS


@dataclass(frozen=True)
class Tokens:
    """Texts as word numbers: text i is `ids[starts[i]:starts[i + 1]]`; `words[id]` is the word."""

    ids: np.ndarray
    starts: np.ndarray
    words: Sequence[str]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)

    def texts(self) -> np.ndarray:
        """For every token, the number of the text it stands in."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: np.ndarray) -> "Tokens":
        """The texts `rows`, in ascending order, on the same words."""
        mine = np.zeros(len(self), bool)
        mine[rows] = True
        lengths = self.lengths[mine]
        return Tokens(self.ids[np.repeat(mine, self.lengths)], np.concatenate([[0], np.cumsum(lengths)]), self.words)


def tokenize(
    texts: Iterable[str], words: Callable[[str], list[str]] = content_words, *, stop: frozenset[str] = frozenset(),
    numbers: dict[str, int] | None = None, grow: bool = True, unknown: int | None = None,
) -> Tokens:  # fmt: skip
    """The words of each text, numbered in order of first appearance.

    texts: any iterable, read once. words: the words of one text. stop: words left out.
    numbers: word -> number to go on from; new words are added to it, or where grow is False
    left out, or all numbered `unknown`.
    Raises UserError when an item is not a string.
    """
    numbers = {} if numbers is None else numbers
    parts, lengths, buffer = [], [], []
    for text in checked(texts):
        found = words(text)
        if unknown is not None:
            found = [numbers.get(word, unknown) for word in found]
        elif not grow:
            found = [numbers[word] for word in found if word in numbers]
        else:
            found = [numbers.setdefault(word, len(numbers)) for word in found if word not in stop]
        buffer.extend(found)
        lengths.append(len(found))
        if len(buffer) > 1_000_000:
            parts.append(np.array(buffer, dtype=np.int32))
            buffer = []
    parts.append(np.array(buffer, dtype=np.int32))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens(np.concatenate(parts), starts, list(numbers))


def count_rows(tokens: Tokens, columns: int | None = None) -> sparse.csr_matrix:
    """Counts as a CSR matrix (texts x words) of float32 with sorted columns and no duplicates."""
    rows = sparse.csr_matrix(
        (np.ones(len(tokens.ids), np.float32), tokens.ids.copy(), tokens.starts),  # sorted in place below
        shape=(len(tokens), len(tokens.words) if columns is None else columns),
    )
    rows.sum_duplicates()
    return rows


def unit_rows(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows divided by their Euclidean length; empty rows stay empty."""
    squares = np.add.reduceat(np.append(rows.data**2, 0.0), rows.indptr[:-1]) if rows.shape[0] else np.zeros(0)
    squares[np.diff(rows.indptr) == 0] = 0
    lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
    scaled = rows.data / np.repeat(lengths, np.diff(rows.indptr))
    return sparse.csr_matrix((scaled.astype(np.float32), rows.indices, rows.indptr), shape=rows.shape)


def inverse_document_frequency(rows: sparse.csr_matrix) -> np.ndarray:
    """log((1 + texts) / (1 + texts holding the word)) + 1, scikit-learn's smoothed form, float32."""
    holding = np.bincount(rows.indices, minlength=rows.shape[1])
    return (np.log((1 + rows.shape[0]) / (1 + holding)) + 1).astype(np.float32)


class Vocabulary:
    """The most frequent content words of some texts, and how to turn texts into rows over them.

    words: in decreasing frequency (ties in order of first appearance). idf: one weight a word.
    """

    def __init__(self, words: Sequence[str], idf: np.ndarray):
        self.words, self.idf = list(words), np.asarray(idf, np.float32)
        self.numbers = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def fit(cls, texts: Iterable[str], *, size: int, min_texts: int = 1) -> tuple["Vocabulary", sparse.csr_matrix]:
        """The vocabulary of `texts` and their count rows over it, in one pass.

        size: most words kept, by total count. min_texts: fewest texts a word must stand in.
        """
        tokens = tokenize(texts, stop=stop_words())
        counts = count_rows(tokens)
        frequency = np.bincount(tokens.ids, minlength=len(tokens.words))
        holding = np.bincount(counts.indices, minlength=len(tokens.words))
        order = np.argsort(-frequency, kind="stable")
        kept = order[holding[order] >= min_texts][:size]
        if len(kept) == 0:
            raise UserError(f"no word of 3 to 30 letters stands in {min_texts} or more of {len(tokens)} texts.")
        counts = counts[:, kept].tocsr()
        counts.sort_indices()
        return cls([tokens.words[number] for number in kept], inverse_document_frequency(counts)), counts

    def counts(self, texts: Iterable[str]) -> sparse.csr_matrix:
        """Count rows of `texts` over this vocabulary."""
        return count_rows(tokenize(texts, numbers=self.numbers, grow=False), len(self))

    def tfidf(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """TF-IDF rows of unit length from count rows."""
        weighted = counts.data * self.idf[counts.indices]
        return unit_rows(sparse.csr_matrix((weighted, counts.indices, counts.indptr), shape=counts.shape))


def batches(items: Iterable, size: int) -> Iterator[list]:
    """Lists of up to `size` consecutive items."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
