"""Selecting domain text for a task, in steps that are found again: pool, VAMPIRE, one selection a selector and k."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.study.steps import Lines, Step, logger, read_json, write_json, write_lines

SEED = 0


def pool_step(study, domain: str) -> Step:
    """Distinct sentences of the domain's training text, as many as the preset allows."""
    corpora, most = study.corpora, study.config.pool_sentences
    folder, meta = corpora.domain(domain), corpora.domain_meta(domain)
    parts = {"texts": meta["train"]["fingerprint"], "sentences": most}
    return Step("pool", parts, {"texts": str(folder / "train.jsonl"), "most": most}, f"sentences of {domain}")


def make_pool(folder: Path, texts: str, most: int) -> None:
    from helpers.data import unique_sentences

    sentences: dict[str, None] = {}
    block: list[str] = []

    def drain() -> None:
        sentences.update(dict.fromkeys(unique_sentences(block)))
        block.clear()

    for text in Lines(texts):
        block.append(text)
        if len(block) == 1000:
            drain()
        if len(sentences) >= most:
            break
    drain()
    write_json(folder / "meta.json", write_lines(folder / "texts.jsonl", list(sentences)[:most]))


def vampire_step(study, task: str) -> Step:
    """VAMPIRE fitted on the domain's sentences and the task's text, shared by every k."""
    pool, query = _inputs(study, task)
    parts = {"pool": pool[1], "task": query[1], "epochs": study.config.vampire_epochs, "seed": SEED}
    inputs = {"pool": pool[0], "task": query[0], "epochs": study.config.vampire_epochs, "seed": SEED}
    return Step("vampire", parts, inputs, f"VAMPIRE for {task}")


def make_vampire(folder: Path, pool: str, task: str, epochs: int, seed: int) -> None:
    from helpers.compute import Meter
    from helpers.select import Vampire, save_vampire

    with Meter() as meter:
        model = Vampire.fit([*Lines(pool), *Lines(task)], epochs=epochs, seed=seed, log=logger(folder))
    save_vampire(model, folder)
    write_json(folder / "summary.json", {"seconds": meter.seconds, "peak_memory_mb": meter.peak_mb})


def selection_step(study, task: str, selector: str, k: int) -> Step:
    """Text for one task by one selector. Rivals of VAMPIRE get as many sentences as it found at the same k."""
    pool, query = _inputs(study, task)
    corpora, budget, model, made_by = study.corpora, None, "", ""
    if selector == "vampire":
        step = vampire_step(study, task)
        made_by, model = step.digest, str(study.store.root / step.kind / step.digest)
    elif selector == "embedding":
        made_by, model = study.models.base.key, study.models.base.path
    if selector != "vampire" and "vampire" in study.config.selectors:
        rival = study.store.find("selection", selection_step(study, task, "vampire", k).parts)
        if rival is None:
            raise UserError(f"{selector}: its budget is what vampire selects for {task} at k = {k}; select that first")
        budget = read_json(rival / "summary.json")["selected"]
    parts = {
        "selector": selector, "k": k, "seed": SEED, "pool": pool[1], "task": query[1], "budget": budget,
        "model": made_by, "held": corpora.held_fingerprint,
    }  # fmt: skip
    inputs = {
        "selector": selector, "k": k, "seed": SEED, "pool": pool[0], "task": query[0], "budget": budget,
        "model": model, "held": str(corpora.held_path),
    }  # fmt: skip
    return Step("selection", parts, inputs, f"{selector} {k} for {task}")


def make_selection(
    folder: Path, selector: str, k: int, seed: int, pool: str, task: str, budget: int | None, model: str, held: str
) -> None:
    from helpers.select import load_vampire, select_text

    fitted = load_vampire(model) if selector == "vampire" else model or None
    found = select_text(
        Lines(task), Lines(pool), selector, k, seed, exclude=Lines(held), budget=budget, model=fitted,
        log=logger(folder),
    )  # fmt: skip
    write_lines(folder / "texts.jsonl", found.texts)
    arrays = {"indices": found.indices, "similarities": found.similarities}
    if found.neighbour_indices is not None:
        arrays |= {"neighbour_indices": found.neighbour_indices, "neighbour_similarities": found.neighbour_similarities}
    np.savez(folder / "arrays.npz", **arrays)
    write_json(folder / "summary.json", found.summary)


def prepare(study, wanted: Sequence[tuple[str, str, int]]) -> None:
    """Make the selections of (task, selector, k) that the store lacks: pools, then VAMPIRE, then its rivals."""
    tasks = dict.fromkeys(task for task, _, _ in wanted)
    study.prepare_domains([study.models.domain_of(task) for task in tasks])
    study.carry_out([pool_step(study, study.models.domain_of(task)) for task in tasks], "domain sentences")
    rivals = [one for one in wanted if one[1] != "vampire"]
    leaders = {one for one in wanted if one[1] == "vampire"}
    if "vampire" in study.config.selectors:
        leaders |= {(task, "vampire", k) for task, _, k in rivals}
    study.carry_out([vampire_step(study, task) for task in dict.fromkeys(one[0] for one in leaders)], "VAMPIRE")
    study.carry_out([selection_step(study, *one) for one in sorted(leaders)], "selection")
    study.carry_out([selection_step(study, *one) for one in rivals], "selection")


def load(study, task: str, selector: str, k: int):
    """A selection from the store as `helpers.select.Selection`, its VAMPIRE left out."""
    from helpers.select import Selection

    step = selection_step(study, task, selector, k)
    folder = study.store.find(step.kind, step.parts)
    if folder is None:
        raise UserError(f"{selector}_{k}_tapt: nothing was selected for {task} yet")
    summary = read_json(folder / "summary.json")
    with np.load(folder / "arrays.npz") as arrays:
        found = dict(arrays)
    return Selection(list(Lines(folder / "texts.jsonl")), seconds=summary["seconds"], summary=summary, **found)


def fitted(study, task: str):
    """The VAMPIRE fitted for a task."""
    from helpers.select import load_vampire

    prepare(study, [(task, "vampire", study.config.neighbours[0])])
    step = vampire_step(study, task)
    return load_vampire(study.store.root / step.kind / step.digest)


def pool_texts(study, task: str) -> list[str]:
    """The sentences that text for a task is selected from."""
    return list(Lines(_inputs(study, task)[0][0]))


def neighbour_table(study, task: str, queries: int, k: int) -> pd.DataFrame:
    """The nearest domain sentences of a few task sentences, in the form of Table 21."""
    from helpers.select.views import neighbours_table

    smallest = study.config.neighbours[0]
    prepare(study, [(task, "vampire", smallest)])
    texts = study.corpora.tapt_texts(task)
    rows = np.linspace(0, len(texts) - 1, queries).astype(int)
    return neighbours_table(texts, pool_texts(study, task), load(study, task, "vampire", smallest), rows, k)


def comparison(study, task: str, k: int) -> pd.DataFrame:
    """What every selector chose, side by side, judged by the task's dev text, which none of them saw."""
    prepare(study, [(task, selector, k) for selector in study.config.selectors])
    return pd.concat([quality(study, task, selector, k) for selector in study.config.selectors], ignore_index=True)


def quality(study, task: str, selector: str, k: int) -> pd.DataFrame:
    """One row of `helpers.select.compare_selections`; VAMPIRE's seconds and memory include its training."""
    from helpers.select.views import compare_selections
    from helpers.study.measures import cached_frame

    parts = {"selection": selection_step(study, task, selector, k).digest, "task": study.corpora.task_fingerprint(task)}

    def compute() -> pd.DataFrame:
        dev, chosen = study.task(task).dev["text"], load(study, task, selector, k)
        row = compare_selections({selector: chosen}, dev, pool_texts(study, task))
        if selector == "vampire":
            step = vampire_step(study, task)
            fit = read_json(study.store.root / step.kind / step.digest / "summary.json")
            row["seconds"] += fit["seconds"]
            row["peak_memory_mb"] = row["peak_memory_mb"].clip(lower=fit["peak_memory_mb"])
        return row

    return cached_frame(study, "quality", parts, compute)


def closeness(study, task: str, k: int) -> dict[str, np.ndarray]:
    """Cosine of every selected sentence to its nearest task sentence, by VAMPIRE: selector -> numbers."""
    from helpers.select import neighbours

    wanted = [(task, selector, k) for selector in study.config.selectors]
    prepare(study, wanted)
    model = fitted(study, task)
    queries = model.embed(study.corpora.tapt_texts(task))
    found = {}
    for _, selector, _ in wanted:
        _, nearest = neighbours(model.embed(load(study, task, selector, k).texts), queries, 1)
        found[selector] = nearest[:, 0]
    return found


def text_map(study, task: str, k: int, most: int = 600) -> pd.DataFrame:
    """Task, selected, random and other domain sentences on the two main axes of VAMPIRE's space: x, y, kind, text."""
    from helpers.select.views import map_2d

    model = fitted(study, task)
    kinds = {
        "domain": pool_texts(study, task),
        "random": load(study, task, "random", k).texts if "random" in study.config.selectors else [],
        "selected": load(study, task, "vampire", k).texts,
        "task": study.corpora.tapt_texts(task),
    }
    draw = np.random.default_rng(SEED)
    rows = [
        {"kind": kind, "text": texts[i]}
        for kind, texts in kinds.items()
        for i in sorted(draw.permutation(len(texts))[:most].tolist())
    ]
    frame = pd.DataFrame(rows)
    points = map_2d(model.embed(frame["text"]))
    return frame.assign(x=points[:, 0], y=points[:, 1])


def _inputs(study, task: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """(path, fingerprint) of the pool and of the task's text."""
    pool = study.corpora.folder(pool_step(study, study.models.domain_of(task)))
    query = study.corpora.folder(study.corpora.texts_step(study.corpora.tapt_texts(task)))
    return tuple(
        (str(folder / "texts.jsonl"), read_json(folder / "meta.json")["fingerprint"]) for folder in (pool, query)
    )
