"""Masked-LM adaptation: DAPT and TAPT are two recipes of this one loop (the paper's sections 3 and 4)."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from helpers import compute
from helpers.encoder.masked_lm import MaskedLoss, check_length, load_masked_lm
from helpers.encoder.packing import position_offset, tokenize
from helpers.errors import UserError
from helpers.pretrain import processes
from helpers.pretrain.batches import Update, Vocabulary, full_sentences, updates
from helpers.pretrain.recipe import Recipe

SHAPE = 64  # masked tokens of a piece are filled up to a multiple of this
CURVE_POINTS = 40  # rows of a run's history
# Multiplications of a run worth compiling for: about five minutes of two cores. Compiling mini's step took 13 seconds,
# 35 the first time on a machine, and saved a quarter of each update with dropout, a twentieth without.
COMPILE_ABOVE = 1e14
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
    Returns Adapted; raises UserError for a model that is no masked LM or too short for the recipe's max_length, and for
    a corpus without a token.
    Paper: section 3.1 (DAPT), 4.1 (TAPT), Table 13.
    """
    output = Path(output)
    compute.keep_memory()
    group = processes.join()
    log = log if group.rank == 0 else _silent
    torch.manual_seed(seed)  # a head that came untrained is drawn alike in every process and every run
    net, tokenizer, untrained_head = load_masked_lm(model, recipe.dropout)
    if untrained_head and recipe.name != HEAD.name:
        if general_texts is None:
            raise UserError(f"model {model} has no masked-LM head: give general_texts to fit one on first")
        log(f"{model}: no masked-LM head came with it; fitting one on general text first")
        fitted = adapt(model, general_texts, HEAD, output / "head", seed=seed,
                       checkpoint_seconds=checkpoint_seconds, compile=compile, log=log)  # fmt: skip
        net, tokenizer, _ = load_masked_lm(fitted.path, recipe.dropout)
    check_length(net, model, recipe.max_length)
    output.mkdir(parents=True, exist_ok=True)
    windows = tokenize(texts, tokenizer, recipe.max_length, folder=group.own_folder(output))
    if not len(windows):
        raise UserError("the corpus holds no token: nothing to adapt to")
    documents = int(windows.document[-1]) + 1
    if recipe.packing == "full_sentences":
        windows = full_sentences(windows, recipe.max_length)
    steps = recipe.updates(len(windows))
    run = _Run(net, recipe, steps, seed, compile, float(windows.starts[-1]) / len(windows), group)
    first = run.restore(output / "checkpoint")
    log(
        f"{recipe.name}: {documents:,} documents, {len(windows):,} windows, {windows.starts[-1]:,} tokens; "
        f"{steps:,} updates of {recipe.batch_size} = {steps * recipe.batch_size / len(windows):.1f} epochs; "
        f"{run.describe()}" + (f"; resumed at update {first}" if first else "")
    )
    vocabulary = Vocabulary.of(tokenizer, position_offset(net))
    began = saved = told = time.perf_counter()
    for step, update in enumerate(updates(windows, recipe, vocabulary, seed, first), start=first):
        run.update(step, update)
        now = time.perf_counter()
        run.seconds += now - began  # masking and packing included
        done = step + 1 == steps
        if done or (step + 1) % max(1, steps // CURVE_POINTS) == 0:
            run.record(step)
        if done or now - told > 15 or step - first == 1:
            told = now
            log(run.progress(step))
        if not done and now - saved > checkpoint_seconds:
            saved = now
            run.save(output / "checkpoint", step + 1)
        began = time.perf_counter()
    summary = {
        "documents": documents, "windows": len(windows), "corpus_tokens": int(windows.starts[-1]), "steps": steps,
        "epochs": steps * recipe.batch_size / len(windows), "untrained_head": untrained_head, **run.totals(),
    }  # fmt: skip
    history = pd.DataFrame(run.history)
    if group.rank == 0:
        _save_model(net, tokenizer, output, recipe, history, summary, seed)
        log(f"wrote {output}")
    group.wait()
    return Adapted(output, history, summary)


def _silent(line: str) -> None:
    pass


def _save_model(net, tokenizer, output: Path, recipe: Recipe, history, summary: dict, seed: int) -> None:
    aside = output / "saving"
    net.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    history.to_csv(aside / "history.csv", index=False)
    facts = {"recipe": recipe.as_dict(), "seed": seed, "summary": summary, "versions": compute.versions()}
    (aside / "adaptation.json").write_text(json.dumps(facts, indent=2))
    for file in aside.iterdir():
        os.replace(file, output / file.name)
    for leftover in ("saving", "checkpoint", "head", "tokens"):
        shutil.rmtree(output / leftover, ignore_errors=True)


class _Run:
    """State of one training: model, optimiser, compiled step, progress."""

    def __init__(self, net, recipe: Recipe, steps: int, seed: int, compile: bool | None, width: float, group):
        self.net, self.recipe, self.steps, self.seed, self.group = net, recipe, steps, seed, group
        self.device = compute.device()
        net.to(self.device).train()
        self.parameters = {name: p for name, p in net.named_parameters() if p.requires_grad}
        plain = [p for name, p in self.parameters.items() if p.ndim < 2]  # bias and LayerNorm: no decay
        decayed = [p for name, p in self.parameters.items() if p.ndim >= 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=recipe.learning_rate, betas=recipe.adam_betas, eps=recipe.adam_epsilon, fused=True,
        )  # fmt: skip
        # 2,048 tokens keep a core's cache warm; a GPU wants as many as fit
        self.rows = max(1, (2048 if self.device.type == "cpu" else 65_536) // recipe.max_length)
        # 6 multiplications a weight and token for forward and backward
        planned = 6.0 * sum(p.numel() for p in decayed) * steps * recipe.batch_size * width
        self.compiled = can_compile() and planned > COMPILE_ABOVE if compile is None else compile
        masked_loss = MaskedLoss(net)
        self.loss = torch.compile(masked_loss, dynamic=True) if self.compiled else masked_loss
        self.history, self.tokens, self.seconds, self.recent = [], 0, 0.0, []

    def describe(self) -> str:
        path = "compiled" if self.compiled else "eager"
        return f"{self.device.type}, {compute.precision(self.device)}, {path}, {self.group.size} process(es)"

    def update(self, step: int, update: Update) -> None:
        """One optimiser update: the mean loss over all its masked tokens, in as many pieces as needed."""
        # dropout's draws depend on the update and the process alone, so a resumed run repeats them
        torch.manual_seed((self.seed * 1_000_003 + step) * 1_009 + self.group.rank)
        total = max(1, len(update.targets))
        loss = torch.zeros((), device=self.device)
        for piece in update.split(self.rows, self.group.rank, self.group.size):
            if len(piece.targets):
                loss += self._backward(piece, total)
        self.group.add_gradients(self.parameters.values())
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.recipe.clip)
        for settings in self.optimizer.param_groups:
            settings["lr"] = self.recipe.learning_rate_at(step, self.steps)
        self.optimizer.step()
        self.optimizer.zero_grad()
        value = self.group.add(loss).item()
        if not value < float("inf"):
            raise UserError(f"{self.recipe.name}: the loss became {value} at update {step}; try a lower learning rate")
        self.tokens += update.tokens
        self.recent.append(value)
        self.epoch = update.epoch

    def _backward(self, piece: Update, total: int) -> torch.Tensor:
        inputs = piece.tensors(self.device, SHAPE)
        if self.compiled:
            for rows in inputs[:3]:  # their number differs from piece to piece, their length never
                torch._dynamo.mark_static(rows, 1)
        with compute.autocast(self.device):
            loss = self.loss(*inputs) / total
        loss.backward()
        return loss.detach()

    def record(self, step: int) -> None:
        """Add a row to the history: the mean loss since the row before."""
        self.history.append({
            "step": step + 1, "epoch": self.epoch, "tokens": self.tokens,
            "loss": sum(self.recent) / len(self.recent),
            "learning_rate": self.optimizer.param_groups[0]["lr"], "seconds": self.seconds,
        })  # fmt: skip
        self.recent = []

    def progress(self, step: int) -> str:
        """One line: where the run is, how fast, and how long it will take."""
        losses = self.recent or [self.history[-1]["loss"]]
        left = self.seconds / (step + 1) * (self.steps - step - 1)
        return (
            f"{self.recipe.name}: update {step + 1:,}/{self.steps:,}  loss {sum(losses) / len(losses):.3f}  "
            f"{self.tokens / max(self.seconds, 1e-9):,.0f} tokens/s  {left / 60:.1f} min left"
        )

    def totals(self) -> dict:
        return {"tokens": self.tokens, "seconds": self.seconds, "compiled": self.compiled,
                "tokens_per_second": self.tokens / max(self.seconds, 1e-9), "precision": compute.precision(self.device),
                "device": self.device.type, "final_loss": self.history[-1]["loss"]}  # fmt: skip

    def save(self, folder: Path, step: int) -> None:
        # no waiting for each other: processes' clocks differ, and all of them hold the same state
        if self.group.rank == 0:
            processes.save_checkpoint(folder, self.parameters, self.optimizer, step, self._progress())

    def _progress(self) -> dict:
        return {"tokens": self.tokens, "seconds": self.seconds, "recent": self.recent, "history": self.history,
                "compiled": self.compiled}  # fmt: skip

    def restore(self, folder: Path) -> int:
        """The update to go on with: 0, or where the checkpoint in `folder` stands."""
        if not (folder / "state.json").exists():
            return 0
        step, progress = processes.load_checkpoint(folder, self.parameters, self.optimizer)
        self.tokens, self.seconds = progress["tokens"], progress["seconds"]
        self.recent, self.history = progress["recent"], progress["history"]
        if progress["compiled"] != self.compiled:  # the two paths round differently
            self.compiled = progress["compiled"]
            plain = getattr(self.loss, "_orig_mod", self.loss)
            self.loss = torch.compile(plain, dynamic=True) if self.compiled else plain
        return step


def can_compile() -> bool:
    """Whether torch.compile has what it needs here: Triton on a GPU, a C++ compiler on a CPU."""
    if compute.device().type == "cuda":
        return True
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))


def scaled(recipe: Recipe, **changes) -> Recipe:
    """A recipe with some values changed; giving steps drops epochs and the other way round."""
    if changes.get("steps") is not None:
        changes["epochs"] = None
    elif changes.get("epochs") is not None:
        changes["steps"] = None
    return replace(recipe, **changes)
