"""Masked-LM loss on held-out text, the same masks for every model (the paper's Tables 1 and 12)."""

import itertools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from helpers import compute
from helpers.encoder.load import load_masked_lm
from helpers.encoder.masked_lm import MaskedLogits, fitting_length, shares_rows
from helpers.encoder.packing import position_offset, tokenize
from helpers.errors import UserError
from helpers.pretrain.batches import Vocabulary, mask_rows
from helpers.pretrain.recipe import Recipe

MASK_SEED = 900  # the authors' own
MASK_DRAWS = 8  # at most: they ask for three quarters of all tokens
WINDOWS_A_BATCH = 256


def masked_lm_loss(
    model: str | Path,
    texts: Iterable[str],
    *,
    max_length: int | None = None,
    mask_seed: int = MASK_SEED,
    mask_probability: float = 0.15,
    masked_tokens: int = 0,
) -> pd.DataFrame:
    """Masked-LM loss of each document, in nats a masked token.

    model: 'mini', a hub name or a folder. texts: documents; each counts with its first `max_length` tokens
    (None: the paper's 512, or all the model knows where that is less), as in the authors' study.
    Masks depend on mask_seed, the document's place, the position and the draw alone, so two
    models with one tokenizer are asked for the same tokens. masked_tokens: about how many tokens to ask for in all;
    every document is then read under as many draws of masks, 8 at most (0: one, as in the authors' study). One draw
    asks for six of a sentence's forty tokens, and which six is most of its chance. Computed in fp32.
    Returns a row a document with a masked token: document (its place), loss (>= 0), masked_tokens. The mean
    of `loss` is the authors' statistic; weighted by masked_tokens it is the usual one. Paper: Tables 1, 12.

    >>> losses = masked_lm_loss("mini", ["the court heard the claim of the man and the woman at noon today"])
    >>> list(losses.columns), bool((losses["loss"] > 0).all())
    (['document', 'loss', 'masked_tokens'], True)
    """
    net, tokenizer, untrained_head = load_masked_lm(model)
    if untrained_head:
        raise UserError(f"model {model} has no trained masked-LM head, so its loss means nothing; adapt it first")
    max_length = fitting_length(net, model, max_length)
    packs = shares_rows(net, model)
    windows = tokenize(texts, tokenizer, max_length, overflow="truncate")
    if not len(windows):
        raise UserError("held-out text holds no token: there is no loss to measure")
    device = compute.device()
    logits_of = MaskedLogits(net.to(device).eval(), packs)
    recipe = Recipe("loss", 1.0, WINDOWS_A_BATCH, epochs=1, mask_probability=mask_probability, max_length=max_length)
    vocabulary = Vocabulary.of(tokenizer, position_offset(net), packs)
    losses, owners = [], []
    rows = max(1, 16_384 // max_length)
    draws = min(MASK_DRAWS, max(1, math.ceil(masked_tokens / (mask_probability * windows.starts[-1]))))
    with torch.inference_mode():
        for draw, start in itertools.product(range(draws), range(0, len(windows), WINDOWS_A_BATCH)):
            batch = np.arange(start, min(start + WINDOWS_A_BATCH, len(windows)))
            update, owner = mask_rows(windows, batch, np.full(len(batch), draw), recipe, vocabulary, mask_seed)
            for piece in update.split(rows):
                if len(piece.targets):
                    *inputs, targets = piece.tensors(device)
                    losses.append(F.cross_entropy(logits_of(*inputs).float(), targets, reduction="none").cpu())
            owners.append(owner)
    if not losses:
        raise UserError("no token of the held-out text was masked: give more or longer text, or a higher "
                        "mask_probability")  # fmt: skip
    frame = pd.DataFrame({"document": windows.document[np.concatenate(owners)], "loss": torch.cat(losses).numpy()})
    grouped = frame.groupby("document")["loss"]
    return pd.DataFrame({"loss": grouped.mean(), "masked_tokens": grouped.size()}).reset_index()


def loss_interval(losses: pd.DataFrame, samples: int = 1000, seed: int = 0) -> dict:
    """Mean loss of a table of `masked_lm_loss` with a 95 % bootstrap interval over its documents.

    Returns loss and token_loss (nats, the second weighted by masked tokens), low, high, sd over documents, n.
    """
    values = losses["loss"].to_numpy()
    picks = np.random.default_rng(seed).integers(len(values), size=(samples, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return {
        "loss": values.mean(), "low": low, "high": high, "sd": values.std(ddof=1) if len(values) > 1 else np.nan,
        "n": len(values), "token_loss": np.average(values, weights=losses["masked_tokens"]),
    }  # fmt: skip


def loss_matrix(
    models: Mapping[str, str | Path], samples: Mapping[str, Iterable[str]], *, max_length: int | None = None
) -> pd.DataFrame:
    """Masked-LM loss of every model on every sample: the paper's Table 12 in one call.

    models: name -> model. samples: name -> held-out documents. Returns a row a pair: model, sample, and the
    columns of `loss_interval`.
    """
    held = {name: list(texts) for name, texts in samples.items()}
    return pd.DataFrame(
        [
            {"model": name, "sample": sample, **loss_interval(masked_lm_loss(model, texts, max_length=max_length))}
            for name, model in models.items()
            for sample, texts in held.items()
        ]
    )
