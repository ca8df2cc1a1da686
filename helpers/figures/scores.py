"""Figures of F1: methods, seeds, transfer, leaks, and the verdict on each claim (Paper: Tables 3, 5, 6)."""

import numpy as np
import pandas as pd

from helpers import paper
from helpers.data.registry import TASKS
from helpers.errors import UserError
from helpers.figures.style import (
    METHOD_COLOURS,
    PAPER_COLOUR,
    VERDICT_COLOURS,
    colour_of,
    domain_title,
    finish,
    mark_beyond,
    new_axes,
    new_grid,
    score_limits,
    styled,
    where_known,
)
from helpers.methods import CLAIMS, method_order, method_title
from helpers.results.claims import EVERY_DOMAIN
from helpers.results.loss_claims import LOSS_CLAIMS
from helpers.results.numbers import interval
from helpers.results.overlap_claims import FARTHER, ORDER
from helpers.results.render import score
from helpers.results.verdicts import VERDICT_TITLES

CLAIM_TITLES = {
    **{name: claim.title for name, claim in CLAIMS.items()}, **LOSS_CLAIMS,
    EVERY_DOMAIN: "DAPT beats the base in every domain", FARTHER: "farther domains gain more",
    ORDER: "domains share words with PT in the paper's order",
}  # fmt: skip
_EFFECTS = {
    "f1": "F1 points; of distance: points for 10% fewer shared words", "log_loss": "log loss of the right label, nats",
    "text_loss": "masked-LM loss of the tasks' dev text, nats", "domain_loss": "masked-LM loss, nats",
    "overlap": "% of the top words",
}  # fmt: skip


@styled
def method_scores(table: pd.DataFrame, records: pd.DataFrame | None = None, axes=None):
    """F1 of every method, one panel a task: mean and interval, the single seeds, the paper's value apart.

    table: `score_table`. records: `load_records`, for the seeds' own marks; a
    degenerate seed is a cross. The paper's base model is another, so its values stand in a narrow panel of their
    own, with their own axis, beside each task it has numbers for. Returns the Axes [tasks] of our own scores.
    """
    tasks = list(dict.fromkeys(table["task"]))
    if not tasks:
        raise UserError("method_scores: the table has no rows; fine-tune something first")
    printed = table["paper_mean"].notna().any()
    if axes is None:
        height = 0.9 + sum(0.45 + 0.24 * _rows_of(table, task).shape[0] for task in tasks)
        ratios = [0.45 + 0.24 * len(_rows_of(table, task)) for task in tasks]
        how = {"height_ratios": ratios} | ({"width_ratios": [3.2, 1]} if printed else {})
        axes = new_grid(len(tasks), 2 if printed else 1, (7.5, height), gridspec_kw=how)
    axes = np.reshape(np.asarray(axes, dtype=object), (len(tasks), -1))
    for place, (task, row) in enumerate(zip(tasks, axes, strict=True)):
        rows = _rows_of(table, task)
        _draw_methods(row[0], rows, records)
        row[0].set_title(f"{_task_title(task)} ({rows['metric'].iloc[0].replace('_f1', '-F1')})")
        if len(row) > 1:
            _draw_paper(row[1], rows)
            row[1].set_title("the paper" if place == 0 else "", fontweight="normal", color="#777777")
    axes[-1, 0].set_xlabel("test F1 (%)")
    note = where_known(table, "mean and 95% interval over seeds, dots: single seeds")
    finish(axes[0, 0], table, f"{note}; the paper's ± sd" if printed else note)
    return axes[:, 0]


@styled
def seed_spread(records: pd.DataFrame, methods=None, ax=None):
    """Every seed's test score less its method's mean: how far chance alone moves a score, degenerate seeds crossed.

    records: `load_records`. methods: which to show; None for all that select no text. Returns the Axes.
    """
    keys = ["task", "method", "recipe"]
    shown = records["method"].isin(METHOD_COLOURS if methods is None else list(methods))
    records = records[shown & (records["recipe"] == "paper")]
    rows = records.assign(away=records["score"] - records.groupby(keys)["score"].transform("mean"))
    tasks = [task for task in paper.TASK_TITLES if task in set(rows["task"])]
    tasks += [task for task in dict.fromkeys(rows["task"]) if task not in tasks]
    methods = sorted(rows["method"].unique(), key=lambda name: (method_order(name), name))
    ax = new_axes(ax, (7, 1.2 + 0.55 * len(tasks)))
    for i, task in enumerate(tasks):
        for j, method in enumerate(methods):
            part = rows[(rows["task"] == task) & (rows["method"] == method)]
            y = i + (j - (len(methods) - 1) / 2) * 0.75 / max(len(methods), 1)
            colour = colour_of(method, METHOD_COLOURS, methods)
            for bad, marker in ((False, "o"), (True, "x")):
                one = part[part["degenerate"].astype(bool) == bad]
                ax.scatter(one["away"], np.full(len(one), y), s=18, marker=marker, color=colour, lw=1.3,
                           label=method_title(method) if i == 0 and not bad else None)  # fmt: skip
    ax.axvline(0, color="#bbbbbb", lw=0.8)
    ax.set_yticks(range(len(tasks)), [_task_title(task) for task in tasks])
    ax.set_ylim(len(tasks) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("test F1 of a seed minus its method's mean (points)")
    ax.set_title("Spread of single seeds")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    kept = [name for name in (*keys, "seed", "score", "away", "degenerate", "preset", "base_model") if name in rows]
    finish(ax, rows[kept], "cross: a seed that predicts one class only")
    return ax


@styled
def transfer_dumbbell(table: pd.DataFrame, ax=None):
    """From TAPT on a task's own text to TAPT on its partner's, one line a task; the paper's change beside it.

    table: `score_table` of TABLE_6. A partner of another domain, which the paper has none of, is drawn hollow and its
    domain named. Returns the Axes. Paper: Table 6.
    """
    wide = {name: table[(table["method"] == name) & (table["recipe"] == "paper")].set_index("task")
            for name in ("tapt", "transfer_tapt")}  # fmt: skip
    tasks = [task for task in dict.fromkeys(table["task"]) if all(task in rows.index for rows in wide.values())]
    ax = new_axes(ax, (7.5, 1.5 + 0.5 * len(tasks)))
    known = {name: spec.domain for name, spec in TASKS.items()}
    domains = known | dict(zip(table["task"], table["domain"], strict=True))
    labels = []
    for y, task in enumerate(tasks):
        own, other = (wide[name].loc[task] for name in ("tapt", "transfer_tapt"))
        partner = str(other["corpus"])
        crosses = domains.get(partner) not in (None, own["domain"])
        abroad = f", {domain_title(domains[partner])}" if crosses else ""
        labels.append(f"{_task_title(task)}\non {_task_title(partner)}{abroad}")
        ax.plot([own["mean"], other["mean"]], [y, y], color="#bbbbbb", lw=2.5, zorder=1)
        for cell, method, shift in ((own, "tapt", -0.14), (other, "transfer_tapt", 0.14)):
            colour = METHOD_COLOURS[method]
            if pd.notna(cell["low"]):
                ax.plot([cell["low"], cell["high"]], [y + shift] * 2, color=colour, lw=1, alpha=0.7)
                mark_beyond(ax, cell, y + shift, colour)
            label = {"tapt": "TAPT on its own text", "transfer_tapt": "TAPT on the partner's"}[method]
            face = "white" if crosses and method == "transfer_tapt" else colour
            ax.scatter(cell["mean"], y, facecolor=face, edgecolor=colour, lw=1.6, s=48, zorder=3,
                       label=label if y == 0 else None)  # fmt: skip
        told = interval(other["mean"] - own["mean"], np.nan, np.nan)
        if pd.notna(own["paper_mean"]) and pd.notna(other["paper_mean"]):
            told += f"   paper {interval(other['paper_mean'] - own['paper_mean'], np.nan, np.nan)}"
        ax.text(1.02, y, told, transform=ax.get_yaxis_transform(), va="center", fontsize=8.5)
    ax.set_yticks(range(len(tasks)), labels)
    ax.set_ylim(len(tasks) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    score_limits(ax.xaxis)
    ax.set_xlabel("test F1 (%)")
    ax.set_title("Transfer-TAPT: adapting to another task's text")
    if tasks:
        ax.legend(loc="lower left", bbox_to_anchor=(0, -0.02), ncols=2, framealpha=0.9)
        ax.set_ylim(len(tasks) + 0.1, -0.6)
    both = table[table["method"].isin(["tapt", "transfer_tapt"])]
    note = where_known(both, "thin lines: 95% intervals")
    finish(ax, both, f"{note}; hollow: text of another domain; right: the change")
    return ax


@styled
def leak_bars(audit: pd.DataFrame, ax=None, preset: str | None = None):
    """Percent of a task's dev and test rows whose text is in its train split, exact and near duplicates.

    audit: `helpers.data.audit` of one or more tasks, with a `task` column when there are several. Returns the Axes.
    """
    rows = audit[(audit["against"] == "train") & (audit["held"] != "train")]
    rows = rows.assign(task=rows["task"] if "task" in rows else "")
    names = [f"{_task_title(r.task)} {r.held}".strip() for r in rows.itertuples()]
    ax = new_axes(ax, (6.5, 1.1 + 0.3 * len(rows)))
    place = np.arange(len(rows))
    ax.barh(place, rows["exact_percent"], color="#c0392b", height=0.7, label="word for word")
    ax.barh(place, rows["near_percent"], left=rows["exact_percent"], color="#e8b4ac", height=0.7, label="nearly")
    for y, row in zip(place, rows.itertuples(), strict=True):
        found = row.exact + row.near
        ax.text(row.exact_percent + row.near_percent, y, f" {found} of {row.rows}", va="center", fontsize=8)
    ax.set_yticks(place, names)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(0, max(5.0, 1.22 * float((rows["exact_percent"] + rows["near_percent"]).max() or 0)))
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("rows whose text is in train (%)")
    ax.set_title("Evaluation text that training has seen")
    if len(rows):
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    finish(ax, rows, preset=preset)
    return ax


@styled
def leak_scores(table: pd.DataFrame, ax=None):
    """F1 on all test rows and on those whose text is not in train, for the tasks that leak.

    table: a score table. Returns the Axes; it says so when no task leaks.
    """
    rows = table[(table["leaked"] > 0) & (table["recipe"] == "paper")].reset_index(drop=True)
    ax = new_axes(ax, (6.5, 1.3 + 0.27 * max(len(rows), 1)))
    for y, row in enumerate(rows.itertuples()):
        colour = colour_of(row.method, METHOD_COLOURS)
        ax.plot([row.mean, row.mean_without_leaked], [y, y], color="#cccccc", lw=2, zorder=1)
        ax.scatter(row.mean, y, color=colour, s=36, zorder=3, label="all rows" if y == 0 else None)
        ax.scatter(row.mean_without_leaked, y, facecolors="white", edgecolors=colour, s=36, zorder=3, linewidths=1.4,
                   label="without leaked rows" if y == 0 else None)  # fmt: skip
    ax.set_yticks(range(len(rows)), [f"{_task_title(r.task)}  {method_title(r.method)}" for r in rows.itertuples()])
    ax.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    score_limits(ax.xaxis)
    ax.set_xlabel("test F1 (%)")
    ax.set_title("Scores with and without test text seen in training")
    if len(rows):
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    else:
        ax.text(0.5, 0.5, "no test text is in train", transform=ax.transAxes, ha="center", va="center")
        ax.set_axis_off()
    finish(ax, rows if len(rows) else table)
    return ax


_CLAIM_COLUMNS = ("claim", "measure", "scope", "recipe", "task", "domain", "verdict", "effect", "low", "high",
                  "paper_effect", "control_effect")  # fmt: skip


@styled
def claims_plot(claims: pd.DataFrame, recipe: str = "paper", scope: str = "all", measure: str = "f1", ax=None):
    """Effect and 95% interval of every claim, coloured by its verdict; the paper's effect hollow.

    claims: `helpers.results.claims`. recipe: of the claims on F1 and log loss. scope: 'all' (one line a claim),
    'domain' or 'task' (a line each). measure: what the effects are differences of, see `verdicts.MEASURES`. The paper's
    direction is to the right. Returns the Axes. Raises UserError for another measure, or a table of another version.
    """
    if measure not in _EFFECTS:
        raise UserError(f"claims_plot: measure={measure!r}; expected one of {', '.join(_EFFECTS)}")
    if missing := [name for name in _CLAIM_COLUMNS if name not in claims]:
        raise UserError(
            f"claims_plot: the table has no column {missing[0]!r}, so another version wrote it; run notebook 06 again"
        )
    chosen = (claims["measure"] == measure) & (claims["scope"] == scope)
    rows = claims[chosen & claims["recipe"].astype(object).fillna("").isin([recipe, ""])].reset_index(drop=True)
    ax = new_axes(ax, (8.6, 1.3 + 0.34 * max(len(rows), 1)))
    digits = 1 if measure == "f1" else 2
    for y, row in enumerate(rows.itertuples()):
        colour = VERDICT_COLOURS[row.verdict]
        if pd.notna(row.low):
            ax.plot([row.low, row.high], [y, y], color=colour, lw=2.2, solid_capstyle="butt")
        if pd.notna(row.effect):
            ax.scatter(row.effect, y, color=colour, s=42, zorder=3)
        if pd.notna(row.paper_effect):
            ax.scatter(row.paper_effect, y, s=42, facecolors="none", edgecolors=PAPER_COLOUR, linewidths=1.2, zorder=4)
        if pd.notna(row.control_effect):
            ax.scatter(row.control_effect, y, s=34, marker="|", color="black", lw=1.5, zorder=4)
        told = f"{interval(row.effect, row.low, row.high, digits)}  {VERDICT_TITLES[row.verdict]}".strip()
        ax.text(1.015, y, told, transform=ax.get_yaxis_transform(), va="center", fontsize=8, color=colour)
    ax.axvline(0, color="black", lw=0.8)
    names = [CLAIM_TITLES.get(r.claim, r.claim) + _scope_title(r) for r in rows.itertuples()]
    ax.set_yticks(range(len(rows)), names)
    ax.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(f"effect in the paper's direction ({_EFFECTS[measure]})")
    frozen = recipe == "frozen" and measure == "f1"
    ax.set_title("The paper's claims" + (", frozen read-out" if frozen else ""))
    ring = "the paper's effect" + (" by fine-tuning" if frozen else "")
    finish(ax, rows, f"bar: 95% interval, ring: {ring}, tick: gain from shuffled words")
    return ax


def _draw_methods(ax, rows: pd.DataFrame, records: pd.DataFrame | None) -> None:
    for y, row in enumerate(rows.itertuples()):
        colour = colour_of(row.method, METHOD_COLOURS, rows["method"])
        if records is not None:
            same = (records["task"] == row.task) & (records["method"] == row.method) & (records["recipe"] == row.recipe)
            seeds = records[same & (records["preset"] == row.preset) & (records["base_model"] == row.base_model)]
            for bad, marker in ((False, "o"), (True, "x")):
                part = seeds[seeds["degenerate"].astype(bool) == bad]
                ax.scatter(part["score"], np.full(len(part), y), s=13, marker=marker, color=colour, alpha=0.55, lw=1)
        if pd.notna(row.low):
            ax.plot([row.low, row.high], [y, y], color=colour, lw=1.8, alpha=0.8)
            mark_beyond(ax, row, y, colour)
        strong = row.recipe != "paper"
        ax.scatter(row.mean, y, s=48, color="white" if strong else colour, edgecolors=colour, lw=1.5,
                   marker="D" if strong else "o", zorder=3)  # fmt: skip
        ax.text(1.01, y, score(row.mean, row.sd), transform=ax.get_yaxis_transform(), fontsize=7.5, va="center")
    score_limits(ax.xaxis)
    ax.set_yticks(range(len(rows)), [method_title(r.method, r.recipe) for r in rows.itertuples()])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)


def _draw_paper(ax, rows: pd.DataFrame) -> None:
    for y, row in enumerate(rows.itertuples()):
        if pd.isna(row.paper_mean):
            continue
        sd = 0 if pd.isna(row.paper_sd) else row.paper_sd
        ax.plot([row.paper_mean - sd, row.paper_mean + sd], [y, y], color="#999999", lw=1)
        ax.scatter(row.paper_mean, y, s=36, facecolors="white", edgecolors=PAPER_COLOUR, linewidths=1.2, zorder=3)
    ax.set_yticks(range(len(rows)), [])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.margins(x=0.12)
    score_limits(ax.xaxis)
    ax.locator_params(axis="x", nbins=3, steps=[1, 2, 5, 10])
    low, high = ax.get_xlim()
    inside = [tick for tick in ax.get_xticks() if low <= tick <= high]
    ax.set_xticks(sorted({*inside[:1], *inside[-1:]}))  # more would run together in so narrow a panel
    ax.grid(axis="y", visible=False)
    if rows["paper_mean"].isna().all():
        ax.text(0.5, 0.5, "no numbers", transform=ax.transAxes, ha="center", va="center", color="#999999", fontsize=8)
        ax.set_xticks([])


def _rows_of(table: pd.DataFrame, task: str) -> pd.DataFrame:
    return table[table["task"] == task]


def _task_title(task: str) -> str:
    return paper.TASK_TITLES.get(task, task)


def _scope_title(row) -> str:
    named = _task_title(row.task) if row.scope == "task" else row.domain if row.scope == "domain" else ""
    return f": {named}" if named else ""
