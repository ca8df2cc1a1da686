"""The grid of fine-tunings: one job for each (task, method, seed), one record file each."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from helpers.study.steps import Step, read_json

PLACES = ("data_dir", "task_file", "domain_file")  # paths of this machine, no part of a result
ONE_SEED = ("tfidf",)  # methods without chance in them


def fine_tune(study, methods: Sequence[str], tasks: Sequence[str], recipe: str) -> pd.DataFrame:
    """Records of every (task, method, seed), computed where the store has none. See Study.fine_tune."""
    from helpers.results import load_records

    seeds = range(study.config.strong_seeds if recipe == "strong" else study.config.seeds)
    cells = [
        (task, method, seed)
        for seed in seeds  # seed by seed, so that an interrupted run has something of everything
        for task in tasks
        for method in methods
        if seed == 0 or method not in ONE_SEED
        if method == "tfidf" or study.made(study.models.model(method, task))
    ]
    wanted = {cell: record_step(study, *cell, recipe) for cell in cells}
    study.carry_out(wanted.values(), "fine-tuning")
    paths = [write(study, cell, step, recipe) for cell, step in wanted.items()]
    records = load_records(study.output / "records")
    mine = {path.relative_to(study.output).as_posix() for path in paths}
    return records[records["path"].isin(mine)].reset_index(drop=True)


def record_step(study, task: str, method: str, seed: int, recipe: str) -> Step:
    """The step that fine-tunes one classifier, or fits the TF-IDF line."""
    from helpers.classify import recipe_for

    config, corpora = study.config, study.corpora
    model = None if method == "tfidf" else study.models.model(method, task)
    loaded = corpora.task(task)
    chosen = dataclasses.asdict(recipe_for(config, recipe).sized(len(loaded.train))) if model else {}
    parts = {
        "task": corpora.task_fingerprint(task), "model": model.key if model else "tfidf", "recipe": chosen,
        "seed": seed, "metric": loaded.spec.metric,
    }  # fmt: skip
    inputs = {
        "task": task, "source": corpora.task_source, "model": str(study.folder(model)) if model else "",
        "recipe": chosen, "seed": seed,
    }  # fmt: skip
    return Step("record", parts, inputs, f"{task} {method} seed {seed}")


def write(study, cell: tuple[str, str, int], step: Step, recipe: str) -> Path:
    """Put the stored scores and what this run knows of them into the run's record file."""
    from helpers.results import record_path, write_record

    task, method, seed = cell
    model = None if method == "tfidf" else study.models.model(method, task)
    stored = read_json(study.store.find(step.kind, step.parts) / "record.json")
    config, spec = study.config, study.task(task).spec
    base_model = Path(config.base_model).name
    settings = config.model_dump(mode="json", exclude={"output_dir", "workers", "cluster", *PLACES}) | {
        "base_model": base_model
    }
    record = {
        **stored, "task": task, "domain": spec.domain, "method": method, "recipe": recipe, "seed": seed,
        "preset": config.preset, "base_model": base_model, "metric": spec.metric,
        "test_leaked": study.leaked_test_rows(task),
        "adaptation": study.adaptation_row(model) if model and model.step else None,
        "config": settings,
        "key": step.digest,
    }  # fmt: skip
    path = study.output / "records" / record_path(record)
    if not path.exists() or read_json(path) != record:
        write_record(study.output / "records", record)
    return path
