"""What a masked language model writes into a blank: a look at what an adaptation has taught."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import torch

from helpers.encoder.load import load_masked_lm
from helpers.encoder.packing import longest_sequence
from helpers.errors import UserError

BLANK = "___"
_BLANKS = re.compile("_{3,}")


def fill_mask(models: Mapping[str, str | Path], sentences: Iterable[str], top: int = 3) -> pd.DataFrame:
    """The likeliest tokens for the blank of each sentence, by each model.

    models: what to call each model -> 'mini', a hub name or a folder. sentences: texts with one blank, written ___ (or
    longer). top: tokens a blank, at least 1. Returns sentence, model, rank (from 1), word, probability (0 to 1); a word
    is one token, which may be part of a longer word. Raises UserError for a sentence without exactly one blank or of
    more tokens than the model reads, and for a model without a trained masked-LM head.

    >>> filled = fill_mask({"base": "mini"}, ["She went to the ___ to buy bread."])
    >>> filled["rank"].tolist(), bool(filled["probability"].is_monotonic_decreasing)
    ([1, 2, 3], True)
    """
    sentences = [sentences] if isinstance(sentences, str) else list(sentences)
    if top < 1:
        raise UserError(f"top={top}: expected 1 or more tokens a blank")
    for sentence in sentences:
        if (found := len(_BLANKS.findall(sentence))) != 1:
            raise UserError(f"{sentence[:60]!r}: expected one blank, written {BLANK}, found {found}")
    rows = []
    for name, model in models.items():
        net, tokenizer, untrained_head = load_masked_lm(model)
        if untrained_head:
            raise UserError(f"model {model} has no trained masked-LM head, so it fills blanks at random")
        net.eval()
        most = longest_sequence(net)
        for sentence in sentences:
            encoded = tokenizer(_BLANKS.sub(tokenizer.mask_token, sentence), return_tensors="pt", verbose=False)
            place = encoded["input_ids"][0] == tokenizer.mask_token_id
            if place.sum() != 1:
                raise UserError(
                    f"{sentence[:60]!r}: it holds {tokenizer.mask_token} itself; write one blank, as {BLANK}"
                )
            if most and len(place) > most:
                raise UserError(f"{sentence[:60]!r}: {len(place)} tokens, of which {name} reads {most}; shorten it")
            with torch.inference_mode():
                chances = net(**encoded).logits[0, place][0].float().softmax(dim=-1)
                likeliest = chances.topk(min(top, len(chances)))
            words = (tokenizer.decode([token]).strip() for token in likeliest.indices.tolist())
            rows += [
                {"sentence": sentence, "model": name, "rank": rank, "word": word, "probability": probability}
                for rank, (word, probability) in enumerate(zip(words, likeliest.values.tolist(), strict=True), start=1)
            ]
    return pd.DataFrame(rows, columns=["sentence", "model", "rank", "word", "probability"])
