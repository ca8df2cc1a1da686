"""Records of an invented study whose true accuracies are known."""

import numpy as np
import pandas as pd
import pytest

from helpers.results.records import macro_f1

DOMAINS = {"chemprot": "biomed", "citation_intent": "cs", "ag": "news", "imdb": "reviews"}


def invent_losses(task="ag", domain="news", **by_method):
    """The loss of a task's dev texts under each method: [documents], or [adaptations, documents]."""
    rows = [
        {"task": task, "domain": domain, "method": method, "corpus": domain, "adaptation": number, "document": n,
         "loss": loss}
        for method, values in by_method.items()
        for number, documents in enumerate(np.atleast_2d(values))
        for n, loss in enumerate(documents)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def invent_record(
    task, method, seed, accuracy, *, rows=400, classes=3, domain=None, recipe="paper", leaked=(), **other
):
    """A record whose predictions hit with the given probability; the gold labels depend on the task alone."""
    gold = np.random.default_rng(sum(map(ord, task))).integers(classes, size=rows)
    gold[:classes] = range(classes)
    random = np.random.default_rng([seed, *map(ord, task + method + recipe)])
    wrong = (gold + random.integers(1, classes, size=rows)) % classes
    predicted = np.where(random.random(rows) < accuracy, gold, wrong)
    scores = {
        "macro_f1": macro_f1(gold, predicted, range(classes)),
        "micro_f1": float(np.mean(gold == predicted)),
        "accuracy": float(np.mean(gold == predicted)),
    }
    record = {
        "task": task, "domain": domain or DOMAINS[task], "method": method, "recipe": recipe, "seed": seed,
        "preset": "smoke", "base_model": "mini", "metric": "micro_f1" if task == "chemprot" else "macro_f1",
        "dev": scores, "test": scores, "labels": [f"label {i}" for i in range(classes)],
        "test_gold": gold.tolist(), "test_predictions": predicted.tolist(), "test_leaked": list(leaked),
        "sizes": {"train": 90, "dev": 50, "test": rows}, "best_epoch": 2, "epochs_run": 3, "seconds": 4.5,
        "degenerate": False, "adaptation": None, "config": {}, "versions": {}, "git_commit": "", "created": "",
    }  # fmt: skip
    return record | other


@pytest.fixture
def record():
    return invent_record


@pytest.fixture
def study(tmp_path):
    """A function that writes records {(task, method): accuracy} for some seeds and loads them again."""
    from helpers.results import load_records, write_record

    def build(cells, seeds=3, **other):
        for (task, method), accuracy in cells.items():
            for seed in range(seeds):
                write_record(tmp_path / "records", invent_record(task, method, seed, accuracy, **other))
        return load_records(tmp_path / "records")

    return build
