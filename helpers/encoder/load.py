"""Reading an encoder from its folder, and whether texts may share its rows."""

import functools
import inspect
from pathlib import Path

import torch

from helpers.encoder import packing
from helpers.encoder.named import resolve_model
from helpers.errors import UserError

CHECKPOINTS_KEPT = 3


def packs_windows(encoder) -> bool:
    """Whether texts that share a row get the vectors they get alone: tried on two short ones.

    True for RoBERTa, BERT and their kin; where it is False each text gets a row of its own.
    """
    if "position_ids" not in inspect.signature(encoder.forward).parameters:
        return False
    training = encoder.training
    encoder.eval()
    ids = torch.arange(5, 17, device=encoder.device) % encoder.config.vocab_size
    start = packing.position_offset(encoder)
    inside = torch.arange(6, device=encoder.device) + start
    segments = torch.arange(12, device=encoder.device)[None] // 6 + 1
    try:
        with torch.inference_mode():
            alone = encoder(input_ids=ids.view(2, 6)).last_hidden_state
            mask = packing.attention_mask(segments, torch.float32)
            together = encoder(input_ids=ids[None], position_ids=inside.repeat(2)[None], attention_mask=mask)
    except (RuntimeError, ValueError, IndexError):
        return False
    finally:
        encoder.train(training)
    return torch.allclose(together.last_hidden_state.view(alone.shape), alone, atol=1e-3)


def encoder_of(model: str | Path):
    """Encoder without its pooler, and tokenizer, of a model; read once a process, so not to be changed.

    Raises UserError where there is no such model or some encoder weights are missing.
    """
    return _checkpoint(*_stamp(model))


def _stamp(model) -> tuple[str, float]:
    """Name of a model, and when its weights were last written, so that a rewritten folder is read again."""
    source = resolve_model(model)
    weights = Path(source) / "model.safetensors"
    return source, weights.stat().st_mtime if weights.exists() else 0.0


@functools.lru_cache(maxsize=CHECKPOINTS_KEPT)
def _checkpoint(model: str, _written: float):
    from transformers import MODEL_MAPPING, AutoConfig, AutoModel, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(model)
        pooler = "add_pooling_layer" in inspect.signature(MODEL_MAPPING[type(config)].__init__).parameters
        with _quiet():
            encoder, report = AutoModel.from_pretrained(
                model,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **({"add_pooling_layer": False} if pooler else {}),
            )
        tokenizer = AutoTokenizer.from_pretrained(model, use_fast=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"model {model!r}: no encoder with a tokenizer could be read there ({reason}).") from None
    if report["missing_keys"]:
        raise UserError(
            f"model {model!r}: {len(report['missing_keys'])} encoder weights are missing, "
            f"{sorted(report['missing_keys'])[0]!r} among them; expected a whole Hugging Face checkpoint."
        )
    if not getattr(tokenizer, "is_fast", False) or packing.special_ids(tokenizer)[0] is None:
        raise UserError(f"model {model!r}: expected a fast tokenizer with <s> or [CLS].")
    return encoder, tokenizer


class _quiet:
    """Transformers reports the language-model head as unused at every load; here that is expected."""

    def __enter__(self):
        from transformers.utils import logging

        self.logging, self.level = logging, logging.get_verbosity()
        self.bars = logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()

    def __exit__(self, *_):
        self.logging.set_verbosity(self.level)
        if self.bars:
            self.logging.enable_progress_bar()
