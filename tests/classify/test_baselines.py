from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from helpers import load_task
from helpers.classify import Recipe, baseline, fine_tune, log_losses, new_classifier, read_out, text_vectors
from helpers.classify.baselines import window_of
from helpers.encoder.load import encoder_of
from helpers.encoder.packing import tokenize
from helpers.errors import UserError
from tests.encoder.test_architectures import save


@pytest.fixture(scope="module")
def toy():
    return load_task("toy_cs", data_dir="toy", max_train=60, max_dev=20, max_test=30)


def test_vectors_are_the_means_that_transformers_gives(toy):
    import torch

    encoder, tokenizer = encoder_of("mini")
    found, words = (text_vectors(toy, "mini", 32, layer=layer) for layer in ("last", "words"))
    for row in (0, 7):
        ids = tokenizer(toy.test["text"].iloc[row], truncation=True, max_length=32, return_tensors="pt")
        with torch.inference_mode():
            last = encoder(**ids).last_hidden_state[0].mean(0)
            embedded = encoder.get_input_embeddings()(ids["input_ids"])[0].mean(0)
        assert np.allclose(found["test"][row], last, atol=2e-2)  # bf16 where the machine has it
        assert np.allclose(words["test"][row], embedded, atol=1e-2)


def test_a_read_out_is_a_logistic_regression_of_scaled_vectors_on_the_drawn_rows(toy):
    draw = np.random.default_rng(0)
    vectors = {split: draw.normal(size=(len(getattr(toy, split)), 5)) for split in ("train", "dev", "test")}
    found = read_out(vectors, toy, labels=12, seed=3, strength=1.0)
    drawn = toy.draw(12, seed=3).train
    place = [toy.train.index[(toy.train["text"] == text)][0] for text in drawn["text"]]
    mean, deviation = vectors["train"].mean(0), vectors["train"].std(0)
    model = LogisticRegression(max_iter=1000).fit((vectors["train"][place] - mean) / deviation, drawn["label"])
    test = (vectors["test"] - mean) / deviation
    assert [toy.labels[number] for number in found.test_predictions] == model.predict(test).tolist()
    assert found.sizes["train"] == 12 and found.recipe["name"] == "frozen"
    gold = [model.classes_.tolist().index(label) for label in toy.test["label"]]
    right = model.predict_proba(test)[np.arange(len(gold)), gold]
    assert found.test_log_loss == pytest.approx(-np.log(right), abs=1e-4)


def test_a_draw_is_stratified_by_seed_and_within_train(toy):
    shares = toy.train["label"].value_counts(normalize=True)
    texts = []
    for seed in range(5):
        drawn = toy.draw(15, seed)
        assert len(drawn.train) == 15 and drawn.test.equals(toy.test)
        counts = drawn.train["label"].value_counts()
        assert all(abs(counts[label] - 15 * share) < 1 for label, share in shares.items())
        assert set(drawn.train["text"]) <= set(toy.train["text"])
        texts.append(tuple(drawn.train["text"]))
    assert len(set(texts)) == 5 and tuple(toy.draw(15, 2).train["text"]) == texts[2]
    assert toy.draw(0, 4).train.equals(toy.train)
    with pytest.raises(UserError, match="2 labelled rows are too few for its 3 labels"):
        toy.draw(2, 0)


def test_a_window_is_what_the_model_reads():
    _, tokenizer = encoder_of("mini")
    long, short = "The enzyme binds its substrate, slowly at first. " * 20, "It binds."
    cut, kept = window_of("mini", 16, [long, short])
    assert kept == short and long.startswith(cut)
    assert tokenizer(cut)["input_ids"] == tokenizer(long, truncation=True, max_length=16)["input_ids"]


def test_tfidf_of_the_window_is_tfidf_of_cut_texts(toy):
    whole, window = baseline(toy), baseline(toy, "tfidf_window", model="mini", max_length=512)
    assert whole.test_predictions == window.test_predictions  # no text is that long
    assert baseline(toy, "tfidf_window", model="mini", max_length=8).test_predictions != whole.test_predictions
    assert 0 <= baseline(toy, "static", model="mini", max_length=32).score <= 1


def test_the_last_weights_are_tested_and_dev_is_scored_once(toy):
    recipe = Recipe("paper", epochs=3, learning_rate=5e-4, max_length=32, weights="last", patience=1)
    last = fine_tune("mini", toy, recipe, keep_model=True)
    assert last.best_epoch == last.epochs_run == 3
    assert [sorted(row) for row in last.history[:2]] == [["epoch", "train_loss"]] * 2
    assert last.dev["macro_f1"] == last.history[-1]["dev_macro_f1"]


def test_log_loss_is_that_of_the_right_label():
    found = log_losses([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [np.nan] * 3], [1, 0, 0, 2])
    assert found == [1.3863, 0.0, pytest.approx(27.631, abs=1e-3), pytest.approx(27.631, abs=1e-3)]


def test_tfidf_reads_scripts_without_spaces():
    topics = {"court": ["裁判", "判決", "原告", "被告"], "film": ["映画", "監督", "俳優", "脚本"]}
    draw = np.random.default_rng(0)
    rows = [{"text": "の".join(draw.choice(words, 3)) + "。", "label": label, "n": n}
            for n in range(120) for label, words in topics.items()]  # fmt: skip
    split = {name: pd.DataFrame(rows[first::3]) for first, name in enumerate(("train", "dev", "test"))}
    assert baseline(load_task(split), "tfidf").score > 0.95


def test_the_window_of_a_model_with_few_positions_is_what_its_classifier_reads(tmp_path):
    save("Roberta", tmp_path)  # 160 positions, of which two are for padding
    text = "the house " * 300
    (cut,) = window_of(tmp_path, 512, [text])
    classifier = new_classifier(tmp_path, ["law", "film"], 512)
    read = tokenize([text], classifier.tokenizer, classifier.max_length, overflow="truncate")[0]
    assert classifier.tokenizer(cut)["input_ids"] == read.tolist() and len(read) == 158


def test_training_texts_without_a_word_are_refused_in_one_line(toy):
    silent = replace(toy, train=toy.train.assign(text="..."))
    with pytest.raises(UserError, match="train: no text holds a word") as caught:
        baseline(silent)
    assert "\n" not in str(caught.value)


def test_an_unknown_baseline_is_named(toy):
    with pytest.raises(UserError, match="baseline 'tfdif': expected one of .*Did you mean tfidf"):
        baseline(toy, "tfdif")
