"""Claims about masked-LM loss, decided document by document (Paper: section 3.2, Tables 1 and 12).

An effect is a difference of loss in nats a masked token with the paper's direction as positive. Two models are asked
for the same masked tokens of the same documents, so their losses are paired by document.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from helpers import paper
from helpers.data.registry import TASKS, without_twins
from helpers.errors import UserError, counted
from helpers.results.stats import Comparison, mean_interval, t_comparison
from helpers.results.verdicts import UNKNOWN, Row, in_all, judge, least_sure, mean_effect, table

LOSS_CLAIMS = {
    "loss_falls_at_home": "DAPT lowers the loss of its own domain",
    "loss_rises_on_general_text": "DAPT raises the loss of general text",
    "own_dapt_has_lowest_loss": "each domain's own DAPT has the lowest loss of all DAPTs",
    "tapt_lowers_task_loss_more": "TAPT lowers the loss of the task's text more than DAPT",
}
_SECTIONS = ("3.2, Table 1", "3.2, Table 12", "3.2, Table 12", "not in the paper")


def loss_claims(
    documents: pd.DataFrame, *, task_domains: Mapping[str, str] | None = None,
    tokens: Mapping[str, float] | None = None, alpha: float = 0.05,
) -> pd.DataFrame:  # fmt: skip
    """Verdicts on masked-LM loss: over all, and for each domain or task.

    documents: a row per model, sample and document with model ('base', 'dapt_<domain>', 'tapt_<task>'), sample
    ('generic', a domain, or 'task_<task>' for its dev texts), document (its place in the sample), loss (nats) and maybe
    group (of documents that belong together). task_domains: domain of tasks that the registry does not know. tokens:
    model -> tokens read: where TAPT and the domain's DAPT did not read alike, the row says how many times more. alpha:
    level of the tests.

    Returns `verdicts.COLUMNS`, recipe empty and unit 'nats'. A domain whose loss the paper saw rise (News) counts
    the other way round, as its comparison says. Holm's family is the claims over all, or the rows of one claim.
    Raises UserError for missing columns or a document that is there twice.

        loss_claims(documents).query("scope == 'all'")[["claim", "effect", "low", "high", "verdict"]]
    """
    pairs = _Pairs(documents)
    rows = [
        *_falls_at_home(pairs), *_rises_on_general_text(pairs), *_own_is_lowest(pairs),
        *_tapt_against_dapt(pairs, task_domains or {}, tokens or {}),
    ]  # fmt: skip
    judge([row for row in rows if row.scope == "all"], alpha)
    for claim in LOSS_CLAIMS:
        judge([row for row in rows if row.claim == claim and row.scope != "all"], alpha)
    return table(rows)


def loss_changes(documents: pd.DataFrame) -> pd.DataFrame:
    """Change of each model's loss from the base's, paired by document, with its 95 % interval.

    documents: as for `loss_claims`. Returns model, sample, change, change_low, change_high (nats; below 0 is better).
    """
    pairs = _Pairs(documents)
    rows = []
    for model, sample in pairs.losses:
        if model != "base" and ("base", sample) in pairs.losses:
            found = pairs.compare((model, sample), ("base", sample))
            rows.append((model, sample, found.effect, found.low, found.high))
    return pd.DataFrame(rows, columns=["model", "sample", "change", "change_low", "change_high"])


class _Pairs:
    """Losses by model and sample, compared on the documents that two of them share."""

    def __init__(self, documents: pd.DataFrame):
        for column in ("model", "sample", "document", "loss"):
            if column not in documents:
                raise UserError(f"loss_claims: the losses have no column {column!r}")
        repeated = documents.duplicated(["model", "sample", "document"])
        if repeated.any():
            one = documents[repeated].iloc[0]
            place = f"document {one['document']} of {one['model']} on {one['sample']}"
            raise UserError(f"loss_claims: {place} is there twice; give each once")
        groups = documents.groupby(["model", "sample"], sort=False)
        self.losses = {key: group.set_index("document")["loss"] for key, group in groups}
        self.groups = {key: groups_of(group) for key, group in groups}
        self.domains = [s for m, s in self.losses if m == f"dapt_{s}" and s != "generic"]

    def difference(self, first: tuple[str, str], second: tuple[str, str]) -> pd.Series:
        return (self.losses[first] - self.losses[second]).dropna()

    def compare(self, first: tuple[str, str], second: tuple[str, str]) -> Comparison:
        return paired(self.difference(first, second), self.groups[first])


def paired(differences: pd.Series, groups: Mapping | Sequence | None = None) -> Comparison:
    """The paired t-test of differences by document.

    groups: document -> its group; documents of one group (sentences of one abstract) count as one draw.
    """
    spread = mean_interval(differences)
    if groups is None:
        error = spread.sd / np.sqrt(spread.n) if spread.n else np.nan
        return t_comparison(spread.mean, error, spread.n - 1, spread.n)
    sums = (differences - spread.mean).groupby([groups[document] for document in differences.index]).sum()
    units = len(sums)
    error = np.sqrt(units / (units - 1) * (sums**2).sum()) / spread.n if units > 1 else np.nan
    return t_comparison(spread.mean, float(error), units - 1, spread.n)


def groups_of(documents: pd.DataFrame) -> dict | None:
    """document -> group, from losses that have a column group; None where they have none."""
    if "group" not in documents or documents["group"].isna().all():
        return None
    return dict(zip(documents["document"], documents["group"], strict=True))


def _printed(sample: str, model: str) -> float:
    number = paper.value("table12", sample, model)
    return number.mean if number and number.asserted else np.nan


def _new(place: int, scope: str, name: str, comparison: str, found: Comparison, paper_effect=np.nan, **more) -> Row:
    claim = list(LOSS_CLAIMS)[place]
    named = {"task": name} if scope == "task" else {"domain": name}
    section, common = _SECTIONS[place], {"recipe": "", "base_model": "", "preset": ""}
    return Row(
        claim, scope, comparison, section, found, measure="domain_loss", unit="nats", paper_effect=paper_effect,
        common=common, **named, **more,
    )  # fmt: skip


def _missing(place: int, why: str) -> list[Row]:
    return [_new(place, "all", "", "", UNKNOWN, excluded=why)]


def _falls_at_home(pairs: _Pairs) -> list[Row]:
    """Table 1: the domain's loss under the base minus that under its own DAPT."""
    rows, falls, printed = [], [], []
    for domain in pairs.domains:
        if ("base", domain) not in pairs.losses:
            continue
        own, theirs = f"dapt_{domain}", _printed(domain, "base") - _printed(domain, f"dapt_{domain}")
        falls.append(pairs.compare(("base", domain), (own, domain)))
        printed.append(theirs)
        sides = ("base", own) if not theirs < 0 else (own, "base")  # the paper's direction is positive
        found = pairs.compare(*((side, domain) for side in sides))
        rows.append(_new(0, "domain", domain, f"{sides[0]} - {sides[1]}", found, abs(theirs)))
    if not rows:
        return _missing(0, "No domain has losses of the base and of its own DAPT.")
    comparison = "base - own DAPT, the mean over domains,"
    return [*rows, _new(0, "all", "", comparison, mean_effect(falls), _known_mean(printed))]


def _rises_on_general_text(pairs: _Pairs) -> list[Row]:
    """Table 12: the loss of general text under each DAPT minus that under the base (forgetting)."""
    rows, rises = [], []
    for domain in pairs.domains:
        own, base = (f"dapt_{domain}", "generic"), ("base", "generic")
        if own in pairs.losses and base in pairs.losses:
            rises.append(pairs.difference(own, base))
            theirs = _printed("generic", f"dapt_{domain}") - _printed("generic", "base")
            rows.append(_new(1, "domain", domain, f"dapt_{domain} - base", paired(rises[-1]), theirs))
    if not rows:
        return _missing(1, "No DAPT has a loss on general text beside the base's.")
    # One sample of documents under every model: averaged by document first, for their errors are not independent.
    found = paired(pd.concat(rises, axis=1).mean(axis=1, skipna=False).dropna())
    printed = [row.paper_effect for row in rows]
    return [*rows, _new(1, "all", "", "every DAPT - base on general text", found, _known_mean(printed))]


def _own_is_lowest(pairs: _Pairs) -> list[Row]:
    """Table 12: the loss of a domain under the DAPT of another minus that under its own, the hardest rival."""
    rows = []
    for domain in pairs.domains:
        others = [other for other in pairs.domains if other != domain and (f"dapt_{other}", domain) in pairs.losses]
        if others:
            own = f"dapt_{domain}"
            found = [pairs.compare((f"dapt_{other}", domain), (own, domain)) for other in others]
            theirs = [_printed(domain, f"dapt_{other}") - _printed(domain, own) for other in others]
            rival = f"dapt_{others[least_sure(found)]}"
            worst = float(np.min(theirs))
            rows.append(_new(2, "domain", domain, f"{rival} - {own}", in_all(found), worst, parts=found))
    if not rows:
        return _missing(2, "No domain has losses under the DAPT of two domains.")
    parts = [row.found for row in rows]
    worst = rows[least_sure(parts)]
    found, theirs = in_all(parts), float(np.min([row.paper_effect for row in rows]))
    comparison = f"{worst.comparison}, the least sure of {counted(len(rows), 'domain')},"
    return [*rows, _new(2, "all", "", comparison, found, theirs, parts=[part for row in rows for part in row.parts])]


def _tapt_against_dapt(pairs: _Pairs, task_domains: Mapping[str, str], tokens: Mapping[str, float]) -> list[Row]:
    """Loss of the task's dev text under the domain's DAPT minus that under TAPT."""
    rows, times = {}, {}
    for model, sample in pairs.losses:
        task = sample.removeprefix("task_")
        if sample == f"task_{task}" and model == f"tapt_{task}":
            domain = task_domains.get(task) or (TASKS[task].domain if task in TASKS else "")
            if (f"dapt_{domain}", sample) in pairs.losses:
                found = pairs.compare((f"dapt_{domain}", sample), (model, sample))
                times[task] = tokens.get(f"dapt_{domain}", np.nan) / tokens.get(model, np.nan)
                note = _unlike(times[task])
                rows[task] = _new(3, "task", task, f"dapt_{domain} - {model}", found, note=note)
    if not rows:
        return _missing(3, "No task has losses of its dev text under TAPT and under its domain's DAPT.")
    kept = without_twins(rows)
    found, note = mean_effect([rows[task].found for task in kept]), _unlike(np.mean([times[task] for task in kept]))
    comparison = "DAPT - TAPT on the task's text, the mean over tasks,"
    return [*rows.values(), _new(3, "all", "", comparison, found, note=note)]


def _unlike(times: float) -> str:
    """What a row says where DAPT read so many times TAPT's tokens; '' where alike to a tenth, or unknown."""
    return "" if np.isnan(times) or 0.9 < times < 1.1 else f" DAPT read {times:.1f} times the tokens that TAPT did."


def _known_mean(values) -> float:
    values = np.array(values, float)
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
