import json
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.classify import new_classifier
from helpers.classify.batches import Layout, batches_for_scoring, cheapest_rows, training_order
from helpers.classify.model import score_windows
from helpers.encoder.packing import tokenize
from helpers.encoder.trial import packs_windows
from helpers.errors import UserError


@pytest.fixture(autouse=True)
def single_precision(monkeypatch):
    monkeypatch.setenv("DSP_PRECISION", "fp32")


def test_packed_scores_are_those_of_texts_alone(task, tiny_model):
    model = new_classifier(tiny_model, task.labels).eval()
    assert model.packs
    windows = tokenize(task.dev["text"], model.tokenizer, 64)
    packed = score_windows(model, batches_for_scoring(windows, model))
    for row, text in enumerate(task.dev["text"]):
        with torch.inference_mode():
            first = model.encoder(**model.tokenizer(text, return_tensors="pt")).last_hidden_state[:, 0]
            alone = model.out_proj(torch.tanh(model.dense(first)))[0]
        torch.testing.assert_close(packed[row], alone, rtol=1e-4, atol=1e-5)


def test_encoders_that_cannot_share_rows_get_one_text_a_row(task, tiny_model):
    model = new_classifier(tiny_model, task.labels).eval()
    windows = tokenize(task.dev["text"], model.tokenizer, 64)
    packed = score_windows(model, batches_for_scoring(windows, model))
    model.packs = False
    padded = batches_for_scoring(windows, model)
    assert all(len(batch.input_ids) == len(batch.window) for batch in padded)
    torch.testing.assert_close(score_windows(model, padded), packed, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind, shares", [("BertModel", True), ("DistilBertModel", True), ("RobertaModel", True)])
def test_sharing_rows_is_tried_for_each_architecture(kind, shares):
    import transformers

    sizes = {"vocab_size": 50, "max_position_embeddings": 40}
    if kind == "DistilBertModel":
        config = transformers.DistilBertConfig(**sizes, dim=16, hidden_dim=32, n_layers=1, n_heads=2)
    else:
        config = getattr(transformers, kind.replace("Model", "Config"))(
            **sizes, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
        )
    assert packs_windows(getattr(transformers, kind)(config), kind) is shares


def test_rows_hold_every_text_once_with_little_padding():
    lengths = np.random.default_rng(0).integers(10, 90, 64)
    rows, length = cheapest_rows(lengths)
    assert sorted(place for row in rows for place in row) == list(range(64))
    assert all(lengths[row].sum() <= length for row in rows)
    assert lengths.sum() / (len(rows) * length) > 0.85


def test_every_epoch_holds_every_example_once_in_new_order():
    generator = np.random.default_rng(0)
    first, second = (training_order(50, 16, generator) for _ in range(2))
    assert [len(batch) for batch in first] == [16, 16, 16, 2]
    assert sorted(np.concatenate(first)) == list(range(50))
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))


def test_what_is_no_model_is_refused(task, tmp_path):
    with pytest.raises(UserError, match="not readable"):
        new_classifier(tmp_path / "nothing", task.labels)


def test_a_rewritten_checkpoint_is_read_again(task, tiny_model, tmp_path):
    import os
    import shutil

    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    before = new_classifier(folder, task.labels).encoder.embeddings.word_embeddings.weight.clone()
    from safetensors.torch import load_file, save_file

    weights = {key: value + 1 for key, value in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    os.utime(folder / "model.safetensors", (1, 1))
    after = new_classifier(folder, task.labels).encoder.embeddings.word_embeddings.weight
    torch.testing.assert_close(after, before + 1)


def test_a_shard_that_is_rewritten_is_read_again(tiny_model, tmp_path):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    from helpers.encoder.load import encoder_of

    net = AutoModelForMaskedLM.from_pretrained(tiny_model)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    for factor in (1.0, 1.5):
        net.get_input_embeddings().weight.data *= factor
        net.save_pretrained(tmp_path, max_shard_size="30KB")
        found = encoder_of(tmp_path)[0].get_input_embeddings().weight
        torch.testing.assert_close(found, net.get_input_embeddings().weight)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1


def test_max_length_never_passes_what_the_model_holds(task, tiny_model):
    assert new_classifier(tiny_model, task.labels, max_length=512).max_length == 64
    assert json.loads((Path(tiny_model) / "config.json").read_text())["max_position_embeddings"] == 66


def test_layout_of_roberta_starts_positions_after_the_padding_id(task, tiny_model):
    model = new_classifier(tiny_model, task.labels)
    batch = Layout.of(model).lay(tokenize(["the calm house", "a"], model.tokenizer, 64), np.array([0, 1]))
    assert batch.position_ids[batch.row, batch.column].tolist() == [2, 2]
