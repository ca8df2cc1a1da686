"""The state of one masked-LM training and its update."""

import os
import shutil
from collections import deque
from collections.abc import Callable
from pathlib import Path

import torch

from helpers import compute
from helpers.encoder.masked_lm import MaskedLoss
from helpers.encoder.optim import adamw
from helpers.errors import UserError
from helpers.pretrain import checkpoint
from helpers.pretrain.batches import Update
from helpers.pretrain.recipe import Recipe

SHAPE = 64  # masked tokens of a piece are filled up to a multiple of this
# Multiplications of a run worth compiling for: about five minutes of two cores. Compiling mini's step took 13 seconds,
# 35 the first time on a machine, and saved a quarter of each update with dropout, a twentieth without.
COMPILE_ABOVE = 1e14
RECOMPILE_LIMIT = 64
PROGRESS = ("tokens", "targets", "seconds", "recent", "history", "precision", "compiled")


class Training:
    """State of one training: model, optimiser, compiled step, progress."""

    def __init__(self, net, recipe: Recipe, steps: int, seed: int, compile: bool | None, width: float, packs, group):
        self.recipe, self.steps, self.seed, self.group = recipe, steps, seed, group
        self.device = compute.device()
        net.to(self.device).train()
        self.parameters = {name: p for name, p in net.named_parameters() if p.requires_grad}
        self.optimizer = adamw(net, recipe)
        self.precision = compute.precision(self.device)
        # On a CPU weights are cast, and Python runs, once a piece: an update of 2,200 to 3,500 tokens was 5 to 9 %
        # quicker in one piece than in two; more than 4,096 gain nothing. A GPU wants as many as fit.
        self.rows = max(1, (4096 if self.device.type == "cpu" else 65_536) // recipe.max_length)
        # 6 multiplications a weight and token for forward and backward
        planned = (
            6.0 * sum(p.numel() for p in self.parameters.values() if p.ndim > 1) * steps * recipe.batch_size * width
        )
        self.packs, self.masked_loss = packs, MaskedLoss(net, packs)
        self._take_path(can_compile() and planned > COMPILE_ABOVE if compile is None else compile)
        self.history, self.tokens, self.targets, self.seconds, self.recent = [], 0, 0, 0.0, []
        # A GPU must never wait: updates are masked ahead, and a loss is read when the next one has been handed to it.
        self.ahead, self.behind = (0, 0) if self.device.type == "cpu" else (2, 1)
        self.unread = deque()

    def _take_path(self, compiled: bool) -> None:
        self.compiled = compiled
        if compiled:  # past its limit, 8 shapes a process, dynamo goes on eager, which draws other dropout
            torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, RECOMPILE_LIMIT)
        self.loss = torch.compile(self.masked_loss, dynamic=True) if compiled else self.masked_loss

    def describe(self) -> str:
        path = "compiled" if self.compiled else "eager"
        return f"{self.device.type}, {self.precision}, {path}, {self.group.size} process(es)"

    def update(self, step: int, update: Update) -> None:
        """One optimiser update: the mean loss over all its masked tokens, in as many pieces as needed."""
        # dropout's draws depend on the update and the process alone, so a resumed run repeats them
        torch.manual_seed(((self.seed * 1_000_003 + step) * 1_009 + self.group.rank) % 2**63)
        for settings in self.optimizer.param_groups:
            settings["lr"] = self.recipe.learning_rate_at(step, self.steps)
        if len(update.targets):  # without a gradient one process moves no weight, so several must not either
            self.unread.append((step, self._step(update)))
        self.tokens += update.tokens
        self.targets += len(update.targets)
        self.epoch = update.epoch
        self._read_losses(self.behind)

    def _step(self, update: Update) -> torch.Tensor:
        loss = torch.zeros((), device=self.device)
        for piece in update.split(self.rows, self.group.rank, self.group.size):
            if len(piece.targets):
                loss += self._backward(piece, len(update.targets))
        self.group.add_gradients(self.parameters.values())
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return self.group.add(loss)

    def _read_losses(self, behind: int = 0) -> None:
        """Take the losses of all updates but the last `behind`; UserError for one that is no finite number."""
        while len(self.unread) > behind:
            step, loss = self.unread.popleft()
            value = loss.item()
            if not value < float("inf"):
                raise UserError(
                    f"{self.recipe.name}: the loss became {value} at update {step}; try a lower learning rate"
                )
            self.recent.append(value)

    def _backward(self, piece: Update, total: int) -> torch.Tensor:
        inputs = piece.tensors(self.device, SHAPE)
        if self.compiled and self.packs:
            for rows in inputs[:3]:  # their number differs from piece to piece, the length of packed ones never
                torch._dynamo.mark_static(rows, 1)
        with compute.autocast(self.device, self.precision):
            loss = self.loss(*inputs) / total
        loss.backward()
        return loss.detach()

    def record(self, step: int) -> None:
        """Add a row to the history: the mean loss since the row before."""
        self._read_losses()
        if not self.recent:  # short texts in small batches: no token was masked since the row before
            return
        self.history.append({
            "step": step + 1, "epoch": self.epoch, "tokens": self.tokens,
            "loss": sum(self.recent) / len(self.recent),
            "learning_rate": self.optimizer.param_groups[0]["lr"], "seconds": self.seconds,
        })  # fmt: skip
        self.recent = []

    def progress(self, step: int) -> str:
        """One line: where the run is, how fast, and how long it will take."""
        self._read_losses()
        losses = self.recent or [row["loss"] for row in self.history[-1:]] or [float("nan")]
        left = self.seconds / (step + 1) * (self.steps - step - 1)
        return (
            f"{self.recipe.name}: update {step + 1:,}/{self.steps:,}  loss {sum(losses) / len(losses):.3f}  "
            f"{self.tokens / max(self.seconds, 1e-9):,.0f} tokens/s  {left / 60:.1f} min left"
        )

    def totals(self) -> dict:
        return {"tokens": self.tokens, "seconds": self.seconds, "compiled": self.compiled,
                "tokens_per_second": self.tokens / max(self.seconds, 1e-9), "precision": self.precision,
                "threads": compute.threads(), "device": self.device.type, "dropout_source": self._dropout_source(),
                "processes": self.group.size,
                "final_loss": self.history[-1]["loss"]}  # fmt: skip

    def _dropout_source(self) -> str:
        """Where dropout's random numbers come from: equal seeds give other masks under another source."""
        if self.device.type != "cpu":
            return "torch"
        return "compiled hash" if self.compiled else "SFC64"

    def save(self, folder: Path, step: int, facts: dict) -> None:
        """Write a checkpoint before update `step`. facts: what makes it this training and no other."""
        self._read_losses()
        # no waiting for each other: processes' clocks differ, and all of them hold the same state
        if self.group.rank == 0:
            kept = {name: getattr(self, name) for name in PROGRESS}
            checkpoint.write(folder, step, self.parameters, self.optimizer, {"facts": facts, **kept})

    def restore(self, folder: Path, facts: dict, log: Callable[[str], None]) -> int:
        """The update to go on with: 0, or where the checkpoint in `folder` stands; its precision and path are taken.

        Raises UserError where it is of another training, or this machine cannot compute as it did.
        """
        found = checkpoint.read(folder, log)
        if found is None:
            return 0
        state, tensors = found
        checkpoint.check_same(state["facts"], facts, folder)
        if state["compiled"] and not can_compile():
            raise UserError(f"{folder}: begun with a compiled step, and there is no C++ compiler here; "
                            "install g++, or remove this folder to begin anew")  # fmt: skip
        if state["precision"] == "bf16" and self.device.type == "cuda" and not torch.cuda.is_bf16_supported():
            raise UserError(f"{folder}: begun in bf16, which this GPU has not; remove this folder to begin anew")
        checkpoint.put(tensors, self.parameters, self.optimizer)
        for name in PROGRESS:
            setattr(self, name, state[name])
        self._take_path(state["compiled"])
        return state["step"]


def can_compile() -> bool:
    """Whether torch.compile has what it needs here: Triton on a GPU, a C++ compiler on a CPU."""
    if compute.device().type == "cuda":
        return True
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))
