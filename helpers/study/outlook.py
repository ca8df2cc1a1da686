"""What a run would make, what of it is there, and about how many minutes and megabytes the rest will take."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import compute
from helpers.errors import UserError
from helpers.methods import BASELINES, CURVE, TABLE_3, TABLE_5, TABLE_6, TABLE_8, together
from helpers.paths import A_MODEL
from helpers.study.steps import Step, missing
from helpers.study.study import Study
from helpers.study.views import selection_methods

TRAINED, READ = 6, 2  # operations a weight and token: forward and backward, forward alone
SHARE = 0.5  # of the machine's matrix rate that trainings reach, with starts, scores and Python
TOKENS_A_WORD = 1.5
OTHER = 3.0  # seconds of a step that trains nothing and reads no model


def outlook(study: Study) -> pd.DataFrame:
    """What the six notebooks would compute and what of it is there: one row a kind; computes nothing.

    Returns kind (index), planned, in_store, to_make (numbers of artifacts), and for those to make minutes of all of
    this machine's cores and megabytes in the store, reckoned from operations and a matrix product timed now: right to
    a factor of two.
    """
    steps = _planned(study)
    every: dict[str, Step] = {}
    waiting = list(steps)
    while waiting:
        step = waiting.pop()
        if step.key not in every:
            every[step.key] = step
            waiting += step.reads.values()
    todo = missing(steps, study.store)
    kinds = pd.Series([step.kind for step in every.values()], dtype=object)
    table = pd.DataFrame({"planned": kinds.value_counts(sort=False)}).rename_axis("kind")
    base, rate = _Base.of(study), SHARE * compute.matrix_rate()
    rows = pd.DataFrame(
        [
            (step.kind, 1, (_operations(study, step, base) / rate or OTHER) / 60, _megabytes(study, step, base))
            for step in todo
        ],
        columns=["kind", "to_make", "minutes", "megabytes"],
    )
    table = table.join(rows.groupby("kind").sum()).fillna({"to_make": 0, "minutes": 0.0, "megabytes": 0.0})
    table["to_make"] = table["to_make"].astype(int)
    table.insert(1, "in_store", table["planned"] - table["to_make"])
    return table


def _planned(study: Study) -> list[Step]:
    """What the notebooks ask for."""
    plan, config = study.plan, study.config
    selecting = selection_methods(study)
    steps = study.planned(together(TABLE_3, TABLE_5, TABLE_6))
    steps += study.planned([*TABLE_8.methods, *selecting], config.selection_tasks)
    steps += [plan.overlap(), *map(plan.audit, plan.tasks)]
    models = [name for name in together(TABLE_3, TABLE_5, TABLE_6) if name not in BASELINES]
    read = [(models, study.tasks, study.read_out_labels, config.read_outs)]
    read += [(selecting, config.selection_tasks, study.read_out_labels, config.read_outs)]
    read += [(CURVE.methods, study.tasks, budget, config.seeds) for budget in config.label_budgets]
    for methods, tasks, labels, draws in read:
        pairs = study.possible(methods, tasks) if draws else []
        steps += [step for method, task in pairs for step in plan.read_outs(task, method, labels, draws)]
    return steps


class _Base:
    """Of the base model: weights that every token passes, its file's megabytes, width of its vectors."""

    def __init__(self, weights: float, megabytes: float, width: int):
        self.weights, self.megabytes, self.width = weights, megabytes, width

    @classmethod
    def of(cls, study: Study) -> "_Base":
        from safetensors import SafetensorError, safe_open

        weights, size, width = 0, 0, 0
        for file in Path(study.plan.base["base_path"]).glob("*.safetensors"):
            size += file.stat().st_size
            try:
                with safe_open(file, framework="numpy") as tensors:
                    shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
            except SafetensorError as error:
                raise UserError(f"{file}: cannot be read as weights ({error}); {A_MODEL}") from None
            weights += sum(math.prod(s) for name, s in shapes.items() if len(s) == 2 and "embeddings" not in name)
            width = max([width, *(s[1] for name, s in shapes.items() if "word_embeddings" in name)])
        return cls(float(weights), size / 1e6, width)


def _tokens(study: Study, texts: Iterable[str]) -> float:
    """About how many tokens the texts are, each cut at MAX_LENGTH."""
    words = np.array([text.count(" ") + 1 for text in texts])
    return float(np.minimum(TOKENS_A_WORD * words + 2, study.config.max_length).sum())


def _operations(study: Study, step: Step, base: _Base) -> float:
    """Of the model's products in a step; 0 for one that looks at no model."""
    settings, length = step.settings, study.config.max_length
    if step.kind == "model":
        recipe = settings["recipe"]
        if "steps" in recipe:
            return TRAINED * base.weights * recipe["steps"] * recipe["batch_size"] * recipe["max_length"]
        task = study.task(step.reads["texts"].name)
        borrowed = step.reads["selected"].settings["k"] if "selected" in step.reads else 0
        once = _tokens(study, [*task.train["text"], *(task.unlabeled if settings.get("split") else [])])
        return TRAINED * base.weights * min(recipe["epochs"] * once * (1 + borrowed), settings["most_tokens"])
    if step.kind == "record" and "baseline" not in settings or step.kind == "vectors":
        task = study.task(step.here["name"])
        train, dev, test = (_tokens(study, split["text"]) for split in (task.train, task.dev, task.test))
        if step.kind == "vectors":
            return READ * base.weights * (train + dev + test)
        share = min(1.0, (settings["labels"] or len(task.train)) / max(1, len(task.train)))
        epochs, last = settings["recipe"]["epochs"], settings["recipe"]["weights"] == "last"
        scored = test + dev * (1 if last else epochs)
        return base.weights * (TRAINED * epochs * share * train + READ * scored)
    if step.kind == "losses":
        return READ * base.weights * settings.get("documents", 0) * length
    return 0.0


def _megabytes(study: Study, step: Step, base: _Base) -> float:
    if step.kind == "model":
        return base.megabytes
    if step.kind == "vectors":
        task = study.task(step.here["name"])
        return 4e-6 * base.width * (len(task.train) + len(task.dev) + len(task.test))
    return 0.0
