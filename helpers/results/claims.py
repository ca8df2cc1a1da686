"""A verdict for each claim of the paper, from records alone (Paper: sections 3 to 5, Tables 3, 5, 6 and 8).

An effect is a difference of F1 in points with the paper's direction as positive, paired by seed on one test set; its
interval counts the chance of the seeds and of the test examples (`stats.paired_combined`). Where a text was adapted to
once, as in the paper, the chance of the adaptation itself is in no interval; ADAPTATION_SEEDS puts it there.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from helpers.data.registry import DOMAINS, without_twins
from helpers.methods import CLAIMS, Claim
from helpers.results.cells import Cells, LogLosses, Printed, TextLosses
from helpers.results.loss_claims import loss_claims
from helpers.results.overlap_claims import FARTHER, farther_domains, overlap_order
from helpers.results.stats import Comparison, detectable_effect
from helpers.results.verdicts import UNKNOWN, Row, in_all, judge, least_sure, mean_effect, table

EVERY_DOMAIN = "dapt_beats_base_in_every_domain"
_SCOPES = {"all": 0, "domain": 1, "task": 2}
# A task on which even an effect of so many points would have been missed tells nothing of a claim: it stays in every
# table and is left out of the mean over all tasks, whatever was found on it.
NOISY = 10.0
# Their two sides differ in the text alone: each reads about TAPT_TOKENS, in whole passes. Beyond 20 % it is told.
_OF_ONE_BUDGET = ("transfer_hurts", "neighbours_beat_random", "more_neighbours_help")
_ALIKE = 1.2


def claims(
    records: pd.DataFrame,
    overlap: pd.DataFrame | None = None,
    losses: pd.DataFrame | None = None,
    task_losses: pd.DataFrame | None = None,
    *,
    alpha: float = 0.05,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Every claim of the paper with its verdict: one row over all tasks, one a domain, one a task.

    records: as `load_records` gives them. overlap: `overlap_matrix` or `overlap_table`, for how far each domain
    lies from PT ('generic'). losses: a masked-LM loss a document, see `loss_claims`. task_losses: the loss of every
    dev text of each task under each method, see `helpers.study.views.task_losses`. alpha: level of the tests. draws,
    seed: of the bootstrap over examples, those of one group (sentences of one abstract) redrawn together.

    The same claims are judged by up to three measures (`verdicts.MEASURES`): by F1; by the log loss of the right label,
    from the same predictions, where every record has it; by the masked-LM loss of the tasks' dev text, paired by
    document. Only the first has the paper's numbers beside it, as a yardstick where the read-out is not the paper's
    fine-tuning. Returns COLUMNS; `verdicts` says what the verdict words mean and `why` gives the reason in a sentence.
    Over all tasks a claim is judged by its mean effect, a task that shares its test rows with another at hand (RCT-500
    with RCT) left out, and one on which F1 would have missed even NOISY points; DAPT+TAPT against the rival hardest to
    beat; 'dapt_beats_base_in_every_domain' by the domain least sure to gain. Families of Holm's correction: over all
    tasks every claim by one measure of one recipe, base model and preset; the domains of one claim; the tasks of one
    claim; the claims on loss; the order of the overlaps.
    detectable_effect: smallest true effect that the rule applied finds in 80 % of such studies. paper_effect: the
    same statistic of the paper's printed means, a task of the paper beside itself, another beside the paper's tasks of
    its domain, taken as printed, without their own chance; nan where the paper has none. control_effect: gain of
    adapting to shuffled words, beside the real gain. A claim whose methods have no record stays 'undecided' in one
    row that says what is missing. Raises UserError where two methods were scored on different test rows.

    >>> from helpers import load_records
    >>> claims(load_records(tmp / "no run yet")).empty
    True
    """
    rows = []
    for (recipe, base_model, preset), group in records.groupby(["recipe", "base_model", "preset"], sort=True):
        given = (group, draws, seed)
        found = judged(Cells(*given), overlap, alpha)
        if all(np.isfinite(one).all() for one in group["test_log_loss"]):
            found += judged(LogLosses(*given), None, alpha)
        for row in found:
            row.common = {"recipe": recipe, "base_model": base_model, "preset": preset}
        rows += found
    order = list(dict.fromkeys(["dapt_beats_base", EVERY_DOMAIN, FARTHER, *CLAIMS]))
    rows.sort(key=lambda row: (*row.common.values(), row.measure != "f1", order.index(row.claim), _SCOPES[row.scope]))
    others = [table([overlap_order(overlap, alpha)])] if overlap is not None else []
    domains = dict(zip(records["task"], records["domain"], strict=True))
    read = records[records["method"].isin(["dapt", "tapt"])].dropna(subset=["adaptation_corpus", "adaptation_tokens"])
    tokens = dict(zip(read["method"] + "_" + read["adaptation_corpus"], read["adaptation_tokens"], strict=True))
    others += [loss_claims(losses, task_domains=domains, tokens=tokens, alpha=alpha)] if losses is not None else []
    others += [_text_losses(task_losses, alpha)] if task_losses is not None else []
    run = {name: " and ".join(sorted(records[name].unique())) for name in ("base_model", "preset")}
    found = [frame for frame in (table(rows), *(other.assign(**run) for other in others)) if len(frame)]
    return pd.concat(found, ignore_index=True) if found else table(rows)


def paper_verdicts(alpha: float = 0.05) -> pd.DataFrame:
    """The same rule applied to the paper's printed means, standard deviations and five seeds: what it could decide.

    The paper prints no predictions, so the two methods are not paired and the chance of the test rows is not
    counted. Where a standard deviation is missing or doubtful a claim stays undecided. Returns COLUMNS.
    """
    rows = judged(Printed(), None, alpha)
    for row in rows:
        row.common = {"recipe": "paper", "base_model": "roberta-base", "preset": "the paper"}
    return table(rows)


def _text_losses(losses: pd.DataFrame, alpha: float) -> pd.DataFrame:
    return table([replace(row, common={"recipe": ""}) for row in judged(TextLosses(losses), None, alpha)])


def judged(cells, overlap: pd.DataFrame | None, alpha: float = 0.05) -> list[Row]:
    """Rows of every claim from the cells of a study or of the paper, with the verdicts of one measure.

    An effect on F1 has the paper's beside it, by whatever read-out it was found: as the yardstick of what is small.
    """
    printed = Printed() if cells.measure == "f1" else None
    rows = [row for claim in CLAIMS.values() for row in _rows(claim, cells, printed)]
    rows += _every_domain(cells, printed)
    if _scored(cells):
        rows.append(_farther(cells, printed, overlap))
    judge([row for row in rows if row.scope == "all"], alpha)
    for claim in CLAIMS:
        for scope in ("domain", "task"):
            judge([row for row in rows if row.claim == claim and row.scope == scope], alpha)
    return rows


def _rows(claim: Claim, cells, printed: Printed | None) -> list[Row]:
    """Rows of one claim, not yet judged: each task, each domain, all."""
    pairs = _pairs(claim, cells)
    blank = {"claim": claim.name, "paper_section": claim.section, "measure": cells.measure, "unit": cells.unit}
    theirs = _paper_effects(claim, printed, cells.domains)
    nothing = {**blank, "scope": "all", "comparison": "", "found": UNKNOWN, "paper_effect": theirs(cells.domains)}
    if not pairs:
        return [Row(**nothing, excluded="No task has records of every method that this claim compares.")]
    excluded = {}
    if claim.name == "transfer_hurts":
        excluded = {task: reason for task in pairs if (reason := cells.excluded(task))}
    kept = without_twins({task: pair for task, pair in pairs.items() if task not in excluded})
    by_domain = {domain: [task for task in kept if cells.domains[task] == domain] for domain in _domains(cells)}
    scopes = [("task", task, [task]) for task in pairs]
    scopes += [("domain", domain, tasks) for domain, tasks in by_domain.items() if tasks]
    noisy = _noisy(claim, cells, {task: pairs[task] for task in kept})
    scopes += [("all", "", [task for task in kept if task not in noisy])] if kept else []
    rows = []
    for scope, name, tasks in scopes:
        found, (better, worse) = _hardest(claim, cells, {task: pairs[task] for task in tasks})
        methods = sorted({method for task in tasks for pair in pairs[task] for method in pair})
        rows.append(Row(
            **blank, scope=scope, comparison=cells.comparison(better, worse), found=found,
            task=name if scope == "task" else "", domain=cells.domains[name] if scope == "task" else name,
            paper_effect=theirs(tasks),
            control_effect=_control(claim, cells, tasks), excluded=excluded.get(name, ""),
            note=cells.mishaps(tasks, methods) + _budgets(claim, cells, {task: pairs[task] for task in tasks})
            + (_left_out(noisy) if scope == "all" else ""),
        ))  # fmt: skip
    if not kept:
        why = "No task's partner is a task of its own domain. " + " ".join(excluded.values())
        rows.append(Row(**nothing, excluded=why))
    return rows


def _noisy(claim: Claim, cells, pairs: Mapping[str, list]) -> list[str]:
    """The tasks on which F1 could not have shown an effect of NOISY points, where others could.

    Nor one whose sides always answered alike, as collapsed ones do: no chance was seen there, so none is known.
    """
    if not _scored(cells):
        return []
    plain = getattr(cells, "plain", cells)  # the chance of adaptations, once counted, changes no set of tasks
    found = {task: [plain.compare(task, *pair, claim) for pair in each] for task, each in pairs.items()}
    noisy = [
        task
        for task, each in found.items()
        if (reach := max(detectable_effect(one.standard_error, one.degrees) for one in each)) > NOISY or reach == 0
    ]
    return noisy if len(noisy) < len(pairs) else []


def _scored(cells) -> bool:
    """Whether the cells are a study's own by F1."""
    return cells.measure == "f1" and not isinstance(cells, Printed)


def _left_out(noisy: Sequence[str]) -> str:
    if not noisy:
        return ""
    return f" Too noisy to tell anything, and not in the mean: {', '.join(noisy)}."


def _budgets(claim: Claim, cells, pairs: Mapping[str, list]) -> str:
    """' Tokens read differ: ag tapt 1,500,000, transfer_tapt 1,100,000.' where two sides are not alike, or ''."""
    if claim.name not in _OF_ONE_BUDGET:
        return ""
    unlike = []
    for task, pair in ((task, pair) for task, each in pairs.items() for pair in each):
        read = {method: cells.tokens(task, method) for method in pair}
        if max(read.values()) > _ALIKE * min(read.values()):
            unlike.append(f"{task} " + ", ".join(f"{method} {tokens:,.0f}" for method, tokens in read.items()))
    return f" Tokens read differ: {'; '.join(unlike)}." if unlike else ""


def _pairs(claim: Claim, cells) -> dict[str, list[tuple[str, str]]]:
    """The (better, worse) pairs of each task that has records of all of them."""
    pairs = {task: claim.pairs(cells.methods(task, claim)) for task in cells.domains}
    return {task: found for task, found in pairs.items() if found}


def _domains(cells) -> list[str]:
    """The domains of the cells, in the registry's order, others after."""
    found = dict.fromkeys(cells.domains.values())
    return [name for name in DOMAINS if name in found] + [name for name in found if name not in DOMAINS]


def _hardest(
    claim: Claim, cells, pairs: Mapping[str, list], weights: Sequence[float] | None = None
) -> tuple[Comparison, tuple[str, str]]:
    """The mean effect over tasks against the rival hardest to beat, and that pair: best is better than every rival."""
    first = next(iter(pairs.values()))
    shared = [pair for pair in first if all(pair in found for found in pairs.values())]
    if not shared:
        # Selections of different sizes: each task with its own pair, named by the first.
        return mean_effect([cells.compare(task, *found[0], claim) for task, found in pairs.items()], weights), first[0]
    effects = [mean_effect([cells.compare(task, *pair, claim) for task in pairs], weights) for pair in shared]
    return in_all(effects), shared[least_sure(effects)]


def _paper_effects(
    claim: Claim, printed: Printed | None, domains: Mapping[str, str]
) -> Callable[[Iterable[str]], float]:
    """The paper's own effect over tasks: the statistic that the study's row holds, from the printed means."""
    pairs = _pairs(claim, printed) if printed else {}
    once = without_twins(pairs)

    def effect(tasks: Iterable[str]) -> float:
        beside = [[task] if task in pairs else [name for name in once if printed.domains[name] == domains[task]]
                  for task in tasks] if printed else []  # fmt: skip
        beside = [names for names in beside if names]
        weights = Counter()
        for names in beside:
            weights.update({name: 1 / len(beside) / len(names) for name in names})
        found = {name: pairs[name] for name in weights}
        return _hardest(claim, printed, found, list(weights.values()))[0].effect if found else np.nan

    return effect


def _gains(cells, printed: Printed | None) -> tuple[dict[str, Comparison], dict[str, float]]:
    """Mean gain of DAPT over the base in each domain, and the paper's own where it has one."""
    claim = CLAIMS["dapt_beats_base"]
    tasks = without_twins(_pairs(claim, cells))
    names = {domain: [task for task in tasks if cells.domains[task] == domain] for domain in _domains(cells)}
    gains = {
        domain: mean_effect([cells.compare(task, claim.better, claim.worse[0], claim) for task in found])
        for domain, found in names.items()
        if found
    }
    paper_effect = _paper_effects(claim, printed, cells.domains)
    theirs = {domain: paper_effect(names[domain]) for domain in gains}
    return gains, {domain: effect for domain, effect in theirs.items() if np.isfinite(effect)}


def _every_domain(cells, printed: Printed | None) -> list[Row]:
    """Whether DAPT gains in each domain: the one least sure to gain decides, beside the paper's smallest gain."""
    gains, theirs = _gains(cells, printed)
    if not gains:
        return []
    parts = list(gains.values())
    domain = list(gains)[least_sure(parts)]
    comparison = cells.comparison("dapt", "base")
    row = Row(EVERY_DOMAIN, "all", f"{comparison} in {domain}, the least sure of {len(gains)} domains,",
              CLAIMS["dapt_beats_base"].section, in_all(parts), measure=cells.measure, unit=cells.unit,
              paper_effect=min(theirs.values(), default=np.nan), parts=parts)  # fmt: skip
    if len(gains) == 1:  # judged a second time it would be a claim more among those corrected for
        row.excluded = f"{domain} is the only domain: what it gains is told by {comparison} over all."
    return [row]


def _farther(cells: Cells, printed: Printed | None, overlap: pd.DataFrame | None) -> Row:
    return farther_domains(*_gains(cells, printed), overlap)


def _control(claim: Claim, cells, tasks: Sequence[str]) -> float:
    """Mean gain over base of adapting to the domain's shuffled words, beside the real gain."""
    control = all({"shuffled_dapt", "base"} <= cells.methods(task, claim) for task in tasks)
    if claim.name != "dapt_beats_base" or not control:
        return np.nan
    return mean_effect([cells.compare(task, "shuffled_dapt", "base", claim) for task in tasks]).effect
