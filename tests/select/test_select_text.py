"""One call from two lists of strings to text for TAPT."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from helpers.data import jsonl, load_domain
from helpers.errors import UserError
from helpers.select import (
    MENDED,
    SELECTORS,
    Vampire,
    join_with_task,
    neighbours_table,
    select_text,
    write_selection,
)
from helpers.select.found import Budget, Found
from tests.data.japanese import COOKING, TRAINS
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


def reachable(selector, task, pool) -> list[str]:
    """What a budget without end selects: all but what shares no content word with any text of the task."""
    known = {word for text in task for word in text.split()} - ENGLISH_STOP_WORDS
    return [text for text in pool if selector not in ("tfidf", "bm25") or known & set(text.split())]


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
    for budget, size in ((37, 37), (10_000, len(reachable(selector, task, pool)))):
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
    assert chosen.summary["excluded"] == 3
    assert chosen.texts == [
        text for text in reachable(selector, task, pool) if text not in {pool[i] for i in (3, 8, 11)}
    ]
    assert [pool[i] for i in chosen.indices] == chosen.texts


@pytest.mark.parametrize(
    "text, repeats",
    [
        ("the QUICK brown fox, jumps over the lazy dog near the river bank", True),  # case and punctuation
        ("Once, the quick brown fox jumps over the lazy dog near the river bank; it did.", True),  # contains it
        ("fox jumps over the lazy dog", True),  # is inside it
        ("fox jumps over the lazy cat", False),
        ("the lazy dog", False),  # too short to tell, unless equal
        ("Too short!", True),
        ("Much too short", False),
        ("the quick brown fox jumps over the lazy dog near the sea", False),  # neither holds the other
        ("x aaa bbb ccc ddd aaa bbb ccc ddd eee fff y", True),  # the second start is the real one
    ],
)
def test_what_counts_as_a_repeat_of_held_text(text, repeats):
    held = ["The quick brown fox jumps over the lazy dog near the river bank.", "Too short", "aaa bbb ccc ddd eee fff"]
    chosen = select_text(["a task"], [text, "something else"], "random", k=2, exclude=held)
    assert chosen.summary["excluded"] == repeats == (text not in chosen.texts)


def test_repeats_in_the_pool_count_once():
    chosen = select_text(["one two three"], ["a b c", "a b c", "d e f"], "random", k=5)
    assert chosen.indices.tolist() == [0, 2] and chosen.summary["repeats_dropped"] == 1


@pytest.mark.parametrize("selector", ["tfidf", "bm25"])
def test_a_word_that_begins_with_a_dotted_capital_is_itself(selector):
    pool = ["İzmit limanı", "izmir limanı", "İzmir gezisi", "Zmir"]
    chosen = select_text(["İzmir limanı"], pool, selector, k=4)
    assert chosen.texts == pool[:3] and chosen.similarities.argmax() == 1


def test_join_puts_the_task_first_and_drops_repeats():
    assert join_with_task(["x", "y", "t"], ["t", "u", "t"]) == ["t", "u", "x", "y"]


def test_bm25_by_hand():
    # One query word, in two of three texts: idf = log(1 + 1.5 / 2.5); average length 2.
    chosen = select_text(["gene"], ["gene gene cell", "gene cell", "film"], "bm25", k=3)
    idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    wanted = [2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 2)) * idf, 1 * 2.2 / (1 + 1.2) * idf]  # never the film
    np.testing.assert_allclose(chosen.similarities, wanted, rtol=1e-5)


def test_tfidf_equals_scikit_learn(planted):
    task, pool, _ = planted
    vectors = TfidfVectorizer(token_pattern=r"\b[^\d\W]{3,30}\b", stop_words="english").fit(pool)
    similarity = (vectors.transform(task) @ vectors.transform(pool).T).toarray()
    chosen = select_text(task, pool, "tfidf", k=8)
    np.testing.assert_allclose(chosen.neighbour_similarities, -np.sort(-similarity, axis=1)[:, :8], atol=1e-5)


def test_texts_at_similarity_zero_are_never_selected():
    task, pool = ["gene", "opera", "gene gene"], ["film", "gene", "plot gene", "scene"]
    for selector in ("tfidf", "bm25"):
        for options in ({}, {"budget": 4}):
            chosen = select_text(task, pool, selector, k=3, **options)
            assert chosen.texts == ["gene", "plot gene"] and (chosen.similarities > 0).all()
            assert chosen.summary["without_match"] == 1 and chosen.summary["selected"] == 2
    assert select_text(task, pool, "tfidf", k=3).neighbour_indices.tolist() == [[1, 2, -1], [-1] * 3, [1, 2, -1]]


def test_vectors_of_zero_match_nothing(by_vampire, planted):
    task, pool, _ = planted
    model = by_vampire.model
    chosen = select_text([task[0], "xylophone"], ["xylophone", *pool], "vampire", k=4, model=model)
    assert chosen.summary["without_match"] == 1 and len(chosen) == 4 and "xylophone" not in chosen.texts
    assert (chosen.neighbour_indices[1] == -1).all()


@pytest.mark.parametrize("selector", ["vampire", *LEXICAL])
@pytest.mark.parametrize(
    "task, pool",
    [
        (["the gene"], ["the film and the plot", "a scene"]),  # stop words only
        (["東京"], ["京都の寺", "大阪城"]),
        (["... 42"], ["a film"]),
    ],
)
def test_task_that_shares_no_word_with_the_pool_is_refused(selector, task, pool):
    with pytest.raises(UserError, match=f"none of {len(pool)} holds a word of the 1 task texts") as raised:
        select_text(task, pool, selector, k=1)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("selector", ["tfidf", "bm25"])
def test_japanese_sentences_find_those_that_share_their_words(selector):
    task = ["味噌汁と豆腐", "乗客は改札で切符を出す", "xylophone"]
    chosen = select_text(task, [*TRAINS, *COOKING], selector, k=1)
    assert [row[0] for row in chosen.neighbour_indices] == [20 + 2, 5, -1]
    assert COOKING[2].startswith("味噌汁") and TRAINS[5].startswith("切符") and chosen.summary["without_match"] == 1


@pytest.mark.parametrize("rows", [1, 1 << 16])
def test_a_text_without_a_direction_takes_no_place_of_one_that_points_away(monkeypatch, rows):
    vectors = {"query": [1, 0], "no word": [0, 0], "none": [0, 0], "near": [2, 1], "far": [-1, 1], "farther": [-3, 1]}
    monkeypatch.setattr("helpers.encoder.pooled.mean_pooled", lambda texts, *_: np.array([vectors[t] for t in texts]))
    monkeypatch.setattr("helpers.select.rivals._ROWS", rows)
    chosen = select_text(["query"], list(vectors)[1:], "embedding", k=2, model="mini")
    assert chosen.texts == ["near", "far"] and chosen.neighbour_indices.tolist() == [[2, 3]]
    np.testing.assert_allclose(chosen.similarities, [2 / 5**0.5, -1 / 2**0.5], rtol=1e-6)
    every = select_text(["query"], list(vectors)[1:], "embedding", budget=9, model="mini")
    assert every.texts == ["near", "far", "farther"]


def test_embeddings_without_a_direction_are_refused(monkeypatch):
    monkeypatch.setattr("helpers.encoder.pooled.mean_pooled", lambda texts, *_: np.zeros((len(texts), 3)))
    with pytest.raises(UserError, match="embedding: no task text is similar to any of 2 domain_sentences"):
        select_text(["a"], ["b", "c"], "embedding", model="mini")


@pytest.mark.parametrize("selector", [name for name in SELECTORS if name != "embedding"])
def test_budget_in_words_is_reached_within_one_sentence(planted, by_vampire, selector):
    task, pool, _ = planted
    pool = [text if i % 2 else text + " and by on" for i, text in enumerate(pool)]  # 9 or 12 words
    model = by_vampire.model if selector == "vampire" else None
    by_words = select_text(task, pool, selector, k=1, budget=500, unit="words", model=model)
    assert 500 <= by_words.summary["words"] == sum(len(text.split()) for text in by_words.texts) < 512
    # The order is the selector's own: as many sentences by count are the same sentences.
    same = select_text(task, pool, selector, k=1, budget=len(by_words), model=model)
    assert same.texts == by_words.texts
    everything = select_text(task, pool, selector, k=1, budget=10**6, unit="words", model=model)
    assert everything.texts == reachable(selector, task, pool)


def test_budget_spends_rank_by_rank():
    found = Found(np.array([[0, 2, 4], [1, 3, -1]]), np.array([[0.5, 0.4, 0.3], [0.9, 0.8, 0]]))
    ones, words = np.ones(5, int), np.array([4, 3, 2, 1, 7])
    rows, best = found.choose(3, Budget(3, ones))
    assert rows.tolist() == [1, 0, 3] and best.tolist() == [0.9, 0.5, 0.8]
    for amount, wanted in ((1, [1]), (3, [1]), (4, [1, 0]), (7, [1, 0]), (8, [1, 0, 3]), (99, [1, 0, 3, 2, 4])):
        assert found.choose(3, Budget(amount, words))[0].tolist() == wanted
    assert sorted(found.choose(1, None)[0]) == [0, 1]


def test_embedding_selector_uses_the_given_model(tmp_path, planted):
    transformers = pytest.importorskip("transformers")
    words = sorted({word for texts in THEMES.values() for word in texts})
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    config = transformers.BertConfig(vocab_size=len(words) + 5, hidden_size=16, num_hidden_layers=1,
                                     num_attention_heads=2, intermediate_size=16)  # fmt: skip
    transformers.BertModel(config).save_pretrained(tmp_path)
    task, pool, _ = planted
    model, tokenizer = (
        transformers.BertModel.from_pretrained(tmp_path).eval(),
        transformers.BertTokenizer(str(tmp_path / "vocab.txt")),
    )

    def mean_hidden(text):
        with torch.no_grad():
            return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy()

    vectors = [np.stack([mean_hidden(text) for text in texts]) for texts in (task, pool[:30])]
    queries, others = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in vectors)
    cosine = queries @ others.T
    chosen = select_text(task, pool[:30], "embedding", k=2, model=str(tmp_path))
    np.testing.assert_allclose(chosen.neighbour_similarities, -np.sort(-cosine, axis=1)[:, :2], atol=1e-5)
    found = np.take_along_axis(cosine, chosen.neighbour_indices, axis=1)
    np.testing.assert_allclose(found, chosen.neighbour_similarities, atol=1e-5)


@pytest.mark.parametrize(
    "arguments, options, words",
    [
        ((["a"], ["b"], "magic"), {}, "expected one of vampire"),
        ((["a"], ["b"], "tfdif"), {}, "Did you mean tfidf"),
        ((["a"], ["b"], "random"), {"budget": 3, "unit": "tokens"}, "unit 'tokens': expected one of sentences, words"),
        (("a string", ["b"], "random"), {}, "task_texts: expected a list of texts, got one string"),
        ((["a"], [], "random"), {}, "domain_sentences: found none"),
        (([1], ["b"], "random"), {}, "task_texts, item 1: text is not a string but int"),
        ((["a"], ["b"], "random", 0), {}, "k=0"),
        ((["a"], ["b"], "random", 2.0), {}, "k=2.0"),
        ((["a"], ["b"], "random"), {"budget": 0}, "budget=0"),
        ((["a"], ["b"], "random"), {"budget": "9"}, "budget='9'"),
        ((["a"], ["b", "c\udc80"], "random"), {}, "domain_sentences, item 2: text is damaged at character 2"),
        ((["a"], ["b"], "random"), {"exclude": "held"}, "exclude: expected a list of texts, got one string"),
        ((["a"], ["b"], "random"), {"exclude": [None]}, "exclude, item 1: text is missing"),
        ((["a"], ["some held out text here"], "random"), {"exclude": ["some held out text here"]}, "nothing is left"),
        ((["a"], ["b"], "embedding"), {}, "needs the base model"),
        ((["a"], ["b"], "embedding"), {"model": 3}, "needs the base model"),
        ((["a"], ["b"], "embedding"), {"model": "mini", "batch_size": 0}, "batch_size=0: expected a whole number"),
        ((["a"], ["b"], "vampire"), {"model": "mini"}, "'vampire' takes a fitted Vampire, .* not 'mini'"),
        ((["a"], ["b"], "vampire"), {"learning_rate": "x"}, "VAMPIRE learning_rate='x': expected a finite number"),
        ((["a"], ["b"], "bm25"), {"k1": "a"}, "k1='a': expected a finite number"),
        ((["a"], ["b"], "bm25"), {"k1": -1.0}, "k1=-1.0: expected a number of at least 0"),
        ((["a"], ["b"], "bm25"), {"b": 2}, "b=2: expected a number of at least 0 and at most 1"),
    ],
)
def test_bad_input_is_named(arguments, options, words):
    with pytest.raises(UserError, match=words):
        select_text(*arguments, **options)


def test_looking_at_the_package_loads_no_torch():
    call = "helpers.select.select_text(['a'], ['b c'], 'random', 1)"
    code = f"import sys, helpers.select; {call}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_written_selection_is_a_domain_again(tmp_path):
    pool = ["an enzyme binds it", "shares fell", "the enzyme and its substrate", "a draw"]
    chosen = select_text(["the enzyme binds the substrate"], pool, "tfidf", k=2)
    rows = [row for _, row in jsonl.read_rows(write_selection(chosen, tmp_path / "picked.jsonl.gz"))]
    assert [row["text"] for row in rows] == chosen.texts == [pool[row["index"]] for row in rows]
    assert [row["similarity"] for row in rows] == pytest.approx(chosen.similarities.tolist(), abs=1e-6)
    assert list(load_domain(tmp_path / "picked.jsonl.gz")) == chosen.texts
    drawn = write_selection(select_text(["the enzyme"], pool, "random", k=1), tmp_path / "drawn.jsonl")
    assert '"similarity": null' in drawn.read_text()


@pytest.mark.parametrize("selector", ["moore_lewis", "dsir", "random", "tfidf"])
def test_a_line_of_dashes_is_never_selected(selector):
    task = [f"the enzyme binds the substrate {word}" for word in ("slowly", "here", "again")]
    pool = [f"shares of company {number} fell in early trading" for number in range(40)]
    pool += ["the enzyme binds it", *("-" * number for number in range(3, 20)), "..."]
    chosen = select_text(task, pool, selector, k=3)
    assert chosen.texts and all(any(letter.isalpha() for letter in text) for text in chosen.texts)
    assert chosen.summary["wordless"] == 18


def test_a_pool_without_a_word_is_refused():
    with pytest.raises(UserError, match="all 2 repeat dev or test text or hold no word; nothing is left to select"):
        select_text(["gene"], ["!!!", "???"], "dsir", k=1)


def test_neighbours_of_fewer_texts_than_are_usually_shown():
    task, pool = ["the gene of a mouse", "a protein"], ["the gene of a man", "another protein", "a film"]
    table = neighbours_table(task, pool, select_text(task, pool, "tfidf", k=1))
    assert table["task_sentence"].tolist() == task and table["domain_sentence"].tolist() == pool[:2]


@pytest.mark.parametrize("selector, message", [
    ("random", "option 'epochs': selector 'random' takes none."),
    ("dsir", "option 'epochs': selector 'dsir' takes buckets."),
    ("vampire", "VAMPIRE epoch: there is no setting of that name. Did you mean epochs?"),
])  # fmt: skip
def test_an_option_of_another_selector_is_refused(selector, message):
    option = {"epoch" if selector == "vampire" else "epochs": 3}
    with pytest.raises(UserError) as caught:
        select_text(["the kinase binds"], ["a kinase", "it binds"], selector, k=1, **option)
    assert str(caught.value) == message
