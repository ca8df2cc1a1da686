"""Reading a Hugging Face model from its folder or the hub, its facts checked before anything is computed."""

import copy
import functools
import inspect
from contextlib import contextmanager
from pathlib import Path

import torch

from helpers import compute, paths
from helpers.data.hub import ask_hub
from helpers.encoder import packing
from helpers.encoder.named import resolve_model
from helpers.encoder.trial import packs_windows
from helpers.errors import UserError

CHECKPOINTS_KEPT = 3
# How configurations call the dropout of an encoder's layers.
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout", "embedding_dropout",
            "mlp_dropout")  # fmt: skip
_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model", "*.bpe*")


def attention_kind() -> str:
    """'eager' on a CPU, where the fused kernel's backward pass takes most of a step; 'sdpa' elsewhere."""
    return "eager" if compute.device().type == "cpu" else "sdpa"


def load_masked_lm(name: str | Path, dropout: float | None = None):
    """Model, tokenizer and whether its masked-LM head came untrained with it.

    name: 'mini', a hub name, or a Hugging Face folder. dropout: in place of the model's own rates, which its
    configuration keeps, so that what is saved is fine-tuned with them.
    Raises UserError when there is no such model, it is no masked language model, or its dropout cannot be set.
    """
    from transformers import AutoModelForMaskedLM

    model, tokenizer, missing = _read(
        name, AutoModelForMaskedLM, "a masked LM", dropout=dropout, attn_implementation=attention_kind()
    )
    prefix = model.base_model_prefix + "."
    missing = [key for key in missing if "pooler" not in key]
    if any(key.startswith(prefix) for key in missing):
        raise UserError(f"model {name}: the encoder's own weights are missing ({missing[0]}); {paths.A_MODEL}")
    for token in ("mask", "pad"):
        if getattr(tokenizer, f"{token}_token_id") is None:
            raise UserError(f"model {name}: its tokenizer has no {token} token, so it is no masked LM; {paths.A_MODEL}")
    return model, tokenizer, bool(missing)


def encoder_of(model: str | Path):
    """Encoder without its pooler, and tokenizer, of a model; read once a process, so not to be changed.

    Raises UserError where there is no such model, some encoder weights are missing, or a text's neighbours in a batch
    would change its vectors.
    """
    return _encoder(*_stamp(model))[:2]


def packs_of(model: str | Path) -> bool:
    """Whether windows may share the rows of `encoder_of(model)`, tried when it is read; raises UserError as it does."""
    return _encoder(*_stamp(model))[2]


def _stamp(model) -> tuple[str, tuple]:
    """Name of a model, and when its files were last written, so that a rewritten folder is read again."""
    source = resolve_model(model)
    files = sorted(file for kind in ("safetensors", "json") for file in Path(source).glob(f"*.{kind}"))
    return source, tuple((file.name, file.stat().st_mtime_ns) for file in files)


@functools.lru_cache(maxsize=CHECKPOINTS_KEPT)
def _encoder(model: str, _written: tuple):
    from transformers import AutoModel

    encoder, tokenizer, missing = _read(model, AutoModel, "an encoder with a tokenizer", poolerless=True)
    if missing:
        raise UserError(
            f"model {model!r}: {len(missing)} encoder weights are missing, {missing[0]!r} among them; expected a whole "
            "Hugging Face checkpoint."
        )
    return encoder, tokenizer, packs_windows(encoder, model)


def without_pooler(config) -> dict:
    """Keyword arguments that keep AutoModel from making a pooler, where the architecture has one to leave out."""
    from transformers import MODEL_MAPPING

    named = type(config) in MODEL_MAPPING and MODEL_MAPPING[type(config)]
    known = named and "add_pooling_layer" in inspect.signature(named.__init__).parameters
    return {"add_pooling_layer": False} if known else {}


def _read(name: str | Path, kind, what: str, poolerless: bool = False, dropout: float | None = None, **options):
    """Model, tokenizer and names of missing weights, sorted. kind: an Auto class of transformers."""
    from transformers import AutoConfig, AutoTokenizer

    source = resolve_model(name)
    folder = paths.model_folder(source, f"model {name}")
    _check_files(name, folder) if folder else _check_hub(name, source)
    try:
        with quiet():
            config = AutoConfig.from_pretrained(source)
            if getattr(config, "quantization_config", None):
                raise ValueError("its weights are quantised, which cannot be trained on")
            options |= without_pooler(config) if poolerless else {}
            rates = {key: getattr(config, key) for key in DROPOUTS if dropout is not None and hasattr(config, key)}
            if dropout is not None and not rates:
                raise ValueError(f"{config.model_type} names no dropout that could be set to {dropout}")
            tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True)
            model, report = kind.from_pretrained(
                source, output_loading_info=True, use_safetensors=True, dtype=torch.float32,
                **options, **dict.fromkeys(rates, dropout),
            )  # fmt: skip
            model.config.update(rates)
    except Exception as error:  # the loaders of some hundred architectures raise whatever they stumble over
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise UserError(f"model {name}: not readable as {what} ({reason}); {paths.A_MODEL}") from None
    if not getattr(tokenizer, "is_fast", False) or None in packing.special_ids(tokenizer):
        raise UserError(
            f"model {name}: expected a fast tokenizer with <s> and </s>, or [CLS] and [SEP]; {paths.A_MODEL}"
        )
    rows = len(model.get_input_embeddings().weight)
    if (ids := packing.id_count(tokenizer)) > rows:
        raise UserError(f"model {name}: its tokenizer's ids need {ids:,} rows and its embeddings have {rows:,}; "
                        f"save it again after model.resize_token_embeddings({ids})")  # fmt: skip
    return model, tokenizer, sorted(report["missing_keys"])


def _check_files(name, folder: Path) -> None:
    """Refuse a model's folder in which weights or tokenizer lack."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise UserError(f"model {name}: not readable, the folder holds no .safetensors file; save it again with "
                        f"model.save_pretrained(folder), or {paths.A_MODEL}")  # fmt: skip
    for file in weights:
        with open(file, "rb") as opened:
            if opened.read(40).startswith(b"version https://git-lfs"):
                raise UserError(f"{file}: a Git LFS pointer and not the weights; run `git lfs pull` in {folder}")
    if not any(True for pattern in _VOCABULARIES for _ in folder.glob(pattern)):
        raise UserError(f"model {name}: not readable, the folder holds no tokenizer (tokenizer.json); {paths.A_MODEL}")


def _check_hub(name, source: str) -> None:
    """Refuse a hub name that is neither cached nor within reach."""
    from huggingface_hub import constants, try_to_load_from_cache

    try:
        if isinstance(try_to_load_from_cache(source, "config.json"), str):
            return
        if constants.HF_HUB_OFFLINE:
            raise OSError("HF_HUB_OFFLINE is set")
        ask_hub(constants.ENDPOINT)
    except (OSError, ValueError) as error:  # ValueError: no name that a hub could have
        raise UserError(f"model {name}: not readable, no folder, not in the hub's cache, and the hub is not within "
                        f"reach ({error}); {paths.A_MODEL}") from None  # fmt: skip


@contextmanager
def quiet():
    """Transformers shows bars, and parts it does not use at every load: expected here, or said in our own words."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def save_tokenizer(tokenizer, folder: Path, max_length: int) -> None:
    """Write a tokenizer that cuts at max_length where it is asked to cut, however it was last used in this process."""
    kept = copy.deepcopy(tokenizer)
    if backend := getattr(kept, "backend_tokenizer", None):
        backend.no_truncation()
        backend.no_padding()
    kept.model_max_length = max_length
    kept.save_pretrained(folder)
