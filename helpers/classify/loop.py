"""The fine-tuning loop: train, keep the weights of the best dev epoch, test those."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from helpers import compute
from helpers.classify.batches import Layout, batches_for_scoring, training_order
from helpers.classify.inputs import Encoded, encode
from helpers.classify.metrics import degenerate, log_losses, scores
from helpers.classify.model import Classifier, new_classifier, score_windows
from helpers.classify.recipes import PAPER, Recipe
from helpers.encoder.optim import adamw
from helpers.errors import whole
from helpers.progress import report


@dataclass(frozen=True)
class Result:
    """One fine-tuning. `record()` gives the part that goes into a record file.

    metric: the task's score, 'macro_f1' or 'micro_f1'. dev, test: see `scores`. test_gold, test_predictions:
    [n] class numbers, places in `labels`. test_log_loss: [n] see `log_losses`. best_epoch: the one tested, from 1.
    degenerate: the tested weights predict one
    class only. history: one row an epoch with its mean training loss and dev score. model: only when asked for.
    """

    task: str
    metric: str
    recipe: dict
    seed: int
    labels: tuple[str, ...]
    dev: dict
    test: dict
    test_gold: list[int]
    test_predictions: list[int]
    test_log_loss: list[float]
    sizes: dict[str, int]
    best_epoch: int
    epochs_run: int
    seconds: float
    degenerate: bool
    history: list[dict] = field(default_factory=list)
    model: Classifier | None = field(default=None, repr=False, compare=False)

    @property
    def score(self) -> float:
        """The task's own score on test, 0 .. 1."""
        return self.test[self.metric]

    def record(self) -> dict:
        """Plain JSON data: all fields but the model; the recipe's name apart from its settings."""
        kept = {name: value for name, value in vars(self).items() if name != "model"}
        settings = dict(kept.pop("recipe"))
        return {**kept, "labels": list(self.labels), "recipe": settings.pop("name"), "fine_tuning": settings}


def fine_tune(
    model: str | Path,
    task,
    recipe: Recipe = PAPER,
    *,
    seed: int = 0,
    keep_model: bool = False,
    log: Callable[[str], None] | None = None,
) -> Result:
    """Fine-tune `model` on the task's train, stop on dev, score the best dev epoch's weights on test.

    model: 'mini', a Hugging Face folder or a hub name. task: a helpers.data.Task. seed: of the head's weights, of the
    order of examples and of dropout; on a CPU the same seed and thread count give the same bits. keep_model:
    return the trained classifier too. log: gets one line an epoch. Model and tokens are read once a process.
    Raises UserError for a task that cannot be learnt (see `check_task`), a model that cannot be read and seed < 0.
    Paper: section 4.1, Tables 3, 5, 6 and 14.

    >>> from helpers import load_task
    >>> from helpers.classify import Recipe
    >>> task = load_task("toy_cs", data_dir="toy", max_train=16, max_dev=8, max_test=8)
    >>> result = fine_tune("mini", task, Recipe("paper", epochs=1, max_length=32))
    >>> result.sizes, 0 <= result.score <= 1
    ({'train': 16, 'dev': 8, 'test': 8}, True)
    """
    whole(seed, "seed", 0)
    with compute.random_state_kept():
        return _fine_tune(model, task, recipe, seed, keep_model, log or (lambda line: None))


def _fine_tune(model, task, recipe: Recipe, seed: int, keep_model: bool, log: Callable[[str], None]) -> Result:
    start = time.perf_counter()
    compute.seed_everything(seed)
    recipe = recipe.sized(len(task.train))
    classifier = new_classifier(model, task.labels, recipe.max_length, recipe.dropout).to(compute.device())
    encoded = encode(task, classifier.tokenizer, classifier.max_length)
    metric = task.spec.metric
    dev_batches = batches_for_scoring(encoded.windows["dev"], classifier)

    best, best_state, history = None, None, []
    for epoch, loss in enumerate(train_epochs(classifier, encoded, recipe, seed), start=1):
        if recipe.weights == "last" and epoch < recipe.epochs and math.isfinite(loss):
            history.append({"epoch": epoch, "train_loss": loss})
            log(f"{task.name} seed {seed} epoch {epoch}: loss {loss:.3f}")
            continue
        dev = evaluate(classifier, encoded, "dev", dev_batches)[0]
        history.append({"epoch": epoch, "train_loss": loss, "dev_" + metric: dev[metric]})
        log(f"{task.name} seed {seed} epoch {epoch}: loss {loss:.3f}, dev {metric} {100 * dev[metric]:.1f}")
        if best is None or dev[metric] > best[1][metric]:
            best = epoch, dev
            best_state = {key: value.clone() for key, value in classifier.state_dict().items()}
        if not math.isfinite(loss) or (recipe.patience and epoch - best[0] >= recipe.patience):
            break
    classifier.load_state_dict(best_state)
    test, predicted, losses = evaluate(classifier, encoded, "test")
    return Result(
        task=task.name,
        metric=metric,
        recipe=asdict(recipe),
        seed=seed,
        labels=encoded.names,
        dev=best[1],
        test=test,
        test_gold=encoded.labels["test"].tolist(),
        test_predictions=predicted.tolist(),
        test_log_loss=losses,
        sizes={split: len(rows) for split, rows in encoded.labels.items()},
        best_epoch=best[0],
        epochs_run=len(history),
        seconds=time.perf_counter() - start,
        degenerate=degenerate(predicted),
        history=history,
        model=classifier.eval() if keep_model else None,
    )


def train_epochs(classifier: Classifier, encoded: Encoded, recipe: Recipe, seed: int):
    """Train epoch by epoch, yielding each epoch's mean training loss; the classifier changes in place."""
    gold = torch.from_numpy(encoded.labels["train"]).to(classifier.out_proj.weight.device)
    windows, layout = encoded.windows["train"], Layout.of(classifier)
    optimizer = make_optimizer(classifier, recipe)
    updates = recipe.epochs * math.ceil(len(windows) / recipe.batch_size)
    generator, update = np.random.default_rng(seed), 0
    for _ in range(recipe.epochs):
        classifier.train()
        total = torch.zeros((), device=gold.device)
        for chosen in training_order(len(windows), recipe.batch_size, generator):
            batch = layout.lay(windows, chosen)
            loss = functional.cross_entropy(classifier(batch), gold[torch.from_numpy(batch.window)])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(classifier.parameters(), recipe.max_gradient_norm)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * recipe.rate(update, updates)
            optimizer.step()
            update += 1
            report(update, updates)
            total += loss.detach() * len(chosen)
        yield float(total) / len(windows)


def evaluate(classifier: Classifier, encoded: Encoded, split: str, batches=None) -> tuple[dict, np.ndarray, list]:
    """Scores, [n] predicted class numbers and [n] log losses of one split."""
    batches = batches or batches_for_scoring(encoded.windows[split], classifier)
    found, gold = score_windows(classifier, batches), encoded.labels[split]
    predicted = found.argmax(dim=1).numpy()
    return scores(gold, predicted, encoded.names), predicted, log_losses(found.softmax(dim=1).numpy(), gold)


def make_optimizer(model: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser of `adamw`, with or without bias correction.

    Without: Adam's corrections are 1 - beta^t, so a step count that starts where both are 1 in double
    precision leaves exactly BertAdam's update, in torch's own fused kernel.
    """
    optimizer = adamw(model, recipe)
    if not recipe.bias_correction:
        for parameter in (p for p in model.parameters() if p.requires_grad):
            optimizer.state[parameter] = {
                "step": torch.tensor(1e6, dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
    return optimizer
