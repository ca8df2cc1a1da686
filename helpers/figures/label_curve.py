"""Scores against labelled rows: what adaptation is worth in labels."""

import numpy as np
import pandas as pd

from helpers import paper
from helpers.errors import UserError
from helpers.figures.style import METHOD_COLOURS, colour_of, finish, new_grid, score_limits, styled, where_known
from helpers.methods import method_order, method_title
from helpers.results.stats import mean_interval


@styled
def label_curve(curve: pd.DataFrame, axes=None, preset: str | None = None):
    """Score of the frozen read-out against labelled rows, one panel a task (four a row) and one line a method.

    curve: task, method, labels, seed, score (percent), as `helpers.study.views.label_curve` gives it. Bars are 95 %
    intervals of the mean over draws of the labels, none where there is one draw. Returns the Axes [tasks].
    """
    tasks = list(dict.fromkeys(curve["task"]))
    if not tasks:
        raise UserError("label_curve: the curve has no rows; set READ_OUTS and LABEL_BUDGETS")
    columns = min(len(tasks), 4)
    if axes is None:
        rows = -(-len(tasks) // columns)
        axes = np.ravel(new_grid(rows, columns, (1.6 + 2.9 * columns, 0.3 + 3.3 * rows)))
        for spare in axes[len(tasks) :]:
            spare.remove()
    axes = np.ravel(np.asarray(axes, dtype=object))[: len(tasks)]
    methods, drawn = sorted(curve["method"].unique(), key=method_order), []
    for ax, task in zip(axes, tasks, strict=True):
        part = curve[curve["task"] == task]
        budgets = sorted(part["labels"].unique())
        for place, method in enumerate(methods):
            cells = part[part["method"] == method].groupby("labels")["score"].agg(mean_interval)
            if not len(cells):
                continue
            mean = np.array([one.mean for one in cells])
            reach = np.array([0.0 if one.n < 2 else one.high - one.mean for one in cells])
            # a few percent apart, so that intervals at one budget stay readable
            x = cells.index.to_numpy(float) * 1.03 ** (place - (len(methods) - 1) / 2)
            colour = colour_of(method, METHOD_COLOURS, methods)
            dashes = "--" if method == "tfidf" else "-"
            ax.errorbar(x, mean, yerr=reach, color=colour, ls=dashes, marker="o", ms=4, capsize=2, elinewidth=1,
                        label=method_title(method))  # fmt: skip
            drawn += [{"task": task, "method": method, "labels": labels, "mean": one.mean, "low": one.low,
                       "high": one.high, "n": one.n} for labels, one in cells.items()]  # fmt: skip
        ax.set_xscale("log")
        ax.set_xticks(budgets, [f"{labels:,}" for labels in budgets])
        ax.minorticks_off()
        score_limits(ax.yaxis)
        ax.set_title(paper.TASK_TITLES.get(task, task))
        ax.set_xlabel("labelled rows")
    for first in axes[::columns]:
        first.set_ylabel("test F1 of the frozen read-out (%)")
    axes[columns - 1].legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    table = pd.DataFrame(drawn)
    note = f"bars: 95% intervals over up to {int(table['n'].max())} draws of labels"
    finish(axes[0], table, where_known(table, note, of="draw"), preset)
    return axes
