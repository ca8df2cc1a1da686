"""Keep dev and test text out of what is selected, by content.

Compared are the lower-cased words alone: case, punctuation and spacing do not hide a copy.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from helpers.select.words import ANY_WORD, Tokens, tokenize

RUN = 5  # words; two texts that share none of their runs of five words do not contain one another


def holds_any(texts: Sequence[str], held: Iterable[str]) -> np.ndarray:
    """Which texts repeat held-out text: boolean, one a text.

    True where a text equals a held one, contains one (of at least five words), or is made up entirely of runs
    of five words that occur in held text, which every text of five words or more inside a held one is.
    Shorter texts are only compared whole: "the results were" is in everything.
    """
    numbers: dict[str, int] = {}
    held = list(held)
    if not held or not len(texts):
        return np.zeros(len(texts), bool)
    held_tokens, tokens = _numbered(held, numbers), _numbered(texts, numbers)
    found = np.zeros(len(texts), bool)
    short = {held_tokens.ids[a:b].tobytes() for a, b in _spans(held_tokens) if b - a < RUN}
    for row, (a, b) in enumerate(_spans(tokens)):
        if b - a < RUN:
            found[row] = tokens.ids[a:b].tobytes() in short

    held_runs, held_rows = _runs(held_tokens)
    runs, rows = _runs(tokens)
    known = np.unique(held_runs)
    inside = known[np.minimum(np.searchsorted(known, runs), len(known) - 1)] == runs if len(known) else runs != runs
    count = np.bincount(rows, minlength=len(texts))
    found |= (count > 0) & (np.bincount(rows, weights=inside, minlength=len(texts)) == count)

    # A text that contains a held one holds its first run: look there, and compare word by word.
    first = {}
    starts = np.flatnonzero(np.diff(held_rows, prepend=-1))
    for run, row in zip(held_runs[starts].tolist(), held_rows[starts].tolist(), strict=True):
        first.setdefault(run, []).append(row)
    positions = np.arange(len(rows)) - (np.cumsum(count) - count)[rows]
    for place in np.flatnonzero(np.isin(runs, held_runs[starts])):
        row = rows[place]
        if found[row]:
            continue
        words = tokens.ids[tokens.starts[row] + positions[place] : tokens.starts[row + 1]]
        for other in first[int(runs[place])]:
            wanted = held_tokens.ids[held_tokens.starts[other] : held_tokens.starts[other + 1]]
            if len(wanted) <= len(words) and np.array_equal(words[: len(wanted)], wanted):
                found[row] = True
                break
    return found


def _numbered(texts: Iterable[str], numbers: dict[str, int]) -> Tokens:
    return tokenize(texts, ANY_WORD, numbers=numbers)


def _spans(tokens: Tokens):
    return zip(tokens.starts[:-1].tolist(), tokens.starts[1:].tolist(), strict=True)


def _runs(tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """A 64-bit code of every run of five words inside one text, and the text it is in, in order."""
    texts = tokens.texts()
    if len(texts) < RUN:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    code = np.zeros(len(texts) - RUN + 1, np.uint64)
    for offset in range(RUN):
        word = tokens.ids[offset : offset + len(code)].astype(np.uint64)
        code = mix(code ^ word)
    whole = texts[: len(code)] == texts[RUN - 1 :]
    return code[whole], texts[: len(code)][whole]


def mix(code: np.ndarray) -> np.ndarray:
    """A fixed one-to-one scrambling of 64-bit numbers (multiply and shift): equal on every machine."""
    with np.errstate(over="ignore"):
        code = (code + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
        code ^= code >> np.uint64(29)
        code = code * np.uint64(0x94D049BB133111EB)
        return code ^ (code >> np.uint64(32))
