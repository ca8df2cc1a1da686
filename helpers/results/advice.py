"""What a run says to somebody with this text and these labels: adapt or not, to what, at what price, how surely.

The rule, the same for every task. *Words*: TF-IDF with a linear classifier, on the same labels, surely scores above the
best model of one read-out and surely below that of none: do not adapt. *Helps*: an adaptation surely scores above the
base under one read-out (p < alpha after Holm's correction over the task's adaptations and read-outs) and surely below
it under none. Of those that help, the cheapest that no dearer one surely beats (after Holm's correction over their
pairs and read-outs) is named. *None*: nothing helps, and every interval ends below `least` points. Else the run cannot
tell.
"""

import itertools
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from helpers.config import make_config
from helpers.errors import counted
from helpers.methods import method_title, split_selection
from helpers.results.cells import Cells, adaptations_of_a_text
from helpers.results.numbers import said_gain, tells
from helpers.results.records import RECIPES
from helpers.results.stats import Comparison, holm

COLUMNS = ("task", "question", "answer", "evidence")
QUESTIONS = {
    "so": "So?", "buys": "What does it buy?", "words": "Would counting words do?", "labels": "Or label more?",
    "distance": "How far is this text from the base?", "cost": "What does it cost?", "sure": "How sure is that?",
}  # fmt: skip
OUTCOMES = {
    "words": "do not adapt, count words", "none": "do not adapt", "untold": "this run cannot tell",
    "tapt": "adapt to the task's own text (TAPT)", "curated": "adapt to the task's unlabelled text (Curated-TAPT)",
    "borrow": "borrow text of the domain that is like the task's", "dapt": "adapt to the domain (DAPT)",
    "dapt_tapt": "adapt to the domain, then to the task (DAPT+TAPT)",
    "dapt_curated": "adapt to the domain, then to the task's unlabelled text (DAPT+Curated-TAPT)",
}  # fmt: skip
# Tokens a second of DAPT on roberta-base with one H200: a model of its shape read 908,000 with 8,192 words
# (benchmarks/README.md); the head's 50,265 are 6 % more work.
GPU = 850_000


def advise(
    records: pd.DataFrame,
    overlap: pd.DataFrame | None = None,
    losses: pd.DataFrame | None = None,
    worth: pd.DataFrame | None = None,
    wording: pd.DataFrame | None = None,
    *,
    least: float = 1.0,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Whether to adapt, to what, what it buys and costs: answers for each task, with the evidence of each.

    records: as `load_records` gives them, of one preset and base model. overlap: as `overlap_table`. losses: as
    `mlm_loss_table`. worth: as `label_worth`. wording: domain, tokens_a_word and words, as
    `helpers.study.views.wording`. least: gain in points below which an adaptation is not worth while.
    alpha: level of the tests. Returns COLUMNS, one row a task and question of QUESTIONS that the run can answer; the
    answer to 'so' is one of OUTCOMES. The module says the rule. Questions without data are left out.

    >>> from helpers import load_records
    >>> advise(load_records(tmp / "no run yet")).empty
    True
    """
    rows = []
    for task, part in records.groupby("task", sort=False):
        cells = _cells(part)
        gains, words = _gains(cells), _against_words(cells)
        if not gains:
            continue
        outcome, method = _outcome(cells, gains, words, least, alpha)
        domain = part["domain"].iloc[0]
        answers = {
            "so": _so(cells, words, outcome, method, gains, least, alpha),
            "buys": _buys(_changes(cells), gains, method),
            "words": _words(words, least),
            "labels": _labels(worth, task, method or _surest(gains)[1], _labelled(part)),
            "distance": _distance(overlap, losses, wording, domain),
            "cost": _cost(part),
            "sure": _sure(part, gains),
        }
        rows += [(task, question, *answer) for question, answer in answers.items() if answer]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def outcome_of(task_records: pd.DataFrame, *, least: float = 1.0, alpha: float = 0.05) -> tuple[str, str]:
    """(outcome of OUTCOMES, method it names or '') for the records of one task; ('untold', '') without a comparison."""
    cells = _cells(task_records)
    gains = _gains(cells)
    return _outcome(cells, gains, _against_words(cells), least, alpha) if gains else ("untold", "")


# The comparisons ------------------------------------------------------------------------------------------


def _kind(method: str) -> str:
    """The outcome that a method belongs to, '' for one that is a control or no adaptation to own text."""
    if picked := split_selection(method):
        return "" if picked[0] == "random" else "borrow"
    return {"tapt": "tapt", "dapt": "dapt", "dapt_tapt": "dapt_tapt", "curated_tapt": "curated",
            "dapt_curated_tapt": "dapt_curated"}.get(method, "")  # fmt: skip


def _price(method: str) -> tuple:
    """What comes cheaper comes first: the task's own text, unlabelled text of its kind, text to look for, a domain."""
    kinds = ["tapt", "curated", "borrow", "dapt", "dapt_tapt", "dapt_curated"]
    picked = split_selection(method)
    return kinds.index(_kind(method)), picked[1] if picked else 0, method


def _cells(records: pd.DataFrame) -> dict[str, Cells]:
    """The cells of each read-out, with TF-IDF's on as many labels: its draws are the same whatever recipe they bear."""
    words, others = records[records["method"] == "tfidf"], records[records["method"] != "tfidf"]
    found = {}
    for recipe, group in others.groupby("recipe", sort=True):
        same = words[words["train_size"].isin(group["train_size"])].drop_duplicates("seed")
        found[recipe] = Cells(pd.concat([group, same]))
    return found


def _changes(by_recipe: dict[str, Cells]) -> dict[tuple[str, str], Comparison]:
    """(recipe, method) -> change from the base, of every adaptation to own text; of one seed it has no interval."""
    found = {(recipe, method): change for recipe, cells in by_recipe.items()
             for (_, method), change in cells.gains().items() if _kind(method)}  # fmt: skip
    return dict(sorted(found.items()))


def _gains(by_recipe: dict[str, Cells]) -> dict[tuple[str, str], Comparison]:
    """Those that have an interval: what the rule looks at."""
    return {key: found for key, found in _changes(by_recipe).items() if np.isfinite(found.p)}


def _against_words(by_recipe: dict[str, Cells]) -> dict[str, tuple[str, Comparison]]:
    """recipe -> its best model and how far TF-IDF, on the same labels and test rows, lies above it."""
    found = {}
    for recipe, cells in by_recipe.items():
        models = {method: cell for (_, method), cell in cells.cells.items() if method == "base" or _kind(method)}
        words = next((cell for (_, method), cell in cells.cells.items() if method == "tfidf"), None)
        if words is None or not models:
            continue
        best = max(models, key=lambda method: models[method]["score"].mean())
        model = models[best]
        # a baseline of all labels has no draw: its one fit stands beside every seed
        seeds = model.index if len(words) == 1 else model.index.intersection(words.index)
        fitted = words.loc[[words.index[0]] * len(seeds)] if len(words) == 1 else words.loc[seeds]
        if not len(seeds) or fitted["train_size"].iloc[0] != model["train_size"].iloc[0]:
            continue
        model = model.loc[seeds]
        adaptations = model["adaptation_seed"].fillna(0).to_numpy()
        found[recipe] = best, cells.compared(model["test_gold"].iloc[0], fitted, model, adaptations)
    return found


def _words_win(found: dict[str, tuple[str, Comparison]]) -> bool:
    """Whether TF-IDF is surely above the best model of one read-out and surely below that of none."""
    signs = [(one.low > 0, one.high < 0) for _, one in found.values()]
    return any(above for above, _ in signs) and not any(below for _, below in signs)


def _outcome(by_recipe: dict[str, Cells], gains: dict, words: dict, least: float, alpha: float) -> tuple[str, str]:
    if _words_win(words):
        return "words", ""
    if helping := _helping(gains, alpha):
        pairs = [(dearer, cheaper) for cheaper, dearer in itertools.combinations(helping, 2)]
        beaten = {cheaper for _, cheaper in _surely_ahead(by_recipe, pairs, alpha)}
        method = next(name for name in helping if name not in beaten)
        return _kind(method), method
    return ("none" if all(found.high < least for found in gains.values()) else "untold"), ""


def _surely(named: Sequence[tuple[Hashable, Comparison]], alpha: float) -> tuple[set, set]:
    """The names surely above zero by one comparison at least, and those surely below it by one: Holm over all."""
    sure = [pair for pair, p in zip(named, holm([one.p for _, one in named]), strict=True) if p < alpha]
    ups, downs = ({name for name, one in sure if sign * one.effect > 0} for sign in (1, -1))
    return ups, downs


def _above_the_base(gains: dict, alpha: float) -> tuple[set[str], set[str]]:
    """The methods surely above the base under one read-out at least, and those surely below it under one."""
    return _surely([(method, found) for (_, method), found in gains.items()], alpha)


def _helping(gains: dict, alpha: float) -> list[str]:
    """The methods surely above the base under one read-out and surely below it under none, the cheapest first."""
    return sorted(set.difference(*_above_the_base(gains, alpha)), key=_price)


def _contrasts(by_recipe: dict[str, Cells], one: str, other: str) -> dict[str, Comparison]:
    """recipe -> one - other, where both have records under it."""
    found = {}
    for recipe, cells in by_recipe.items():
        task = next(iter(cells.domains))
        if {(task, one), (task, other)} <= set(cells.cells):
            found[recipe] = cells.compare(task, one, other)
    return found


def _surely_ahead(by_recipe: dict[str, Cells], pairs: Sequence[tuple[str, str]], alpha: float) -> set[tuple[str, str]]:
    """The pairs whose first surely scores above the other under one read-out and surely below it under none.

    Sure means p < alpha after Holm's correction over all of these pairs and read-outs.
    """
    found = [(pair, one) for pair in pairs for one in _contrasts(by_recipe, *pair).values()]
    return set.difference(*_surely(found, alpha))


# What is said ---------------------------------------------------------------------------------------------


def _surest(gains: dict) -> tuple[str, str]:
    """(recipe, method) of the gain whose interval begins highest: what is surest, not what is luckiest."""
    return max(gains, key=lambda key: gains[key].low)


def _so(
    by_recipe: dict[str, Cells], words: dict, outcome: str, method: str, gains: dict, least: float, alpha: float
) -> tuple[str, str]:
    if outcome == "words":
        sure, unsure = ([f"{said_gain(found)} points beside {method_title(best)} ({RECIPES[recipe]})"
                         for recipe, (best, found) in words.items() if (found.low > 0) == above]
                        for above in (True, False))  # fmt: skip
        why = f"TF-IDF on the same labels surely beats the best of the base and all adaptations: {'; '.join(sure)}"
        why += f", not surely so: {'; '.join(unsure)}" if unsure else ""
        why += ". First find a base that reads this text better than counting does."
    elif outcome in ("none", "untold"):
        (recipe, best), top = max(gains.items(), key=lambda item: (tells(item[1]), item[1].high))
        ends = f"the largest gain that fits the run is {top.high:+.1f} points ({method_title(best)}, {RECIPES[recipe]})"
        if not tells(top):
            ends = f"{top.n} draws are too few for an interval"
        torn = sorted(set.intersection(*_above_the_base(gains, alpha)), key=_price)
        first = "No adaptation is surely above the base"
        if torn:
            first = f"The read-outs contradict each other on {', '.join(map(method_title, torn))}"
        why = f"{first}; {ends}." + (
            f" That is below the {least:g} that would be worth while." if outcome == "none"
            else " More draws or more test rows would narrow it; so would a longer adaptation, which is another trial."
        )  # fmt: skip
    else:
        told = [
            f"{said_gain(found)} points {RECIPES[recipe]}" for (recipe, name), found in gains.items() if name == method
        ]
        why = f"{method_title(method)} against the base: {'; '.join(told)}."
        helping = _helping(gains, alpha)
        for cheaper in helping[: helping.index(method)]:
            told = _told_by_read_out(by_recipe, method, cheaper)
            why += f" {method_title(method)} against {method_title(cheaper)}: {told}."
        if "dapt" in outcome:
            why += _controls(by_recipe)
        dearer = sorted({name for _, name in gains if _price(name) > _price(method)}, key=_price)
        others = [(name, method) for name in dearer if name not in helping]  # of those that help the rule has decided
        if ahead := _surely_ahead(by_recipe, others, alpha):
            titles = (method_title(name) for name, _ in sorted(ahead, key=lambda pair: _price(pair[0])))
            why += f" Surely ahead of it, but not surely of the base: {', '.join(titles)}."
        elif dearer:
            why += " What costs more is not surely better."
    return OUTCOMES[outcome], why


def _told_by_read_out(by_recipe: dict[str, Cells], one: str, other: str) -> str:
    found = _contrasts(by_recipe, one, other)
    return "; ".join(f"{said_gain(each)} points {RECIPES[recipe]}" for recipe, each in found.items())


def _controls(by_recipe: dict[str, Cells]) -> str:
    """' DAPT against ...' for the controls there are: more training on any text, and the domain's words alone."""
    text = ""
    for control, title in (("generic_dapt", "as much general text"), ("shuffled_dapt", "the domain's shuffled words")):
        if said := _told_by_read_out(by_recipe, "dapt", control):
            text += f" DAPT against {title}: {said}."
    return text


def _buys(changes: dict, gains: dict, method: str) -> tuple[str, str]:
    """What the adaptation that is named buys, by the read-out that tells most; of none, the surest gain."""
    own = [key for key in gains if key[1] == method]
    recipe, best = min(own, key=lambda key: gains[key].high - gains[key].low) if own else _surest(gains)
    parts = []
    for name in dict.fromkeys(recipe for recipe, _ in changes):
        told = [f"{method_title(method)} {said_gain(found)}" for (one, method), found in changes.items() if one == name]
        parts.append(f"{RECIPES[name]}: {', '.join(told)}")
    return (f"{said_gain(gains[recipe, best])} points ({method_title(best)}, {RECIPES[recipe]})",
            f"Change of F1 from the base, points with 95 % intervals. {'; '.join(parts)}.")  # fmt: skip


def _words(found: dict, least: float) -> tuple[str, str] | None:
    if not found:
        return None
    above = _words_win(found)
    below = any(one.high < 0 for _, one in found.values())
    parts = [
        f"{said_gain(one)} beside {method_title(best)} ({RECIPES[recipe]})" for recipe, (best, one) in found.items()
    ]
    alike = all(-least < one.low and one.high < least for _, one in found.values())
    return ("yes, better than the base and its adaptations" if above else "no" if below
            else "about as well" if alike else OUTCOMES["untold"],
            f"TF-IDF with a linear classifier on the whole texts, same labels: {'; '.join(parts)}.")  # fmt: skip


def _labelled(records: pd.DataFrame) -> int:
    """The labelled rows that a task's base was fitted on."""
    return int(records.loc[records["method"] == "base", "train_size"].iloc[0])


def _labels(worth: pd.DataFrame | None, task: str, method: str, labelled: int) -> tuple[str, str] | None:
    """What a method is worth in labels, first beside as many as the run had, or the number tried nearest to it."""
    rows = worth[(worth["task"] == task) & (worth["method"] == method)] if worth is not None else ()
    if not len(rows):
        return None

    def count(value: float, zero: str = "+") -> str:  # of bounds; of a worth no minus before it
        return {np.inf: "more than were tried", -np.inf: "none"}.get(value, f"{value:{zero},.0f}")

    parts = [f"with {row.labels} labels {count(row.worth, '+z')}"
             + (f" [{count(row.low)} to {count(row.high)}]" if row.low < row.high else "")
             for row in rows.itertuples()]  # fmt: skip
    first = rows.loc[(rows["labels"] - labelled).abs().idxmin()]
    said = {np.inf: "more labels than were tried", -np.inf: "no labels"}.get(
        first.worth, f"{count(first.worth, '+z')} labels"
    )
    unsure = ", not surely any" if first.low <= 0 <= first.high else ""
    return (f"{method_title(method)} is worth {said} beside {first.labels}{unsure}",
            "Further labels that the unadapted base would need for the same score, frozen read-out: "
            f"{'; '.join(parts)}.")  # fmt: skip


def _distance(overlap, losses, wording, domain: str) -> tuple[str, str] | None:
    said, short = [], []
    if overlap is not None and len(overlap):
        text = overlap[overlap["definition"] == "text"].set_index(["a", "b"])
        for pair in (("generic", domain), (domain, "generic")):
            if pair in text.index and not short:
                row = text.loc[pair]
                short.append(f"{row['mean']:.0f} % of its frequent words are general ones")
                said.append(f"shared frequent words {row['mean']:.1f} % [{row['low']:.1f}, {row['high']:.1f}]")
    if losses is not None and len(losses):
        of = losses.set_index(["model", "sample"])
        if ("base", domain) in of.index and ("base", "generic") in of.index:
            here, there = of.loc[("base", domain)], of.loc[("base", "generic")]
            short.append(f"loss {here['mean'] - there['mean']:+.2f} nats beside general text")
            said.append(f"the base's masked-LM loss {here['mean']:.2f} [{here['low']:.2f}, {here['high']:.2f}] here, "
                        f"{there['mean']:.2f} [{there['low']:.2f}, {there['high']:.2f}] on general text")  # fmt: skip
        if (own := (f"dapt_{domain}", domain)) in of.index:
            said.append(f"DAPT changes it by {of.loc[own, 'change']:+.2f}")
    if wording is not None and domain in set(wording["domain"]):
        tokens = wording.set_index("domain")["tokens_a_word"]
        said.append(f"{tokens[domain]:.2f} tokens a word, in general text {tokens['generic']:.2f}")
        said.append(f"words that tell it apart: {wording.set_index('domain')['words'][domain]}")
    return ("; ".join(short), f"{said[0][0].upper()}{'; '.join(said)[1:]}.") if said else None


def _cost(records: pd.DataFrame) -> tuple[str, str] | None:
    said, short = [], []
    for method in ("tapt", "dapt"):
        rows = records[(records["method"] == method) & (records["recipe"] != "frozen")]
        if not len(rows) or not rows["adaptation_seconds"].notna().any():
            continue
        seconds, tokens = rows["adaptation_seconds"].mean(), rows["adaptation_tokens"].mean()
        short.append(f"{method_title(method)} {_time(seconds)}")
        passes = pd.to_numeric(rows["adaptation_epochs"]).mean()
        often = f", each text {passes:,.1f} times" if np.isfinite(passes) else ""
        said.append(f"{method_title(method)} read {tokens:,.0f} tokens{often}, in {_time(seconds)} "
                    f"({tokens / seconds:,.0f} a second)")  # fmt: skip
        if method == "dapt":
            paper = make_config("paper")
            whole = paper.dapt_steps * paper.dapt_batch * paper.max_length
            said.append(f"the paper's DAPT, {whole / 1e9:.0f} billion tokens, would take "
                        f"{_time(whole * seconds / tokens)} at that rate with this base, and with roberta-base about "
                        f"{_time(whole / GPU)} of one H200 GPU ({GPU:,} tokens a second, reckoned from a measured "
                        "rate)")  # fmt: skip
    tuned = records[(records["method"] == "base") & (records["recipe"] == "paper")]["seconds"].mean()
    if np.isfinite(tuned):
        said.append(f"one fine-tuning took {_time(tuned)}")
    told = (f"Measured in this run, where several jobs may have shared the machine: {'; '.join(said)}. A longer "
            "adaptation that repeats its text more often is another trial: this one does not foretell it.")  # fmt: skip
    return (", ".join(short), told) if short else None


def _time(seconds: float) -> str:
    for size, unit in ((365 * 86400, "years"), (86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:,.0f} {unit}"
    return counted(round(seconds), "second")


def _sure(records: pd.DataFrame, gains: dict) -> tuple[str, str]:
    parts, widths = [], []
    for name in dict.fromkeys(recipe for recipe, _ in gains):
        widths.append(np.mean([found.high - found.low for (recipe, _), found in gains.items() if recipe == name]))
        rows = records[(records["recipe"] == name) & (records["method"] == "base")]
        first = rows.iloc[0]
        wide = f"{widths[-1]:.1f} points" if widths[-1] < 100 else "more than the scale"
        # where there are no more labels than are drawn, every draw is the same
        same = len(rows) > 1 and all(
            len({one.tobytes() for one in rows[name]}) == 1 for name in ("test_predictions", "test_log_loss")
        )
        drawn = "one draw, all the" if same else f"{len(rows)} draws of"
        parts.append(f"{RECIPES[name]}: {drawn} {first['train_size']:,} labels, "
                     f"{first['test_size']:,} test rows, intervals {wide} wide")  # fmt: skip
    adaptations = adaptations_of_a_text(records)
    once = (f"{adaptations} adaptations of each text took turns." if adaptations > 1
            else "Each text was adapted to once, so the chance of that is in no interval.")  # fmt: skip
    return f"to about {min(widths) / 2:.1f} points", f"{'; '.join(parts)}. {once}"
