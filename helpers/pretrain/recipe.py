"""Recipes: what DAPT and TAPT do, as plain values (the paper's section 3.1, 4.1 and Table 13)."""

import math
from dataclasses import asdict, dataclass, replace

from helpers.encoder.optim import warmed_linear
from helpers.errors import UserError


@dataclass(frozen=True)
class Recipe:
    """How masked-LM training goes on. The defaults are the paper's (Table 13).

    name: what the run is called. learning_rate: peak, reached after `warmup` (share of all updates) and falling
    linearly to 0. decay: None for that, or the share of updates at the end over which it falls, the peak held until
    then (warm-up, stable, decay). batch_size: sequences (windows of at most max_length tokens) an update, however
    many pieces the machine computes it in. steps or epochs: exactly one of the two. clip: largest gradient norm.
    mask_probability: share of tokens to predict; of those 80 % become the mask token, 10 % a random token, 10 % stay.
    max_length: tokens a window, special ones included; None is the paper's 512, or all the model knows where that is
    less. packing: 'documents' keeps every document by itself; 'full_sentences' is RoBERTa's own, running text cut
    every max_length tokens across documents. dropout: None keeps the model's own; another rate is for
    this training alone, and the saved model's configuration keeps the model's own.

    >>> DAPT.updates(windows=512), TAPT.updates(windows=512)
    (12500, 200)
    >>> replace(DAPT, steps=100).learning_rate_at(5, 100)
    0.0005
    """

    name: str
    learning_rate: float
    batch_size: int
    steps: int | None = None
    epochs: float | None = None
    warmup: float = 0.06
    weight_decay: float = 0.01
    adam_betas: tuple[float, float] = (0.9, 0.98)
    adam_epsilon: float = 1e-6
    clip: float = 1.0
    mask_probability: float = 0.15
    max_length: int | None = None
    packing: str = "documents"
    dropout: float | None = None
    decay: float | None = None

    def __post_init__(self):
        if (self.steps is None) == (self.epochs is None):
            raise UserError(f"recipe {self.name}: give either steps or epochs, not both or none")
        if self.packing not in ("documents", "full_sentences"):
            raise UserError(f"recipe {self.name}: packing {self.packing!r} is neither documents nor full_sentences")
        whole = (("batch_size", 1), ("steps", 1), ("max_length", 3))
        checks = {name: self._is_whole(name, least) for name, least in whole}
        checks |= {
            "learning_rate": 0 < self.learning_rate < math.inf,
            "epochs": self.epochs is None or 0 < self.epochs < math.inf,
            "warmup": 0 <= self.warmup <= 1,
            "decay": self.decay is None or (self.decay > 0 and self.decay + self.warmup <= 1 + 1e-9),
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "adam_betas": len(self.adam_betas) == 2 and all(0 <= beta < 1 for beta in self.adam_betas),
            "adam_epsilon": 0 < self.adam_epsilon < math.inf,
            "clip": self.clip > 0,
            "mask_probability": 0 < self.mask_probability < 1,
            "dropout": self.dropout is None or 0 <= self.dropout < 1,
        }
        for name, fine in checks.items():
            if not fine:
                raise UserError(f"recipe {self.name}: {name} {getattr(self, name)} is out of range")

    def _is_whole(self, name: str, least: int) -> bool:
        value = getattr(self, name)
        return (value is None and name != "batch_size") or (isinstance(value, int) and value >= least)

    def updates(self, windows: int) -> int:
        """Optimiser updates over a corpus of that many windows; at least 1."""
        return self.steps if self.steps is not None else -(-self.read(windows) // self.batch_size)

    def read(self, windows: int) -> int:
        """Windows read in all over a corpus of that many: the last update of whole passes may be smaller."""
        return self.steps * self.batch_size if self.steps is not None else max(1, int(windows * self.epochs))

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Learning rate of update `step` (0 .. steps-1): linear warm-up, maybe a plateau, then linear decay to 0."""
        warm = max(1, round(self.warmup * steps))
        fall = None if self.decay is None else min(steps - warm, max(1, round(self.decay * steps)))
        return warmed_linear(step, steps, warm, self.learning_rate, fall)

    def as_dict(self) -> dict:
        """The recipe as JSON-ready values: what a stored checkpoint is keyed by."""
        values = asdict(self)
        if self.decay is None:  # checkpoints made before there was the field keep their keys
            del values["decay"]
        return values


DAPT = Recipe("dapt", learning_rate=5e-4, batch_size=2048, steps=12_500)
TAPT = Recipe("tapt", learning_rate=1e-4, batch_size=256, epochs=100)
SMALL_TASK = 5000  # examples; the paper's bound between its two TAPT batches


def tapt_recipe(examples: int) -> Recipe:
    """The paper's TAPT for a task of that many training examples: batch 256 at 1e-4 below 5K, else 2048 at 5e-4."""
    return TAPT if examples < SMALL_TASK else replace(TAPT, batch_size=2048, learning_rate=5e-4)
