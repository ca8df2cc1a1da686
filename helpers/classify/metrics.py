"""Scores of predicted labels: macro- and micro-F1, accuracy, F1 of each class, confusion matrix."""

from collections.abc import Sequence

import numpy as np


def confusion(gold, predicted, n_labels: int) -> np.ndarray:
    """[n_labels, n_labels] counts; rows are gold classes, columns predicted ones."""
    gold, predicted = np.asarray(gold, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold labels but {len(predicted)} predictions")
    return np.bincount(gold * n_labels + predicted, minlength=n_labels**2).reshape(n_labels, n_labels)


def scores(gold, predicted, labels: Sequence[str] | int) -> dict:
    """Scores of one set of predictions, equal to scikit-learn's with zero_division=0.

    gold, predicted: [n] class numbers, 0 .. classes - 1. labels: the names of all classes, or how many there
    are. Returns macro_f1, micro_f1, accuracy, each in 0 .. 1; per_class {label: F1}; confusion as lists.

    Macro-F1 averages over all classes of the training data, as the authors' code does: a class that a small
    dev or test set does not hold counts 0 even when it is never predicted. Every text has one label, so
    micro-F1 is the accuracy. Paper: Table 3 (micro-F1 for CHEMPROT and RCT, macro-F1 elsewhere).
    """
    names = [str(number) for number in range(labels)] if isinstance(labels, int) else list(labels)
    table = confusion(gold, predicted, len(names))
    right = np.diag(table)
    seen = table.sum(axis=0) + table.sum(axis=1)  # 2 tp + fp + fn
    f1 = np.divide(2.0 * right, seen, out=np.zeros(len(names)), where=seen > 0)
    accuracy = float(right.sum() / max(table.sum(), 1))
    return {
        "macro_f1": float(f1.mean()),
        "micro_f1": accuracy,
        "accuracy": accuracy,
        "per_class": {name: float(value) for name, value in zip(names, f1, strict=True)},
        "confusion": table.tolist(),
    }


def degenerate(predicted) -> bool:
    """Whether only one class was ever predicted; such seeds are shown, not dropped (the paper redrew them)."""
    return len(np.unique(predicted)) < 2
