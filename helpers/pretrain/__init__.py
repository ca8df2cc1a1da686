"""Masked-LM adaptation to a domain (DAPT) or a task (TAPT), and masked-LM loss on held-out text."""

from helpers.encoder.load import load_masked_lm
from helpers.pretrain.loop import HEAD, Adapted, adapt, scaled
from helpers.pretrain.loss import loss_interval, loss_matrix, masked_lm_loss
from helpers.pretrain.recipe import DAPT, TAPT, Recipe, tapt_recipe
from helpers.pretrain.torchrun import adapt_under_torchrun

__all__ = [
    "DAPT", "HEAD", "TAPT", "Adapted", "Recipe", "adapt", "adapt_under_torchrun", "load_masked_lm", "loss_interval",
    "loss_matrix", "masked_lm_loss", "scaled", "tapt_recipe",
]  # fmt: skip
