"""Scores of predicted labels: macro- and micro-F1, accuracy, F1 of each class, confusion matrix."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score


def scores(gold, predicted, labels: Sequence[str] | int) -> dict:
    """Scores of one set of predictions, scikit-learn's with zero_division=0.

    gold, predicted: [n] class numbers, 0 .. classes - 1, n at least 1. labels: the names of all classes, or how
    many there are. Returns macro_f1, micro_f1, accuracy, each in 0 .. 1; per_class {label: F1}; confusion as lists.

    Macro-F1 averages over all classes of the training data, as the authors' code does: a class that a small
    dev or test set does not hold counts 0 even when it is never predicted. Every text has one label, so
    micro-F1 is the accuracy. Paper: Table 3 (micro-F1 for CHEMPROT and RCT, macro-F1 elsewhere).
    """
    names = [str(number) for number in range(labels)] if isinstance(labels, int) else list(labels)
    classes = range(len(names))
    table = confusion_matrix(gold, predicted, labels=classes)
    f1 = f1_score(gold, predicted, labels=classes, average=None, zero_division=0)
    accuracy = float(np.trace(table) / table.sum())
    return {
        "macro_f1": float(f1.mean()),
        "micro_f1": accuracy,
        "accuracy": accuracy,
        "per_class": {name: float(value) for name, value in zip(names, f1, strict=True)},
        "confusion": table.tolist(),
    }


def log_losses(probabilities, gold) -> list[float]:
    """-log of the probability of the right label of each row, nats, to four decimals; 0 where the model is sure of it.

    probabilities: [n, classes]. gold: [n] class numbers. A probability of 0, or one
    that is no number, counts as 1e-12.

    >>> log_losses([[0.5, 0.5], [1.0, 0.0]], [0, 0])
    [0.6931, 0.0]
    """
    right = np.nan_to_num(np.asarray(probabilities, dtype=float)[np.arange(len(gold)), gold])
    return np.round(-np.log(np.clip(right, 1e-12, 1.0)) + 0.0, 4).tolist()


def degenerate(predicted) -> bool:
    """Whether only one class was ever predicted; such seeds are shown, not dropped (the paper redrew them)."""
    return len(np.unique(predicted)) < 2
