"""A sentence or two of what a table says, by the columns it has: for tables in notebooks and figures in the report."""

import numpy as np
import pandas as pd

from helpers.errors import counted
from helpers.methods import BASELINES, method_title, selector_title
from helpers.results.overlap_claims import paper_shares, shared_with_pt
from helpers.results.sentences import (
    adaptations,
    advice,
    foretold,
    leaks,
    losses_at_home,
    tally,
    verdicts_with_chance,
)

_AXES = ("mean", "effect", "gain", "loss", "value")  # what another table is about, the first that it has


def caption(frame: pd.DataFrame) -> str:
    """A sentence or two of what a table says, by the first of RULES that fits; else its extremes; '' without numbers.

    frame: a table of this room, or one that a figure was drawn from.

    >>> caption(pd.DataFrame({"task": ["a", "b"], "method": ["tapt", "dapt"], "effect": [1.0, -2.0]}))
    'Effect: highest: 1.0 (a, TAPT); lowest: -2.0 (b, DAPT).'
    """
    if not len(frame):
        return ""
    for columns, say in RULES:
        if columns <= set(frame.columns) and (said := say(frame)) is not None:
            return said
    if {"task", "method"} <= set(frame):
        value = next((name for name in _AXES if name in frame), None)
        return _extremes(frame, value, ("task", "method"), of=f"{value}: ") if value else ""
    numbers = [name for name in frame if pd.api.types.is_float_dtype(frame[name])]
    value = next((name for name in _AXES if name in numbers), numbers[-1] if numbers else None)
    labels = tuple(name for name in frame if pd.api.types.is_string_dtype(frame[name]) and frame[name].nunique() > 1)
    return _extremes(frame, value, labels[:2], digits=2, of=f"{value}: ".replace("_", " ")) if value else ""


def _verdicts(claims: pd.DataFrame) -> str:
    return tally(claims) if (claims["scope"] == "all").any() else contrasts(claims)


def contrasts(claims: pd.DataFrame) -> str:
    """How many contrasts on single tasks or domains lie surely above zero, below it, or show neither.

    A contrast counts where its p is below 5 %, corrected over the contrasts of its claim.
    """
    known = claims.dropna(subset=["effect"])
    sure = known[known["p_holm"] < 0.05]
    up, down = (sure["effect"] > 0).sum(), (sure["effect"] < 0).sum()
    text = f"Of {counted(len(known), 'contrast')}, {up} surely go the claim's way and {down} against it."
    return f"{text} The other {len(known) - up - down} show neither." if up + down < len(known) else text


def _overlap(table: pd.DataFrame) -> str:
    """The domains from near to far from general text, where that is surely not the paper's order, and the extremes."""
    apart = table[(table["definition"] == table["definition"].iloc[0]) & (table["a"] != table["b"])]
    extremes = _extremes(apart, "mean", ("a", "b"), " %", of="words shared by two: ")
    own, printed = shared_with_pt(table), paper_shares()
    known = sorted((name for name in own if name in printed), key=own.get, reverse=True)
    if len(known) < 2:
        return extremes
    text = "From near to far from general text: " + ", ".join(f"{name} {own[name]:.1f} %" for name in known)
    turned = [
        (near, far) for place, near in enumerate(known) for far in known[place + 1 :] if printed[far] > printed[near]
    ]
    ends = {name: shared_with_pt(table, name) for name in ("low", "high") if name in table}
    sure = [f"{far} lies farther than {near}" for near, far in turned
            if not ends or ends["high"][far] < ends["low"][near]]  # fmt: skip
    against = ", as in the paper."
    if sure:
        against = f"; {' and '.join(sure)}, against the paper's order."
    elif turned:
        against = ", as in the paper but for domains whose intervals overlap."
    return f"{text}{against} {extremes}"


def _losses(table: pd.DataFrame) -> str:
    return losses_at_home(table) or _extremes(table, "mean", ("model", "sample"), digits=2, of="loss: ")


def _fell(adapted: pd.DataFrame) -> str:
    change = (adapted["mlm_loss_after"] - adapted["mlm_loss_before"]).dropna()
    if not len(change):
        return ""
    row, fell = adapted.loc[change.idxmin()], (change < 0).sum()
    what = method_title(str(row["method"])) + (f" on {row['corpus']}" if "corpus" in adapted else "")
    farthest = f", most for {what} ({change.min():+.2f} nats)" if fell else ""
    of = counted(len(change), "adaptation")
    return f"The loss on held-out text of what was read fell in {fell} of {of}{farthest}."


def _worth(table: pd.DataFrame) -> str:
    """Where an adaptation is surely worth labels, and where most of them."""
    models = table[~table["method"].isin(BASELINES)]
    sure = models[models["low"] > 0]
    cases = f"of {counted(len(models), 'case')} (an adaptation at a number of labels)"
    finite = sure[np.isfinite(sure["worth"])]
    if not len(finite):
        return f"In {len(sure) or 'none'} {cases} it is surely worth further labels."
    best = finite.loc[finite["worth"].idxmax()]
    task = f" on {best['task']}" if "task" in table else ""
    return (
        f"In {len(sure)} {cases} it is surely worth further labels; most that the curve can tell: "
        f"{method_title(best['method'])}{task} at {best['labels']:,.0f}, as good as {best['worth']:,.0f} more."
    )


def _changes(table: pd.DataFrame) -> str | None:
    """Mean change of each adapted model from the base over the tasks, with the range; None for a table without both."""
    keys = [name for name in ("task", "recipe", "labels") if name in table]
    base = table[table["method"] == "base"].drop_duplicates(keys).set_index(keys)["mean"].rename("base")
    rows = table[~table["method"].isin(["base", *BASELINES])].join(base, on=keys)
    rows = rows.assign(change=rows["mean"] - rows["base"], recipe=rows.get("recipe", "paper")).dropna(subset=["change"])
    if not len(rows):
        return None
    parts, tasks = [], rows["task"].nunique()
    for (method, recipe), found in rows.groupby(["method", "recipe"], sort=False):
        change, own = found["change"], found["task"].nunique()
        spread = f"{change.min():+z.1f} to {change.max():+z.1f}" if len(change) > 1 else ""
        fewer = f"{own} of them" if own < tasks else ""
        beside = f" ({', '.join(filter(None, (spread, fewer)))})" if spread or fewer else ""
        parts.append(f"{method_title(method, recipe)} {change.mean():+z.1f}{beside}")
    over = counted(tasks, "task")
    if "labels" in rows and rows["labels"].nunique() > 1:
        over += f" and {rows['labels'].nunique()} numbers of labels"
    return f"Mean change of F1 from the base over {over}: {', '.join(parts)}."


def _pairs(table: pd.DataFrame) -> str | None:
    """How often another task's text does less than the own; None for a table of more than these two methods."""
    if set(table["method"]) != {"tapt", "transfer_tapt"}:
        return None
    scores = table.pivot_table(index="task", columns="method", values="mean").dropna()
    change = scores["transfer_tapt"] - scores["tapt"]
    return (
        f"TAPT on another task's text scores below TAPT on the task's own in {(change < 0).sum()} of "
        f"{counted(len(change), 'task')}, by {change.mean():+z.1f} points on average."
    )


def _spread(records: pd.DataFrame) -> str:
    cells = records.groupby(["task", "method"], sort=False)["score"].agg(["min", "max", "size"])
    cells = cells[cells["size"] > 1]
    if not len(cells):
        return "One seed each: nothing is known of how far seeds lie apart."
    task, method = (cells["max"] - cells["min"]).idxmax()
    low, high, _ = cells.loc[(task, method)]
    return f"Farthest apart: the seeds of {method_title(method)} on {task}, {low:.1f} to {high:.1f}."


def _gains(points: pd.DataFrame) -> str:
    ours = points[points["whose"] == "this run"]
    return _extremes(ours, "gain", ("task",), " points", of="gain of DAPT in this run: ")


def _found(pairs: pd.DataFrame) -> str:
    named = pairs.assign(labels=[counted(number, "label") for number in pairs["labels"]])
    return _extremes(named, "gain", ("task", "method", "labels"), " points", of="gain over the base: ")


def _telling_words(words: pd.DataFrame) -> str:
    own = words[words["side"] == "a"].sort_values("z", ascending=False, kind="stable")
    named = own.groupby("domain", sort=False)["word"].agg(lambda some: ", ".join(some.head(3)))
    return "; ".join(f"{domain}: {named[domain]}" for domain in dict.fromkeys(words["domain"])) + "."


def _curves(history: pd.DataFrame) -> str:
    """The fall of the loss on held-out text over each run, where it was measured before and after."""
    parts = []
    for names, run in history.groupby([name for name in ("method", "corpus") if name in history], sort=False):
        held = run["heldout_loss"].dropna()
        if len(held) > 1:
            parts.append(f"{method_title(names[0])} on {names[1]} {held.iloc[0]:.2f} to {held.iloc[-1]:.2f}")
    return f"Loss on held-out text before and after: {'; '.join(parts)}." if parts else ""


def _vampire(history: pd.DataFrame) -> str:
    first, last = history.iloc[0], history.iloc[-1]
    return (
        f"From epoch {first['epoch']:.0f} to {last['epoch']:.0f} the words' loss went from {first['word_loss']:.1f} to "
        f"{last['word_loss']:.1f} nats a sentence, the KL divergence from {first['kl']:.1f} to {last['kl']:.1f}."
    )


def _similarity(histogram: pd.DataFrame) -> str:
    """The median of each histogram, to the width of a bin."""
    parts = []
    for name, bins in histogram.groupby("name", sort=False):
        below = (bins["density"] * (bins["to"] - bins["from"])).cumsum()
        parts.append(f"{selector_title(name)} {bins['to'][below >= 0.5].iloc[0]:.2f}")
    return f"Half of the sentences lie nearer to the task than: {', '.join(parts)}."


def _right(cells: pd.DataFrame) -> str:
    known = cells[cells["true"] == cells["predicted"]].dropna(subset=["percent"])  # a label without test rows has none
    own = known.groupby("method", sort=False)["percent"].mean()
    said = ", ".join(f"{method_title(method)} {percent:.0f} %" for method, percent in own.items())
    return f"Right, mean over the labels: {said}." if said else ""


def _map(points: pd.DataFrame) -> str:
    sizes = points["kind"].value_counts(sort=False)
    return f"Points: {', '.join(f'{size:,} {kind}' for kind, size in sizes.items())}."


RULES = (
    ({"comparison", "unit", "spread", "spread_at_most"}, adaptations),
    ({"unit", "verdict", "verdict_with_chance", "sure_up_to"}, verdicts_with_chance),
    ({"claim", "scope", "verdict"}, _verdicts),
    ({"held", "against", "exact"}, leaks),
    ({"recipe", "predictor", "pairs", "called", "decided", "right"}, foretold),
    ({"task", "question", "answer"}, advice),
    ({"a", "b", "definition", "mean"}, _overlap),
    ({"model", "sample", "mean"}, _losses),
    ({"method", "mlm_loss_before", "mlm_loss_after"}, _fell),
    ({"task", "method", "labels", "worth"}, _worth),
    ({"task", "method", "mean"}, _pairs),
    ({"task", "method", "mean"}, _changes),
    ({"task", "method", "seed", "score"}, _spread),
    ({"task", "gain", "whose"}, _gains),
    ({"task", "method", "labels", "gain", "others"}, _found),
    ({"domain", "side", "word", "z"}, _telling_words),
    ({"method", "corpus", "heldout_loss"}, _curves),
    ({"epoch", "word_loss", "kl"}, _vampire),
    ({"name", "from", "to", "density"}, _similarity),
    ({"method", "true", "predicted", "percent"}, _right),
    ({"kind", "x", "y"}, _map),
)


def _extremes(frame: pd.DataFrame, value: str, labels, unit: str = "", digits: int = 1, of: str = "") -> str:
    frame = frame.dropna(subset=[value]).reset_index(drop=True)
    if not len(frame):
        return ""
    high, low = frame.loc[frame[value].idxmax()], frame.loc[frame[value].idxmin()]

    def said(row) -> str:
        where = ", ".join(_title(row, name) for name in labels)
        return f"{row[value]:z,.{digits}f}{unit}" + (f" ({where})" if where else "")

    text = f"{of}highest: {said(high)}; lowest: {said(low)}."
    return text[0].upper() + text[1:]


def _title(row, name: str) -> str:
    if name == "method":
        return method_title(str(row[name]), str(row.get("recipe", "paper")))
    return str(row[name])
