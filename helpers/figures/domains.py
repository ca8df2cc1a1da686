"""Figures about domains: shared words, typical words, masked-LM loss (Paper: Figure 2, Tables 1 and 12)."""

import numpy as np
import pandas as pd

from helpers import paper
from helpers.data.registry import TASKS
from helpers.figures.labels import name_points
from helpers.figures.style import (
    DOMAIN_COLOURS,
    PAPER_COLOUR,
    colour_of,
    domain_title,
    finish,
    heat_map,
    new_axes,
    new_grid,
    styled,
    wide_title,
)
from helpers.methods import method_title

_ORDER = tuple(dict.fromkeys(paper.table("figure2")["a"]))  # rows and columns as the paper's figure has them


@styled
def overlap_heatmap(table: pd.DataFrame, definition: str = "text", ax=None, preset: str | None = None):
    """Percent of words every two domains share, the paper's value below ours. Paper: Figure 2.

    table: `overlap_table` or `overlap_matrix`. definition: 'text' (the paper's) or 'script'. Returns the Axes.
    """
    rows = table[table["definition"] == definition]
    value = "mean" if "mean" in rows else "percent"
    names = _in_order(pd.unique(rows[["a", "b"]].to_numpy().ravel()))
    grid = rows.pivot(index="a", columns="b", values=value).reindex(index=names, columns=names)
    printed = rows.set_index(["a", "b"])["paper_mean"] if "paper_mean" in rows else pd.Series(dtype=float)
    ax = new_axes(ax, (1.2 + 0.95 * len(names), 0.9 + 0.85 * len(names)))
    off_diagonal = grid.to_numpy(float)[~np.eye(len(names), dtype=bool)]
    top = np.nanmax(off_diagonal) if np.isfinite(off_diagonal).any() else 100.0
    cells = grid.map("{:.1f}".format, na_action="ignore").astype(object).fillna("")
    for a, b in printed.dropna().index:
        if a != b and a in names and b in names and cells.loc[a, b]:
            cells.loc[a, b] += f"\n({printed[a, b]:.1f})"
    # The diagonal is 100 by definition; the scale ends at the largest overlap of two different domains.
    _heat_map(grid, cells, ax, cmap="Blues", vmin=0, vmax=max(top * 1.15, 1))
    counted = "words"
    if "unit" in rows and len(units := rows["unit"].dropna().unique()):
        counted = " and ".join(sorted(units, reverse=True))  # 'words', or 'character pairs' in scripts without spaces
    what = f"top {counted} shared" if definition == "text" else f"Jaccard of all {counted}, the script's way"
    wide_title(ax, f"Vocabulary overlap: % of {what}" if definition == "text" else f"Vocabulary overlap: {what}, %")
    finish(ax, rows, "in brackets: the paper's Figure 2" if printed.notna().any() else "", preset)
    return ax


@styled
def typical_words_bars(table: pd.DataFrame, other: str = "generic", axes=None, preset: str | None = None):
    """Words that tell each domain from another text, as bars of their log-odds in standard errors, a panel a domain.

    table: `helpers.overlap.typical_words` of each domain (side a) and `other` (side b), with a column `domain`.
    Returns the Axes [domains].
    """
    domains = list(dict.fromkeys(table["domain"]))
    panels = {name: rows.sort_values("z", ignore_index=True) for name, rows in table.groupby("domain")}
    if axes is None:
        height = 1.0 + 0.19 * max(map(len, panels.values()))
        axes = new_grid(1, len(domains), (0.4 + 2.6 * len(domains), height))[0]
    axes = np.ravel(np.asarray(axes, dtype=object))
    for ax, name in zip(axes, domains, strict=True):
        rows = panels[name]
        sides = {"a": name, "b": other}
        colours = [colour_of(sides[side], DOMAIN_COLOURS, domains) for side in rows["side"]]
        ax.barh(np.arange(len(rows)), rows["z"], color=colours, height=0.75)
        ax.set_yticks(np.arange(len(rows)), rows["word"])
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.grid(axis="y", visible=False)
        ax.set_xlabel("log-odds (standard errors)")
        ax.set_title(f"{domain_title(other)} ← → {domain_title(name)}")
    finish(axes[0], table, "words that stand more often in the domain to the right", preset)
    return axes


@styled
def loss_curves(history: pd.DataFrame, ax=None, preset: str | None = None):
    """Masked-LM loss while adapting: training loss thin, held-out loss with marks.

    history: one row a logged step with step, loss and, if measured, heldout_loss; columns method and corpus tell
    the runs apart, and `seed` several adaptations of one, which share a colour and a name. Returns the Axes.
    """
    keys = [name for name in ("method", "corpus", "task") if name in history]
    ax = new_axes(ax, (7, 4))
    runs = list(history.groupby(keys, sort=False)) if keys else [((), history)]
    names = [" ".join(dict.fromkeys(_run_titles(keys, key))) for key, _ in runs]
    colours = [_run_colour(key, name, names) for (key, _), name in zip(runs, names, strict=True)]
    for (_, runs_of_name), name, colour in zip(runs, names, colours, strict=True):
        label = name or "training"
        for _, run in runs_of_name.groupby("seed", sort=False) if "seed" in history else [((), runs_of_name)]:
            heldout = run.dropna(subset=["heldout_loss"]) if "heldout_loss" in run else run.iloc[:0]
            trained = run.dropna(subset=["loss"])
            named = None if len(heldout) else label
            ax.plot(trained["step"], trained["loss"], color=colour, lw=1, alpha=0.55, label=named)
            if len(heldout):
                ax.plot(heldout["step"], heldout["heldout_loss"], color=colour, marker="o", ms=4, label=label)
            label = None  # the legend names them once
    ax.set_xlabel("update")
    ax.set_ylabel("masked-LM loss (nats)")
    ax.set_title("Masked-LM loss while adapting")
    if len(runs) > 1 or names[0]:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    marked = "heldout_loss" in history and history["heldout_loss"].notna().any()
    finish(ax, history, "thin: training text, marks: held-out text" if marked else "", preset)
    return ax


@styled
def loss_matrix_heatmap(table: pd.DataFrame, ax=None, preset: str | None = None):
    """Masked-LM loss of every model on every sample; colour is the change from the base. Paper: Table 12.

    table: `mlm_loss_table`. Returns the Axes.
    """
    models = [name for name in ("base", *(f"dapt_{d}" for d in _ORDER)) if name in set(table["model"])]
    models += [name for name in dict.fromkeys(table["model"]) if name not in models]
    samples = _in_order(table["sample"].unique())
    change = table.pivot(index="model", columns="sample", values="change").reindex(index=models, columns=samples)
    reach = max(float(np.nanmax(np.abs(change.to_numpy(float)), initial=0.0)), 1e-3)
    ax = new_axes(ax, (1.9 + 1.05 * len(samples), 0.9 + 0.72 * len(models)))
    cells = table.pivot(index="model", columns="sample", values=["mean", "paper_mean"])
    printed = cells["paper_mean"].map("\n({:.2f})".format, na_action="ignore").astype(object).fillna("")
    cells = cells["mean"].map("{:.2f}".format, na_action="ignore").astype(object).fillna("") + printed
    cells = cells.reindex(index=models, columns=samples)
    _heat_map(change, cells, ax, cmap="RdBu_r", vmin=-reach, vmax=reach)
    for column, sample in enumerate(samples):
        if f"dapt_{sample}" in models:
            ax.add_patch(_frame(column, models.index(f"dapt_{sample}")))
    ax.set_xlabel("held-out sample")
    wide_title(ax, "Masked-LM loss; blue: lower than the base's")
    finish(ax, table, "framed: a model on its own domain; in brackets: the paper's Table 12", preset)
    return ax


@styled
def gain_vs_overlap(scores: pd.DataFrame, overlap: pd.DataFrame, ax=None, preset: str | None = None):
    """Gain of DAPT over the base against how many words the domain shares with PT, one point a task.

    scores: `score_table` with DAPT and base. overlap: `overlap_table`. The paper's tasks stand beside ours as hollow
    marks, at the paper's own overlap. Returns the Axes. Paper: section 3.1, Figure 2, Table 3.
    """
    column = "mean" if "mean" in overlap else "percent"
    rows = overlap[(overlap["definition"] == "text") & (overlap["a"] == "generic")]
    ours = _gains(scores).assign(x=lambda t: t["domain"].map(dict(zip(rows["b"], rows[column], strict=True))))
    figure = paper.table("figure2").query("a == 'generic'").set_index("b")["value"]
    theirs = _paper_gains().assign(x=lambda t: t["domain"].map(figure))
    ax = _gain_scatter(ours, theirs, new_axes(ax, (7, 4.4)))
    ax.set_xlabel("words shared with PT (% of the top words): farther domains to the left")
    ax.set_title("Gain of DAPT against vocabulary overlap with PT")
    finish(ax, pd.concat([ours, theirs]), "hollow: the paper's tasks", preset or _preset(scores))
    return ax


@styled
def gain_vs_loss_change(scores: pd.DataFrame, losses: pd.DataFrame, ax=None, preset: str | None = None):
    """Gain of DAPT over the base against how far it lowered the domain's masked-LM loss, one point a task.

    scores: `score_table` with DAPT and base. losses: `mlm_loss_table`. The eight points of the official repository's
    scatter.pdf stand beside ours as hollow marks. Returns the Axes.
    """
    own = losses[losses["model"] == "dapt_" + losses["sample"]].set_index("sample")["change"]
    ours = _gains(scores).assign(x=lambda t: -t["domain"].map(own))
    points = paper.table("scatter").pivot(index="task", columns="quantity", values="value")
    theirs = _paper_gains().assign(x=lambda t: t["task"].map(points["loss_change"]))
    theirs["gain"] = theirs["task"].map(points["gain"])
    ax = _gain_scatter(ours, theirs, new_axes(ax, (7, 4.4)))
    ax.axvline(0, color="#bbbbbb", lw=0.8)
    ax.set_xlabel("fall of the masked-LM loss on the domain (nats)")
    ax.set_title("Gain of DAPT against its masked-LM loss")
    finish(ax, pd.concat([ours, theirs]), "hollow: the official repository's points", preset or _preset(scores))
    return ax


def _gains(scores: pd.DataFrame) -> pd.DataFrame:
    """F1 of DAPT minus the base's, one row a task: task, domain, gain, whose."""
    rows = scores[scores["recipe"] == "paper"].pivot_table(index=["task", "domain"], columns="method", values="mean")
    both = rows.reindex(columns=["dapt", "base"]).dropna()
    return (both["dapt"] - both["base"]).rename("gain").reset_index().assign(whose="this run")


def _paper_gains() -> pd.DataFrame:
    printed = paper.table("table3").pivot(index="task", columns="method", values="mean")
    gains = (printed["dapt"] - printed["base"]).rename("gain").reset_index()
    return gains.assign(domain=[TASKS[task].domain for task in gains["task"]], whose="the paper")


def _gain_scatter(ours: pd.DataFrame, theirs: pd.DataFrame, ax):
    for rows, hollow in ((theirs, True), (ours, False)):
        colours = [colour_of(domain, DOMAIN_COLOURS, rows["domain"]) for domain in rows["domain"]]
        face = "none" if hollow else colours
        ax.scatter(rows["x"], rows["gain"], s=46, facecolors=face, edgecolors=colours, linewidths=1.4, zorder=3)
    ax.axhline(0, color="#bbbbbb", lw=0.8)
    ax.margins(x=0.14, y=0.12)
    points = pd.concat([ours, theirs], ignore_index=True)
    colours = np.where(points["whose"] == "this run", PAPER_COLOUR, "#777777")
    name_points(ax, points["x"], points["gain"], [paper.TASK_TITLES.get(t, t) for t in points["task"]], colours)
    ax.set_ylabel("gain of DAPT over the base (F1 points)")
    return ax


def _run_titles(columns, key) -> list[str]:
    """A run's method, corpus and task as tables name them: 'DAPT', 'CS'."""
    titles = {"method": method_title, "corpus": domain_title}
    named = [titles.get(column, str)(str(value)) for column, value in zip(columns, key, strict=True)]
    return [paper.TASK_TITLES.get(name, name) for name in named]


def _run_colour(key, name: str, names) -> str:
    for word in key:
        if (domain := str(word).split()[0]) in DOMAIN_COLOURS:
            return DOMAIN_COLOURS[domain]
    return colour_of(name, {}, names)


def _preset(scores: pd.DataFrame) -> str | None:
    return " and ".join(sorted(scores["preset"].unique())) if "preset" in scores else None


def _in_order(names) -> list[str]:
    names = list(dict.fromkeys(names))
    return [name for name in _ORDER if name in names] + [name for name in names if name not in _ORDER]


def _heat_map(grid: pd.DataFrame, cells: pd.DataFrame, ax, **colours) -> None:
    """One of domains and models, by their titles."""
    named, texts = (frame.rename(index=domain_title, columns=domain_title) for frame in (grid, cells))
    heat_map(ax, named, texts, **colours)


def _frame(x: int, y: int):
    from matplotlib.patches import Rectangle

    return Rectangle((x + 0.02, y + 0.02), 0.96, 0.96, fill=False, edgecolor="black", lw=1.4)
