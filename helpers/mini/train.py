"""Making `mini`, the small RoBERTa that comes with this package: `python -m helpers.mini.train --texts FILE`.

A transformer started from small random numbers predicts word frequencies alone for its first many millions of
tokens, because attention must find out where its neighbours are before anything can be learnt from them; at learning
rates above 2e-3 it never left that. `initial_model` therefore writes what is known beforehand into the starting
weights of an ordinary RobertaForMaskedLM: word vectors from the corpus's own co-occurrence counts, sinusoidal
positions, and heads that look at given distances. Training changes all of it.
"""

import functools
import math
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer

from helpers.compute import keep_memory
from helpers.data import jsonl
from helpers.encoder.named import resolve_model
from helpers.encoder.packing import Windows, tokenize
from helpers.errors import UserError
from helpers.files import read_json, write_json
from helpers.hashing import fingerprint
from helpers.mini.shape import HEADS, LAYERS, LONGEST, VOCABULARY, WIDTH
from helpers.paths import MINI
from helpers.pretrain import processes
from helpers.pretrain.loop import FACTS, HISTORY, adapt
from helpers.pretrain.loss import loss_interval, masked_lm_loss
from helpers.pretrain.recipe import Recipe

POSITION_WIDTH = 32  # dimensions that carry the position at the start; the others carry the word
SCALE = 0.04  # size of an embedding's entries; the first LayerNorm brings them to 1
SHARPNESS = 2.4  # queries and keys of a head that looks at a distance: 32 times its square over 8 in the best logit
# the distance each head of each layer looks at first; None leaves it random
DISTANCES = ((-1, 1, -2, 2), (-1, 1, -3, 3), (-1, 1, None, None), (None,) * 4)
CO_OCCURRENCE = {1: 1.0, 2: 0.8, 3: 0.6, 4: 0.4, 5: 0.3}  # distance -> weight of a pair of tokens

RECIPE = Recipe(
    "mini", learning_rate=2e-3, batch_size=160, steps=20_000, mask_probability=0.3, max_length=LONGEST, dropout=0.0
)
POSITIONS = LONGEST + 2  # RoBERTa counts positions from the padding id + 1
BEGUN = "start.json"  # in the work folder: what its stage began from
HELDOUT_EVERY = 50  # every so many documents one is held out


def train_tokenizer(texts: Iterable[str], folder: Path) -> None:
    """Train a byte-level BPE of VOCABULARY tokens as RoBERTa's and save it in `folder`."""
    from tokenizers import AddedToken, ByteLevelBPETokenizer
    from transformers import RobertaTokenizerFast

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        texts, vocab_size=VOCABULARY, min_frequency=2, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    )
    with tempfile.TemporaryDirectory() as scratch:
        bpe.save_model(scratch)
        # as RoBERTa's, the mask takes the space before it: "either <mask> or" then predicts " this" and keeps one space
        mask = AddedToken("<mask>", lstrip=True, special=True)
        tokenizer = RobertaTokenizerFast.from_pretrained(scratch, mask_token=mask, model_max_length=RECIPE.max_length)
        tokenizer.save_pretrained(folder)


def word_vectors(windows: Windows, width: int, seed: int = 0) -> np.ndarray:
    """[vocabulary, width] vectors of unit mean square per entry, from co-occurrence counts.

    The positive pointwise mutual information of tokens up to five apart, context counts to the power 3/4,
    cut to its `width` largest singular vectors (Levy and Goldberg 2014).
    """
    from sklearn.utils.extmath import randomized_svd

    tokens = np.asarray(windows.tokens, dtype=np.int64)
    counts = np.zeros(VOCABULARY * VOCABULARY, dtype=np.float32)
    for distance, weight in CO_OCCURRENCE.items():
        left, right = tokens[:-distance], tokens[distance:]
        ordinary = (left > 4) & (right > 4)  # ids 0 to 4 are the special tokens
        pairs, number = np.unique(left[ordinary] * VOCABULARY + right[ordinary], return_counts=True)
        counts[pairs] += weight * number
    counts = counts.reshape(VOCABULARY, VOCABULARY)
    counts += counts.T
    row = counts.sum(axis=1) + 1
    context = row**0.75 / (row**0.75).sum()
    seen = counts > 0
    counts[seen] = np.maximum(np.log(counts[seen] / np.outer(row, context)[seen]), 0)
    left, values, _ = randomized_svd(counts, width, random_state=seed, n_iter=3)
    vectors = left * np.sqrt(values)
    vectors *= math.sqrt(width) / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    vectors[:5] = np.random.default_rng(seed).normal(size=(5, width))
    return vectors.astype(np.float32)


def initial_model(windows: Windows, seed: int = 0):
    """A RobertaForMaskedLM that knows word frequencies, word similarity and where its neighbours are."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    torch.manual_seed(seed)
    model = RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
            intermediate_size=4 * WIDTH, max_position_embeddings=POSITIONS, type_vocab_size=1, pad_token_id=1,
            bos_token_id=0, eos_token_id=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )
    )  # fmt: skip
    frequency = np.bincount(np.asarray(windows.tokens), minlength=VOCABULARY) + 1.0
    words = WIDTH - POSITION_WIDTH
    waves = 2.0 * 0.01 ** (torch.arange(POSITION_WIDTH // 2) / (POSITION_WIDTH // 2 - 1))  # radians a position
    angle = torch.arange(POSITIONS)[:, None] * waves
    positions = math.sqrt(2) * torch.cat([angle.sin(), angle.cos()], dim=1)
    with torch.no_grad():
        model.lm_head.bias.copy_(torch.from_numpy(np.log(frequency / frequency.sum())))
        model.lm_head.dense.weight.normal_(std=WIDTH**-0.5)
        embeddings = model.roberta.embeddings
        for table in (embeddings.word_embeddings, embeddings.position_embeddings, embeddings.token_type_embeddings):
            table.weight.zero_()
        embeddings.word_embeddings.weight[:, :words] = SCALE * torch.from_numpy(word_vectors(windows, words, seed))
        embeddings.position_embeddings.weight[:, words:] = SCALE * positions
        embeddings.word_embeddings.weight[1] = embeddings.position_embeddings.weight[1] = 0  # padding
        for layer, distances in zip(model.roberta.encoder.layer, DISTANCES, strict=True):
            _initial_layer(layer, distances, waves)
    return model


def _initial_layer(layer, distances, waves: torch.Tensor) -> None:
    attention = layer.attention.self
    attention.value.weight.normal_(std=WIDTH**-0.5)
    layer.intermediate.dense.weight.normal_(std=WIDTH**-0.5)
    # half of unit size: what a block adds starts smaller than what it passes on
    for weight in (attention.query.weight, attention.key.weight, layer.attention.output.dense.weight):
        weight.normal_(std=0.5 * WIDTH**-0.5)
    layer.output.dense.weight.normal_(std=0.5 * (4 * WIDTH) ** -0.5)
    size, half, words = WIDTH // HEADS, POSITION_WIDTH // 2, WIDTH - POSITION_WIDTH
    for head, distance in enumerate(distances):
        if distance is None:
            continue
        # sin w(p + d) = sin wp cos wd + cos wp sin wd: the query is the position turned by d, the key is the position
        cosine, sine = torch.diag((waves * distance).cos()), torch.diag((waves * distance).sin())
        turn = torch.cat([torch.cat([cosine, sine], dim=1), torch.cat([-sine, cosine], dim=1)])
        rows = slice(head * size, (head + 1) * size)
        # the head's other dimensions stay random: queries and keys that are both zero would never learn
        for weight, places in ((attention.query.weight, turn), (attention.key.weight, torch.eye(2 * half))):
            weight[rows][: 2 * half] = 0
            weight[rows, words:][: 2 * half] = SHARPNESS * places


def read_general_text(paths: Iterable[Path]) -> pd.DataFrame:
    """Columns text, source and heldout (every HELDOUT_EVERY-th document) of JSON lines with `text` and maybe `src`.

    paths: read one after the other; a document is held out by its place in its own file. Raises UserError, with file
    and row, for what is no such file.
    """
    tables = []
    for path in paths:
        rows = []
        for number, row in jsonl.read_rows(path):
            if not isinstance(row.get("text"), str):
                raise UserError(f"{path}, row {number}: expected an object with a text")
            rows.append(row)
        table = pd.DataFrame({"text": [r["text"] for r in rows], "source": [r.get("src", "text") for r in rows]})
        tables.append(table.assign(heldout=np.arange(len(table)) % HELDOUT_EVERY == 0))
    return pd.concat(tables, ignore_index=True)


def heldout_losses(model: str | Path, text: pd.DataFrame, max_length: int) -> list[dict]:
    """Held-out masked-LM loss with its interval: a row for each source, and 'all'. text: `read_general_text`."""
    held = text[text["heldout"]].reset_index(drop=True)
    losses = masked_lm_loss(model, held["text"], max_length=max_length)
    source = losses["document"].map(held["source"])
    groups = [*losses.groupby(source), ("all", losses)]
    return [{"source": name, **loss_interval(rows)} for name, rows in groups]


def main(
    texts: Annotated[list[Path], typer.Option(help="general text, JSON lines with `text` and, if you have it, `src`")],
    output: Annotated[Path, typer.Option(help="the Hugging Face folder to make")] = MINI,
    work: Annotated[Path, typer.Option(help="where training state lies; the same call resumes")] = Path("mini-work"),
    start: Annotated[str, typer.Option(help="go on from this model, mini for one; empty: a new one")] = "",
    steps: Annotated[int, typer.Option(help="updates")] = RECIPE.steps,
    learning_rate: Annotated[float, typer.Option(help="peak learning rate")] = RECIPE.learning_rate,
    max_length: Annotated[int, typer.Option(help="most tokens a window")] = RECIPE.max_length,
    mask_probability: Annotated[float, typer.Option(help="share of tokens masked")] = RECIPE.mask_probability,
    batch_size: Annotated[int, typer.Option(help="windows an update")] = RECIPE.batch_size,
) -> None:
    """Train `mini` from text alone, or train it on as a further stage, resumable, and write its model card."""
    from helpers.mini import card

    text = read_general_text(texts)
    train = text.loc[~text["heldout"], "text"].tolist()
    recipe = replace(
        RECIPE, steps=steps, learning_rate=learning_rate, max_length=max_length, mask_probability=mask_probability,
        batch_size=batch_size,
    )  # fmt: skip
    group, initial, read = processes.join(), work / "initial", fingerprint(train)
    if group.rank == 0 and not initial.exists():
        _make_initial(start, train, read, initial)
    group.wait()
    begun = read_json(work / BEGUN)
    if begun["start"] != start:
        told, start = begun["start"] or "new weights", start or "new weights"
        raise UserError(f"{work}: holds a stage begun from {told}, not from {start}; give this one a --work folder of "
                        "its own")  # fmt: skip
    if begun.get("text", read) != read:  # its tokenizer and word vectors are of that text
        raise UserError(f"{work}: holds a stage begun on other text; give this one a --work folder of its own")
    earlier = card.read_stages(initial)
    # a seed of its own for every stage, or it would meet the masks of the one before
    adapted = adapt(initial, train, recipe, work / "trained", seed=len(earlier),
                    log=functools.partial(print, flush=True))  # fmt: skip
    processes.leave()
    if group.rank:
        return
    output.mkdir(parents=True, exist_ok=True)
    for file in adapted.path.iterdir():
        if file.is_file() and file.name not in (FACTS, HISTORY):
            shutil.copy(file, output / file.name)
    _set_length(output, max_length)
    # the weights before in windows of the length that they were trained in
    trained = earlier[-1]["max_length"] if earlier else max_length
    before, after = (heldout_losses(*one) for one in ((initial, text, trained), (adapted.path, text, max_length)))
    stage = card.stage(recipe, adapted.summary, adapted.history, after, before if earlier else None)
    card.write(output, [*earlier, stage])
    print(f"wrote {output}")


def _set_length(folder: Path, max_length: int) -> None:
    """Say in the tokenizer's configuration how long a window the model was trained on."""
    file = folder / "tokenizer_config.json"
    write_json(file, read_json(file) | {"model_max_length": max_length})


def _make_initial(start: str, train: list[str], read: str, folder: Path) -> None:
    """The model that a stage begins with. read: fingerprint of the text, kept beside it."""
    from transformers import AutoTokenizer

    aside = folder.with_name("initial.new")
    shutil.rmtree(aside, ignore_errors=True)
    if start:
        shutil.copytree(resolve_model(start), aside)
    else:
        train_tokenizer(train, aside)
        windows = tokenize(train, AutoTokenizer.from_pretrained(aside), RECIPE.max_length)
        initial_model(windows).save_pretrained(aside)
    write_json(folder.with_name(BEGUN), {"start": start, "text": read})
    aside.rename(folder)


if __name__ == "__main__":
    keep_memory()
    try:
        typer.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")
