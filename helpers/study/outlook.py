"""What a run would make, what of it is there, and about how many minutes and megabytes the rest will take."""

import functools
import math
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import compute
from helpers.data.sources import SPLITS
from helpers.errors import UserError
from helpers.methods import (
    CHANCE,
    CURVE,
    STRONG,
    TABLE_3,
    TABLE_5,
    TABLE_6,
    TABLE_7,
    TABLE_8,
    read_out_methods,
    together,
)
from helpers.paths import A_MODEL
from helpers.study.steps import Step, missing
from helpers.study.study import Study
from helpers.study.views import curve_points, selection_methods
from helpers.words import word_count

TRAINED, READ = 6, 2  # operations a weight and token: forward and backward, forward alone
SHARE = 0.5  # of the machine's matrix rate that trainings reach, with starts, scores and Python
TOKENS_A_WORD = 1.5
MASKED = 0.15  # of the tokens of a text
OTHER = 3.0  # seconds of a step that trains nothing and reads no model


def outlook(study: Study) -> pd.DataFrame:
    """What the six notebooks would compute and what of it is there: one row a kind; computes nothing.

    Left out are losses on held-out text that no fine-tuning asks for, a small part.

    Returns kind (index), planned, in_store, to_make (numbers of artifacts), and for those to make minutes of all of
    this machine's cores and megabytes in the store, reckoned from operations and a matrix product timed now: right to
    a factor of two.
    """
    todo, reckoning = seconds_to_make(study), _Reckoning(study)
    kinds = pd.Series([step.kind for step in every_step(study)], dtype=object)
    table = pd.DataFrame({"planned": kinds.value_counts(sort=False)}).rename_axis("kind")
    rows = pd.DataFrame(
        [(step.kind, 1, seconds / 60, reckoning.megabytes(step)) for step, seconds in todo.items()],
        columns=["kind", "to_make", "minutes", "megabytes"],
    )
    table = table.join(rows.groupby("kind").sum()).fillna({"to_make": 0, "minutes": 0.0, "megabytes": 0.0})
    table["to_make"] = table["to_make"].astype(int)
    table.insert(1, "in_store", table["planned"] - table["to_make"])
    return table


def every_step(study: Study) -> list[Step]:
    """What the notebooks ask for and all that is read for it, each step once."""
    every: dict[str, Step] = {}
    waiting = _planned(study)
    while waiting:
        step = waiting.pop()
        if step.key not in every:
            every[step.key] = step
            waiting += step.reads.values()
    return list(every.values())


def seconds_to_make(study: Study) -> dict[Step, float]:
    """Each step that the store lacks -> about how many seconds of all of this machine's cores it takes."""
    reckoning, rate = _Reckoning(study), SHARE * compute.matrix_rate()
    return {step: reckoning.operations(step) / rate or OTHER for step in missing(_planned(study), study.store)}


def _planned(study: Study) -> list[Step]:
    """What the notebooks ask for."""
    plan, config = study.plan, study.config
    selecting = selection_methods(study)
    steps = study.planned(together(TABLE_3, TABLE_5, TABLE_6))
    steps += study.planned([*TABLE_8.methods, *selecting], config.selection_tasks)
    if curated := [name for name in study.tasks if study.task(name).unlabeled]:
        steps += study.planned(TABLE_7.methods, curated)
    if config.strong_seeds:
        steps += study.planned(STRONG.methods, recipe="strong")
    steps += [plan.overlap(), *map(plan.audit, plan.tasks)]
    models = read_out_methods(together(TABLE_3, TABLE_5, TABLE_6, CHANCE))
    read = [(models, study.tasks, config.read_out_labels, config.read_outs)]
    read += [(selecting, config.selection_tasks, config.read_out_labels, config.read_outs)]
    read += [(some, study.tasks, labels, draws) for some, labels, draws in curve_points(config, CURVE.methods)]
    for methods, tasks, labels, draws in read:
        pairs = study.possible(methods, tasks) if draws else []
        steps += [step for method, task in pairs for step in plan.read_outs(task, method, labels, draws)]
    return steps


class _Reckoning:
    """Operations and megabytes of a study's steps, by its base model's weights and the lengths of its texts."""

    def __init__(self, study: Study):
        from safetensors import SafetensorError, safe_open

        self.study, self.weights, self.megabytes_of_base, self.width = study, 0, 0.0, 0
        for file in Path(study.plan.base["base_path"]).glob("*.safetensors"):
            self.megabytes_of_base += file.stat().st_size / 1e6
            try:
                with safe_open(file, framework="numpy") as tensors:
                    shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
            except SafetensorError as error:
                raise UserError(f"{file}: cannot be read as weights ({error}); {A_MODEL}") from None
            # those that every token passes
            self.weights += sum(math.prod(s) for name, s in shapes.items() if len(s) == 2 and "embeddings" not in name)
            self.width = max([self.width, *(s[1] for name, s in shapes.items() if "word_embeddings" in name)])

    @functools.cache  # noqa: B019 - lives as long as the outlook; hundreds of steps read the same texts
    def tokens(self, task: str, split: str) -> float:
        """About how many tokens the texts of a split are, each cut at MAX_LENGTH."""
        words = np.array([word_count(text) for text in getattr(self.study.task(task), split)["text"]])
        return float(np.minimum(TOKENS_A_WORD * words + 2, self.study.config.max_length).sum())

    def operations(self, step: Step) -> float:
        """Of the model's products in a step; 0 for one that looks at no model."""
        settings = step.settings
        if step.kind == "model":
            return TRAINED * self.weights * self._tokens_trained_on(step)
        if step.kind == "losses":
            once = settings["documents"] * self.study.config.max_length
            return READ * self.weights * max(once, settings.get("masked_tokens", 0) / MASKED)
        if step.kind == "vectors":
            return READ * self.weights * sum(self.tokens(step.here["name"], split) for split in SPLITS)
        if step.kind == "record" and "baseline" not in settings:
            train, dev, test = (self.tokens(step.here["name"], split) for split in SPLITS)
            recipe, rows = settings["recipe"], len(self.study.task(step.here["name"]).train)
            share = min(1.0, (settings["labels"] or rows) / max(1, rows))
            scored = test + dev * (1 if recipe["weights"] == "last" else recipe["epochs"])
            return self.weights * (TRAINED * recipe["epochs"] * share * train + READ * scored)
        return 0.0

    def _tokens_trained_on(self, step: Step) -> float:
        recipe = step.settings["recipe"]
        if "steps" in recipe:
            return recipe["steps"] * recipe["batch_size"] * recipe["max_length"]
        borrowed = step.reads["selected"].settings["k"] if "selected" in step.reads else 0
        once = self.tokens(step.reads["texts"].name, "train")
        return min(recipe["epochs"] * once * (1 + borrowed), step.settings["most_tokens"])

    def megabytes(self, step: Step) -> float:
        """In the store; 0 for a step that leaves little."""
        if step.kind == "model":
            return self.megabytes_of_base
        if step.kind == "vectors":
            task = self.study.task(step.here["name"])
            return 4e-6 * self.width * sum(len(getattr(task, split)) for split in SPLITS)
        return 0.0
