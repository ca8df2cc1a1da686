"""TF-IDF with logistic regression: what any adapted transformer has to beat."""

import time

from helpers.classify.inputs import SPLITS, check_task
from helpers.classify.metrics import degenerate, scores

STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # C, the inverse of the L2 penalty


def tfidf_baseline(task, *, seed: int = 0):
    """Words and word pairs weighted by TF-IDF, then logistic regression, its C chosen on dev.

    task: a helpers.data.Task. Deterministic; `seed` is only recorded. Returns a Result as `fine_tune` does, with
    best_epoch = epochs_run = 0 and C among the recipe's settings. Raises UserError as `check_task` does.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    from helpers.classify.loop import Result

    start = time.perf_counter()
    check_task(task)
    number = {label: place for place, label in enumerate(task.labels)}
    gold = {split: getattr(task, split)["label"].map(number).to_numpy(dtype=np.int64) for split in SPLITS}
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    features = {"train": vectorizer.fit_transform(task.train["text"])}
    features |= {split: vectorizer.transform(getattr(task, split)["text"]) for split in ("dev", "test")}
    metric, history, best = task.spec.metric, [], None
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000).fit(features["train"], gold["train"])
        dev = scores(gold["dev"], model.predict(features["dev"]), task.labels)
        history.append({"C": strength, "dev_" + metric: dev[metric]})
        if best is None or dev[metric] > best[1][metric]:
            best = strength, dev, model
    predicted = best[2].predict(features["test"])
    return Result(
        task=task.name,
        metric=metric,
        recipe={"name": "paper", "C": best[0], "features": "TF-IDF of words and word pairs"},
        seed=seed,
        labels=tuple(task.labels),
        dev=best[1],
        test=scores(gold["test"], predicted, task.labels),
        test_gold=gold["test"].tolist(),
        test_predictions=predicted.tolist(),
        sizes={split: len(rows) for split, rows in gold.items()},
        best_epoch=0,
        epochs_run=0,
        seconds=time.perf_counter() - start,
        degenerate=degenerate(predicted),
        history=history,
    )
