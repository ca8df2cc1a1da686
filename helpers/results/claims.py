"""A verdict for each claim of the paper, from records alone (Paper: sections 3 to 5, Tables 3, 5, 6 and 8).

An effect is a difference of F1 in points with the paper's direction as positive, paired by seed on one test set; its
interval counts the chance of the seeds and of the test examples (`stats.paired_combined`). A model is adapted once
and fine-tuned with several seeds, as in the paper, so the chance of the adaptation itself is in no interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats as _scipy

from helpers import paper
from helpers.data.registry import DOMAINS, TASKS
from helpers.errors import UserError
from helpers.methods import CLAIMS, Claim
from helpers.results.stats import Comparison, detectable_effect, holm, paired_combined, satterthwaite, t_comparison

COLUMNS = (
    "claim", "scope", "task", "domain", "recipe", "comparison", "paper_section", "verdict", "effect", "low", "high",
    "p", "p_holm", "n", "detectable_effect", "paper_effect", "control_effect", "base_model", "preset", "why",
)  # fmt: skip
EVERY_DOMAIN = "dapt_beats_base"
FARTHER = "farther_domains_gain_more"


def claims(
    records: pd.DataFrame,
    overlap: pd.DataFrame | None = None,
    *,
    task_domains: Mapping[str, str] | None = None,
    alpha: float = 0.05,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Every claim of the paper with its verdict: one row over all tasks, one a domain, one a task.

    records: as `load_records` gives them. overlap: `overlap_matrix` or `overlap_table`, for how far each domain
    lies from PT ('generic'). task_domains: domain of Transfer-TAPT partners that have no record themselves; the
    task registry answers for the rest. alpha: level of the tests. draws, seed: of the bootstrap over examples.

    Returns COLUMNS. verdict: 'reproduced' when the effect is positive and `p_holm` < alpha (Holm over the rows of
    one claim, recipe and scope), 'not' when it is negative so surely, else 'undecided'; `why` says which, and
    whether an effect of the paper's size would have been seen. 'dapt_beats_base' holds over all only when it
    holds in every domain; the other claims are judged over all by their mean effect. detectable_effect: smallest
    true effect found in 80 % of such studies. paper_effect: the paper's own, for a domain the mean of the paper's
    tasks in it. control_effect: gain of adapting to shuffled words, beside the real gain. A claim whose methods
    have no record stays 'undecided' in one row that says what is missing.
    """
    rows = []
    for (recipe, base_model, preset), group in records.groupby(["recipe", "base_model", "preset"], sort=True):
        cells = _Cells(group, alpha, draws, seed)
        common = {"recipe": recipe, "base_model": base_model, "preset": preset}
        for claim in CLAIMS.values():
            rows += [{**row, **common} for row in _judge(claim, cells, recipe, task_domains or {})]
        rows += [{**row, **common} for row in _judge_distance(cells, overlap, recipe)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    order = {name: i for i, name in enumerate(dict.fromkeys(["dapt_beats_base", FARTHER, *CLAIMS]))}
    keys = table[["recipe", "preset", "base_model"]].assign(
        claim=table["claim"].map(order), scope=table["scope"].map({"all": 0, "domain": 1, "task": 2})
    )
    return table.loc[keys.sort_values(list(keys), kind="stable").index].reset_index(drop=True)


class _Cells:
    """The records of one recipe, base model and preset, by task and method; comparisons are made once."""

    def __init__(self, records: pd.DataFrame, alpha: float, draws: int, seed: int):
        self.alpha, self.draws, self.seed = alpha, draws, seed
        self.cells = {key: cell.set_index("seed") for key, cell in records.groupby(["task", "method"], sort=False)}
        found = dict(zip(records["task"], records["domain"], strict=True))
        known = [task for task in paper.TASK_TITLES if task in found]
        self.domains = {task: found[task] for task in [*known, *(task for task in found if task not in known)]}
        self._known: dict[tuple[str, str, str], Comparison] = {}

    def methods(self, task: str) -> set[str]:
        return {method for name, method in self.cells if name == task}

    def compare(self, task: str, better: str, worse: str) -> Comparison:
        key = (task, better, worse)
        if key not in self._known:
            first, second = self.cells[task, better], self.cells[task, worse]
            seeds = first.index.intersection(second.index)
            gold = [*first.loc[seeds, "test_gold"], *second.loc[seeds, "test_gold"]]
            if any(not np.array_equal(gold[0], other) for other in gold[1:]):
                raise UserError(f"records of {task}: {better} and {worse} have different test rows; run them again")
            if not len(seeds):
                return Comparison(np.nan, np.nan, np.nan, np.nan, 0, np.nan, np.nan)
            predictions = [np.stack(list(cell.loc[seeds, "test_predictions"])) for cell in (first, second)]
            n_labels, metric = len(first["labels"].iloc[0]), first["metric"].iloc[0]
            self._known[key] = paired_combined(
                gold[0], *predictions, n_labels, metric, draws=self.draws, seed=self.seed
            )
        return self._known[key]

    def degenerate(self, tasks: Sequence[str], methods: Sequence[str]) -> str:
        """'; one class only in: bbc base seed 2' for the seeds that collapsed, or ''."""
        found = [
            f"{task} {method} seed {seed}"
            for task in tasks
            for method in methods
            for seed, bad in self.cells[task, method]["degenerate"].items()
            if bad
        ]
        return f"; one class only in: {', '.join(found)}" if found else ""


def _judge(claim: Claim, cells: _Cells, recipe: str, task_domains: Mapping[str, str]) -> list[dict]:
    """Rows of one claim: all, then each domain, then each task."""
    pairs = {task: claim.pairs(cells.methods(task)) for task in cells.domains}
    pairs = {task: found for task, found in pairs.items() if found}
    blank = {"claim": claim.name, "paper_section": claim.section, "task": "", "domain": ""}
    if not pairs:
        why = "no task has records of every method that this claim compares"
        effect = _paper_effect(claim, recipe, list(paper.TASK_TITLES))
        return [blank | {"scope": "all", "verdict": "undecided", "n": 0, "paper_effect": effect, "why": why}]
    excluded = {}
    if claim.name == "transfer_hurts":
        excluded = {task: reason for task in pairs if (reason := _other_domain(task, cells, task_domains))}
    rows = []
    scopes = [("task", task, [task]) for task in pairs]
    judged = [task for task in pairs if task not in excluded]
    by_domain = {domain: [task for task in judged if cells.domains[task] == domain] for domain in _domains(cells)}
    scopes += [("domain", domain, tasks) for domain, tasks in by_domain.items() if tasks]
    scopes += [("all", "", judged)] if judged else []
    for scope, name, tasks in scopes:
        found, pair = _hardest(claim, cells, tasks, pairs)
        domain = cells.domains[name] if scope == "task" else name
        told = (
            [name] if scope == "task" else [t for t in paper.TASK_TITLES if scope == "all" or TASKS[t].domain == domain]
        )
        methods = sorted({method for task in tasks for one in pairs[task] for method in one})
        rows.append(blank | {
            "scope": scope, "task": name if scope == "task" else "", "domain": domain,
            "comparison": f"{pair[0]} - {pair[1]}", "effect": found.effect, "low": found.low, "high": found.high,
            "p": found.p, "n": found.n, "paper_effect": _paper_effect(claim, recipe, told),
            "control_effect": _control(claim, cells, tasks), "_error": found.standard_error,
            "_degrees": found.degrees, "_excluded": excluded.get(name, ""),
            "_note": cells.degenerate(tasks, methods),
        })  # fmt: skip
    rows = _verdicts(rows, cells.alpha)
    if not judged:
        why = "no task's partner is a task of its own domain: " + "; ".join(excluded.values())
        rows.append(blank | {"scope": "all", "verdict": "undecided", "n": 0, "why": why,
                             "paper_effect": _paper_effect(claim, recipe, list(paper.TASK_TITLES))})  # fmt: skip
    if claim.name == EVERY_DOMAIN:
        _over_every_domain(rows)
    return rows


def _domains(cells: _Cells) -> list[str]:
    """The domains of the records, in the paper's order, others after."""
    found = dict.fromkeys(cells.domains.values())
    return [name for name in DOMAINS if name in found] + [name for name in found if name not in DOMAINS]


def _hardest(claim: Claim, cells: _Cells, tasks: Sequence[str], pairs: Mapping) -> tuple[Comparison, tuple[str, str]]:
    """The mean effect over tasks against the rival hardest to beat, and that pair.

    A method is best only if it beats every rival, so the smallest t decides and needs no correction; to be shown
    worse than the hardest of several rivals it does.
    """
    shared = [pair for pair in pairs[tasks[0]] if all(pair in pairs[task] for task in tasks)]
    if not shared:
        # Selections of different sizes: each task with its own pair, named by the first.
        return _mean_effect([cells.compare(task, *pairs[task][0]) for task in tasks]), pairs[tasks[0]][0]
    effects = [(_mean_effect([cells.compare(task, *pair) for task in tasks]), pair) for pair in shared]
    found, pair = min(effects, key=lambda one: _t_value(one[0]))
    if found.effect < 0:
        found = replace(found, p=min(1.0, found.p * len(effects)))
    return found, pair


def _t_value(found: Comparison) -> float:
    return found.effect / found.standard_error if found.standard_error > 0 else found.effect * 1e9


def _mean_effect(effects: Sequence[Comparison], weights: Sequence[float] | None = None) -> Comparison:
    """Weighted sum (default: the mean) of independent effects, by Student's t with Satterthwaite's degrees."""
    weights = np.full(len(effects), 1 / len(effects)) if weights is None else np.asarray(weights)
    effect = float(sum(w * one.effect for w, one in zip(weights, effects, strict=True)))
    variances = [(w * one.standard_error) ** 2 for w, one in zip(weights, effects, strict=True)]
    n = min(one.n for one in effects)
    if not np.isfinite(variances).all():
        return Comparison(effect, np.nan, np.nan, np.nan, n, np.nan, np.nan)
    degrees = satterthwaite(variances, [one.degrees for one in effects])
    return t_comparison(effect, float(np.sqrt(sum(variances))), degrees, n)


def _verdicts(rows: list[dict], alpha: float) -> list[dict]:
    """The rows with p_holm, detectable_effect, verdict and why; Holm runs over the rows of one scope."""
    for scope in {row["scope"] for row in rows}:
        family = [row for row in rows if row["scope"] == scope and not row["_excluded"]]
        for row, adjusted in zip(family, holm([row["p"] for row in family]), strict=True):
            row["p_holm"] = adjusted
            row["detectable_effect"] = detectable_effect(row["_error"], row["_degrees"], alpha=alpha / len(family))
    for row in rows:
        row["verdict"], row["why"] = _verdict(row, alpha)
        row["why"] += row["_note"]
    return [{name: value for name, value in row.items() if not name.startswith("_")} for row in rows]


def _verdict(row: dict, alpha: float) -> tuple[str, str]:
    effect, unit = row["effect"], row.get("_unit", "points")
    if row["_excluded"]:
        return "undecided", row["_excluded"]
    if not np.isfinite(row["p"]):
        reason = "the two methods share no seed" if not row["n"] else "one seed says nothing about the spread of seeds"
        return "undecided", reason
    surely = f"{effect:+.2f} {unit}, p = {row['p_holm']:.2g} after Holm"
    if row["p_holm"] < alpha:
        return ("reproduced" if effect > 0 else "not"), surely
    seen, printed = row["detectable_effect"], row["paper_effect"]
    power = f"smallest effect this study would see: {seen:.2f}"
    if np.isfinite(printed) and printed > 0:
        judged = "would have shown" if seen <= printed else "is too small to see here"
        power += f"; the paper's {printed:+.2f} {judged}"
    return "undecided", f"{surely}; {power}"


def _over_every_domain(rows: list[dict]) -> None:
    """Judge the row over all by its domains: the claim is that each of them gains."""
    domains = {row["domain"]: row["verdict"] for row in rows if row["scope"] == "domain"}
    for row in rows:
        if row["scope"] != "all" or not domains:
            continue
        named = {verdict: [name for name, found in domains.items() if found == verdict] for verdict in domains.values()}
        row["verdict"] = "not" if "not" in named else "undecided" if "undecided" in named else "reproduced"
        listed = "; ".join(f"{verdict} on {', '.join(names)}" for verdict, names in named.items())
        row["why"] = f"claimed of every domain: {listed}; on average {row['why']}"


def _control(claim: Claim, cells: _Cells, tasks: Sequence[str]) -> float:
    """Mean gain over base of adapting to the domain's shuffled words, beside the real gain."""
    if claim.name != "dapt_beats_base" or not all({"shuffled_dapt", "base"} <= cells.methods(task) for task in tasks):
        return np.nan
    return _mean_effect([cells.compare(task, "shuffled_dapt", "base") for task in tasks]).effect


def _other_domain(task: str, cells: _Cells, task_domains: Mapping[str, str]) -> str:
    """Why Transfer-TAPT of this task says nothing about the claim, '' if its partner is of the same domain."""
    partners = cells.cells[task, "transfer_tapt"]["adaptation_corpus"].dropna().unique()
    if len(partners) != 1:
        return f"{task}: its records name no single partner task"
    partner, own = str(partners[0]), cells.domains[task]
    domain = task_domains.get(partner) or cells.domains.get(partner) or _registered_domain(partner)
    if domain == own:
        return ""
    return f"{task}: its partner {partner} is a task of {domain or 'an unknown domain'}, not of {own}"


def _registered_domain(task: str) -> str:
    from helpers.data import TASKS

    return TASKS[task].domain if task in TASKS else ""


def _paper_effect(claim: Claim, recipe: str, tasks: Sequence[str]) -> float:
    """The paper's effect against the rival hardest to beat, mean over those of the tasks its table has; or nan."""
    if recipe != "paper":
        return np.nan
    table = paper.table(claim.published)
    effects = []
    for _, printed in table[table["asserted"] & table["task"].isin(list(tasks))].groupby("task"):
        means = dict(zip(printed["method"], printed["mean"], strict=True))
        if wanted := claim.pairs(set(means)):
            effects.append(min(means[better] - means[worse] for better, worse in wanted))
    return float(np.mean(effects)) if effects else np.nan


def _judge_distance(cells: _Cells, overlap: pd.DataFrame | None, recipe: str) -> list[dict]:
    """Whether DAPT gains more where the domain shares fewer words with PT: the slope over the domains at hand."""
    gains = {}
    for domain in _domains(cells):
        tasks = [t for t, d in cells.domains.items() if d == domain and {"dapt", "base"} <= cells.methods(t)]
        if tasks:
            gains[domain] = _mean_effect([cells.compare(task, "dapt", "base") for task in tasks])
    distance = {} if overlap is None else _distances(overlap)
    known = [domain for domain in gains if domain in distance]
    figure = paper.table("figure2")
    printed_distance = _distances(figure.assign(definition="paper").rename(columns={"value": "mean"}))
    printed_gains = {
        domain: _paper_effect(
            CLAIMS["dapt_beats_base"], recipe, [t for t in paper.TASK_TITLES if TASKS[t].domain == domain]
        )
        for domain in list(DOMAINS)[1:]
    }
    row = {
        "claim": FARTHER, "paper_section": "3.1, Figure 2, Table 3", "scope": "all", "task": "", "domain": "",
        "comparison": "slope of dapt - base on the words not shared with PT, a step of 10 %", "n": len(known),
        "paper_effect": float(_slope(printed_distance, list(printed_gains)) @ list(printed_gains.values())),
        "control_effect": np.nan, "_excluded": "", "_unit": "points for 10 % fewer shared words",
    }  # fmt: skip
    if len(known) < 3:
        need = "no overlap of the domains with PT was given" if overlap is None else f"{len(known)} domains with both"
        row |= {"verdict": "undecided", "why": f"{need}; a trend needs DAPT gains and overlaps of three domains"}
        return [{name: value for name, value in row.items() if not name.startswith("_")}]
    found = _mean_effect([gains[domain] for domain in known], _slope(distance, known))
    rank = _scipy.spearmanr([distance[d] for d in known], [gains[d].effect for d in known]).statistic
    row |= {
        "effect": found.effect, "low": found.low, "high": found.high, "p": found.p, "_error": found.standard_error,
        "_degrees": found.degrees,
        "_note": f"; about these {len(known)} domains only, rank correlation {rank:+.2f}",
    }  # fmt: skip
    return _verdicts([row], cells.alpha)


def _distances(overlap: pd.DataFrame) -> dict[str, float]:
    """Percent of the top words that each domain does not share with PT."""
    column = "mean" if "mean" in overlap else "percent"
    rows = overlap[(overlap["definition"] == "paper") & (overlap["a"] == "generic") & (overlap["b"] != "generic")]
    return {name: 100.0 - share for name, share in zip(rows["b"], rows[column], strict=True)}


def _slope(distance: Mapping[str, float], domains: Sequence[str]) -> np.ndarray:
    """Weights [domains] that turn gains into their least-squares slope for a step of 10 points of distance."""
    x = np.array([distance[domain] for domain in domains]) / 10
    centred = x - x.mean()
    return centred / (centred**2).sum()
