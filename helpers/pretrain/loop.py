"""Masked-LM adaptation: DAPT and TAPT are two recipes of this one loop (the paper's sections 3 and 4)."""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from helpers import compute
from helpers.encoder.load import load_masked_lm, quiet
from helpers.encoder.masked_lm import fitting_length, shares_rows
from helpers.encoder.named import resolve_model
from helpers.encoder.packing import Windows, position_offset, tokenize
from helpers.errors import UserError, whole
from helpers.files import aside, read_json, write_json
from helpers.hashing import checksum, plain
from helpers.pretrain import checkpoint, processes
from helpers.pretrain.batches import Vocabulary, full_sentences, updates
from helpers.pretrain.recipe import Recipe
from helpers.pretrain.training import Training
from helpers.progress import report

FACTS, HISTORY, WEIGHTS = "adaptation.json", "history.csv", "model.safetensors"
CURVE_POINTS = 40  # rows of a run's history
# What an encoder without a masked-LM head is trained by first, on general text.
HEAD = Recipe("head", learning_rate=5e-4, batch_size=64, steps=1500, max_length=128)


@dataclass(frozen=True)
class Adapted:
    """What an adaptation left: the Hugging Face folder, its learning curve (about 40 rows), and its totals."""

    path: Path
    history: pd.DataFrame
    summary: dict


def adapt(
    model: str | Path,
    texts: Iterable[str],
    recipe: Recipe,
    output: str | Path,
    *,
    seed: int = 0,
    general_texts: Iterable[str] | None = None,
    checkpoint_seconds: float = 300,
    compile: bool | None = None,
    log: Callable[[str], None] = print,
) -> Adapted:
    """Continue masked-LM pretraining of `model` on `texts` and save the result in `output`.

    model: 'mini', a hub name or a folder. texts: one string a document, read once. recipe: DAPT, TAPT or
    your own. output: a Hugging Face folder to make; training state lies there in `checkpoint/` until the
    end, and the same call resumes from it, to the same weights as an uninterrupted run. general_texts:
    text to fit the masked-LM head on first, needed only for an encoder without one. compile: None compiles
    long runs where a C++ compiler is found. Under torchrun every process shares the work.
    A folder in which this training ended is returned as it is. A checkpoint keeps its precision and compiled path; a
    damaged one is passed over for the one before.
    Returns Adapted; raises UserError for a model that is no masked LM or too short for the recipe's max_length, for
    a corpus without a token, for seed < 0, and for a folder that holds another training.
    Paper: section 3.1 (DAPT), 4.1 (TAPT), Table 13.

    >>> from dataclasses import replace
    >>> from helpers import DAPT
    >>> recipe = replace(DAPT, steps=1, batch_size=2, max_length=16)
    >>> texts = ["the court heard the claim of the man and the woman"] * 4
    >>> adapted = adapt("mini", texts, recipe, tmp / "law", log=lambda line: None)
    >>> adapted.summary["documents"], (adapted.path / "model.safetensors").exists()
    (4, True)
    """
    whole(seed, "seed", 0)
    with compute.random_state_kept():
        return _adapt(model, texts, recipe, Path(output), seed, general_texts, checkpoint_seconds, compile, log)


def _adapt(model, texts, recipe, output, seed, general_texts, checkpoint_seconds, compile, log) -> Adapted:
    group = processes.join()
    log = log if group.rank == 0 else _silent
    torch.manual_seed(seed)  # a head that came untrained is drawn alike in every process and every run
    net, tokenizer, untrained_head = load_masked_lm(model, recipe.dropout)
    fits_head = untrained_head and recipe.name != HEAD.name
    if fits_head and general_texts is None:
        raise UserError(f"model {model} has no masked-LM head: give general_texts to fit one on first")
    recipe = replace(recipe, max_length=fitting_length(net, model, recipe.max_length))
    packs = shares_rows(net, model)
    if Path(resolve_model(model)).resolve() == output.resolve():
        raise UserError(f"{output}: the model to adapt lies there and would be overwritten; give another folder")
    output.mkdir(parents=True, exist_ok=True)
    own = group.own_folder(output)
    try:
        windows, documents = _windows(texts, tokenizer, recipe, own)
    except UserError:  # of text that cannot be read nothing is left
        shutil.rmtree(own, ignore_errors=True)
        for folder in (own.parent, output):
            with suppress(OSError):  # where it holds something else
                folder.rmdir()
        raise
    facts = plain({
        "recipe": recipe.as_dict(), "seed": seed, "text": checkpoint.digest_of_arrays(windows.tokens, windows.starts),
        "model": checkpoint.digest_of_tensors(net.state_dict()),
    })  # fmt: skip
    group.wait()  # a first process that finds the training finished removes what another would still write to
    if finished := _finished(output, facts, log):
        return finished
    if fits_head:
        log(f"{model}: no masked-LM head came with it; fitting one on general text first")
        fitted = adapt(model, general_texts, HEAD, output / "head", seed=seed,
                       checkpoint_seconds=checkpoint_seconds, compile=compile, log=log)  # fmt: skip
        net, tokenizer, _ = load_masked_lm(fitted.path, recipe.dropout)
    steps = recipe.updates(len(windows))
    run = Training(net, recipe, steps, seed, compile, float(windows.starts[-1]) / len(windows), packs, group)
    first = run.restore(output / "checkpoint", facts, log)
    log(
        f"{recipe.name}: {documents:,} documents, {len(windows):,} windows, {windows.starts[-1]:,} tokens; "
        f"{steps:,} updates of {recipe.batch_size} = {recipe.read(len(windows)) / len(windows):.1f} epochs; "
        f"{run.describe()}" + (f"; resumed at update {first}" if first else "")
    )
    vocabulary = Vocabulary.of(tokenizer, position_offset(net), packs)
    began = saved = told = time.perf_counter()
    for step, update in enumerate(updates(windows, recipe, vocabulary, seed, first, run.ahead), start=first):
        run.update(step, update)
        now = time.perf_counter()
        run.seconds += now - began  # masking and packing included
        report(step + 1, steps)
        done = step + 1 == steps
        if done or (step + 1) % max(1, steps // CURVE_POINTS) == 0:
            run.record(step)
        if done or now - told > 15 or step - first == 1:
            told = now
            log(run.progress(step))
        if not done and now - saved > checkpoint_seconds:
            saved = now
            run.save(output / "checkpoint", step + 1, facts)
        began = time.perf_counter()
    if not run.targets:
        raise UserError("no token of the corpus was masked: give more or longer text, or a higher mask_probability")
    summary = {
        "documents": documents, "windows": len(windows), "corpus_tokens": int(windows.starts[-1]), "steps": steps,
        "epochs": recipe.read(len(windows)) / len(windows), "untrained_head": untrained_head, **run.totals(),
    }  # fmt: skip
    history = pd.DataFrame(run.history)
    if group.rank == 0:
        _save_model(net, tokenizer, output, history, {**facts, "summary": summary})
        log(f"wrote {output}")
    group.wait()
    return Adapted(output, history, summary)


def _silent(line: str) -> None:
    pass


def _windows(texts, tokenizer, recipe: Recipe, folder: Path) -> tuple[Windows, int]:
    """The windows of the corpus as the recipe packs them, and its number of documents."""
    windows = tokenize(texts, tokenizer, recipe.max_length, folder=folder)
    if not len(windows):
        raise UserError("the corpus holds no token: nothing to adapt to")
    documents = int(windows.document[-1]) + 1
    return (full_sentences(windows, recipe.max_length) if recipe.packing == "full_sentences" else windows), documents


def _finished(output: Path, facts: dict, log) -> Adapted | None:
    """What lies in `output` when this training ended there before, else None; UserError when another one did."""
    try:
        found = read_json(output / FACTS)
        history = pd.read_csv(output / HISTORY)
        whole = found["weights"] == checksum(output / WEIGHTS)
        found["model"], found["text"]  # a folder of an earlier version does not name them
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        log(f"{output}: the adapted model there is damaged or not to be verified; it is made anew")
        return None
    shutil.rmtree(output / "tokens", ignore_errors=True)
    checkpoint.check_same(found, facts, output)
    _clear(output)  # killed while it did, a training leaves a part of this
    log(f"{output}: this training ended here before; nothing to do")
    return Adapted(output, history, found["summary"])


def _save_model(net, tokenizer, output: Path, history, facts: dict) -> None:
    """Write the folder; the facts come last, so that they stand for a whole model."""
    made = output / "saving"
    with quiet():
        net.save_pretrained(made)
    tokenizer.save_pretrained(made)
    history.to_csv(made / HISTORY, index=False)
    for file in made.iterdir():
        with aside(output / file.name) as new:
            os.replace(file, new)
    write_json(output / FACTS, {**facts, "weights": checksum(output / WEIGHTS), "versions": compute.versions()})
    _clear(output)


def _clear(output: Path) -> None:
    """Remove what a finished training needs no more."""
    for leftover in ("saving", "checkpoint", "head", "tokens"):
        shutil.rmtree(output / leftover, ignore_errors=True)


def scaled(recipe: Recipe, **changes) -> Recipe:
    """A recipe with some values changed; giving steps drops epochs and the other way round, both is refused."""
    for given, dropped in (("steps", "epochs"), ("epochs", "steps")):
        if changes.get(given) is not None:
            changes.setdefault(dropped, None)  # where both are given the recipe refuses itself
    return replace(recipe, **changes)
