"""A masked LM's logits and loss at masked positions only."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from helpers import compute
from helpers.encoder.dropout import with_fast_dropout
from helpers.encoder.packing import longest_sequence
from helpers.encoder.trial import TOLERANCE, arguments, gives_vectors_of_alone, lay, trial_windows
from helpers.encoder.vectors import Reading, is_bert_like, read_vectors
from helpers.errors import UserError

LENGTH = 512  # tokens a window where none are asked for: the paper's


def fitting_length(model, name: str | Path, asked: int | None) -> int:
    """Tokens a window: those asked for, else the paper's 512 or all the model knows, whichever is less.

    Raises UserError when the model has fewer positions than are asked for.
    """
    most = longest_sequence(model)
    if asked and most and asked > most:
        raise UserError(f"model {name}: it has {most} positions, so sequences of {asked} tokens do not fit; "
                        f"give MAX_LENGTH={most} or less")  # fmt: skip
    return asked or min(LENGTH, most or LENGTH)


def shares_rows(model, name: str | Path) -> bool:
    """Whether windows may share this masked LM's rows; where False each needs a row of its own.

    Tried on windows longer than any local attention. Raises UserError where the logits read at chosen tokens differ
    from the model's own on every window alone, either way.
    """
    packable = is_bert_like(model.config) or gives_vectors_of_alone(model.base_model, True)
    if packable and _reads_as_alone(model, True):
        return True
    if _reads_as_alone(model, False):
        return False
    raise UserError(
        f"model {name}: {model.config.model_type} gives a text another loss in a batch than alone, or cannot be read "
        "at masked tokens only, so it cannot be adapted here; give another base model"
    )


def _reads_as_alone(model, packs: bool) -> bool:
    training = model.training
    model.eval()
    windows = trial_windows(model.base_model)
    try:
        rows = lay(windows, packs, model.base_model)
        cells = (rows.row * rows.input_ids.shape[1] + rows.column)[:, None] + np.array([0, 1, 5])
        reading = Reading.of(np.sort(cells.ravel()), *rows.input_ids.shape).to(model.device)
        with torch.inference_mode():
            parts = (
                torch.from_numpy(part).to(model.device) for part in (rows.input_ids, rows.position_ids, rows.segments)
            )
            mine = MaskedLogits(model, packs)(*parts, reading.cells, reading.asked, reading.places)
            alone = []
            for window in rows.window[np.argsort(cells[:, 0])]:
                ids = torch.from_numpy(windows[window])[None].to(model.device)
                alone.append(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, [0, 1, 5]])
        alone = torch.cat(alone)
        return mine.shape == alone.shape and torch.allclose(mine, alone, rtol=TOLERANCE, atol=TOLERANCE)
    except Exception:  # what an architecture does with arguments it was not made for is anyone's guess
        return False
    finally:
        model.train(training)


class MaskedLogits(nn.Module):
    """A masked LM that computes logits at chosen positions only.

    The vocabulary projection is most of a small model's work and 85 % of it is never read. The model's own forward
    runs, but its encoder hands the head the chosen hidden states alone, which holds for any class AutoModelForMaskedLM
    knows; a BERT-like encoder does not even compute the others in its last layer. The model handed in stays as it is,
    and shares its weights. packs: whether rows hold several windows, see `shares_rows`.
    """

    def __init__(self, model, packs: bool = True):
        from transformers.modeling_outputs import BaseModelOutput

        super().__init__()
        self.answer, self.packs = BaseModelOutput, packs
        self.model = with_fast_dropout(model)
        self.all_vectors = self.model.base_model.forward
        self.model.base_model.forward = self._chosen_vectors

    def forward(self, input_ids, position_ids, segments, cells, asked, places):
        """Logits [len(cells), vocabulary] for rows of packed windows; the last three are a Reading's parts."""
        self.inputs = input_ids, position_ids, segments, Reading(cells, asked, places)
        return self.model(input_ids=input_ids).logits[0]

    def _chosen_vectors(self, *_, **__):
        input_ids, position_ids, segments, reading = self.inputs
        base, dtype = self.model.base_model, compute.autocast_dtype(input_ids.device.type)
        if self.packs and is_bert_like(base.config):
            hidden = read_vectors(base, input_ids, position_ids, segments, reading, dtype)
        else:
            hidden = self.all_vectors(**arguments(input_ids, position_ids, segments, self.packs, dtype))[0]
            hidden = hidden.flatten(0, 1)[reading.cells]
        return self.answer(last_hidden_state=hidden[None])


class MaskedLoss(nn.Module):
    """Sum of the cross-entropy at the masked positions: one graph, so that a compiler fuses the softmax."""

    def __init__(self, model, packs: bool = True):
        super().__init__()
        self.logits = MaskedLogits(model, packs)

    def forward(self, *inputs):
        *rows, targets = inputs
        return F.cross_entropy(self.logits(*rows).float(), targets, reduction="sum")
