"""Loading masked language models, and their logits at masked positions only."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from helpers import compute
from helpers.errors import UserError
from helpers.models import resolve_model
from helpers.packing import attention_mask


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


class MaskedLogits(nn.Module):
    """A masked LM that computes logits at chosen positions only.

    The vocabulary projection is most of a small model's work and 85 % of it is never read. The hook hands
    the head the chosen hidden states alone, which holds for any class AutoModelForMaskedLM knows.
    """

    def __init__(self, model):
        super().__init__()
        self.model = model
        self._chosen = None
        model.base_model.register_forward_hook(self._gather)

    def _gather(self, module, inputs, output):
        hidden = output[0]
        output["last_hidden_state"] = hidden.reshape(-1, hidden.shape[-1])[self._chosen].unsqueeze(0)
        return output

    def forward(self, input_ids, position_ids, segments, chosen):
        """Logits [len(chosen), vocabulary] for rows of packed windows; chosen indexes the flattened rows."""
        self._chosen = chosen
        kind = input_ids.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        mask = attention_mask(segments, dtype)
        return self.model(input_ids=input_ids, attention_mask=mask, position_ids=position_ids).logits[0]


class MaskedLoss(nn.Module):
    """Sum of the cross-entropy at the masked positions: one graph, so that a compiler fuses the softmax."""

    def __init__(self, model):
        super().__init__()
        self.logits = MaskedLogits(model)

    def forward(self, input_ids, position_ids, segments, chosen, targets):
        logits = self.logits(input_ids, position_ids, segments, chosen)
        return F.cross_entropy(logits.float(), targets, reduction="sum")
