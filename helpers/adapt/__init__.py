"""Masked-LM adaptation to a domain (DAPT) or a task (TAPT), and masked-LM loss on held-out text."""

from helpers.adapt.loop import HEAD, Adapted, adapt, scaled
from helpers.adapt.loss import loss_interval, loss_matrix, masked_lm_loss
from helpers.adapt.recipe import DAPT, TAPT, Recipe, tapt_recipe
from helpers.encoder.load import load_masked_lm

__all__ = [
    "DAPT", "HEAD", "TAPT", "Adapted", "Recipe", "adapt", "load_masked_lm", "loss_interval", "loss_matrix",
    "masked_lm_loss", "scaled", "tapt_recipe",
]  # fmt: skip
