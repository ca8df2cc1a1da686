"""What notebooks look at: settings, sizes, learning curves, pairs of tasks, selections side by side.

Every function takes a Study first and returns a table or plain arrays.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.config import Config, make_config
from helpers.methods import BASELINES
from helpers.results.records import as_table
from helpers.study.makers import TEXTS
from helpers.study.plan import GENERIC, NothingToCompare
from helpers.study.study import Study
from helpers.study.texts import Lines, grouped, groups_of_thinned
from helpers.words import length, normalised


def settings(study: Study) -> pd.DataFrame:
    """Every parameter with this run's value, the paper's and what it means."""
    paper = make_config("paper")
    rows = [
        {"parameter": name.upper(), "this run": _show(getattr(study.config, name)),
         "paper": _show(getattr(paper, name)),
         "meaning": field.description}
        for name, field in Config.model_fields.items()
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index("parameter")


def task_sizes(study: Study) -> pd.DataFrame:
    """One row a task: domain, metric, sizes, classes and the source that answered."""
    rows = []
    for name in study.plan.tasks:
        task = study.task(name)
        rows.append({
            "task": name, "domain": task.spec.domain, "metric": task.spec.metric, "train": len(task.train),
            "dev": len(task.dev), "test": len(task.test), "unlabeled": len(task.unlabeled),
            "classes": len(task.labels), "source": task.source,
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("task")


def transfer_pairs(study: Study) -> pd.DataFrame:
    """The task each task borrows text from, and whether both are of one domain. Paper: Table 6.

    Empty where the study has one task alone and no partner of it can be had.
    """
    rows = []
    for task in study.tasks:
        try:
            partner = study.plan.partner(task)
        except NothingToCompare:
            continue
        own, other = study.plan.domain_of(task), study.plan.domain_of(partner)
        rows.append({"task": task, "domain": own, "partner": partner, "partner_domain": other,
                     "pair": "same" if own == other else "cross"})  # fmt: skip
    return pd.DataFrame(rows, columns=["task", "domain", "partner", "partner_domain", "pair"]).set_index("task")


def histories(study: Study, methods: Sequence[str], tasks: Sequence[str] | None = None) -> pd.DataFrame:
    """Learning curves of the checkpoints: method, corpus, seed, step, loss, heldout_loss (both ends), preset.

    seed: of the adaptation, each of which is a run of its own.
    """
    frames = []
    rows = study.adapt(methods, tasks).to_dict("records")
    steps = {
        step.key: step
        for method in methods
        for task in (study.tasks if tasks is None else tasks)
        for number in range(study.config.adaptation_seeds)
        if (step := _model(study, method, task, number))
    }
    for row in rows:
        curve = study.table(steps[row["checkpoint_key"]], "history.csv")
        ends = {"step": [0, row["steps"]], "heldout_loss": [row["mlm_loss_before"], row["mlm_loss_after"]]}
        which = {name: row[name] for name in ("method", "corpus", "seed")}
        frames.append(pd.concat([curve, pd.DataFrame(ends)]).assign(**which))
    return pd.concat(frames, ignore_index=True).assign(preset=study.config.preset)


def _model(study: Study, method: str, task: str, number: int):
    try:
        return study.plan.model(method, task, number)
    except NothingToCompare:
        return None


def selection_methods(study: Study) -> tuple[str, ...]:
    """Methods of Table 8: every k for VAMPIRE and random, its rivals at the smallest k."""
    config = study.config
    return tuple(
        f"{selector}_{k}_tapt"
        for selector in config.selectors
        for k in (config.neighbours if selector in ("vampire", "random") else config.neighbours[:1])
    )


def label_curve(records: pd.DataFrame) -> pd.DataFrame:
    """Scores of frozen read-outs against labelled rows, from `curve_records`.

    Returns task, method, labels (training rows used), seed, score (percent); baselines beside the models.
    """
    columns = {"labels": "names", "train_size": "labels"}
    return records.rename(columns=columns)[["task", "method", "labels", "seed", "score"]]


def curve_points(config: Config, methods: Sequence[str]) -> list[tuple[list[str], int, int]]:
    """(methods, labels, draws) of the label curve: READ_OUTS draws of a model; SEEDS of a baseline, which is slow.

    Of all rows (labels 0) there is no draw, so SEEDS do. Where the read-outs are of as many labels, their draws of a
    baseline are there already.
    """
    points = []
    for labels in config.label_budgets:
        read = labels == config.read_out_labels
        few = [method for method in methods if not labels or (method in BASELINES and not read)]
        points += [(few, labels, config.seeds)]
        points += [([method for method in methods if method not in few], labels, max(config.read_outs, config.seeds))]
    return [point for point in points if point[0]]


def curve_records(study: Study, methods: Sequence[str], tasks: Sequence[str] | None = None) -> pd.DataFrame:
    """Frozen read-outs, READ_OUTS draws of each of LABEL_BUDGETS (see `curve_points`), as records; none is written.

    Returns what `helpers.results.load_records` does; of the adaptation the text and the seed alone.
    """
    pairs, found, config, plan = study.possible(methods, tasks), [], study.config, study.plan
    for some, budget, draws in curve_points(config, methods):
        chosen = [pair for pair in pairs if pair[0] in some]
        for (method, task), made in study.scored_read_outs(chosen, budget, draws).items():
            known = {"task": task, "domain": plan.domain_of(task), "method": method, "recipe": "frozen",
                     "preset": config.preset, "base_model": Path(config.base_model).name,
                     "test_groups": study.task(task).groups()}  # fmt: skip
            models = [plan.model(method, task, number) for number in range(config.adaptation_seeds)]
            adapted = [one and {"corpus": one.reads["texts"].name, "seed": one.settings["seed"]} for one in models]
            found += [(one | known | {"adaptation": adapted[plan.turn(one["seed"])]}, Path()) for one, _ in made]
    return as_table(found).drop_duplicates(["task", "method", "train_size", "seed"], ignore_index=True)


def task_losses(study: Study, methods: Sequence[str], tasks: Sequence[str] | None = None) -> pd.DataFrame:
    """Masked-LM loss of each task's dev text under each method: is what it adapted to nearer to the task?

    The cheapest look at every contrast of Tables 3 to 8: the same masks of the same texts under every model.
    Baselines have no such loss and are left out. Returns task, domain, method, corpus (adapted to), adaptation
    (its number), document, loss (nats a masked token), masked_tokens, group (of texts that belong together, or None).
    """
    plan = study.plan
    pairs = study.possible([method for method in methods if method not in BASELINES], tasks)
    steps, rows = {}, []
    most, named = study.config.heldout_documents, dict.fromkeys(task for _, task in pairs)
    groups = {task: groups_of_thinned(study.task(task).dev, most) for task in named}
    for method, task in pairs:
        for number in range(study.config.adaptation_seeds):
            if (model := plan.model(method, task, number)) or not number:
                steps[method, task, number] = model, plan.losses(model, plan.task_text(task, "dev"))
    study.make([step for _, step in steps.values()])
    for (method, task, number), (model, step) in steps.items():
        corpus = model.reads["texts"].name if model else ""
        rows.append(grouped(study.table(step, "losses.csv"), groups[task]).assign(
            task=task, domain=plan.domain_of(task), method=method, adaptation=number, corpus=corpus
        ))  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def wording(study: Study, documents: int = 1000, n: int = 8) -> pd.DataFrame:
    """How each domain's words differ from general text, and whether the base's vocabulary has them.

    documents: of each domain, from all over it. Returns domain ('generic' first), tokens_a_word (of the base's
    tokenizer, without special tokens), words (the n most typical beside general text, by log-odds).
    """
    from transformers import AutoTokenizer

    from helpers.overlap import count_words, typical_words

    tokenizer = AutoTokenizer.from_pretrained(study.plan.base["base_path"])
    texts = {name: list(study.domain_texts(name, limit=documents)) for name in (GENERIC, *study.domains)}
    counts = {name: count_words(some) for name, some in texts.items()}
    rows = []
    for name, some in texts.items():
        tokens = sum(map(len, tokenizer(some, add_special_tokens=False, verbose=False)["input_ids"]))
        spoken = sum(length(normalised(text)) for text in some)
        typical = typical_words(counts[name], counts[GENERIC], n=n).query("side == 'a'")["word"]
        words = "" if name == GENERIC else ", ".join(typical)
        rows.append({"domain": name, "tokens_a_word": tokens / spoken, "words": words})
    return pd.DataFrame(rows)


def pool_texts(study: Study, task: str) -> list[str]:
    """The sentences that text for a task is selected from."""
    return list(Lines(study.folder(study.plan.pool(study.plan.domain_of(task))) / TEXTS))


def neighbour_table(study: Study, task: str, queries: int = 3, k: int = 5) -> pd.DataFrame:
    """Nearest domain sentences of `queries` task sentences, evenly spread over the task's text. Paper: Table 21."""
    from helpers.select import neighbours_table

    texts = study.task_texts(task)
    rows = np.linspace(0, len(texts) - 1, queries).astype(int)
    chosen = study.select(task, "vampire", study.config.neighbours[0])
    return neighbours_table(texts, pool_texts(study, task), chosen, rows, k)


def compare_selections(study: Study, task: str, k: int) -> pd.DataFrame:
    """Selectors side by side without training: words, cover and KL reduction on dev text, seconds, memory."""
    steps = [study.plan.quality(task, selector, k) for selector in study.config.selectors]
    study.make(steps)
    return pd.concat([study.table(step) for step in steps], ignore_index=True)


def closeness(study: Study, task: str, k: int) -> dict[str, np.ndarray]:
    """Cosine of every selected sentence to its nearest task sentence, by VAMPIRE: selector -> numbers in [-1, 1]."""
    from helpers.select import neighbours

    model = study.vampire(task)
    queries = model.embed(study.task_texts(task))
    chosen = {selector: study.select(task, selector, k).texts for selector in study.config.selectors}
    return {selector: neighbours(model.embed(texts), queries, 1)[1][:, 0] for selector, texts in chosen.items()}


def text_map(study: Study, task: str, k: int, most: int = 600) -> pd.DataFrame:
    """Task, selected, random and other domain sentences on the two main axes of VAMPIRE's space: kind, text, x, y."""
    from helpers.select import map_2d

    kinds = {
        "domain": pool_texts(study, task),
        "random": study.select(task, "random", k).texts if "random" in study.config.selectors else [],
        "selected": study.select(task, "vampire", k).texts,
        "task": study.task_texts(task),
    }
    draw = np.random.default_rng(study.config.first_seed)
    rows = [
        {"kind": kind, "text": texts[i]}
        for kind, texts in kinds.items()
        for i in sorted(draw.permutation(len(texts))[:most].tolist())
    ]
    frame = pd.DataFrame(rows)
    points = map_2d(study.vampire(task).embed(frame["text"]))
    return frame.assign(x=points[:, 0], y=points[:, 1])


def _show(value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
