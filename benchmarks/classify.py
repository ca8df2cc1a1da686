"""Fine-tuning a grid, and many draws of few labels, beside Hugging Face Trainer runs one after another.

    python -m benchmarks.classify --json FILE [--size small] [--case "few labels"]

Same checkpoint, rows, epochs, batch, learning rate and optimiser, dev scored after every epoch and the best
epoch tested, on both sides. Ours: jobs on an executor that divides the cores. Peer: Trainer as it comes, with
all cores and dynamic padding. The data root that $DSP_DATA names holds the tasks; without one they are generated.
"""

import functools
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context

from benchmarks.common import REPEATS, main, row, side_by_side
from helpers.classify import PAPER, Recipe, fine_tune, scores
from helpers.compute import keep_memory
from helpers.data import load_task
from helpers.jobs import executor
from helpers.paths import MINI

TASKS = {"citation_intent": 128, "chemprot": 128, "hyperpartisan_news": 256}  # task -> tokens a text
TOY_TASKS = {"toy_cs": 128, "toy_biomed": 128}
PEER = "HF Trainer in turn"
RECIPE = replace(PAPER, learning_rate=5e-4, patience=0, schedule="constant", bias_correction=True)


@dataclass(frozen=True)
class Job:
    """One fine-tuning of either side."""

    task: str
    model: str
    recipe: Recipe
    seed: int
    data_dir: str
    max_train: int
    max_dev: int
    max_test: int
    labels: int = 0  # training rows, another draw each seed; 0: all


def load_rows(job: Job):
    """The job's task, as many rows of it as the job takes; either side reads it once a process."""
    return _read(job.task, job.data_dir, job.max_train, job.max_dev, job.max_test).draw(job.labels, job.seed)


@functools.cache
def _read(name: str, data_dir: str, max_train: int, max_dev: int, max_test: int):
    return load_task(name, data_dir=data_dir, max_train=max_train, max_dev=max_dev, max_test=max_test)


def our_score(job: Job) -> float:
    """Test score of one of our jobs; a worker process keeps model and tokens for the next one."""
    task = load_rows(job)
    return fine_tune(job.model, task, job.recipe, seed=job.seed).score


def trainer_score(job: Job) -> float:
    """Test score of one Trainer run, written as its documentation does."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    task = load_rows(job)
    recipe, metric = job.recipe, task.spec.metric
    transformers.set_seed(job.seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(job.model)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(job.model, num_labels=len(task.labels))

    def tokens(rows):
        return tokenizer(rows["text"], truncation=True, max_length=recipe.max_length)

    rows = task.as_datasets().map(tokens, batched=True)

    def score(prediction):
        return {"score": scores(prediction.label_ids, prediction.predictions.argmax(-1), task.labels)[metric]}

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder, num_train_epochs=recipe.epochs, per_device_train_batch_size=recipe.batch_size,
            per_device_eval_batch_size=64, learning_rate=recipe.learning_rate, lr_scheduler_type="constant",
            weight_decay=recipe.weight_decay, adam_beta1=recipe.adam_betas[0], adam_beta2=recipe.adam_betas[1],
            adam_epsilon=recipe.adam_epsilon, max_grad_norm=recipe.max_gradient_norm, seed=job.seed,
            eval_strategy="epoch", save_strategy="epoch", save_only_model=True, save_total_limit=1,
            load_best_model_at_end=True, metric_for_best_model="score", logging_strategy="no",
            report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = transformers.Trainer(
            model, arguments, train_dataset=rows["train"], eval_dataset=rows["dev"],
            data_collator=transformers.DataCollatorWithPadding(tokenizer), compute_metrics=score,
        )  # fmt: skip
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        return trainer.evaluate(rows["test"])["eval_score"]


def parts(size: str):
    """A grid of tasks, and the draws of one (task, model) pair."""
    data_dir = os.environ.get("DSP_DATA", "")
    yield "grid", partial(grid, size, TASKS if data_dir else TOY_TASKS, data_dir)
    yield "few labels", partial(few_labels, size, "chemprot" if data_dir else "toy_cs", data_dir)


def grid(size: str, tasks: dict[str, int], data_dir: str):
    """Seconds of each task's grid and of all, then the mean test scores of both sides."""
    small = size == "small"
    repeats = 1 if small else REPEATS
    rows, evaluated, epochs, seeds = (48, 24, 1, 2) if small else (400, 200, 2, 2)
    with executor() as pool:
        total, all_scores = [0.0, 0.0], {}
        for task, length in tasks.items():
            recipe = replace(RECIPE, epochs=epochs, max_length=length)
            jobs = [Job(task, str(MINI), recipe, seed, data_dir, rows, evaluated, evaluated) for seed in range(seeds)]
            found = all_scores[task] = {}
            ours = partial(_run, found, "ours", lambda jobs=jobs: list(pool.map(our_score, jobs)))
            peer = partial(_run, found, "peer", lambda jobs=jobs: [trainer_score(job) for job in jobs])
            seconds = side_by_side(ours, peer, repeats)
            total = [a + b for a, b in zip(total, seconds, strict=True)]
            shape = f"{len(jobs)} runs, {rows} rows, {epochs} epochs, {length} tokens"
            yield row(f"{task}: {shape}", "s", *seconds, PEER)
            divided, alone = side_by_side(ours, lambda jobs=jobs: [our_score(job) for job in jobs], repeats)
            yield row(f"{task}: a process a core", "s", divided, alone, "one process, a thread a core")
        yield row("whole grid", "s", *total, PEER)
        for task, found in all_scores.items():
            yield _means(task, found)


def few_labels(size: str, task: str, data_dir: str):
    """Draws of few labels with many test rows, where starting, reading and scoring weigh most.

    Both sides start new processes and import, every time.
    """
    labels, test, epochs, draws = (12, 80, 1, 4) if size == "small" else (100, 1000, 3, 20)
    recipe = replace(RECIPE, epochs=epochs, max_length=128)
    jobs = [Job(task, str(MINI), recipe, seed, data_dir, 0, 100, test, labels) for seed in range(draws)]
    found = {}
    ours = partial(_run, found, "ours", partial(_divided, jobs))
    peer = partial(_run, found, "peer", partial(_in_turn, jobs))
    seconds = side_by_side(ours, peer, 1 if size == "small" else REPEATS, warm=False)
    shape = f"{draws} draws of {labels} rows, {epochs} epochs, {test:,} test"
    yield row(f"{task}: {shape}", "s", *seconds, PEER)
    yield _means(task, found)


def _divided(jobs: list[Job]) -> list[float]:
    with executor() as pool:
        return list(pool.map(our_score, jobs))


def _in_turn(jobs: list[Job]) -> list[float]:
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=keep_memory) as pool:
        return list(pool.map(trainer_score, jobs))


def _means(task: str, found: dict) -> dict:
    means = (100 * sum(found[side]) / len(found[side]) for side in ("ours", "peer"))
    return row(f"{task}: mean test F1", "F1", *means, PEER, more_is_better=True)


def _run(found: dict, side: str, work) -> None:
    found[side] = work()


if __name__ == "__main__":
    main(parts, __doc__.splitlines()[0])
