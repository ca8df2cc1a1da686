"""Sentences computed from a run's tables: its summary, the tally of its verdicts, what was found of leaks and pairs."""

from collections.abc import Sequence

import pandas as pd

from helpers.errors import counted
from helpers.methods import method_title
from helpers.results.calibration import PREDICTORS
from helpers.results.chance import last_step
from helpers.results.numbers import bounds
from helpers.results.records import RECIPES
from helpers.results.stats import holm
from helpers.results.verdicts import MEASURES, SURE, VERDICT_TITLES

_DIGITS = {"points": 1, "nats": 3}  # that a number of this unit is said with


def verdict_counts(claims: pd.DataFrame) -> pd.DataFrame:
    """Overall claims by measure and read-out, in the order found: measure, claims, and a column for each verdict."""
    overall = claims[claims["scope"] == "all"]
    measures = overall["measure"] if "measure" in overall else pd.Series("f1", overall.index)
    recipes = overall["recipe"].astype(object).fillna("") if "recipe" in overall else pd.Series("", overall.index)
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
        parts.append(f"by {row['measure']}, {counted(row['claims'], 'claim')}: {found}")
    text = "; ".join(parts) or "0 claims: none decided"
    text = f"{text[0].upper()}{text[1:]}."
    if "undecided" in counts:
        text += (
            " Undecided: the run fits no effect and the paper's alike, the paper names none, the claim is sure alone"
            " and not among the others, or nothing was compared; see the reasons."
        )
    return text


def foretold(hit_rates: pd.DataFrame) -> str:
    """How often each cheaper look foretold the gain that was found, from `results.hit_rates`."""
    said = []
    for recipe, rates in hit_rates.groupby("recipe", sort=False):
        parts = [
            f"the {PREDICTORS[row.predictor]}: {_called(row)}off by {row.error:.1f} points over {row.pairs} pairs "
            f"where foretelling nothing is off by {row.error_of_zero:.1f}"
            for row in rates.itertuples()
        ]
        said.append(f"How far a cheaper look foretold the gain, {RECIPES[recipe]}: {'; '.join(parts)}.")
    return " ".join(said)


def _called(rates) -> str:
    """How often a look that called a sign was right, of the signs that the run itself is sure of."""
    if not rates.called:
        return "no sign called, "
    called = f"{counted(rates.called, 'sign')} called"
    if not rates.decided:
        return f"{called}, which this run is not sure of, "
    surely = "" if rates.decided == rates.called else f"; of the {rates.decided} that this run is sure of"
    return f"{called}{surely} {rates.right:.0%} right, "


def leaks(audit: pd.DataFrame) -> str:
    """How many held texts were found again in one place, and where most were; a text can be in several."""
    held = audit[audit["held"].isin(["dev", "test"]) & (audit["exact"] >= 0)]
    if not len(held) or not held["exact"].sum():
        return "No dev or test text was found again word for word."
    most = held.loc[held["exact"].idxmax()]
    task = f" of {most['task']}" if "task" in most else ""
    split = [name for name in ("task", "held") if name in held]
    least, whole = held.groupby(split)["exact"].max().sum(), held["exact"].sum()
    number = f"{least:,.0f}" if least == whole else f"{least:,.0f} to {whole:,.0f}"
    return (
        f"{number} dev or test texts were found again word for word, in one place the most: {most['exact']:,.0f} of "
        f"{most['rows']:,.0f} {most['held']} rows{task} in {most['against']}."
    )


def transfer(table: pd.DataFrame, domain_of) -> str:
    """How many of the pairs of Transfer-TAPT lie in one domain. domain_of: a task's domain, None if unknown."""
    pairs = table[table["method"] == "transfer_tapt"].drop_duplicates(["task", "corpus"])
    same = [row for row in pairs.to_dict("records") if domain_of(row["corpus"]) == row["domain"]]
    if not len(pairs):
        return ""
    names = "; ".join(f"{row['task']} from {row['corpus']}" for row in same)
    return (
        f"In {len(same)} of {counted(len(pairs), 'pair')} both tasks are of one domain{f' ({names})' if names else ''}"
        + ("; the paper pairs tasks of one domain only." if len(same) < len(pairs) else ", as in the paper.")
    )


def summary(tables: dict[str, pd.DataFrame]) -> list[str]:
    """The run in few sentences: what to do with each task, the loss, the scores, and where TF-IDF stands."""
    sentences = [advice(tables.get("advice")), losses_at_home(tables.get("mlm_loss")), _gain(tables), _tfidf(tables)]
    return [sentence for sentence in sentences if sentence]


def advice(table: pd.DataFrame | None) -> str:
    """What to do with each task, tasks of one answer together."""
    if table is None or not {"task", "question", "answer"} <= set(table):
        return ""
    answers = table[table["question"] == "so"].groupby("answer", sort=False)["task"].agg(", ".join)
    return "; ".join(f"{tasks}: {answer}" for answer, tasks in answers.items()) + "." if len(answers) else ""


def losses_at_home(table: pd.DataFrame | None) -> str:
    """In how many domains DAPT lowers the loss at home; '' for a table without such models."""
    if table is None or not {"model", "sample", "mean"} <= set(table):
        return ""
    loss = {(row["model"], row["sample"]): row["mean"] for row in table.to_dict("records")}
    own = {sample: (loss.get(("base", sample)), mean) for (model, sample), mean in loss.items()
           if model == f"dapt_{sample}" and ("base", sample) in loss}  # fmt: skip
    if not own:
        return ""
    fell = sum(after < before for before, after in own.values())
    most, (before, after) = max(own.items(), key=lambda item: item[1][0] - item[1][1])
    of = counted(len(own), "domain")
    farthest = f", most for {most} ({before:.2f} to {after:.2f})" if fell else ""
    return f"DAPT lowers the masked-LM loss on held-out text of its own domain in {fell} of {of}{farthest}."


def _gain(tables: dict) -> str:
    """Mean difference to the base by method, over the tasks that have all of them, of the paper's recipe."""
    gains = _above(tables, "base", ("dapt", "tapt", "dapt_tapt")).dropna()
    said = [f"{method_title(method)} {gain:+z.1f}" for method, gain in gains.mean().items()]
    over = counted(len(gains), "task")
    return f"Fine-tuned, the mean change of F1 from the base over {over}: {', '.join(said)}." if gains.size else ""


def _tfidf(tables: dict) -> str:
    models = _above(tables, "tfidf", ("base", "dapt", "tapt", "dapt_tapt")).dropna(how="all")
    if not models.size:
        return ""
    return (
        "TF-IDF with a linear classifier scores above every one of these models, fine-tuned, on "
        f"{(models.max(axis=1) < 0).sum()} of {counted(len(models), 'task')}."
    )


def _above(tables: dict, other: str, methods: Sequence[str]) -> pd.DataFrame:
    """How far the mean score of each of the methods lies above the other's, [task, method], under the paper's recipe.

    Each difference is of one table: two of them may be of other seeds, where a notebook was run again alone.
    """
    found = pd.DataFrame()
    for rows in (tables[name] for name in ("dapt", "tapt") if name in tables):
        if {"task", "method", "mean"} <= set(rows):
            rows = rows[rows["recipe"] == "paper"] if "recipe" in rows else rows
            scores = rows.groupby(["task", "method"])["mean"].first().unstack()
            if other in scores:
                found = found.combine_first(scores.drop(columns=other).sub(scores[other], axis=0))
    return found[[name for name in methods if name in found]]


def adaptations(chance: pd.DataFrame) -> str:
    """What `adaptation_chance` found by each read-out: the mean, the tasks where two surely differ, and the spread."""
    scored = chance[chance["measure"] == "f1"]
    parts = [scored[scored["recipe"] == scored["recipe"].iloc[-1]]] if len(scored) else []
    parts.append(chance[chance["measure"] != "f1"])
    return " ".join(_adaptations(part) for part in parts if len(part))


def _adaptations(chance: pd.DataFrame) -> str:
    *_, whole = chance.to_dict("records")
    unit, digits = whole["unit"], _DIGITS[whole["unit"]]
    alone = chance[chance["task"] != "all"]
    sure = alone[holm(alone["p"]) < 0.05]
    named = ", ".join(f"{row['task']} ({row['effect']:+.{digits}f})" for row in sure.to_dict("records"))
    by_loss = unit == "nats"
    what = (
        "By the loss of the tasks' text the other lies above it by" if by_loss else "DAPT less DAPT by another seed is"
    )
    mean = f"{what} {whole['effect']:+z.{digits}f} {unit}"
    if pd.isna(whole["low"]):
        return f"{mean}; one draw says nothing about chance."
    interval = bounds(whole["low"], whole["high"], digits)
    surely = f"surely not zero on {named}" if named else "surely other than zero on none"
    text = f"{mean} {interval} in the mean of {counted(len(chance) - 1, 'task')}, {surely}"
    if pd.isna(whole["spread"]):
        return f"{text}; that chance is in every interval already."
    most = whole["spread_at_most"]
    bound = f", {most:.{digits}f} at most" if pd.notna(most) else ""
    return (
        f"{text}; one adaptation's own chance has a standard deviation of {whole['spread']:.{digits}f} {unit} a "
        f"task{bound}."
    )


def verdicts_with_chance(table: pd.DataFrame) -> str:
    """How many sure claims of `claims_with_chance` stand, and which verdicts fall to the chance of one adaptation."""
    return " ".join(
        ("" if measure == "f1" else "By the loss of the tasks' text: ") + _with_chance(rows)
        for measure, rows in table.groupby("measure", sort=True)
    )


def _with_chance(table: pd.DataFrame) -> str:
    unit = table["unit"].iloc[0]
    changed = table[table["verdict"] != table["verdict_with_chance"]]
    surely = table["verdict"].isin(SURE)
    fallen, nulls = (changed.loc[changed["verdict"].isin(words), "claim"] for words in (SURE, ["smaller"]))
    text = "No claim was sure before the chance of one adaptation is counted"
    if surely.any():
        text = (
            f"With the chance of one adaptation in every interval, {surely.sum() - len(fallen)} of "
            f"{counted(int(surely.sum()), 'sure claim')} stand"
        )
    text += f"; sure no more: {', '.join(fallen)}" if len(fallen) else ""
    borne = table.dropna(subset="sure_up_to").sort_values("sure_up_to", ascending=False)
    if len(borne):
        most = last_step(unit)
        named = ", ".join(
            f"{row['claim']} ({row['sure_up_to']:.{_DIGITS[unit]}f}{' at least' if row['sure_up_to'] >= most else ''})"
            for row in borne.to_dict("records")
        )
        text += f"; sure up to a spread, in {unit} a task, of: {named}"
    return text + (f"; no longer surely smaller than the paper's: {', '.join(nulls)}." if len(nulls) else ".")
