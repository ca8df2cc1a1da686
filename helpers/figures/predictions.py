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

    tables: method -> `helpers.results.confusion`, percent of each true label; of more than MOST_LABELS those with test
    rows that are least often right, on average over the methods, are drawn; the table beside the figure holds all.
    task: for the title. Returns the Axes [methods].
    """
    labels, shown = len(next(iter(tables.values()))), "percent of each true label, all seeds together"
    whole = pd.concat(tables, names=["method"]).stack().rename("percent").reset_index()
    if labels > MOST_LABELS:
        right = pd.DataFrame({name: pd.Series(np.diag(table), table.index) for name, table in tables.items()})
        tested = right.mean(axis=1).dropna()
        worst = tested.nsmallest(MOST_LABELS).index
        kept = [label for label in tested.index if label in worst]
        tables = {method: table.loc[kept, kept] for method, table in tables.items()}
        chosen = "are least often right" if len(kept) < len(tested) else "have test rows"
        labels, shown = len(kept), f"{shown}; the {len(kept)} of {labels} labels that {chosen}"
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
    finish(axes[0], whole, shown, preset)
    return axes
