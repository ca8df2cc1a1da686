"""Generated text: deterministic, separable by domain and by label, and never the same twice."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from helpers.data import DOMAINS, TASKS, load_task, toy, unique_sentences

TOY = [name for name in TASKS if name.startswith("toy_")]


def test_the_seed_decides_everything():
    assert toy.domain_texts("cs") == toy.domain_texts("cs") and len(toy.domain_texts("cs")) == 400
    toy.domain_documents.cache_clear()
    first = toy.domain_texts("cs", 20)
    toy.domain_documents.cache_clear()
    assert toy.domain_texts("cs", 20) == first != toy.domain_texts("cs", 20, seed=1)


@pytest.mark.parametrize("name", TOY)
def test_a_task_is_learnable_and_of_the_promised_size(name):
    task = load_task(name)
    assert (len(task.train), len(task.dev), len(task.test), len(task.labels)) == (200, 80, 80, 3)
    assert task.spec.partner in TOY and task.spec.partner != name
    vectors = TfidfVectorizer().fit(task.train["text"])
    model = LogisticRegression().fit(vectors.transform(task.train["text"]), task.train["label"])
    assert 0.7 < model.score(vectors.transform(task.test["text"]), task.test["label"])


@pytest.mark.parametrize("name", TOY)
def test_no_sentence_of_a_task_is_in_its_domain_or_twice_in_the_task(name):
    task = load_task(name)
    lines = [line for part in (task.train, task.dev, task.test) for text in part["text"] for line in toy._split(text)]
    documents = " ".join(toy.domain_texts(task.spec.domain))
    assert len(set(lines)) == len(lines) and not any(line in documents for line in lines)


def test_domains_use_different_words():
    words = {name: {word for text in toy.domain_texts(name) for word in text.lower().split()} for name in DOMAINS}
    shares = [len(words[a] & words[b]) / len(words[a] | words[b]) for a in words for b in words if a < b]
    assert max(shares) < 0.35


@pytest.mark.parametrize("name", TOY)
def test_nearest_sentences_are_nearer_than_random_ones(name):
    task, pool = load_task(name), unique_sentences(toy.domain_texts(TASKS[name].domain))
    vectors = TfidfVectorizer().fit(pool)
    similar = (vectors.transform(task.train["text"]) @ vectors.transform(pool).T).toarray()
    nearest = np.sort(similar, axis=1)[:, -5:].mean()
    assert nearest > 3 * similar.mean()
    # Only some of the pool is on the task's topics: a good part has next to nothing in common with it.
    assert (similar.max(axis=0) < np.median(np.sort(similar, axis=1)[:, -5:])).mean() > 0.3


def test_words_are_inflected_as_english_does():
    assert [toy._plural(word) for word in ("heart", "abscess", "currency", "essay")] == [
        "hearts", "abscesses", "currencies", "essays"]  # fmt: skip
    assert [toy._past(word) for word in ("plug", "score", "study", "defeat", "play")] == [
        "plugged", "scored", "studied", "defeated", "played"]  # fmt: skip
