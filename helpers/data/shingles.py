"""Hashed runs of words, to find texts within texts among millions of words in seconds."""

from functools import cached_property

import numpy as np
from scipy import sparse

from helpers.hashing import mix64
from helpers.words import clean, has_unspaced, is_unspaced, normalised, one_case

SHINGLE = 5  # words a shingle: short enough for single sentences, long enough to be rarely shared by chance
_MOST_HOLDERS = 100  # of a shingle that more texts share, the first holders stand for the rest
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 2**64)
_PAIRS = 1 << 14  # pairs counted whole at a time
_BLOCK = 1 << 22  # bytes hashed together: the working arrays stay under 200 MB


def words_of(text: str) -> str:
    """The normalised text, or the text without white space where it has no letter or digit."""
    return normalised(text) or "".join(clean(text).split())


class Shingles:
    """The five-word shingles of some texts, hashed to 64 bits.

    In a script without spaces a shingle is ten characters. words: the normalised texts, whatever their case; a text
    without any letter or digit stands as it is, white space left out. hashes, owners: one a shingle, in order, with the
    number of its text. sizes: shingles a text. Two different shingles share a hash about once in 10**19 pairs.
    """

    def __init__(self, texts: list[str]):
        self.words = [one_case(words_of(text)) for text in texts]
        parts = [_hash_block(self.words[low:high]) for low, high in _bounds(self.words)]
        empty = np.zeros(0, np.uint64)
        self.sizes = np.concatenate([sizes for _, sizes in parts] or [np.zeros(0, np.int64)])
        self.hashes = np.concatenate([hashes for hashes, _ in parts] or [empty])
        self.owners = np.repeat(np.arange(len(self.words)), self.sizes)

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def table(self) -> np.ndarray:
        """Truth table by the hashes' low bits: what is false in it is no shingle of these texts."""
        return _table(self.hashes)

    @cached_property
    def ordered(self) -> np.ndarray:
        """The hashes, each once, in order."""
        return np.unique(self.hashes)

    @cached_property
    def starts(self) -> dict[int, list[int]]:
        """Hash of a text's first shingle -> the texts that begin so."""
        firsts = np.cumsum(self.sizes) - self.sizes
        found: dict[int, list[int]] = {}
        for text in np.flatnonzero(self.sizes):
            found.setdefault(int(self.hashes[firsts[text]]), []).append(int(text))
        return found

    @cached_property
    def start_table(self) -> np.ndarray:
        return _table(np.fromiter(self.starts, np.uint64, len(self.starts)))


def holding(held: Shingles, documents: Shingles) -> list[tuple[int, int]]:
    """(held text, document) wherever a document holds all the words of a held text, one after the other.

    Held texts shorter than a shingle are not looked for.
    """
    hits = np.flatnonzero(_look_up(held.start_table, documents.hashes))
    pairs = []
    for document, value in zip(documents.owners[hits].tolist(), documents.hashes[hits].tolist(), strict=True):
        for text in held.starts.get(value, ()):
            if f" {held.words[text]} " in f" {documents.words[document]} ":
                pairs.append((text, document))
    return pairs


def known(documents: Shingles, held: Shingles) -> np.ndarray:
    """Which shingles of the documents are held ones, as booleans [shingles]."""
    found = _look_up(held.table, documents.hashes)
    hashes = documents.hashes[found]
    at = np.searchsorted(held.ordered, hashes)
    found[found] = held.ordered[np.minimum(at, len(held.ordered) - 1)] == hashes
    return found


def contained(held: Shingles, others: Shingles, share: float) -> np.ndarray:
    """Which held texts have at least `share` of their shingles in a single one of the others, as booleans.

    Where held and others are the same object, only an earlier text counts.
    """
    text, other = containing(held, others, share)
    result = np.zeros(len(held), bool)
    result[text[other < text] if held is others else text] = True
    return result


def containing(held: Shingles, others: Shingles, share: float) -> tuple[np.ndarray, np.ndarray]:
    """(held text, other text) of all pairs in which the other has at least `share` of the held one's shingles.

    Where held and others are the same object, a text is not paired with itself. A pair is looked at, and then counted
    whole, where it shares a shingle that at most a hundred texts have; of the texts that share a commoner one, the
    first hundred are.
    """
    itself = held is others
    if itself:
        ordered = np.sort(held.hashes)
        table = _table(ordered[1:][ordered[1:] == ordered[:-1]])
        mine = theirs = np.flatnonzero(_look_up(table, held.hashes))
    else:
        mine = np.flatnonzero(_look_up(others.table, held.hashes))
        theirs = np.flatnonzero(_look_up(held.table, others.hashes))
    # A text whose shingles do not reach the share anywhere, taken together, cannot reach it in one text.
    need = share * held.sizes
    reach = np.bincount(held.owners[mine], minlength=len(held))
    mine = mine[(reach >= need)[held.owners[mine]]]
    hashes, owners = _distinct(others.hashes[theirs], others.owners[theirs])
    left = np.searchsorted(hashes, held.hashes[mine], "left")
    holders = np.searchsorted(hashes, held.hashes[mine], "right") - left
    few = holders <= _MOST_HOLDERS

    def sharing(shingles: np.ndarray) -> np.ndarray:
        counts = np.minimum(holders[shingles], _MOST_HOLDERS)
        text, other = np.repeat(held.owners[mine[shingles]], counts), owners[_ranges(left[shingles], counts)]
        pairs = text * max(len(others), 1) + other
        return pairs[text != other] if itself else pairs

    pairs, together = np.unique(sharing(few), return_counts=True)
    more = np.setdiff1d(sharing(~few), pairs)
    text, other = np.divmod(np.concatenate([pairs, more]), max(len(others), 1))
    together = np.concatenate([together, np.zeros_like(more)])
    if not few.all():
        first = np.unique(left[~few])  # a common shingle each
        counts = np.searchsorted(hashes, hashes[first], "right") - first
        theirs = owners[_ranges(first, counts)], np.repeat(first, counts)
        ours = held.owners[mine[~few]], left[~few]
        theirs, ours = (
            sparse.csr_array((np.ones(len(at[0]), np.int64), at), shape=(len(some), len(hashes)))
            for at, some in ((theirs, others), (ours, held))
        )
        reachable = np.flatnonzero(together + ours.sum(axis=1)[text] >= need[text])
        for part in np.array_split(reachable, len(reachable) // _PAIRS + 1):
            together[part] += (ours[text[part]] * theirs[other[part]]).sum(axis=1)
    enough = together >= need[text]
    return text[enough], other[enough]


def _ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The numbers first, first + 1, ... of each range, `counts` of them, one range after the other."""
    return np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)


def _bounds(words: list[str]) -> list[tuple[int, int]]:
    """Cuts of the texts into runs of about _BLOCK characters."""
    cuts, size = [0], 0
    for place, text in enumerate(words):
        size += len(text) + 1
        if size > _BLOCK:
            cuts.append(place + 1)
            size = 0
    if cuts[-1] < len(words):
        cuts.append(len(words))
    return list(zip(cuts, cuts[1:], strict=False))


def _hash_block(words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(hashes of all shingles, shingles a text) of normalised texts.

    A word's hash is the difference of two running sums of byte * base**position, shifted back to position 0;
    all arithmetic wraps at 2**64, as numpy's unsigned integers do.
    """
    encoded = [text.encode() + b"\n" for text in words]
    symbols = np.frombuffer(b"".join(encoded), np.uint8)
    letter = symbols > 32  # in normalised text the only others are the space and our line end
    edges = np.diff(letter.astype(np.int8), prepend=np.int8(0))
    begin, end = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    powers = np.cumprod(np.full(len(symbols), _BASE, np.uint64))
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(symbols * powers)])
    back = np.cumprod(np.full(len(symbols), _INVERSE, np.uint64))
    word = mix64((running[end] - running[begin]) * back[begin])
    limits = np.concatenate([[0], np.cumsum([len(text) for text in encoded])])
    counts = np.diff(np.searchsorted(begin, limits))
    owners = np.repeat(np.arange(len(words)), counts)
    lengths = SHINGLE * (1 + _unspaced(words, len(word)))
    places = np.flatnonzero(np.arange(len(word)) + lengths <= np.cumsum(counts)[owners])
    sizes = np.bincount(owners[places], minlength=len(words))
    hashes = np.zeros(len(places), np.uint64)
    for step in range(SHINGLE):
        hashes = mix64(hashes + word[places + step])
    long = np.flatnonzero(lengths[places] > SHINGLE)
    for step in range(SHINGLE, 2 * SHINGLE if len(long) else 0):
        hashes[long] = mix64(hashes[long] + word[places[long] + step])
    return hashes, sizes


def _unspaced(words: list[str], count: int) -> np.ndarray:
    """Which of the `count` words of normalised texts are characters of a script without spaces."""
    if not any(map(has_unspaced, words)):
        return np.zeros(count, bool)
    codes = np.frombuffer(("\n" + "\n".join(words)).encode("utf-32-le"), np.uint32)
    return is_unspaced(codes[1:][(codes[1:] > 32) & (codes[:-1] <= 32)])


def _table(hashes: np.ndarray) -> np.ndarray:
    # Eight places a hash: one look-up in eight is a false "maybe", which the exact step behind it settles.
    table = np.zeros(1 << max(10, int(8 * len(hashes) + 1).bit_length()), bool)
    table[hashes & np.uint64(len(table) - 1)] = True
    return table


def _look_up(table: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    return table[hashes & np.uint64(len(table) - 1)]


def _distinct(hashes: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(hash, owner) pairs once each, by hash and then owner."""
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    new = np.ones(len(hashes), bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return hashes[new], owners[new]
