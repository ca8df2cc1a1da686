"""A saved classifier is transformers' own where its head can hold the paper's, and says so where it cannot."""

import warnings

import numpy as np
import pytest
import torch

from helpers.classify import fine_tune, load_classifier, new_classifier, predict, save_classifier
from helpers.classify.batches import batches_for_scoring
from helpers.classify.inputs import text_windows
from helpers.classify.model import score_windows
from helpers.classify.saved import HEADS
from helpers.errors import UserError
from tests.encoder.test_architectures import OUTCOMES, TEXTS, save

LABELS = ("law", "film", "sea")
ADAPTED = [name for name, outcome in OUTCOMES.items() if outcome != "refused"]
# Their own head has another function than tanh, a norm, or reads another token.
OTHERS = {"distilbert", "electra", "eurobert", "flaubert", "modernbert", "mra", "roformer", "tapas", "xlm"}


@pytest.fixture(autouse=True)
def single_precision(monkeypatch):
    monkeypatch.setenv("DSP_PRECISION", "fp32")
    monkeypatch.setenv("DSP_DEVICE", "cpu")


def scores(model):
    """Ours, [texts, classes]."""
    windows = text_windows(TEXTS, model.tokenizer, model.max_length)
    return score_windows(model, batches_for_scoring(windows, model)).numpy()


@pytest.mark.parametrize("name", ADAPTED)
def test_transformers_gives_the_scores_of_a_saved_classifier(name, tmp_path):
    from transformers import pipeline

    save(name, tmp_path / "base")
    torch.manual_seed(1)
    model = new_classifier(tmp_path / "base", LABELS, max_length=128).eval()
    with torch.no_grad():
        model.out_proj.weight.mul_(20)  # so that classes stand apart
    ours, kind = scores(model), model.encoder.config.model_type
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        folder = save_classifier(model, tmp_path / "saved")
    lines = [str(one.message) for one in said if "load_classifier" in str(one.message)]
    np.testing.assert_allclose(scores(load_classifier(folder)), ours, atol=1e-5)
    if kind in OTHERS:
        (line,) = lines
        assert kind not in HEADS and f"of {kind} cannot hold" in line and "bert, camembert" in line and "\n" not in line
        return
    assert kind in HEADS and not lines
    theirs = pipeline("text-classification", str(folder), top_k=None, function_to_apply="none", device="cpu")
    found = [[{one["label"]: one["score"] for one in text}[label] for label in LABELS] for text in theirs(TEXTS)]
    np.testing.assert_allclose(found, ours, atol=1e-4, rtol=1e-4)
    assert np.ptp(ours, axis=1).min() > 0.01  # or any head would do


def test_saved_classifier_predicts_the_same_and_transformers_reads_it(task, tiny_model, quick, tmp_path):
    from transformers import AutoModelForSequenceClassification

    result = fine_tune(tiny_model, task, quick, keep_model=True)
    folder = save_classifier(result.model, tmp_path / "moods")
    table = predict(folder, task.test["text"])
    assert list(table["label"]) == [task.labels[number] for number in result.test_predictions]
    assert table["probability"].between(1 / 3, 1).all()

    theirs = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    text = task.test["text"].iloc[0]
    logits = theirs(**result.model.tokenizer(text, return_tensors="pt")).logits[0].detach()
    assert theirs.config.id2label[int(logits.argmax())] == table["label"].iloc[0]
    assert float(logits.softmax(0).max()) == pytest.approx(table["probability"].iloc[0], abs=1e-4)
    save_classifier(load_classifier(folder), folder)
    assert predict(folder, text)["label"].iloc[0] == table["label"].iloc[0]
    assert [path.name for path in tmp_path.iterdir()] == ["moods"]


def test_what_is_no_classifier_is_refused_and_left_alone(task, tiny_model, tmp_path):
    with pytest.raises(UserError, match="no classifier here"):
        predict(tiny_model, ["a text"])
    with pytest.raises(UserError, match="texts, item 2: text is empty"):
        predict(new_classifier(tiny_model, task.labels), ["fine", ""])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep me")
    with pytest.raises(UserError, match="holds no classifier"):
        save_classifier(new_classifier(tiny_model, task.labels), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "keep me"


@pytest.mark.parametrize("damage", ["no weights", "cut weights", "cut card", "other card"])
def test_a_damaged_classifier_is_one_line(task, tiny_model, tmp_path, damage):
    folder = save_classifier(new_classifier(tiny_model, task.labels), tmp_path / "mine")
    weights, card = folder / "model.safetensors", folder / "classifier.json"
    match damage:
        case "no weights":
            weights.unlink()
        case "cut weights":
            weights.write_bytes(weights.read_bytes()[:100])
        case "cut card":
            card.write_text("{")
        case "other card":
            card.write_text('{"labels": ["a", "b"]}')
    with pytest.raises(UserError, match="the classifier there is damaged") as caught:
        load_classifier(folder)
    assert "\n" not in str(caught.value)


def test_a_text_without_a_token_is_named(task, tiny_model, monkeypatch):
    model = new_classifier(tiny_model, task.labels)
    whole = model.tokenizer.backend_tokenizer.normalizer
    from tokenizers import normalizers

    model.tokenizer.backend_tokenizer.normalizer = normalizers.Replace(
        "x", ""
    )  # as BERT's drops what is not to be seen
    try:
        with pytest.raises(UserError, match="texts, item 2: the tokenizer finds no token in 'x'"):
            predict(model, ["the court", "x"])
    finally:
        model.tokenizer.backend_tokenizer.normalizer = whole


def test_transformers_cuts_a_long_text_where_the_classifier_did(tmp_path):
    from transformers import pipeline

    torch.manual_seed(1)
    model = new_classifier("mini", LABELS, max_length=16).eval()
    with torch.no_grad():
        model.out_proj.weight.mul_(20)
    folder, long = save_classifier(model, tmp_path / "saved"), [f"{text} {'and so on ' * 30}" for text in TEXTS]
    ours = score_windows(model, batches_for_scoring(text_windows(long, model.tokenizer, 16), model)).numpy()
    theirs = pipeline("text-classification", str(folder), top_k=None, function_to_apply="none", device="cpu")
    found = [[{one["label"]: one["score"] for one in text}[name] for name in LABELS]
             for text in theirs(long, truncation=True)]  # fmt: skip
    np.testing.assert_allclose(found, ours, atol=1e-2, rtol=1e-2)  # ours may run in bf16
