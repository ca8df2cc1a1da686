"""Plots from tables: every function takes a DataFrame and returns Axes; only `save_figure` writes files."""

from helpers.figures.domains import (
    gain_vs_loss_change,
    gain_vs_overlap,
    loss_curves,
    loss_matrix_heatmap,
    overlap_heatmap,
    typical_words_bars,
)
from helpers.figures.label_curve import label_curve
from helpers.figures.predictions import confusion_matrices
from helpers.figures.save import save_figure
from helpers.figures.scores import (
    claims_plot,
    leak_bars,
    leak_scores,
    method_scores,
    seed_spread,
    transfer_dumbbell,
)
from helpers.figures.selection import cost_scatter, selection_curve, similarity_histogram, text_map, vampire_curves
from helpers.figures.style import DOMAIN_COLOURS, METHOD_COLOURS, STYLE

__all__ = [
    "DOMAIN_COLOURS", "METHOD_COLOURS", "STYLE", "claims_plot", "confusion_matrices", "cost_scatter",
    "gain_vs_loss_change", "gain_vs_overlap", "label_curve", "leak_bars", "leak_scores", "loss_curves",
    "loss_matrix_heatmap", "method_scores", "overlap_heatmap", "save_figure", "seed_spread", "selection_curve",
    "similarity_histogram", "text_map", "transfer_dumbbell", "typical_words_bars",
    "vampire_curves",
]  # fmt: skip
