"""Masked-LM adaptation against Hugging Face's Trainer: useful (not padding) tokens a second.

Same model, texts, threads, sequence length and effective batch. The Trainer pads to the longest text of a
batch and computes logits at every position, as run_mlm.py --line_by_line does. On a GPU the share of the
chip's own bf16 matrix rate is told as well.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import pandas as pd
import torch

from benchmarks.common import main, row, timed
from helpers import compute
from helpers.compute import Meter
from helpers.data import load_domain, load_task
from helpers.encoder.named import resolve_model
from helpers.pretrain import Recipe, adapt, load_masked_lm
from helpers.pretrain.training import can_compile

SHAPES = {  # layers, width, heads
    "mini": None,  # the bundled model itself
    "distilroberta": (6, 768, 12),
    "roberta-base": (12, 768, 12),
}
REPEATS = 3
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


def trainer(model: str, texts: list[str], recipe: Recipe, folder: Path) -> float:
    """The same by Hugging Face's Trainer: useful tokens a second after WARM updates."""
    from transformers import (
        AutoModelForMaskedLM,
        AutoTokenizer,
        DataCollatorForLanguageModeling,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    source = resolve_model(model)
    net, tokenizer = AutoModelForMaskedLM.from_pretrained(source), AutoTokenizer.from_pretrained(source)
    encoded = [tokenizer(text, truncation=True, max_length=recipe.max_length) for text in texts]
    dataset = [{"input_ids": e["input_ids"], "attention_mask": e["attention_mask"]} for e in encoded]
    collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=recipe.mask_probability)
    seen, marks = [0], []

    def count(examples):
        seen[0] += sum(len(example["input_ids"]) for example in examples)
        return collate(examples)

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            marks.append((time.perf_counter(), seen[0]))

    device_batch = min(recipe.batch_size, 16 if compute.device().type == "cpu" else 128)
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"), max_steps=recipe.steps, per_device_train_batch_size=device_batch,
        gradient_accumulation_steps=recipe.batch_size // device_batch, learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay, warmup_steps=1, report_to=[], save_strategy="no", disable_tqdm=True,
        logging_strategy="no", use_cpu=compute.device().type == "cpu", bf16=compute.device().type == "cuda",
        dataloader_num_workers=0,
    )  # fmt: skip
    Trainer(net, arguments, train_dataset=dataset, data_collator=count, callbacks=[Clock()]).train()
    (start, before), (end, after) = marks[WARM - 1], marks[-1]
    return (after - before) / (end - start)


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


def cases(size: str) -> Iterable[dict]:
    cuda = compute.device().type == "cuda"
    print(f"{compute.device().type}, {compute.precision()}, {'compiled' if can_compile() else 'eager'}, "
          f"{torch.get_num_threads()} threads; medians of {REPEATS}")  # fmt: skip
    length, batch, steps = (512, 512, 40) if cuda else (128, 32, 40 if size == "full" else 8)
    if not cuda:
        yield matrix_rates()
    shapes = ("roberta-base",) if cuda else ("mini", "distilroberta") if size == "full" else ("mini",)
    if not cuda:
        print("no GPU here: the roberta-base case at 512 tokens runs on one, by this same command")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for shape in shapes:
            recipe = Recipe("speed", 1e-4, batch, steps=steps if shape != "distilroberta" else 12, max_length=length)
            model = sized_model(shape, folder)
            for kind in ("task", "domain"):
                texts = texts_of(kind, 2000)
                rounds = [
                    [way(model, texts, recipe, folder) for way in (ours, trainer)]
                    for _ in range(REPEATS if size == "full" else 1)
                ]
                mine, peer = map(median, zip(*rounds, strict=True))
                case = f"{shape}, {kind} text, {length} tokens"
                yield row(case, "tokens/s", mine, peer, "HF Trainer", more_is_better=True)
                if not cuda and shape == "mini":
                    divided = ours_by_processes(model, texts, recipe, folder)
                    yield row(f"{case}: a process a core", "tokens/s", divided, peer, "HF Trainer", more_is_better=True)
                if cuda:
                    yield utilisation(case, mine, shape)
        yield from growth(folder, (10_000, 100_000, 1_000_000, 10_000_000) if size == "full" else (1_000, 4_000))


def growth(folder: Path, sizes: tuple[int, ...]) -> Iterable[dict]:
    """Time and memory from documents to the tenth update, a document: flat if nothing grows faster than the text."""
    texts, first = texts_of("task", 2000), {}
    for documents in sizes:
        recipe = Recipe("growth", 1e-4, 32, steps=10, max_length=128)
        with tempfile.TemporaryDirectory(dir=folder) as out, Meter() as meter:
            many = (texts[i % len(texts)] for i in range(documents))
            adapted = adapt("mini", many, recipe, out, compile=False, log=lambda line: None)
        found = {
            "us/document": (meter.seconds - adapted.summary["seconds"]) / documents * 1e6,
            "s/update": adapted.summary["seconds"] / recipe.steps,
            "peak MiB": meter.peak_mb,
        }
        first = first or found
        for unit, value in found.items():
            yield row(f"{documents:,} documents", unit, value, first[unit], f"ours at {sizes[0]:,}")


def matrix_rates() -> dict:
    """bf16 beside fp32 matrix products of a layer of width 768: what the chip's own units allow at most."""
    rates = []
    for dtype in (torch.bfloat16, torch.float32):
        a, b = torch.randn(2048, 768, dtype=dtype), torch.randn(768, 3072, dtype=dtype)
        a @ b
        seconds = median(timed(lambda a=a, b=b: a @ b) for _ in range(9))
        rates.append(2 * 2048 * 768 * 3072 / seconds / 1e9)
    return row("matrix product, 2048 x 768 x 3072", "GFLOP/s", *rates, "fp32", more_is_better=True)


def utilisation(case: str, tokens_per_second: float, shape: str) -> dict:
    """Share of the chip's measured bf16 matrix rate that the training's own multiplications use."""
    layers, width, _ = SHAPES[shape]
    # weights a token passes, without attention scores and head: of the last layer its keys and values, the rest of
    # it for the 15 % that are masked
    weights = width**2 * (12 * (layers - 1) + 2 + 10 * 0.15)
    needed = 6 * weights * tokens_per_second  # forward and backward
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(10):
        a @ b
    torch.cuda.synchronize()
    rate = 10 * 2 * 8192**3 / (time.perf_counter() - start)
    memory = torch.cuda.max_memory_allocated() / 2**30
    return row(f"{case}: FLOP/s, peak {memory:.1f} GiB", "FLOP/s", needed, rate, "bf16 matmul", more_is_better=True)


if __name__ == "__main__":
    main(cases, __doc__.splitlines()[0])
