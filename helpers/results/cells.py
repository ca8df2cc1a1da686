"""The cells of a study, by task and method, and how two of them are compared: by F1, by log loss, by masked-LM loss."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, reduce

import numpy as np
import pandas as pd

from helpers import paper
from helpers.data.registry import TASKS
from helpers.errors import UserError
from helpers.methods import BASELINES, Claim
from helpers.results.loss_claims import groups_of, paired
from helpers.results.stats import (
    Comparison,
    paired_combined,
    paired_mean,
    stragglers,
    t_comparison,
    with_shared,
)
from helpers.results.verdicts import UNKNOWN


def never_learnt(records: pd.DataFrame) -> list[str]:
    """A line for each seed that scored far below the others of its task and method, see `stats.stragglers`."""
    lines = []
    for (task, method), cell in records.groupby(["task", "method"], sort=False):
        scores = cell.set_index("seed")["score"]
        for seed in stragglers(scores):
            others = scores.drop(seed).median()
            lines.append(f"{task} {method} seed {seed} scored {scores[seed]:.1f}, its other seeds {others:.1f}: it may "
                         "never have learnt; it stays in the mean")  # fmt: skip
    return lines


class Cells:
    """The records of one recipe, base model and preset, by task and method; comparisons are made once."""

    measure, unit = "f1", "points"

    def __init__(self, records: pd.DataFrame, draws: int = 1000, seed: int = 0):
        self.draws, self.seed = draws, seed
        self.adaptations = adaptations_of_a_text(records)
        self.cells = {key: cell.set_index("seed") for key, cell in records.groupby(["task", "method"], sort=False)}
        found = dict(zip(records["task"], records["domain"], strict=True))
        known = [task for task in paper.TASK_TITLES if task in found]
        self.domains = {task: found[task] for task in [*known, *(task for task in found if task not in known)]}
        self._known: dict[tuple[str, str, str], Comparison] = {}

    def methods(self, task: str, claim: Claim) -> set[str]:
        return {method for name, method in self.cells if name == task}

    def gains(self) -> dict[tuple[str, str], Comparison]:
        """(task, method) -> gain over the base, of every adapted model."""
        return {
            (task, method): self.compare(task, method, "base")
            for task, method in self.cells
            if _adapted(method) and (task, "base") in self.cells
        }

    def compare(self, task: str, better: str, worse: str, claim: Claim | None = None) -> Comparison:
        """better - worse, paired by seed and test row; the claim matters to `Printed` alone, which has many tables."""
        key = (task, better, worse)
        if key not in self._known:
            first, second = self.cells[task, better], self.cells[task, worse]
            seeds = first.index.intersection(second.index)
            gold = [*first.loc[seeds, "test_gold"], *second.loc[seeds, "test_gold"]]
            if any(not np.array_equal(gold[0], other) for other in gold[1:]):
                raise UserError(f"records of {task}: {better} and {worse} have different test rows; run them again")
            if not len(seeds):
                return UNKNOWN
            adaptations = first.loc[seeds, "adaptation_seed"].fillna(second.loc[seeds, "adaptation_seed"]).fillna(0)
            self._known[key] = self.compared(
                gold[0], first.loc[seeds], second.loc[seeds], adaptations.to_numpy(), _sides(self, task, better, worse)
            )
        return self._known[key]

    def compared(self, gold, first: pd.DataFrame, second: pd.DataFrame, adaptations, sources=()) -> Comparison:
        """first - second, two cells whose rows are of the same seeds.

        adaptations: which one each seed is of; sources: the adapted sides.
        """
        predictions = [np.stack(list(cell["test_predictions"])) for cell in (first, second)]
        return paired_combined(
            gold, *predictions, len(first["labels"].iloc[0]), first["metric"].iloc[0],
            groups=first["test_groups"].iloc[0], adaptations=adaptations, sources=sources, draws=self.draws,
            seed=self.seed,
        )  # fmt: skip

    def comparison(self, better: str, worse: str) -> str:
        return f"{better} - {worse}"

    def corpus(self, task: str, method: str) -> str:
        """What the method read for this task: where it is the same for two tasks, so is the adaptation."""
        corpus = self.cells[task, method]["adaptation_corpus"].iloc[0]
        return corpus if isinstance(corpus, str) else task

    def tokens(self, task: str, method: str) -> float:
        """How many tokens the method's adaptations to this task read, on average; nan where no record says."""
        return float(pd.to_numeric(self.cells[task, method]["adaptation_tokens"]).mean())

    def excluded(self, task: str) -> str:
        """Why Transfer-TAPT of this task says nothing about the claim, '' if its partner is of the same domain."""
        partners = self.cells[task, "transfer_tapt"]["adaptation_corpus"].dropna().unique()
        if len(partners) != 1:
            return f"{task}: its records name no single partner task."
        return _other_domain(task, str(partners[0]), self.domains)

    def mishaps(self, tasks: Sequence[str], methods: Sequence[str]) -> str:
        """' One class only in: bbc base seed 2.' for seeds that collapsed or fell far below the others, or ''."""
        collapsed, fallen = [], []
        for task, method in ((task, method) for task in tasks for method in methods):
            cell = self.cells[task, method]
            bad = cell["degenerate"].astype(bool)
            collapsed += [f"{task} {method} seed {seed}" for seed in cell.index[bad]]
            low = [seed for seed in stragglers(cell["score"]) if not bad[seed]]
            fallen += [f"{task} {method} seed {seed} ({cell['score'][seed]:.1f})" for seed in low]
        text = f" One class only in: {', '.join(collapsed)}." if collapsed else ""
        return text + (f" Far below the other seeds, so maybe never learnt: {', '.join(fallen)}." if fallen else "")


def adaptations_of_a_text(records: pd.DataFrame) -> int:
    """How many adaptations of each text took turns: of one method, for DAPT made again has a seed of its own."""
    return int(records.groupby("method")["adaptation_seed"].nunique().max())


def _adapted(method: str) -> bool:
    return method not in (*BASELINES, "base")


def _sides(cells, task: str, better: str, worse: str) -> list[tuple[str, str]]:
    """(method, text read) of each adapted side: what two tasks of one adaptation have in common."""
    return [(side, cells.corpus(task, side)) for side in (better, worse) if _adapted(side)]


class WithChance:
    """Other cells whose comparisons hold the chance of the adaptations too.

    spread: the standard deviation, in the cells' unit, that it gives one adaptation's mean on a task; each side of a
    comparison that is adapted has it. An adaptation that several tasks share on one side moves them together (DAPT on
    general text serves all), one that stands on both sides is not taken to cancel. degrees: of freedom, with which the
    spread is known.
    """

    def __init__(self, plain, spread: float, degrees: int):
        self.plain, self.spread, self.degrees = plain, spread, degrees

    def __getattr__(self, name: str):
        return getattr(self.plain, name)

    def compare(self, task: str, better: str, worse: str, claim: Claim | None = None) -> Comparison:
        found = self.plain.compare(task, better, worse, claim)
        return with_shared(found, dict.fromkeys(_sides(self, task, better, worse), self.spread), self.degrees)


class LogLosses(Cells):
    """The same records by the log loss of the right label: effects are falls of it."""

    measure, unit = "log_loss", "nats"

    def compared(self, gold, first: pd.DataFrame, second: pd.DataFrame, adaptations, sources=()) -> Comparison:
        losses = [np.stack(list(cell["test_log_loss"])) for cell in (second, first)]
        return paired_mean(*losses, groups=first["test_groups"].iloc[0], adaptations=adaptations, sources=sources)

    def comparison(self, better: str, worse: str) -> str:
        return f"{worse} - {better}"


class TextLosses:
    """Masked-LM losses of the tasks' dev texts, by task and method: effects are falls of it, paired by document."""

    measure, unit = "text_loss", "nats"
    comparison = LogLosses.comparison

    def __init__(self, losses: pd.DataFrame):
        found = losses.groupby(["task", "method"], sort=False)
        self.cells = {key: rows.pivot(index="adaptation", columns="document", values="loss") for key, rows in found}
        self.adaptations = max(map(len, self.cells.values()))
        self.groups = {task: groups_of(rows) for task, rows in losses.groupby("task", sort=False)}
        self.corpora = {key: str(rows["corpus"].iloc[0]) for key, rows in found}
        self.domains = dict(zip(losses["task"], losses["domain"], strict=True))
        self._known: dict[tuple[str, str, str], Comparison] = {}

    methods = Cells.methods

    def compare(self, task: str, better: str, worse: str, claim: Claim | None = None) -> Comparison:
        """worse - better, paired by document and by number of the adaptation; the base is one model beside each."""
        key = (task, better, worse)
        if key not in self._known:
            sides = {method: self.cells[task, method] for method in (worse, better)}
            numbers = reduce(pd.Index.intersection, [one.index for name, one in sides.items() if name != "base"])
            first, second = (
                one.reindex(numbers, method="ffill" if name == "base" else None) for name, one in sides.items()
            )
            sources = _sides(self, task, better, worse)
            self._known[key] = self._compared((first - second).dropna(axis=1), self.groups[task], sources)
        return self._known[key]

    def _compared(self, differences: pd.DataFrame, groups: Mapping | None, sources: Sequence) -> Comparison:
        """differences: [adaptations, documents]; of several adaptations both are uncertain."""
        if not differences.size:
            return UNKNOWN
        if len(differences) == 1:
            return paired(differences.iloc[0], groups)
        numbers = groups and [groups[document] for document in differences.columns]
        found = paired_mean(
            differences, np.zeros(differences.shape), groups=numbers, adaptations=range(len(differences)),
            sources=sources,
        )  # fmt: skip
        return replace(found, n=differences.shape[1])

    def corpus(self, task: str, method: str) -> str:
        return self.corpora[task, method]

    def tokens(self, task: str, method: str) -> float:
        return np.nan

    def excluded(self, task: str) -> str:
        return _other_domain(task, self.corpus(task, "transfer_tapt"), self.domains)

    def mishaps(self, tasks: Sequence[str], methods: Sequence[str]) -> str:
        return ""


def _other_domain(task: str, partner: str, domains: Mapping[str, str]) -> str:
    """Why a task's Transfer-TAPT from `partner` says nothing about the claim, '' if both are of one domain."""
    own = domains[task]
    domain = domains.get(partner) or (TASKS[partner].domain if partner in TASKS else "")
    if domain == own:
        return ""
    return f"{task}: its partner {partner} is a task of {domain or 'an unknown domain'}, not of {own}."


@cache
def _printed_methods(table: str) -> dict[str, frozenset[str]]:
    """Task -> the methods whose numbers in this table of the paper are sure to be right."""
    printed = paper.table(table)
    return printed[printed["asserted"]].groupby("task")["method"].agg(frozenset).to_dict()


class Printed:
    """The paper's own cells, from its printed means and standard deviations over five seeds."""

    measure, unit, seeds = "f1", "points", 5
    comparison = Cells.comparison

    def __init__(self):
        self.domains = {task: TASKS[task].domain for task in paper.TASK_TITLES}

    def methods(self, task: str, claim: Claim) -> frozenset[str]:
        return _printed_methods(claim.published).get(task, frozenset())

    def compare(self, task: str, better: str, worse: str, claim: Claim) -> Comparison:
        first, second = (paper.value(claim.published, task, method) for method in (better, worse))
        effect = first.mean - second.mean
        spreads = [one.sd if one.sd_grade in paper.ASSERTED_GRADES else None for one in (first, second)]
        if None in spreads:
            return Comparison(effect, np.nan, np.nan, np.nan, self.seeds, np.nan, np.nan)
        one, two = (sd**2 / self.seeds for sd in spreads)
        degrees = (one + two) ** 2 / (one**2 + two**2) * (self.seeds - 1)  # Welch
        return t_comparison(effect, float(np.sqrt(one + two)), degrees, self.seeds)

    def tokens(self, task: str, method: str) -> float:
        return np.nan

    def excluded(self, task: str) -> str:
        return ""  # the paper's partners are of the same domain (Table 6)

    def mishaps(self, tasks: Sequence[str], methods: Sequence[str]) -> str:
        return ""
