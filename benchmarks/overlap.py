"""Vocabulary overlap of five domains against scikit-learn called pair by pair, with and without intervals.

python -m benchmarks.overlap --json overlap.json [--size small|full]
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.common import Part, main, row, side_by_side
from helpers.overlap import overlap_matrix

SIZES = {"small": (300, 5), "full": (2_000, 10)}  # documents a domain, bootstrap draws


def corpora(documents: int) -> dict[str, list[str]]:
    """Five domains of 200-word documents over vocabularies that overlap in part."""
    draw = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(draw.choice(letters, draw.integers(3, 11))) for _ in range(60_000)])
    found = {}
    for name in ("pt", "biomed", "cs", "news", "reviews"):
        own = np.concatenate([words[:5_000], draw.permutation(words)[:20_000]])
        picks = np.minimum(draw.zipf(1.2, size=(documents, 200)) - 1, len(own) - 1)
        found[name] = [" ".join(line) for line in own[picks]]
    return found


def pair_by_pair(texts: dict[str, list[str]], draws: int) -> list[float]:
    """The script's statistic as one writes it from its definition: a vectoriser a corpus, a pair and a draw."""
    from sklearn.feature_extraction.text import CountVectorizer

    def words(documents) -> set[str]:
        return set(CountVectorizer(min_df=3, stop_words="english").fit(documents).vocabulary_)

    random, found, names = np.random.default_rng(0), [], list(texts)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            for draw in range(draws + 1):
                samples = [texts[a], texts[b]]
                if draw:
                    samples = [[each[j] for j in random.permutation(len(each))[: len(each) // 2]] for each in samples]
                first, second = map(words, samples)
                found.append(100 * len(first & second) / len(first | second))
    return found


def parts(size: str) -> Iterator[Part]:
    yield "overlap", lambda: cases(*SIZES[size])


def cases(documents: int, draws: int) -> Iterator[dict]:
    texts = corpora(documents)
    for draw_count in (0, draws):
        seconds = side_by_side(
            lambda draw_count=draw_count: overlap_matrix(texts, "script", bootstrap=draw_count),
            lambda draw_count=draw_count: pair_by_pair(texts, draw_count),
        )
        case = f"overlap of 5 x {documents:,} documents, {draw_count} draws"
        yield row(case, "s", *seconds, "CountVectorizer a pair")


if __name__ == "__main__":
    main(parts, __doc__.splitlines()[0])
