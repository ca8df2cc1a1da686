"""Confusion matrices of several methods beside each other."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers.figures.style import finish, heat_map, new_grid, styled
from helpers.methods import method_title

MOST_LABELS = 30  # in one picture: each takes half an inch both ways, and its name must be read


@styled
def confusion_matrices(tables: Mapping[str, pd.DataFrame], task: str = "", axes=None, preset: str | None = None):
    """Where the test rows of each true label go, a panel a method.

    tables: method -> `helpers.results.confusion`, percent of each true label; of more than MOST_LABELS those that are
    least often right, on average over the methods, are drawn. task: for the title. Returns the Axes [methods].
    """
    labels, shown = len(next(iter(tables.values()))), "percent of each true label, all seeds together"
    if labels > MOST_LABELS:
        right = sum(pd.Series(np.diag(table), table.index).fillna(0) for table in tables.values())
        worst = right.nsmallest(MOST_LABELS).index
        kept = [label for label in right.index if label in worst]
        tables = {method: table.loc[kept, kept] for method, table in tables.items()}
        labels, shown = MOST_LABELS, f"{shown}; the {MOST_LABELS} of {labels} labels that are least often right"
    if axes is None:
        side = 1.3 + 0.5 * labels
        axes = new_grid(1, len(tables), (0.6 + side * len(tables), side), sharey=True)[0]
    axes = np.ravel(np.asarray(axes, dtype=object))
    for ax, (method, table) in zip(axes, tables.items(), strict=True):
        cells = table.map("{:.0f}".format, na_action="ignore").astype(object).fillna("")
        heat_map(ax, table, cells, cmap="Blues", vmin=0, vmax=100)
        ax.tick_params("x", labelrotation=45)
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
        ax.set(title=" · ".join(filter(None, (task, method_title(method)))), xlabel="predicted")
    axes[0].set_ylabel("true label")
    drawn = pd.concat(tables, names=["method"]).stack().rename("percent").reset_index()
    finish(axes[0], drawn, shown, preset)
    return axes
