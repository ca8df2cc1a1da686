"""Folders that are no model to train on: each is refused in one line that says why."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers import paths
from helpers.encoder.load import load_masked_lm
from helpers.errors import UserError
from tests.encoder.test_architectures import save

WEIGHTS = "model.safetensors"


def pointer(folder):
    (folder / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


def pickled(folder):
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def cut(folder):
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])


def quantised(folder):
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    (folder / "config.json").write_text(json.dumps(config))


def fewer_rows(folder):
    """Embeddings without the last ten rows, as of a model whose tokenizer was extended and the model was not."""
    weights, config = load_file(folder / WEIGHTS), json.loads((folder / "config.json").read_text())
    size = config["vocab_size"]
    for name, weight in weights.items():
        if len(weight) == size:
            weights[name] = weight[:-10].clone()
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": size - 10}))


def no_tokenizer(folder):
    for file in (*folder.glob("*token*"), *folder.glob("vocab*"), *folder.glob("merges*")):
        file.unlink()


@pytest.mark.parametrize(
    "damage, said",
    [(pointer, "Git LFS pointer.*git lfs pull"), (pickled, "no .safetensors file; save it again"),
     (cut, "not readable as a masked LM"), (quantised, "weights are quantised"),
     (fewer_rows, "ids need 8,192 rows and its embeddings have 8,182; .*resize_token_embeddings.8192"),
     (no_tokenizer, "no tokenizer"), (lambda folder: (folder / "config.json").unlink(), "no config.json")],
)  # fmt: skip
def test_a_folder_that_is_no_model_to_train_on_is_refused_in_one_line(tmp_path, damage, said):
    folder = tmp_path / "model"
    shutil.copytree(paths.MINI, folder)
    damage(folder)
    with pytest.raises(UserError, match=said) as raised:
        load_masked_lm(folder)
    assert "\n" not in str(raised.value) and str(folder) in str(raised.value)


@pytest.mark.parametrize("name", ["Roberta", "DistilBert", "ModernBert", "EuroBert", "XLM"])
def test_dropout_is_set_for_the_training_and_the_configuration_keeps_the_models_own(name, tmp_path):
    save(name, tmp_path)
    own = json.loads((tmp_path / "config.json").read_text())

    def spread(dropout):
        """How far the logits of one text drawn twice are apart while training."""
        net = load_masked_lm(tmp_path, dropout)[0].train()
        net.save_pretrained(tmp_path / "again")
        saved = json.loads((tmp_path / "again" / "config.json").read_text())
        assert {key: saved[key] for key in own if "dropout" in key} == {
            key: own[key] for key in own if "dropout" in key
        }
        ids = torch.arange(5, 25)[None]
        first, second = (net(input_ids=ids, attention_mask=torch.ones_like(ids)).logits for _ in range(2))
        return (first - second).abs().max().item()

    assert spread(0.0) == 0 and spread(0.4) > 0.01


def test_a_model_whose_dropout_cannot_be_set_is_refused_by_that_name(tmp_path, monkeypatch):
    save("Roberta", tmp_path)
    monkeypatch.setattr("helpers.encoder.load.DROPOUTS", ())
    with pytest.raises(UserError, match="roberta names no dropout that could be set to 0.4") as raised:
        load_masked_lm(tmp_path, 0.4)
    assert "\n" not in str(raised.value)
    load_masked_lm(tmp_path)
