"""Overlap against hand-made corpora and a plain-Python count."""

import re
from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from helpers.errors import UserError
from helpers.overlap import count_words, jaccard, overlap_matrix, shared_share, typical_words, vocabulary

CELLS = ["the cell divides", "the cell grows and grows", "a membrane of the cell"]
FILMS = ["the film grows dull", "a film and a cell phone", "the actor divides us"]


def invented(seed, documents=120, words=60, shift=0):
    """Texts of Zipf-distributed invented words; `shift` moves the vocabulary."""
    random = np.random.default_rng(seed)
    draws = np.minimum(random.zipf(1.6, size=(documents, 25)), words) + shift
    return [" ".join(f"word{n:03d}" for n in row) for row in draws]


def counted(texts):
    words = [[w for w in re.findall(r"\b\w\w+\b", text.lower()) if w not in ENGLISH_STOP_WORDS] for text in texts]
    return Counter(w for text in words for w in text), Counter(w for text in words for w in set(text))


def test_vocabulary_is_ordered_and_without_stop_words():
    assert vocabulary(CELLS) == ["cell", "grows", "divides", "membrane"]
    assert vocabulary(CELLS, top=2) == ["cell", "grows"]


def test_shared_share_by_hand():
    assert shared_share(["a", "b", "c", "d"], ["c", "d", "e", "f"]) == 50.0
    assert shared_share(["a", "b"], ["a", "b"]) == 100.0
    assert shared_share(["a"], ["a", "b", "c", "d"]) == 25.0
    assert shared_share([], []) == 0.0


def test_jaccard_by_hand():
    # Words in at least one document: cell grows divides membrane / film grows dull cell phone actor divides.
    assert jaccard(CELLS, FILMS, min_df=1) == pytest.approx(100 * 3 / 8)
    # In at least two: cell / film.
    assert jaccard(CELLS, FILMS, min_df=2) == 0.0
    assert jaccard(CELLS, CELLS, min_df=3) == 100.0


@pytest.mark.parametrize("seed", range(5))
def test_both_definitions_equal_a_plain_count(seed):
    one, two = invented(seed), invented(seed + 50, shift=20)
    (all_one, df_one), (all_two, df_two) = counted(one), counted(two)
    tops = [[w for w, _ in sorted(c.items(), key=lambda item: (-item[1], item[0]))[:30]] for c in (all_one, all_two)]
    frequent = [{w for w, n in c.items() if n >= 3} for c in (df_one, df_two)]
    table = overlap_matrix({"one": one, "two": two}, top=30, bootstrap=0)
    found = table.set_index(["definition", "a", "b"])["percent"]
    assert vocabulary(one, 30) == tops[0]
    assert found["text", "one", "two"] == pytest.approx(100 * len(set(tops[0]) & set(tops[1])) / 30)
    assert found["script", "one", "two"] == pytest.approx(
        100 * len(frequent[0] & frequent[1]) / len(frequent[0] | frequent[1])
    )


def test_matrix_is_symmetric_with_a_full_diagonal_and_names_its_documents():
    corpora = {"a": invented(1), "b": invented(2, shift=10), "c": invented(3, documents=80, shift=30)}
    table = overlap_matrix(corpora, top=25, bootstrap=30)
    assert len(table) == 2 * 9
    for _, rows in table.groupby("definition"):
        grid = rows.pivot(index="a", columns="b", values="percent").to_numpy()
        assert np.allclose(grid, grid.T) and np.allclose(np.diag(grid), 100)
        lows = rows.pivot(index="a", columns="b", values="low").to_numpy()
        assert np.allclose(lows, lows.T)
    assert (table["low"] <= table["percent"]).all() and (table["percent"] <= table["high"]).all()
    assert table["low"].min() >= 0 and table["high"].max() <= 100
    assert set(table.loc[table["a"] == "c", "documents_a"]) == {80}


def test_interval_is_as_wide_as_fresh_samples_are_spread():
    fresh = [
        overlap_matrix({"a": invented(s), "b": invented(s + 500, shift=8)}, "script", bootstrap=0)["percent"].iloc[1]
        for s in range(60)
    ]
    widths = []
    for seed in range(6):
        table = overlap_matrix({"a": invented(seed), "b": invented(seed + 500, shift=8)}, "script", bootstrap=100)
        widths.append((table["high"] - table["low"]).iloc[1])
    assert np.mean(widths) / (2 * 1.96 * np.std(fresh)) == pytest.approx(1, abs=0.4)


def test_texts_are_streams_read_once_and_draws_repeat_by_seed():
    read = []

    def stream(texts):
        for text in texts:
            read.append(text)
            yield text

    first = overlap_matrix({"a": stream(invented(1)), "b": stream(invented(2, shift=9))}, top=20, bootstrap=20, seed=3)
    assert len(read) == 240
    counts = {"a": count_words(invented(1)), "b": count_words(invented(2, shift=9))}
    assert first.equals(overlap_matrix(counts, top=20, bootstrap=20, seed=3))
    other = overlap_matrix(counts, top=20, bootstrap=20, seed=4)
    assert not first["low"].equals(other["low"]) and first["percent"].equals(other["percent"])


def test_rare_words_left_out_of_the_draws_do_not_change_them():
    # 400 words that occur once can never reach the top 20: the draws must be those of the frequent words alone.
    frequent = {"a": invented(1), "b": invented(2, shift=9)}
    once = "".join(f" rare{i}" for i in range(400))
    rare = {name: [*texts[:-1], texts[-1] + once] for name, texts in frequent.items()}
    tables = [overlap_matrix(corpora, "text", top=20, bootstrap=40) for corpora in (frequent, rare)]
    assert tables[0].equals(tables[1])


def test_one_document_has_no_interval():
    table = overlap_matrix({"a": ["cell membrane"], "b": FILMS}, "text")
    assert table.set_index(["a", "b"])["low"].isna()["a", "b"]


def test_typical_words_name_what_differs_and_not_what_is_shared():
    medical = ["patients received the drug daily"] * 30 + ["the drug helped patients somewhat"] * 20
    films = ["the actor received a prize"] * 30 + ["the film helped somewhat"] * 20
    table = typical_words(medical, films, n=3)
    sides = {side: rows["word"].tolist() for side, rows in table.groupby("side")}
    assert set(sides["a"][:2]) == {"patients", "drug"} and set(sides["b"][:3]) == {"actor", "prize", "film"}
    assert not {"received", "helped", "somewhat"} & set(table.query("abs(z) > 2")["word"])
    mirrored = typical_words(films, medical, n=3).set_index("word")["z"]
    assert all(mirrored[word] == pytest.approx(-z) for word, z in zip(table["word"], table["z"], strict=True))


def test_bad_input_is_told_in_one_line():
    with pytest.raises(UserError, match="expected a list of texts, got one string"):
        count_words("one long text")
    with pytest.raises(UserError, match="no words to compare"):
        count_words(["the of and", ""])
    with pytest.raises(UserError, match="'jaccard': expected text, script or both"):
        overlap_matrix({"a": CELLS}, "jaccard")
