"""Figures of data selection and of what adaptation costs (Paper: section 5, Tables 8 and 9)."""

import numpy as np
import pandas as pd
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

from helpers import paper
from helpers.errors import UserError
from helpers.figures.labels import name_points
from helpers.figures.style import (
    METHOD_COLOURS,
    SELECTOR_COLOURS,
    colour_of,
    finish,
    mark_beyond,
    new_axes,
    new_grid,
    score_limits,
    styled,
    where_known,
)
from helpers.methods import method_title, selector_title, split_selection

_LINES = {"dapt": "-", "tapt": "--", "base": ":"}
_COSTS = {
    "steps": "updates", "documents": "documents read", "tokens": "tokens read", "bytes": "bytes of text",
    "seconds": "seconds of adaptation",
}  # fmt: skip


@styled
def selection_curve(table: pd.DataFrame, axes=None):
    """F1 against neighbours a task sentence, one panel a task: DAPT is the line to reach, random the control.

    table: `selection_table`. Bars are 95% intervals. Returns the Axes [tasks]. Paper: Table 8.
    """
    table = table[table["recipe"] == "paper"]
    tasks = list(dict.fromkeys(table["task"]))
    if not tasks:
        raise UserError("selection_curve: no task has selected text; run notebook 05 first")
    if axes is None:
        axes = new_grid(1, len(tasks), (1.6 + 3.1 * len(tasks), 3.8))[0]
    axes = np.ravel(np.asarray(axes, dtype=object))
    for ax, task in zip(axes, tasks, strict=True):
        rows = table[table["task"] == task]
        picks = rows[rows["selector"].astype(object).fillna("") != ""]
        sizes = sorted(int(k) for k in picks["k"].dropna().unique())
        selectors = sorted(picks["selector"].unique(), key=lambda name: [*SELECTOR_COLOURS, name].index(name))
        for place, selector in enumerate(selectors):
            part = picks[picks["selector"] == selector].sort_values("k")
            # A few percent apart, so that intervals at one k stay readable.
            x = part["k"].astype(float) * 1.045 ** (place - (len(selectors) - 1) / 2)
            colour = colour_of(selector, SELECTOR_COLOURS, selectors)
            reach = np.abs(part[["low", "high"]].sub(part["mean"], axis=0).fillna(0).to_numpy().T)
            ax.errorbar(x, part["mean"], yerr=reach, color=colour, marker="s" if selector == "random" else "o",
                        ms=5, capsize=2, elinewidth=1, label=selector_title(selector))  # fmt: skip
            for at, row in zip(x, part.itertuples(), strict=True):
                mark_beyond(ax, row, at, colour, upright=True)
        for method, dashes in _LINES.items():
            for row in rows[rows["method"] == method].itertuples():
                colour = METHOD_COLOURS[method]
                ax.axhline(row.mean, color=colour, ls=dashes, lw=1.4, label=method_title(method), zorder=1)
                if method == "dapt" and pd.notna(row.low):
                    ax.axhspan(row.low, row.high, color=colour, alpha=0.08, lw=0)
        ax.set_xscale("log")
        ax.set_xticks(sizes, [str(k) for k in sizes])
        ax.minorticks_off()
        ax.set_xlim(min(sizes) / 1.6, max(sizes) * 1.6)
        score_limits(ax.yaxis)
        ax.set_title(paper.TASK_TITLES.get(task, task))
        ax.set_xlabel("neighbours a task sentence (k)")
    axes[0].set_ylabel("test F1 (%)")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    finish(axes[0], table, where_known(table, "bars: 95% intervals over seeds; band: DAPT's"))
    return axes


def _of(task: str | None) -> str:
    return f": {paper.TASK_TITLES.get(task, task)}" if task else ""


@styled
def vampire_curves(history: pd.DataFrame, axes=None, preset: str | None = None, task: str | None = None):
    """The two terms of VAMPIRE's loss over its training: nats to tell a sentence's words, and the KL divergence.

    history: epoch, word_loss, kl, kl_weight, a row an epoch, as a fitted `Vampire` keeps it. task: named in the title.
    The loss is word_loss + kl_weight * kl. Returns the Axes [2].
    """
    if not len(history):
        raise UserError("vampire_curves: the history has no epoch")
    if axes is None:
        axes = new_grid(1, 2, (7.4, 3.2))[0]
    axes = np.ravel(np.asarray(axes, dtype=object))
    for ax, term, title in zip(axes, ("word_loss", "kl"), ("words, given the topics", "KL to the prior"), strict=True):
        ax.plot(history["epoch"], history[term], color=SELECTOR_COLOURS["vampire"], marker="o", ms=4)
        ax.set_title(title)
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].set_ylabel("nats a sentence")
    axes[0].figure.suptitle("VAMPIRE's loss while it trains" + _of(task))
    top = history["kl_weight"].max()
    finish(
        axes[0], history[["epoch", "word_loss", "kl", "kl_weight"]], f"the KL term's weight rises to {top:.2g}", preset
    )
    return axes


@styled
def similarity_histogram(
    similarities: dict,
    ax=None,
    preset: str | None = None,
    label: str = "cosine similarity",
    task: str | None = None,
):
    """How near selected text lies to the task, beside random text, as densities.

    similarities: name -> numbers, e.g. {'vampire': ..., 'random': ...}. label: what the numbers are. task: named in
    the title. Returns the Axes.
    """
    values = {name: np.asarray(one, float)[np.isfinite(np.asarray(one, float))] for name, one in similarities.items()}
    values = {name: one for name, one in values.items() if len(one)}
    if not values:
        raise UserError("similarity_histogram: there are no similarities to show")
    ax = new_axes(ax, (6, 3.4))
    every = np.concatenate(list(values.values()))
    low, high = float(every.min()), float(every.max())
    edges = np.linspace(low, high if high > low else low + 1e-6, 41)
    density, rows = {name: np.histogram(one, edges, density=True)[0] for name, one in values.items()}, []
    for name, heights in density.items():
        colour = colour_of(name, SELECTOR_COLOURS, values)
        title = f"{selector_title(name)} ({len(values[name]):,})"
        ax.stairs(heights, edges, fill=True, color=colour, alpha=0.35)
        ax.stairs(heights, edges, color=colour, lw=1.4, label=title)
        ax.axvline(float(np.median(values[name])), color=colour, lw=1, ls="--")
        rows.append(pd.DataFrame({"name": name, "from": edges[:-1], "to": edges[1:], "density": heights}))
    ax.set_xlabel(label)
    ax.set_ylabel("density")
    ax.set_title("How near the selected text lies to the task" + _of(task))
    ax.legend()
    finish(ax, pd.concat(rows, ignore_index=True), "dashed: medians", preset)
    return ax


@styled
def text_map(points: pd.DataFrame, ax=None, preset: str | None = None, task: str | None = None):
    """Task, selected and domain text in two dimensions.

    points: one row a text with x, y and kind ('domain', 'random', 'selected', 'task', or names of your own);
    the first kind listed lies lowest. task: named in the title. Returns the Axes.
    """
    for column in ("x", "y", "kind"):
        if column not in points:
            raise UserError(f"text_map: the points have no column {column!r}")
    known = {"domain": "#c9c9c9", "random": "#777777", "selected": "#de8f05", "task": "#0173b2"}
    first = [name for name in known if name in set(points["kind"])]
    kinds = [*[name for name in dict.fromkeys(points["kind"]) if name not in first], *first]
    ax = new_axes(ax, (6, 5))
    for kind in kinds:
        part = points[points["kind"] == kind]
        small = kind == "domain" or len(part) > 2000
        ax.scatter(part["x"], part["y"], s=6 if small else 14, color=colour_of(kind, known, kinds), alpha=0.7, lw=0,
                   label=f"{kind} ({len(part):,})", rasterized=len(part) > 2000)  # fmt: skip
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title("Task, selected and domain text" + _of(task))
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, markerscale=1.6)
    finish(ax, points, preset=preset)
    return ax


@styled
def cost_scatter(table: pd.DataFrame, x: str = "seconds", task: str | None = None, ax=None):
    """F1 against what the adaptation costs, one point a method, the base as a line. Paper: Table 9.

    table: `cost_table`. x: steps, documents, tokens, bytes or seconds. task: which task, by default the first with
    selected text, else the first. Returns the Axes.
    """
    if x not in _COSTS:
        raise UserError(f"cost_scatter: x={x!r}; expected one of {', '.join(_COSTS)}")
    table = table[table["recipe"] == "paper"]
    picked = table[table["method"].map(split_selection).notna()]
    task = task or (picked if len(picked) else table)["task"].iloc[0]
    rows = table[table["task"] == task]
    costly = rows[rows[x].notna() & (rows[x] > 0)].sort_values(x)
    ax = new_axes(ax, (6.8, 4.2))
    ax.set_xscale("log")
    for row in costly.itertuples():
        selection = split_selection(row.method)
        known, name = (SELECTOR_COLOURS, selection[0]) if selection else (METHOD_COLOURS, row.method)
        colour = colour_of(name, known, costly["method"])
        spend = getattr(row, x)
        if pd.notna(row.low):
            ax.plot([spend, spend], [row.low, row.high], color=colour, lw=1.2, alpha=0.7)
            mark_beyond(ax, row, spend, colour, upright=True)
        ax.scatter(spend, row.mean, color=colour, s=48, marker="s" if selection else "o", zorder=3)
    for row in rows[rows["method"] == "base"].itertuples():
        ax.axhline(row.mean, color=METHOD_COLOURS["base"], ls=":", lw=1.4)
        ax.text(0.995, row.mean, "base", transform=ax.get_yaxis_transform(), ha="right", va="bottom", fontsize=8,
                color=METHOD_COLOURS["base"])  # fmt: skip
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.minorticks_off()
    ax.margins(x=0.16, y=0.1)
    score_limits(ax.yaxis)
    name_points(ax, costly[x], costly["mean"], [method_title(name) for name in costly["method"]])
    ax.set_xlabel(f"{_COSTS[x]} (log scale)")
    ax.set_ylabel("test F1 (%)")
    ax.set_title(f"What the gain costs{_of(task)}")
    finish(ax, rows, where_known(rows, "lines: 95% intervals over seeds"))
    return ax
