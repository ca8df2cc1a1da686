"""Loading masked language models, and their logits at masked positions only."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from helpers import compute
from helpers.encoder.dropout import replace_dropout
from helpers.encoder.named import resolve_model
from helpers.encoder.packing import attention_mask, longest_sequence
from helpers.encoder.vectors import Reading, is_bert_like, read_vectors
from helpers.errors import UserError


def attention_kind() -> str:
    """'eager' on a CPU, where the fused kernel's backward pass takes most of a step; 'sdpa' elsewhere."""
    return "eager" if compute.device().type == "cpu" else "sdpa"


def load_masked_lm(name: str | Path, dropout: float | None = None):
    """Model, tokenizer and whether its masked-LM head came untrained with it.

    name: 'mini', a hub name, or a Hugging Face folder. dropout: overrides the model's own probabilities.
    Raises UserError when there is no such model, or it is no masked language model.
    """
    from transformers import AutoModelForMaskedLM, AutoTokenizer
    from transformers.utils import logging

    source = resolve_model(name)
    way_out = "give BASE_MODEL=mini, a local Hugging Face folder of a masked LM, or a hub name with network"
    if Path(source).exists() and not (Path(source) / "config.json").exists():
        raise UserError(f"model {name}: the folder holds no config.json; {way_out}")
    probabilities = {}
    if dropout is not None:
        probabilities = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # the head's state is returned, and said in our own words
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True)
        model, info = AutoModelForMaskedLM.from_pretrained(
            source, output_loading_info=True, use_safetensors=True, dtype=torch.float32,
            attn_implementation=attention_kind(), **probabilities,
        )  # fmt: skip
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0][:160]
        raise UserError(f"model {name}: not loadable as a masked LM ({reason}); {way_out}") from None
    finally:
        logging.set_verbosity(verbosity)
    prefix = model.base_model_prefix + "."
    missing = [key for key in info["missing_keys"] if "pooler" not in key]
    if any(key.startswith(prefix) for key in missing):
        raise UserError(f"model {name}: the encoder's own weights are missing ({missing[0]}); {way_out}")
    if tokenizer.mask_token_id is None:
        raise UserError(f"model {name}: its tokenizer has no mask token, so it is no masked LM; {way_out}")
    return model, tokenizer, bool(missing)


def check_length(model, name: str | Path, max_length: int) -> None:
    """Raise UserError when the model has fewer positions than `max_length`."""
    most = longest_sequence(model)
    if most and max_length > most:
        raise UserError(f"model {name}: it has {most} positions, so sequences of {max_length} tokens do not fit; "
                        f"give MAX_LENGTH={most} or less")  # fmt: skip


class MaskedLogits(nn.Module):
    """A masked LM that computes logits at chosen positions only.

    The vocabulary projection is most of a small model's work and 85 % of it is never read. The model's own forward
    runs, but its encoder hands the head the chosen hidden states alone, which holds for any class AutoModelForMaskedLM
    knows; a BERT-like encoder does not even compute the others in its last layer.
    """

    def __init__(self, model):
        from transformers.modeling_outputs import BaseModelOutput

        super().__init__()
        self.answer = BaseModelOutput
        self.model = replace_dropout(model)
        self.all_vectors = model.base_model.forward
        model.base_model.forward = self._chosen_vectors

    def forward(self, input_ids, position_ids, segments, cells, asked, places):
        """Logits [len(cells), vocabulary] for rows of packed windows; the last three are a Reading's parts."""
        self.inputs = input_ids, position_ids, segments, Reading(cells, asked, places)
        return self.model(input_ids=input_ids).logits[0]

    def _chosen_vectors(self, *_, **__):
        input_ids, position_ids, segments, reading = self.inputs
        base, dtype = self.model.base_model, compute.autocast_dtype(input_ids.device.type)
        if is_bert_like(base.config):
            hidden = read_vectors(base, input_ids, position_ids, segments, reading, dtype)
        else:
            mask = attention_mask(segments, dtype)
            hidden = self.all_vectors(input_ids=input_ids, attention_mask=mask, position_ids=position_ids)[0]
            hidden = hidden.flatten(0, 1)[reading.cells]
        return self.answer(last_hidden_state=hidden[None])


class MaskedLoss(nn.Module):
    """Sum of the cross-entropy at the masked positions: one graph, so that a compiler fuses the softmax."""

    def __init__(self, model):
        super().__init__()
        self.logits = MaskedLogits(model)

    def forward(self, *inputs):
        *rows, targets = inputs
        return F.cross_entropy(self.logits(*rows).float(), targets, reduction="sum")
