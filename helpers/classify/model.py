"""The paper's classifier on any Hugging Face encoder, and its scores of packed texts."""

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from helpers import compute
from helpers.classify.batches import Batch
from helpers.encoder import packing
from helpers.encoder.dropout import with_fast_dropout
from helpers.encoder.load import encoder_of, packs_of
from helpers.encoder.trial import packs_windows
from helpers.encoder.vectors import Reading, is_bert_like, read_vectors


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
        self.packs = packs_windows(encoder, encoder.config.name_or_path) if packs is None else packs

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
    once a process. Raises UserError where there is no such model, some encoder weights are missing, or a text's
    neighbours in a batch would change its score.
    """
    encoder, tokenizer = encoder_of(model)
    length = packing.within_positions(encoder, max_length)
    return Classifier(copy.deepcopy(encoder), tokenizer, labels, length, dropout, packs_of(model))


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
