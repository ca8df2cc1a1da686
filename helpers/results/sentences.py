"""Sentences computed from a run's tables: captions, and the summary at the head of the report."""

import numpy as np
import pandas as pd

from helpers.methods import BASELINES, method_title
from helpers.results.advice import RECIPES
from helpers.results.calibration import PREDICTORS, hit_rates
from helpers.results.overlap_claims import paper_shares, shared_with_pt
from helpers.results.verdicts import MEASURES, VERDICT_TITLES

_AXES = ("mean", "effect", "gain", "loss", "value")  # what a table is about, the first that it has


def caption(frame: pd.DataFrame) -> str:
    """A sentence or two of what a table says, by its columns: else its extreme values; empty where it has no numbers.

    >>> caption(pd.DataFrame({"task": ["a", "b"], "method": ["tapt", "dapt"], "effect": [1.0, -2.0]}))
    'Highest: 1.0 (a, TAPT); lowest: -2.0 (b, DAPT).'
    """
    names = set(frame.columns)
    if not len(frame):
        return ""
    if {"claim", "scope", "verdict"} <= names:
        return tally(frame) if (frame["scope"] == "all").any() else contrasts(frame)
    if {"held", "against", "exact"} <= names:
        return leaks(frame)
    if {"task", "method", "gain", "low", "high", *PREDICTORS} <= names:
        return foretold(frame)
    if {"task", "question", "answer"} <= names:
        return _advice(frame)
    if {"a", "b", "definition", "mean"} <= names:
        one = frame[(frame["definition"] == frame["definition"].iloc[0]) & (frame["a"] != frame["b"])]
        return " ".join(filter(None, [_order(frame), _extremes(one, "mean", ("a", "b"), " %")]))
    if {"model", "sample", "mean"} <= names:
        return _loss(frame) or _extremes(frame, "mean", ("model", "sample"), digits=2)
    if {"mlm_loss_before", "mlm_loss_after", "method"} <= names:
        return _fell(frame)
    if {"task", "method", "labels", "worth"} <= names:
        return _worth(frame)
    if {"task", "method"} <= names:
        if "mean" in names and (frame["method"] == "base").any():
            return _extremes(_changes(frame), "change", ("task", "method"), of="change of F1 from the base: ")
        value = next((name for name in _AXES if name in names), None)
        return _extremes(frame, value, ("task", "method")) if value else ""
    numbers = [name for name in frame if pd.api.types.is_float_dtype(frame[name])]
    value = next((name for name in _AXES if name in numbers), numbers[-1] if numbers else None)
    labels = tuple(name for name in frame if pd.api.types.is_string_dtype(frame[name]) and frame[name].nunique() > 1)
    return _extremes(frame, value, labels[:2], digits=2, of=f"{value}: ".replace("_", " ")) if value else ""


def contrasts(claims: pd.DataFrame) -> str:
    """How many contrasts on single tasks or domains lie surely above zero, below it, or show neither.

    A contrast counts where its p, corrected over the claims of its measure, is below 5 %.
    """
    known = claims.dropna(subset=["effect"])
    sure = known[known["p_holm"] < 0.05]
    up, down = (sure["effect"] > 0).sum(), (sure["effect"] < 0).sum()
    text = f"Of {_count(len(known), 'contrast')}, {up} surely go the paper's way and {down} against it."
    return f"{text} The other {len(known) - up - down} show neither." if up + down < len(known) else text


def _order(overlap: pd.DataFrame) -> str:
    """The domains from near to far from general text, and where that is not the paper's order."""
    own, printed = shared_with_pt(overlap), paper_shares()
    known = sorted((name for name in own if name in printed), key=own.get, reverse=True)
    if len(known) < 2:
        return ""
    text = "From near to far from general text: " + ", ".join(f"{name} {own[name]:.1f} %" for name in known)
    turned = [
        f"{far} lies farther than {near}"
        for place, near in enumerate(known) for far in known[place + 1 :] if printed[far] > printed[near]
    ]  # fmt: skip
    return f"{text}; {' and '.join(turned)}, against the paper's order." if turned else f"{text}, as in the paper."


def _fell(adapted: pd.DataFrame) -> str:
    change = (adapted["mlm_loss_after"] - adapted["mlm_loss_before"]).dropna()
    if not len(change):
        return ""
    row = adapted.loc[change.idxmin()]
    what = (
        f"{method_title(str(row['method']))} on {row['corpus']}" if "corpus" in adapted else method_title(row["method"])
    )
    return (
        f"The loss on held-out text of what was read fell in {(change < 0).sum()} of "
        f"{_count(len(change), 'adaptation')}, most for {what} ({change.min():+.2f} nats)."
    )


def _worth(table: pd.DataFrame) -> str:
    """Where an adaptation is surely worth labels, and where most of them."""
    models = table[~table["method"].isin(BASELINES)]
    sure = models[models["low"] > 0]
    cases = f"of {_count(len(models), 'case')} (an adaptation at a number of labels)"
    counted = sure[np.isfinite(sure["worth"])]
    if not len(counted):
        return f"In {len(sure) or 'none'} {cases} it is surely worth further labels."
    best = counted.loc[counted["worth"].idxmax()]
    task = f" on {best['task']}" if "task" in table else ""
    return (
        f"In {len(sure)} {cases} it is surely worth further labels; most that the curve can tell: "
        f"{method_title(best['method'])}{task} at {best['labels']:,.0f}, as good as {best['worth']:,.0f} more."
    )


def _extremes(frame: pd.DataFrame, value: str, labels, unit: str = "", digits: int = 1, of: str = "") -> str:
    sign = "+" if value == "change" else ""
    frame = frame.dropna(subset=[value]).reset_index(drop=True)
    if not len(frame):
        return ""
    high, low = frame.loc[frame[value].idxmax()], frame.loc[frame[value].idxmin()]

    def said(row) -> str:
        where = ", ".join(_title(row, name) for name in labels)
        return f"{row[value]:{sign}z,.{digits}f}{unit}" + (f" ({where})" if where else "")

    text = f"{of}highest: {said(high)}; lowest: {said(low)}."
    return text[0].upper() + text[1:]


def _changes(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of adapted models with the difference of their mean to the base's, task by task."""
    keys = [name for name in ("task", "recipe") if name in frame]
    base = frame[frame["method"] == "base"].drop_duplicates(keys).set_index(keys)["mean"].rename("base")
    rows = frame[~frame["method"].isin(["base", *BASELINES])].join(base, on=keys)
    return rows.assign(change=rows["mean"] - rows["base"]).reset_index(drop=True)


def _title(row, name: str) -> str:
    if name == "method":
        return method_title(str(row[name]), str(row.get("recipe", "paper")))
    return str(row[name])


def verdict_counts(claims: pd.DataFrame) -> pd.DataFrame:
    """Overall claims by measure and read-out, in the order found: measure, claims, and a column for each verdict."""
    overall = claims[claims["scope"] == "all"]
    measures = overall["measure"] if "measure" in overall else pd.Series("f1", overall.index)
    recipes = overall["recipe"].fillna("") if "recipe" in overall else pd.Series("", overall.index)
    named = [
        MEASURES.get(measure, measure) + (f" ({RECIPES.get(recipe, recipe)})" if recipe else "")
        for measure, recipe in zip(measures, recipes, strict=True)
    ]
    verdicts = overall["verdict"].astype(str).map(lambda name: VERDICT_TITLES.get(name, name)).to_numpy()
    counts = pd.crosstab(pd.Series(named, name="measure", dtype=object), pd.Series(verdicts, dtype=object))
    order = [title for title in dict.fromkeys([*VERDICT_TITLES.values(), *verdicts]) if title in counts]
    counts = counts.reindex(index=list(dict.fromkeys(named)), columns=order)
    counts.insert(0, "claims", counts.sum(axis=1))
    return counts.rename_axis(columns=None).reset_index()


def tally(claims: pd.DataFrame) -> str:
    """'By F1, 9 claims: 1 reproduced, 8 undecided. Undecided: ...', each measure and read-out apart."""
    counts = verdict_counts(claims)
    parts = []
    for row in counts.to_dict("records"):
        found = ", ".join(f"{row[title]} {title}" for title in counts.columns[2:] if row[title])
        parts.append(f"by {row['measure']}, {_count(row['claims'], 'claim')}: {found}")
    text = "; ".join(parts) or "0 claims: none decided"
    text = f"{text[0].upper()}{text[1:]}."
    if "undecided" in counts:
        text += " Undecided: the run fits no effect and the paper's alike, or the paper names none; see the reasons."
    return text


def foretold(pairs: pd.DataFrame) -> str:
    """How often each cheaper look foretold what fine-tuning found, from `results.calibration`."""
    parts = [
        f"the {PREDICTORS[row.predictor]}: right sign in {row.right_sign:.0%} of {row.pairs} pairs, "
        f"off by {row.error:.1f} points where foretelling nothing is off by {row.error_of_zero:.1f}"
        for row in hit_rates(pairs).itertuples()
    ]
    return f"How far a cheaper look foretold fine-tuning's gain: {'; '.join(parts)}." if parts else ""


def leaks(audit: pd.DataFrame) -> str:
    """How many held texts were found again, and where most were."""
    held = audit[audit["held"].isin(["dev", "test"]) & (audit["exact"] >= 0)]
    if not len(held) or not held["exact"].sum():
        return "No dev or test text was found again word for word."
    most = held.loc[held["exact"].idxmax()]
    task = f" of {most['task']}" if "task" in most else ""
    return (
        f"{held['exact'].sum():,.0f} dev or test texts were found again word for word, "
        f"most of them {most['held']} rows{task} in {most['against']} ({most['exact']:,.0f} of {most['rows']:,.0f})."
    )


def transfer(table: pd.DataFrame, domain_of) -> str:
    """How many of the pairs of Transfer-TAPT lie in one domain. domain_of: a task's domain, None if unknown."""
    pairs = table[table["method"] == "transfer_tapt"].drop_duplicates(["task", "corpus"])
    same = [row for row in pairs.to_dict("records") if domain_of(row["corpus"]) == row["domain"]]
    if not len(pairs):
        return ""
    names = "; ".join(f"{row['task']} from {row['corpus']}" for row in same)
    return (
        f"In {len(same)} of {_count(len(pairs), 'pair')} both tasks are of one domain{f' ({names})' if names else ''}"
        + ("; the paper pairs tasks of one domain only." if len(same) < len(pairs) else ", as in the paper.")
    )


def summary(tables: dict[str, pd.DataFrame]) -> list[str]:
    """The run in few sentences: what to do with each task, the loss, the scores, and where TF-IDF stands."""
    sentences = [_advice(tables.get("advice")), _loss(tables.get("mlm_loss")), _gain(tables), _tfidf(tables)]
    return [sentence for sentence in sentences if sentence]


def _advice(table: pd.DataFrame | None) -> str:
    if table is None or not {"task", "question", "answer"} <= set(table):
        return ""
    answers = table[table["question"] == "so"].groupby("answer", sort=False)["task"].agg(", ".join)
    return "; ".join(f"{tasks}: {answer}" for answer, tasks in answers.items()) + "." if len(answers) else ""


def _loss(table: pd.DataFrame | None) -> str:
    if table is None or not {"model", "sample", "mean"} <= set(table):
        return ""
    loss = {(row["model"], row["sample"]): row["mean"] for row in table.to_dict("records")}
    own = {sample: (loss.get(("base", sample)), mean) for (model, sample), mean in loss.items()
           if model == f"dapt_{sample}" and ("base", sample) in loss}  # fmt: skip
    if not own:
        return ""
    fell = sum(after < before for before, after in own.values())
    most, (before, after) = max(own.items(), key=lambda item: item[1][0] - item[1][1])
    return (
        f"DAPT lowers the masked-LM loss on held-out text of its own domain in {fell} of {_count(len(own), 'domain')}, "
        f"most for {most} ({before:.2f} to {after:.2f})."
    )


def _gain(tables: dict) -> str:
    """Mean difference to the base by method, over the tasks of the paper's recipe."""
    scores = _scores(tables)
    if "base" not in scores:
        return ""
    models = [method for method in ("dapt", "tapt", "dapt_tapt") if method in scores]
    gains = {method: (scores[method] - scores["base"]).dropna() for method in models}
    said = [f"{method_title(method)} {gain.mean():+z.1f}" for method, gain in gains.items() if len(gain)]
    tasks = max((len(gain) for gain in gains.values()), default=0)
    return f"Mean change of F1 from the base over {_count(tasks, 'task')}: {', '.join(said)}." if said else ""


def _tfidf(tables: dict) -> str:
    scores = _scores(tables)
    models = [method for method in ("base", "dapt", "tapt", "dapt_tapt") if method in scores]
    if "tfidf" not in scores or not models:
        return ""
    both = scores.dropna(subset=["tfidf"])
    above = (both["tfidf"] > both[models].max(axis=1)).sum()
    return f"TF-IDF with a linear classifier scores above every one of these models on {above} of {len(both)} tasks."


def _scores(tables: dict) -> pd.DataFrame:
    """Mean scores, a row a task and a column a method, under the paper's recipe."""
    frames = [
        tables[name] for name in ("dapt", "tapt") if name in tables and {"task", "method", "mean"} <= set(tables[name])
    ]
    if not frames:
        return pd.DataFrame()
    rows = pd.concat(frames)
    rows = rows[rows["recipe"] == "paper"] if "recipe" in rows else rows
    return rows.groupby(["task", "method"])["mean"].first().unstack()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
