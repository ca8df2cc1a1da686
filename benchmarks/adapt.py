"""Masked-LM adaptation against Hugging Face's Trainer: useful (not padding) tokens a second.

Same model, texts, threads and sequence length, and as many tokens an update. The Trainer as it comes pads to the
longest text of a batch, as run_mlm.py --line_by_line does; the tuned one reads full blocks, compiled and in bf16 where
the machine has it (`benchmarks/trainer.py`). Then the share of the chip's own matrix rate, and growth with the text.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import pandas as pd
import torch

from benchmarks.common import REPEATS, Part, main, row
from benchmarks.profile import where_time_goes
from benchmarks.trainer import PEERS, tokens_per_second
from helpers import compute
from helpers.compute import Meter
from helpers.data import load_domain, load_task
from helpers.encoder.packing import tokenize
from helpers.pretrain import Recipe, adapt, load_masked_lm
from helpers.pretrain.training import can_compile

SHAPES = {  # layers, width, heads
    "mini": None,  # the bundled model itself
    "distilroberta": (6, 768, 12),
    "roberta-base": (12, 768, 12),
}
WARM = 4  # updates not counted: a process first takes its memory from the system


def sized_model(name: str, folder: Path) -> str:
    """A model of that shape with random weights and mini's tokenizer; speed does not depend on what it knows."""
    if SHAPES[name] is None:
        return "mini"
    from transformers import RobertaConfig, RobertaForMaskedLM

    _, tokenizer, _ = load_masked_lm("mini")
    layers, width, heads = SHAPES[name]
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * width, max_position_embeddings=514, type_vocab_size=1, pad_token_id=1,
        bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    RobertaForMaskedLM(config).save_pretrained(folder / name)
    tokenizer.save_pretrained(folder / name)
    return str(folder / name)


def ours(model: str, texts: list[str], recipe: Recipe, folder: Path) -> float:
    """Useful tokens a second after WARM updates, masking and packing included; loading and compiling apart."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        adapted = adapt(model, texts, recipe, out, compile=can_compile(), log=lambda line: None)
    return _speed(adapted.history)


def ours_by_processes(model: str, texts: list[str], recipe: Recipe, folder: Path) -> float:
    """The same with a process a core under torchrun, which ends with the same weights to float tolerance."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        corpus = Path(out) / "corpus.jsonl"
        corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        command = [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(compute.cores()),
            "-m", "helpers.pretrain", "--model", model, "--texts", str(corpus), "--output", f"{out}/model",
            "--steps", str(recipe.steps), "--batch-size", str(recipe.batch_size),
            "--max-length", str(recipe.max_length), "--learning-rate", str(recipe.learning_rate),
            "--compile" if can_compile() else "--no-compile",
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        return _speed(pd.read_csv(f"{out}/model/history.csv"))


def _speed(history: pd.DataFrame) -> float:
    first, last = history.iloc[WARM - 1], history.iloc[-1]
    return (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])


def texts_of(kind: str, size: int) -> list[str]:
    """One task's texts (short) or one domain's (long): from DSP_DATA or the sample, generated when offline."""
    data_dir = os.environ.get("DSP_DATA", "")
    try:
        if kind == "task":
            name = "citation_intent" if data_dir else "rct_nlm"
            return load_task(name, data_dir=data_dir, max_train=size).train["text"].tolist()
        return [text for text, _ in zip(load_domain("cs", data_dir=data_dir), range(size), strict=False)]
    except Exception as error:  # no network and no data root: say so, and time generated text
        print(f"real text is out of reach ({error}); timing generated text")
        if kind == "task":
            return load_task("toy_cs", data_dir="toy").train["text"].tolist()
        return list(load_domain("cs", data_dir="toy"))


def parts(size: str) -> Iterable[Part]:
    """A part for every row of the table beside the Trainers, and those of ours alone."""
    cuda, small = compute.device().type == "cuda", size == "small"
    print(f"{compute.device().type}, {compute.precision()}, {'compiled' if can_compile() else 'eager'}, "
          f"{torch.get_num_threads()} threads; medians of {1 if small else REPEATS}")  # fmt: skip
    yield "matrix product", lambda: [matrix_rates()]
    if not cuda:
        print("no GPU here: the roberta-base case at 512 tokens runs on one, by this same command")
        yield "profile", lambda: where_time_goes("mini", texts_of("task", 2000), 128, 4 if small else 30)
    shapes = ("roberta-base",) if cuda else ("mini",) if small else ("mini", "distilroberta")
    lengths = (512,) if cuda else (128,) if small else (128, 512)
    for shape in shapes:
        for length in lengths:
            for kind in ("task", "domain") if length == 128 or cuda else ("domain",):
                case = f"{shape}, {kind} text, {length} tokens"
                yield case, partial(beside_trainer, case, shape, kind, length, small)
    yield "growth", partial(growth, (1_000, 4_000) if small else (10_000, 100_000, 1_000_000, 10_000_000))


def equal_updates(model: str, texts: list[str], length: int, places: int, steps: int) -> tuple[Recipe, Recipe]:
    """Recipes whose updates hold as many useful tokens: of windows as texts fall into, and of full blocks of `length`.

    places: what an update may fill: what fills a GPU, or what keeps a CPU's caches warm.
    """
    lengths = tokenize(texts, load_masked_lm(model)[1], length).lengths
    windows = max(4, int(0.95 * places / lengths.mean()) // 4 * 4)  # packed rows are filled to 95 % and more
    recipe = Recipe("speed", 1e-4, windows, steps=steps, max_length=length)
    return recipe, replace(recipe, batch_size=max(1, round(windows * lengths.mean() / length)))


def beside_trainer(case: str, shape: str, kind: str, length: int, small: bool) -> Iterable[dict]:
    """One shape and length of windows on short or long texts: both Trainers, two processes, share of the chip."""
    cuda = compute.device().type == "cuda"
    steps = 8 if small else 24 if cuda else 12 if shape == "distilroberta" else 40
    texts = texts_of(kind, 2000)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = sized_model(shape, folder)
        config = load_masked_lm(model)[0].config
        recipe, blocks = equal_updates(model, texts, length, 65_536 if cuda else 4096, steps)
        if cuda:  # a process tries and compiles for each number of rows as it meets it: seconds of its first training
            ours(model, texts, recipe, folder)
        rounds, rates = [], []
        for _ in range(1 if small else REPEATS):
            speeds = [ours(model, texts, recipe, folder)]
            rates.append(compute.matrix_rate(config.hidden_size))
            speeds += [
                tokens_per_second(model, texts, blocks if tuned else recipe, folder, tuned, WARM)
                for tuned in PEERS.values()
            ]
            rounds.append(speeds)
            # a machine that is lent for minutes may be gone before the medians are known
            print(f"  {case}, tokens/s: {', '.join(f'{speed:,.0f}' for speed in speeds)}", file=sys.stderr)
        mine, *theirs = map(median, zip(*rounds, strict=True))
        for title, speed in zip(PEERS, theirs, strict=True):
            yield row(case, "tokens/s", mine, speed, title, more_is_better=True)
        if not cuda and shape == "mini" and length == 128:
            divided = ours_by_processes(model, texts, recipe, folder)
            yield row(f"{case}: a process a core", "tokens/s", divided, mine, "one process", more_is_better=True)
        yield share_of_chip(case, [(first, rate) for (first, *_), rate in zip(rounds, rates, strict=True)], config)


def growth(sizes: tuple[int, ...]) -> Iterable[dict]:
    """Time and memory from documents to the tenth update, a document: flat if nothing grows faster than the text.

    The first update of an epoch draws the order of all its windows, once a pass over the text.
    """
    texts, first = texts_of("task", 2000), {}
    for documents in sizes:
        recipe = Recipe("growth", 1e-4, 32, steps=10, max_length=128)
        with tempfile.TemporaryDirectory() as out, Meter() as meter:
            many = (texts[i % len(texts)] for i in range(documents))
            adapted = adapt("mini", many, recipe, out, compile=False, log=lambda line: None)
        drawn, *_, last = adapted.history["seconds"]  # the first update waits for the order of all windows
        found = {
            "us/document": (meter.seconds - last) / documents * 1e6,
            "s to first": drawn,
            "s/update": (last - drawn) / (recipe.steps - 1),
            "peak MiB": meter.peak_mb,
        }
        first = first or found
        for unit, value in found.items():
            yield row(f"{documents:,} documents", unit, value, first[unit], f"ours at {sizes[0]:,}")


def matrix_rates() -> dict:
    """bf16 beside fp32 matrix products of a layer of width 768: what the chip's own units allow at most."""
    rates = [compute.matrix_rate(768, dtype) / 1e9 for dtype in (torch.bfloat16, torch.float32)]
    return row("matrix product of a layer of width 768", "GFLOP/s", *rates, "fp32", more_is_better=True)


def share_of_chip(case: str, rounds: list[tuple[float, float]], config) -> dict:
    """Share of the chip's measured matrix rate that the training's own products use, attention scores not counted.

    rounds: tokens a second beside the rate found right after it, for a machine's rate may change from one minute to the
    next; the round of the median share is told.
    """
    layers, width, masked = config.num_hidden_layers, config.hidden_size, 0.15
    # weights a token passes: 12 width^2 a layer; of the last one its keys and values, the rest of it and the head for
    # masked tokens only
    weights = width**2 * (12 * (layers - 1) + 2 + 10 * masked) + masked * (width**2 + width * config.vocab_size)
    speed, rate = sorted(rounds, key=lambda one: one[0] / one[1])[len(rounds) // 2]
    needed = 6 * weights * speed  # 2 forward, 4 backward
    product = f"{compute.precision()} matmul"
    return row(f"{case}: share of the chip", "GFLOP/s", needed / 1e9, rate / 1e9, product, more_is_better=True)


if __name__ == "__main__":
    main(parts, __doc__.splitlines()[0])
