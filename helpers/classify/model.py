"""The paper's classifier on any Hugging Face encoder; saving it, loading it, predicting with it."""

import copy
import functools
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers import compute
from helpers.classify.batches import Batch, batches_for_scoring
from helpers.classify.inputs import text_windows
from helpers.data.text import checked
from helpers.encoder import packing
from helpers.encoder.dropout import with_fast_dropout
from helpers.encoder.load import CHECKPOINTS_KEPT, encoder_of, without_pooler
from helpers.encoder.trial import packs_windows
from helpers.encoder.vectors import Reading, is_bert_like, read_vectors
from helpers.errors import UserError

_FILE = "classifier.json"


class Classifier(nn.Module):
    """Encoder -> vector of <s> in the last layer -> dropout -> linear -> tanh -> linear -> one score a class.

    encoder: a Hugging Face encoder without its pooler. Paper: section 4.1; the authors' code fine-tunes all of it.
    labels, tokenizer and max_length travel with it, so that `predict` needs nothing else. packs: whether texts may
    share the encoder's rows, tried where it is None.
    """

    def __init__(
        self, encoder, tokenizer, labels: Sequence[str], max_length: int = 512, dropout: float = 0.1,
        packs: bool | None = None,
    ):  # fmt: skip
        super().__init__()
        width = encoder.config.hidden_size
        self.encoder = with_fast_dropout(encoder)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, len(labels))
        self.tokenizer, self.labels, self.max_length = tokenizer, tuple(labels), max_length
        self.packs = packs_windows(encoder) if packs is None else packs

    def forward(self, batch: Batch) -> torch.Tensor:
        """[windows, classes] fp32 scores of the windows of a packed batch, in the batch's order."""
        first = first_vectors(self.encoder, batch)
        return self.out_proj(torch.tanh(self.dense(self.dropout(first))))


def first_vectors(encoder, batch: Batch) -> torch.Tensor:
    """[windows, width] fp32 vectors of each window's first token in the last layer, in the batch's order."""
    device = encoder.device
    if not batch.packed or not is_bert_like(encoder.config):
        row, column = (torch.from_numpy(place).to(device) for place in (batch.row, batch.column))
        with compute.autocast(device):
            return encoder(**batch.inputs(device)).last_hidden_state[row, column].float()
    rows, length = batch.input_ids.shape
    reading = Reading.of(batch.row * length + batch.column, rows, length, slots=1).to(device)
    inputs = (part.to(device) for part in (batch.input_ids, batch.position_ids, batch.segments))
    low = torch.bfloat16 if compute.precision(device) == "bf16" else torch.float32
    return read_vectors(encoder, *inputs, reading, low, masked=not bool((batch.segments == 1).all()))


def new_classifier(model: str | Path, labels: Sequence[str], max_length: int = 512, dropout: float = 0.1):
    """A classifier with the weights of `model` and a new, randomly drawn head.

    model: 'mini', or a Hugging Face folder or hub name of any encoder, masked-LM checkpoints included; it is read
    once a process. Raises UserError where there is no such model or some encoder weights are missing.
    """
    encoder, tokenizer = encoder_of(model)
    longest = packing.longest_sequence(encoder) or max_length
    return Classifier(copy.deepcopy(encoder), tokenizer, labels, min(max_length, longest), dropout, _packs(encoder))


_packs = functools.lru_cache(maxsize=CHECKPOINTS_KEPT)(packs_windows)  # of the encoders that are read once a process


def save_classifier(model: Classifier, folder: str | Path) -> Path:
    """Write the classifier as a Hugging Face folder and return its path; an older one there is replaced.

    A classifier on RoBERTa is an ordinary `RobertaForSequenceClassification`, so that
    `transformers.pipeline("text-classification", folder)` reads it too.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    config = copy.deepcopy(model.encoder.config)
    config.id2label = dict(enumerate(model.labels))
    config.label2id = {label: number for number, label in enumerate(model.labels)}
    if config.model_type == "roberta":
        config.architectures = ["RobertaForSequenceClassification"]
        config.classifier_dropout = model.dropout.p
    config.save_pretrained(aside)
    model.tokenizer.save_pretrained(aside)
    weights = {_saved_name(key, model): value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, aside / "model.safetensors", metadata={"format": "pt"})
    card = {"labels": model.labels, "max_length": model.max_length, "dropout": model.dropout.p}
    (aside / _FILE).write_text(json.dumps(card, indent=1))
    if folder.exists():
        if not (folder / _FILE).exists():
            shutil.rmtree(aside)
            raise UserError(f"{folder}: there is a folder that holds no classifier; choose another name.")
        shutil.rmtree(folder)
    os.replace(aside, folder)
    return folder


def _saved_name(key: str, model: Classifier) -> str:
    part, rest = key.split(".", 1)
    return f"{model.encoder.base_model_prefix}.{rest}" if part == "encoder" else f"classifier.{key}"


def load_classifier(folder: str | Path) -> Classifier:
    """The classifier that `save_classifier` wrote. Raises UserError where there is none."""
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    folder = Path(folder)
    if not (folder / _FILE).exists():
        raise UserError(f"{folder}: no classifier here; expected a folder written by save_classifier.")
    card = json.loads((folder / _FILE).read_text())
    config = AutoConfig.from_pretrained(folder)
    encoder = AutoModel.from_config(config, **without_pooler(config))
    model = Classifier(encoder, AutoTokenizer.from_pretrained(folder), **card)
    saved = load_file(folder / "model.safetensors")
    model.load_state_dict({key: saved[_saved_name(key, model)] for key in model.state_dict()})
    return model.eval()


def predict(model: Classifier | str | Path, texts: Iterable[str]) -> pd.DataFrame:
    """Predicted label of each text, in their order.

    model: a classifier or the folder of a saved one. Returns one row a text with the columns text, label and
    probability (of that label, 1 / classes .. 1). Raises UserError for an empty text.

    >>> from helpers.classify import new_classifier
    >>> found = predict(new_classifier("mini", ["law", "film"]), ["the court heard the claim"])
    >>> found["label"].item() in ("law", "film"), 0.5 <= found["probability"].item() <= 1
    (True, True)
    """
    model = model if isinstance(model, Classifier) else load_classifier(model).to(compute.device())
    texts = list(checked([texts] if isinstance(texts, str) else texts, empty=False))
    windows = text_windows(texts, model.tokenizer, model.max_length)
    probabilities = torch.softmax(score_windows(model, batches_for_scoring(windows, model)), dim=1).numpy()
    best = probabilities.argmax(axis=1)
    return pd.DataFrame(
        {
            "text": texts,
            "label": [model.labels[number] for number in best],
            "probability": probabilities[np.arange(len(texts)), best],
        }
    )


def score_windows(model: Classifier, batches: Sequence[Batch]) -> torch.Tensor:
    """[windows, classes] scores on the CPU, in the order of the windows; dropout is off."""
    training = model.training
    model.eval()
    with torch.inference_mode():
        parts = [model(batch) for batch in batches]
    model.train(training)
    if not parts:
        return torch.empty(0, len(model.labels))
    scores = torch.empty(sum(map(len, parts)), len(model.labels))
    scores[np.concatenate([batch.window for batch in batches])] = torch.cat(parts).cpu()
    return scores
