"""How a classifier is fine-tuned: the paper's recipe, and a stronger one it should be compared with."""

import math
from dataclasses import dataclass, replace

from helpers.encoder.optim import warmed_linear
from helpers.errors import UserError

BIG_TASK = 5000  # the authors' presets change above 5K training examples


@dataclass(frozen=True)
class Recipe:
    """Settings of one fine-tuning. Paper: section 4.1 and Table 14, with what the authors' code adds.

    epochs: passes over train; 0 means 10 up to 5K
    training examples and 3 above, and twice that in the strong recipe. learning_rate: peak. batch_size:
    examples an update. patience: epochs without a better dev score before stopping; 0 never stops early.
    schedule: 'constant', 'linear' (warm-up over `warmup` of all updates, then decay to 0) or 'by_size', which
    is constant up to 5K training examples and linear above. weight_decay: none on biases and LayerNorm.
    bias_correction: Adam's; the authors' BertAdam leaves it out. max_gradient_norm: gradients are scaled
    down to it. max_length: tokens a text, special tokens included; longer ones are cut. weights: which are tested,
    those of the 'best' dev epoch, as in the paper, or the 'last' ones; then dev is scored once and chooses nothing.
    Raises UserError for a value that cannot be.
    """

    name: str
    epochs: int = 0
    learning_rate: float = 2e-5
    batch_size: int = 16
    patience: int = 3
    schedule: str = "by_size"
    warmup: float = 0.06
    weight_decay: float = 0.1
    adam_betas: tuple[float, float] = (0.9, 0.98)
    adam_epsilon: float = 1e-6
    bias_correction: bool = False
    max_gradient_norm: float = 1.0
    dropout: float = 0.1
    max_length: int = 512
    weights: str = "best"

    def __post_init__(self):
        for name, known in (("schedule", ("constant", "linear", "by_size")), ("weights", ("best", "last"))):
            if getattr(self, name) not in known:
                raise UserError(
                    f"recipe {self.name}: {name} {getattr(self, name)!r}: expected one of {', '.join(known)}"
                )
        fine = {
            "epochs": self.epochs >= 0, "batch_size": self.batch_size >= 1, "max_length": self.max_length >= 3,
            "learning_rate": 0 <= self.learning_rate < math.inf, "weight_decay": 0 <= self.weight_decay < math.inf,
            "patience": self.patience >= 0, "warmup": 0 <= self.warmup <= 1, "dropout": 0 <= self.dropout < 1,
            "adam_betas": len(self.adam_betas) == 2 and all(0 <= beta < 1 for beta in self.adam_betas),
            "adam_epsilon": 0 < self.adam_epsilon < math.inf, "max_gradient_norm": self.max_gradient_norm > 0,
        }  # fmt: skip
        for name, yes in fine.items():
            if not yes:
                raise UserError(f"recipe {self.name}: {name} {getattr(self, name)} is out of range")

    def sized(self, n_train: int) -> "Recipe":
        """The recipe with everything that depends on the number of training examples filled in."""
        big = n_train > BIG_TASK
        passes = (3 if big else 10) * (2 if self.name == "strong" else 1)
        schedule = self.schedule if self.schedule != "by_size" else "linear" if big else "constant"
        return replace(self, epochs=self.epochs or passes, schedule=schedule)

    def rate(self, update: int, updates: int) -> float:
        """Share of the peak learning rate at `update`, 0 .. updates - 1; in 0 .. 1."""
        if self.schedule == "constant":
            return 1.0
        return warmed_linear(update, updates, warm=self.warmup * updates)


PAPER = Recipe("paper")
# What later work found to be steadier on the same tasks (Mosbach et al. 2021; TLM's re-run): Adam as published,
# warm-up then decay for every size, twice the epochs, no early stop (the best dev epoch is still the one tested).
STRONG = Recipe("strong", schedule="linear", warmup=0.1, bias_correction=True, patience=0)
RECIPES = {"paper": PAPER, "strong": STRONG}


def recipe_for(config, name: str = "paper") -> Recipe:
    """The recipe `name` ('paper' or 'strong') with the preset's epochs, learning rate, batch and length.

    config: a helpers.config.Config. A preset with a `warmup` trains at a rate that the paper's constant schedule
    without bias correction does not bear, so it gets both. The strong recipe runs twice the preset's epochs and
    ignores its patience.
    """
    strong = name == "strong"
    recipe = RECIPES[name]
    if config.warmup:
        recipe = replace(recipe, schedule="linear", warmup=config.warmup, bias_correction=True)
    return replace(
        recipe,
        epochs=config.epochs * (2 if strong else 1),
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        patience=0 if strong else config.patience,
        max_length=config.max_length,
        weights=config.tested_weights,
    )
