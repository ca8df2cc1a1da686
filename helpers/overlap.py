"""How many words two domains share, by the paper's text and by its script (Paper: section 3.1, Figure 2).

The paper compares the 10,000 most frequent words of each domain; the authors' script takes the Jaccard overlap of
all words found in at least three documents. They are different statistics, so both are computed and named.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

from helpers.data.text import checked
from helpers.errors import UserError
from helpers.words import WORDS, Words

DEFINITIONS = ("text", "script")  # the paper's own words, and the code in the authors' repository


@dataclass(frozen=True)
class WordCounts:
    """Words of a corpus in alphabetical order [words], and their counts by document, sparse [documents, words].

    unit: what was counted, "words" or "character pairs", see `helpers.words.Words`.
    """

    words: np.ndarray
    matrix: sparse.csr_matrix
    unit: str = WORDS

    @property
    def totals(self) -> np.ndarray:
        """Occurrences of each word [words]."""
        return np.asarray(self.matrix.sum(axis=0), dtype=np.int64).ravel()

    @property
    def document_frequency(self) -> np.ndarray:
        """Documents that hold each word [words]."""
        return np.bincount(self.matrix.indices, minlength=len(self.words))


def count_words(
    texts: Iterable[str], *, tokenize: Callable[[str], list[str]] | None = None, language: str = "",
    stop_words: Collection[str] = ENGLISH_STOP_WORDS,
) -> WordCounts:  # fmt: skip
    """Count the words of a stream of texts once, lower-cased and without English stop words.

    texts: documents, read one at a time and not kept. tokenize: a text -> its words, in place of
    `helpers.words.Words(language)`, which goes by each text's script. language: "" or an ISO code such as "ja".
    stop_words: words that do not count; () keeps every word.
    Raises UserError when they hold no words, and for what is no text.

    >>> count_words(["The cell divides.", "A cell grows."]).words.tolist()
    ['cell', 'divides', 'grows']
    >>> count_words(["The cell divides."], stop_words=()).words.tolist()
    ['cell', 'divides', 'the']
    """
    split = tokenize or Words(language)
    counter = CountVectorizer(
        analyzer=lambda text: [word for word in split(text) if word not in stop_words], dtype=np.int32
    )
    try:
        matrix = counter.fit_transform(checked(texts, "overlap")).tocsr()
    except ValueError as error:
        raise UserError(f"overlap: no words to compare ({error}); check that the file holds text") from None
    return WordCounts(counter.get_feature_names_out(), matrix, getattr(split, "unit", WORDS))


def vocabulary(texts: Iterable[str] | WordCounts, top: int = 10_000) -> list[str]:
    """The `top` most frequent words without stop words, most frequent first, ties in alphabetical order.

    Paper: section 3.1 (top = 10,000).
    """
    counts = _counted(texts)
    order = np.argsort(-counts.totals, kind="stable")[:top]
    return counts.words[order].tolist()


def shared_share(first: Iterable[str], second: Iterable[str]) -> float:
    """Percent of words that two vocabularies of one size share, 0..100.

    first, second: words, as `vocabulary` gives them. Where one holds fewer words, the larger is the whole.
    Paper: section 3.1, Figure 2.
    """
    first, second = set(first), set(second)
    return 100.0 * len(first & second) / max(len(first), len(second), 1)


def jaccard(texts_a: Iterable[str] | WordCounts, texts_b: Iterable[str] | WordCounts, min_df: int = 3) -> float:
    """Percent of the words found in either corpus that are found in both, 0..100, as the authors' script counts.

    min_df: documents that must hold a word before it counts.
    """
    first, second = (
        set(counts.words[counts.document_frequency >= min_df]) for counts in (_counted(texts_a), _counted(texts_b))
    )
    return 100.0 * len(first & second) / max(len(first | second), 1)


def overlap_matrix(
    corpora: Mapping[str, Iterable[str] | WordCounts],
    definition: str = "both",
    top: int = 10_000,
    *,
    min_df: int = 3,
    bootstrap: int = 200,
    seed: int = 0,
    tokenize: Callable[[str], list[str]] | None = None,
    language: str = "",
) -> pd.DataFrame:
    """Overlap of every pair of corpora with a 95% interval over the choice of documents.

    corpora: name -> texts, or WordCounts when already counted. definition: 'text' (the paper's: share of the `top`
    most frequent words), 'script' (Jaccard, words in at least `min_df` documents) or 'both'. bootstrap: draws of
    the documents; 0 leaves the interval empty. tokenize, language: see `count_words`. Each text is read and split once,
    however many draws. Returns one row per ordered pair: a, b, definition, percent, low, high, documents_a,
    documents_b, unit ("words", or "character pairs" where a corpus was counted so).
    A draw is half of the documents without repeats: its variance is that of a fresh sample of all of them, while
    repeated documents would lift rare words into the vocabulary and make the interval too narrow. Fewer documents
    share fewer words, so the interval is the draws' spread about their own mean, laid around the measured value.

    >>> shared = overlap_matrix({"a": ["the cell grew", "a cell"], "b": ["the cell", "one film"]}, top=2)
    >>> shared.query("definition == 'text' and a < b")["percent"].item()  # of cell, grew and cell, film: one of two
    50.0
    """
    names = DEFINITIONS if definition == "both" else (definition,)
    if unknown := set(names) - set(DEFINITIONS):
        raise UserError(f"overlap definition {unknown.pop()!r}: expected text, script or both")
    counted = {
        name: texts if isinstance(texts, WordCounts) else count_words(texts, tokenize=tokenize, language=language)
        for name, texts in corpora.items()
    }
    place = {word: i for i, word in enumerate(sorted(set().union(*(c.words for c in counted.values()))))}
    unit = next((counts.unit for counts in counted.values() if counts.unit != WORDS), WORDS)
    rows = []
    for chosen in names:
        sets = {}
        for number, (name, counts) in enumerate(counted.items()):
            columns = np.fromiter((place[word] for word in counts.words), dtype=np.int64, count=len(counts.words))
            random = np.random.default_rng([seed, number])
            sets[name] = _word_sets(counts, chosen, top, min_df, bootstrap, random, columns, len(place))
        cells = {}
        for i, a in enumerate(counted):
            for b in list(counted)[i:]:
                percent, *drawn = _percent(sets[a], sets[b], chosen)
                low = high = np.nan
                if bootstrap and a == b:
                    low = high = percent
                elif bootstrap and min(counted[a].matrix.shape[0], counted[b].matrix.shape[0]) > 1:
                    low, high = percent + np.quantile(drawn, [0.025, 0.975]) - np.mean(drawn)
                cells[a, b] = cells[b, a] = (percent, *np.clip([low, high], 0.0, 100.0))
        documents = {name: counts.matrix.shape[0] for name, counts in counted.items()}
        rows += [(a, b, chosen, *cells[a, b], documents[a], documents[b], unit) for a in counted for b in counted]
    columns = ["a", "b", "definition", "percent", "low", "high", "documents_a", "documents_b", "unit"]
    return pd.DataFrame(rows, columns=columns)


def typical_words(
    texts_a: Iterable[str] | WordCounts, texts_b: Iterable[str] | WordCounts, n: int = 20, prior: float = 500.0
) -> pd.DataFrame:
    """Words that set two corpora apart, by log-odds ratio with a prior (Monroe, Colaresi and Quinn 2008).

    n: words a side. prior: weight of the words' joint frequencies, in words; a larger one asks for more evidence
    before a rare word counts as typical. Returns a DataFrame, most typical first within each side: side ('a' or
    'b'), word, z (log-odds in standard errors, positive for a), log_odds, count_a, count_b.

    >>> film, cell = count_words(["the film", "a film plot"]), count_words(["the cell grew", "cell wall"])
    >>> typical_words(cell, film, n=1)[["side", "word"]].values.tolist()
    [['a', 'cell'], ['b', 'film']]
    """
    first, second = _counted(texts_a), _counted(texts_b)
    counts = pd.concat(
        {"count_a": pd.Series(first.totals, first.words), "count_b": pd.Series(second.totals, second.words)}, axis=1
    )
    counts = counts.fillna(0).sort_index()
    a, b = counts["count_a"].to_numpy(), counts["count_b"].to_numpy()
    weight = prior * (a + b) / (a + b).sum()
    odds = [np.log((x + weight) / (x.sum() + prior - x - weight)) for x in (a, b)]
    counts["log_odds"] = odds[0] - odds[1]
    counts["z"] = counts["log_odds"] / np.sqrt(1 / (a + weight) + 1 / (b + weight))
    order = counts.rename_axis("word").reset_index().astype({"count_a": int, "count_b": int})
    order = order.sort_values("z", kind="stable", ascending=False, ignore_index=True)
    sides = [order[order["z"] > 0].head(n).assign(side="a"), order[order["z"] < 0].tail(n)[::-1].assign(side="b")]
    return pd.concat(sides, ignore_index=True)[["side", "word", "z", "log_odds", "count_a", "count_b"]]


def _counted(texts: Iterable[str] | WordCounts) -> WordCounts:
    return texts if isinstance(texts, WordCounts) else count_words(texts)


def _word_sets(counts, definition, top, min_df, bootstrap, random, columns, n_words) -> np.ndarray:
    """Sets of words as bits [1 + bootstrap, n_words / 8]: the measured one, then one for each draw of documents.

    columns: place of each of the corpus's words among the n_words of all corpora.
    """
    matrix = counts.matrix
    if definition == "script":
        matrix = sparse.csr_matrix((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
    totals = np.asarray(matrix.sum(axis=0), dtype=np.int64).ravel()
    sets = np.zeros((1 + bootstrap, -(-n_words // 8)), np.uint8)

    def keep(row: int, totals: np.ndarray) -> None:
        member = np.zeros(n_words, bool)
        member[columns[totals >= min_df if definition == "script" else _most_frequent(totals, top)]] = True
        sets[row] = np.packbits(member)

    keep(0, totals)
    if not bootstrap:
        return sets
    if definition == "text" and len(totals) > top:
        # Half of the documents hold half of the words at the limit, so a rarer one than this cannot climb to it.
        reachable = totals * 4 >= np.partition(totals, -top)[-top]
        matrix, columns = matrix[:, reachable], columns[reachable]
    by_word, documents = matrix.T.tocsr(), matrix.shape[0]
    for draw in range(bootstrap):
        weights = np.zeros(documents, dtype=np.int32)
        weights[random.choice(documents, documents // 2, replace=False)] = 1
        keep(1 + draw, by_word @ weights)
    return sets


def _most_frequent(totals: np.ndarray, top: int) -> np.ndarray:
    """Places of the `top` largest totals above 0, equal ones in their order."""
    held = np.flatnonzero(totals)
    if len(held) <= top:
        return held
    limit = np.partition(totals, -top)[-top]
    above = np.flatnonzero(totals > limit)
    return np.concatenate([above, np.flatnonzero(totals == limit)[: top - len(above)]])


def _percent(first: np.ndarray, second: np.ndarray, definition: str) -> np.ndarray:
    """Overlap in percent of two rows of word sets [rows, bytes], row by row."""
    sizes = [np.bitwise_count(one).sum(axis=1, dtype=np.int64) for one in (first, second)]
    shared = np.bitwise_count(first & second).sum(axis=1, dtype=np.int64)
    whole = sizes[0] + sizes[1] - shared if definition == "script" else np.maximum(*sizes)
    return 100.0 * shared / np.maximum(whole, 1)
