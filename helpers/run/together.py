"""Several runs that differ in their seeds, judged as one: the chance of adaptations and selections is in it too."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.config import HERE
from helpers.errors import UserError
from helpers.methods import BASELINES
from helpers.results import claims, load_records
from helpers.results.chance import spread_of
from helpers.results.loss_claims import groups_of, paired
from helpers.results.records import FREE
from helpers.results.stats import Comparison, t_comparison
from helpers.run import readable
from helpers.run.compare import table
from helpers.run.report import read_config

TASK_LOSSES = "records/task_losses.csv"
CELL = ["task", "method", "recipe", "base_model", "preset"]
SPREAD_COLUMNS = ("measure", "recipe", "method", "effects", "spread", "spread_at_most", "unit")


@dataclass(frozen=True)
class Runs:
    """What several runs have all scored: records and losses of dev texts, a table a run, and the first one's overlap.

    losses: as `helpers.study.views.task_losses`; empty where a run has kept none.
    """

    records: Sequence[pd.DataFrame]
    losses: Sequence[pd.DataFrame]
    overlap: pd.DataFrame | None


def read_runs(folders: Sequence[Path | str]) -> Runs:
    """The records and losses of runs of one preset that differ in FIRST_SEED; what not all have scored is left out.

    Raises UserError for fewer than two runs, a run without records, runs that share a seed, runs with other settings
    than each other's, runs of which nothing is alike, and runs whose dev texts are not the same.
    """
    if len(folders) < 2:
        raise UserError("one run alone has nothing to be judged together with; name two or more")
    records = [load_records(Path(run) / "records") for run in folders]
    for run, side in zip(folders, records, strict=True):
        if side.empty:
            raise UserError(f"{run}: there are no records in it; a kept run has its tables alone, run it again")
    for (first, one), (second, other) in combinations(zip(folders, records, strict=True), 2):
        shared = one[[*CELL, "seed"]].merge(other[[*CELL, "seed"]])
        if len(shared):
            seed = shared["seed"].iloc[0]
            raise UserError(f"{first}, {second}: both have seed {seed}; run one with another FIRST_SEED")
    _check_settings(folders)
    cells = _in_all(records, CELL)
    if cells.empty:
        named = ", ".join(map(str, folders))
        raise UserError(f"{named}: no task and method, scored by one recipe at one preset, is in all of them")
    overlap = table(folders[0], "overlap", ["a", "b", "definition", "mean"])
    return Runs([side.merge(cells) for side in records], _losses(folders), overlap if len(overlap) else None)


def _check_settings(folders: Sequence[Path | str]) -> None:
    """Raise UserError where the runs' scores are of other settings, such as LABELS."""
    first, *others = ((run, read_config(Path(run) / "config.json")) for run in folders)
    for run, settings in others:
        for name, value in settings.items():
            if name not in (*HERE, *FREE) and first[1].get(name, value) != value:
                raise UserError(f"{first[0]}, {run}: {name.upper()} is {first[1][name]} and {value}; only runs that "
                                "differ in their seeds are judged together")  # fmt: skip


def claims_of(runs: Runs) -> pd.DataFrame:
    """The claims by the draws and the adaptations of all runs, as `results.claims` returns them."""
    losses, first = [], 0
    for one in runs.losses:
        losses.append(one.assign(adaptation=one["adaptation"] + first))
        first = losses[-1]["adaptation"].max() + 1
    return claims(
        pd.concat(runs.records, ignore_index=True), runs.overlap,
        task_losses=pd.concat(losses, ignore_index=True) if losses else None,
    )  # fmt: skip


def adaptation_spread(runs: Runs) -> pd.DataFrame:
    """The chance of one adaptation from how far the runs lie apart: SPREAD_COLUMNS.

    A row a read-out and adapted method, and 'all' of a read-out. spread: the standard deviation, in points, of one
    adaptation's gain over the base on one task, or in nats of its loss on the task's dev text, with that of the text
    selected for it; from how far the runs' means lie apart beside the chance of their draws or documents
    (`results.chance.spread_of`; the test rows are the same). spread_at_most: its bound at 95 %, for which an adaptation
    that serves several tasks counts once. Methods with fewer than two draws in a run are left out.
    """
    found: dict[tuple, list[tuple[Comparison, tuple]]] = {}
    for (measure, recipe, unit), method, corpus, apart in (*_apart_by_f1(runs.records), *_apart_by_loss(runs.losses)):
        adapted = [(one, (method, corpus, number)) for number, one in enumerate(apart)]
        for name in (method, "all"):
            found.setdefault((measure, recipe, name, unit), []).extend(adapted)
    order = sorted(found, key=lambda key: (*key[:2], key[2] == "all"))
    rows = [(*key[:3], len(found[key]), *spread_of(*zip(*found[key], strict=True)), key[3]) for key in order]
    return pd.DataFrame(rows, columns=list(SPREAD_COLUMNS))


def _contrasts(runs: int) -> Iterable[np.ndarray]:
    """Orthogonal weights [runs] of the runs' means, each with the variance of a difference of two (Helmert's)."""
    for number in range(1, runs):
        weights = np.zeros(runs)
        weights[:number], weights[number] = 1 / number, -1
        yield weights * np.sqrt(2 / (1 + 1 / number))


def _apart_by_f1(records: Sequence[pd.DataFrame]) -> Iterable[tuple[tuple[str, str, str], str, str, list[Comparison]]]:
    """((measure, recipe, unit), method, text read, how far the runs lie apart), of every adapted method and task."""
    gains, corpora = [_gains(side) for side in records], _corpora(records[0])
    for recipe, method, task in gains[0]:
        each = [one.get((recipe, method, task), ()) for one in gains]
        if min(map(len, each)) > 1:
            means, errors = zip(*((one.mean(), one.var(ddof=1) / len(one)) for one in each), strict=True)
            apart = [
                t_comparison(weights @ means, float(np.sqrt(weights**2 @ errors)), sum(map(len, each)) - len(each), 0)
                for weights in _contrasts(len(each))
            ]
            yield ("f1", recipe, "points"), method, corpora[task, method], apart


def _gains(records: pd.DataFrame) -> dict[tuple[str, str, str], pd.Series]:
    """(recipe, method, task) -> gain over the base of each seed, for adapted methods: of a run's first adaptation."""
    scores = records.set_index(["recipe", "task", "seed"])
    base = scores.loc[scores["method"] == "base", "score"]
    adapted = scores[~scores["method"].isin(["base", *BASELINES])]
    which = adapted["adaptation_seed"]
    adapted = adapted[which.isna() | (which == which.groupby(adapted["method"]).transform("min"))]
    change = (adapted["score"] - base.reindex(adapted.index)).groupby([adapted["method"], "recipe", "task"])
    return {(recipe, method, task): gains.dropna() for (method, recipe, task), gains in change}


def _corpora(records: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(task, method) -> what was read, the task itself where a record names nothing: alike for one adaptation."""
    read = records["adaptation_corpus"].fillna(records["task"])
    return dict(zip(zip(records["task"], records["method"], strict=True), read, strict=True))


def _apart_by_loss(losses: Sequence[pd.DataFrame]) -> Iterable[tuple[tuple[str, str, str], str, str, list[Comparison]]]:
    """The same by the loss of the task's documents."""
    if not losses:
        return
    sides = [one[one["adaptation"] == 0].groupby(["task", "method"], sort=False) for one in losses]
    for (task, method), rows in sides[0]:
        if method != "base":
            each = [side.get_group((task, method)).set_index("document")["loss"] for side in sides]
            whole = pd.concat(each, axis=1).dropna()
            apart = [paired(whole @ weights, groups_of(rows)) for weights in _contrasts(len(each))]
            yield ("text_loss", "", "nats"), method, rows["corpus"].iloc[0], apart


def _losses(folders: Sequence[Path | str]) -> list[pd.DataFrame]:
    """The runs' losses of the tasks' dev texts, of what all have; none where one has kept none."""
    files = [Path(run) / TASK_LOSSES for run in folders]
    if not all(file.is_file() for file in files):
        return []
    sides = [readable.read(file) for file in files]
    cells = _in_all(sides, ["task", "method"])
    sides = [side.merge(cells) for side in sides]
    texts = [set(zip(side["task"], side["document"], strict=True)) for side in sides]
    for run, one in zip(folders, texts, strict=True):
        if one != texts[0]:
            raise UserError(f"{folders[0]}, {run}: the losses are of other dev texts; run both on the same tasks")
    return sides


def _in_all(sides: Sequence[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return reduce(pd.merge, [side[columns].drop_duplicates() for side in sides])
