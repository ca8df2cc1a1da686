"""Folders that are no model to train on: each is refused in one line that says why."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers import paths
from helpers.encoder.load import load_masked_lm
from helpers.errors import UserError

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
     (fewer_rows, "tokenizer knows .* tokens and its embeddings have .* rows; save it again after model.resize"),
     (no_tokenizer, "no tokenizer"), (lambda folder: (folder / "config.json").unlink(), "no config.json")],
)  # fmt: skip
def test_a_folder_that_is_no_model_to_train_on_is_refused_in_one_line(tmp_path, damage, said):
    folder = tmp_path / "model"
    shutil.copytree(paths.MINI, folder)
    damage(folder)
    with pytest.raises(UserError, match=said) as raised:
        load_masked_lm(folder)
    assert "\n" not in str(raised.value) and str(folder) in str(raised.value)
