"""One call from two lists of strings to text for TAPT."""

import subprocess
import sys

import numpy as np
import pytest

from helpers.errors import UserError
from helpers.select import MENDED, SELECTORS, Vampire, join_with_task, select_text
from tests.select.conftest import THEMES, themed

FAST = dict(units=16, topics=16, batch_size=32, epochs=6)
LEXICAL = ("tfidf", "bm25", "moore_lewis", "dsir")


@pytest.fixture(scope="module")
def planted(themes):
    """A pool of 3 x 150 sentences of other themes with 60 of the task's own among them."""
    own = themed("cells", 60, 5)
    pool = [text for theme in ("money", "films", "codes") for text in themes[theme]] + own
    order = np.random.default_rng(0).permutation(len(pool))
    return themed("cells", 20, 7), [pool[i] for i in order], set(own)


@pytest.fixture(scope="module")
def by_vampire(planted):
    task, pool, _ = planted
    return select_text(task, pool, "vampire", k=10, seed=1, **FAST)


def share_of(selection, own) -> float:
    return np.mean([text in own for text in selection.texts])


def test_vampire_finds_the_planted_sentences(planted, by_vampire):
    chance = len(planted[2]) / len(planted[1])  # 60 / 510
    assert share_of(by_vampire, planted[2]) > 5 * chance


@pytest.mark.parametrize("selector", LEXICAL)
def test_rivals_find_the_planted_sentences(planted, selector):
    task, pool, own = planted
    assert share_of(select_text(task, pool, selector, budget=40), own) > 0.8


def test_random_does_not(planted):
    task, pool, own = planted
    assert abs(share_of(select_text(task, pool, "random", budget=300), own) - len(own) / len(pool)) < 0.08


@pytest.mark.parametrize("selector", [name for name in SELECTORS if name != "embedding"])
def test_budget_repeats_and_indices(planted, by_vampire, selector):
    task, pool, _ = planted
    model = by_vampire.model if selector == "vampire" else None
    for budget, size in ((37, 37), (10_000, len(pool))):
        chosen = select_text(task, pool, selector, k=3, seed=2, budget=budget, model=model)
        assert len(chosen) == len(set(chosen.texts)) == size == chosen.summary["selected"]
        assert chosen.texts == [pool[i] for i in chosen.indices] and (np.diff(chosen.indices) > 0).all()
        assert chosen.summary["words"] == sum(len(text.split()) for text in chosen.texts)
    again = select_text(task, pool, selector, k=3, seed=2, budget=37, model=model)
    first = select_text(task, pool, selector, k=3, seed=2, budget=37, model=model)
    assert again.texts == first.texts


def test_k_neighbours_a_text_without_repeats(planted, by_vampire):
    task, pool, _ = planted
    assert by_vampire.neighbour_indices.shape == (len(task), 10)
    assert set(by_vampire.indices) == set(by_vampire.neighbour_indices.ravel())
    best = {i: by_vampire.neighbour_similarities[by_vampire.neighbour_indices == i].max() for i in by_vampire.indices}
    np.testing.assert_allclose(by_vampire.similarities, [best[i] for i in by_vampire.indices])


def test_several_k_share_one_model_and_nest(planted, by_vampire):
    task, pool, _ = planted
    few, many = (select_text(task, pool, "vampire", k=k, model=by_vampire.model) for k in (2, 10))
    assert set(few.texts) <= set(many.texts) == set(by_vampire.texts)
    model = Vampire.fit([*pool, *task], MENDED, seed=1, **FAST)  # what select_text fits itself
    assert select_text(task, pool, "vampire", k=10, model=model).texts == by_vampire.texts


def test_random_draws_k_for_each_text_as_the_paper():
    pool = [f"sentence number {i}" for i in range(50)]
    chosen = select_text(["a", "b", "c"], pool, "random", k=20, seed=0)
    assert 20 < len(chosen) < 50  # 60 draws with repeats between texts
    assert len(select_text(["a"], pool, "random", k=20)) == 20
    other = select_text(["a", "b", "c"], pool, "random", k=20, seed=1)
    assert chosen.texts != other.texts


@pytest.mark.parametrize("selector", [name for name in SELECTORS if name != "embedding"])
def test_dev_and_test_text_is_never_selected(planted, selector):
    task, pool, _ = planted
    held = [pool[3].upper() + "!", " ".join(pool[8].split()[1:7]), "before it " + pool[11] + " and after it"]
    options = FAST if selector == "vampire" else {}
    chosen = select_text(task, pool, selector, budget=10_000, exclude=held, **options)
    assert chosen.summary["excluded"] == 3 and len(chosen) == len(pool) - 3
    assert not {pool[3], pool[8], pool[11]} & set(chosen.texts)
    assert not {3, 8, 11} & set(chosen.indices)


def test_repeats_in_the_pool_count_once():
    chosen = select_text(["one two three"], ["a b c", "a b c", "d e f"], "random", k=5)
    assert chosen.indices.tolist() == [0, 2] and chosen.summary["repeats_dropped"] == 1


def test_join_puts_the_task_first_and_drops_repeats():
    assert join_with_task(["x", "y", "t"], ["t", "u", "t"]) == ["t", "u", "x", "y"]


def test_bm25_by_hand():
    # One query word, in two of three texts: idf = log(1 + 1.5 / 2.5); average length 2.
    chosen = select_text(["gene"], ["gene gene cell", "gene cell", "film"], "bm25", k=3)
    idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    wanted = [2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 2)) * idf, 1 * 2.2 / (1 + 1.2) * idf, 0]
    np.testing.assert_allclose(chosen.similarities, wanted, rtol=1e-5)


def test_tfidf_equals_scikit_learn(planted):
    from sklearn.feature_extraction.text import TfidfVectorizer

    task, pool, _ = planted
    vectors = TfidfVectorizer(token_pattern=r"\b[^\d\W]{3,30}\b", stop_words="english").fit(pool)
    similarity = (vectors.transform(task) @ vectors.transform(pool).T).toarray()
    chosen = select_text(task, pool, "tfidf", k=8)
    np.testing.assert_allclose(chosen.neighbour_similarities, -np.sort(-similarity, axis=1)[:, :8], atol=1e-5)


def test_texts_that_share_no_word_follow_by_index():
    chosen = select_text(["gene"], ["film", "gene", "plot", "scene"], "tfidf", k=3)
    assert chosen.neighbour_indices.tolist() == [[1, 0, 2]]


def test_embedding_selector_uses_the_given_model(tmp_path, planted):
    transformers = pytest.importorskip("transformers")
    words = sorted({word for texts in THEMES.values() for word in texts})
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    config = transformers.BertConfig(vocab_size=len(words) + 5, hidden_size=16, num_hidden_layers=1,
                                     num_attention_heads=2, intermediate_size=16)  # fmt: skip
    transformers.BertModel(config).save_pretrained(tmp_path)
    task, pool, _ = planted
    chosen = select_text(task, pool[:30], "embedding", k=1, model=str(tmp_path))
    assert 1 <= len(chosen) <= 20 and np.isfinite(chosen.similarities).all()
    itself = select_text([pool[4]], pool[:30], "embedding", k=1, model=str(tmp_path))
    assert itself.texts == [pool[4]] and itself.similarities[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "arguments, options, words",
    [
        ((["a"], ["b"], "magic"), {}, "expected one of vampire"),
        (("a string", ["b"], "random"), {}, "found one string"),
        ((["a"], [], "random"), {}, "domain_sentences: found none"),
        (([1], ["b"], "random"), {}, "task_texts, item 0"),
        ((["a"], ["b"], "random", 0), {}, "k=0"),
        ((["a"], ["b"], "random"), {"budget": 0}, "budget=0"),
        ((["a"], ["some held out text here"], "random"), {"exclude": ["some held out text here"]}, "nothing is left"),
        ((["a"], ["b"], "embedding"), {}, "needs the base model"),
    ],
)
def test_bad_input_is_named(arguments, options, words):
    with pytest.raises(UserError, match=words):
        select_text(*arguments, **options)


def test_summary_measures_time_and_memory(by_vampire):
    assert 0 < by_vampire.seconds == by_vampire.summary["seconds"] < 60
    assert by_vampire.summary["peak_memory_mb"] > by_vampire.summary["grown_memory_mb"] >= 0


def test_looking_at_the_package_loads_no_torch():
    call = "helpers.select.select_text(['a'], ['b c'], 'random', 1)"
    code = f"import sys, helpers.select; {call}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
