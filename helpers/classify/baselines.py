"""Logistic regression on TF-IDF, on static word vectors, or on a model's own vectors: what adaptation is held against.

The read-out of a frozen model is a second way to score a checkpoint beside fine-tuning, and never the paper's F1: it
asks what can be read from a model that is left as it is. It costs one pass over the texts, so that many draws of few
labels are seconds.
"""

import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from helpers.classify.inputs import SPLITS, check_task
from helpers.classify.metrics import degenerate, log_losses, scores
from helpers.data import drawn_rows
from helpers.encoder.packing import within_positions
from helpers.encoder.pooled import mean_pooled
from helpers.errors import UserError, nearest
from helpers.words import any_words

STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # C, the inverse of the L2 penalty
READ_OUT_STRENGTH = 0.01  # of the frozen read-out; see `read_out`
BASELINES = {
    "tfidf": "TF-IDF of words and word pairs",
    "tfidf_window": "TF-IDF of words and word pairs, of the tokens that the model reads",
    "static": "mean of the base's word embeddings",
}


def baseline(task, name: str = "tfidf", *, model: str | Path = "mini", max_length: int = 512, seed: int = 0):
    """Features of the texts, then logistic regression, its C chosen on dev.

    task: a helpers.data.Task. name: 'tfidf' (words and word pairs of the whole text), 'tfidf_window' (the same of the
    first `max_length` tokens of `model`, which is what a classifier on it reads) or 'static' (mean of the input
    embeddings of the same tokens). Deterministic; `seed` is only recorded. Returns a Result as `fine_tune` does, with
    best_epoch = epochs_run = 0 and C among the recipe's settings. Raises UserError for another name, for training texts
    without a word, and as `check_task` does.
    """
    start = time.perf_counter()
    if name not in BASELINES:
        raise UserError(f"baseline {name!r}: expected one of {', '.join(BASELINES)}.{nearest(name, BASELINES)}")
    check_task(task)
    if name == "static":
        features = _scaled(text_vectors(task, model, max_length, layer="words"))
    else:
        features = _tfidf(task, None if name == "tfidf" else functools.partial(window_of, model, max_length))
    recipe = {"features": BASELINES[name]} | ({} if name == "tfidf" else {"max_length": max_length})
    return _regression(task, features, STRENGTHS, recipe, seed, start)


def text_vectors(task, model: str | Path, max_length: int = 512, layer: str = "last") -> dict[str, np.ndarray]:
    """{split: [n, width] float32}: mean over its tokens of each text's vectors, of the 'last' layer or of 'words'.

    task: a helpers.data.Task. model: 'mini', a Hugging Face folder or a hub name. max_length: tokens a text, special
    tokens included; longer ones are cut. layer: 'words' takes the input embeddings, without order or context.
    """
    check_task(task)
    return {
        split: mean_pooled(getattr(task, split)["text"].tolist(), str(model), max_length, layer=layer)
        for split in SPLITS
    }


def read_out(vectors: Mapping[str, np.ndarray], task, *, labels: int = 0, seed: int = 0, strength=READ_OUT_STRENGTH):
    """Frozen read-out: logistic regression on a model's own vectors, from as many labelled rows.

    vectors: what `text_vectors` returns for the task; they are scaled by mean and deviation over its training texts.
    labels: training rows used, stratified, another draw each seed (see `Task.draw`); 0: all. strength: C of the
    L2 penalty, one for every model; the default had the best dev score of the unadapted base. Returns a Result as
    `fine_tune` does; its recipe is named 'frozen'.

    >>> from helpers import load_task
    >>> task = load_task("toy_cs", data_dir="toy", max_train=40, max_dev=10, max_test=10)
    >>> found = read_out(text_vectors(task, "mini", 32), task, labels=20, seed=1)
    >>> found.sizes, 0 <= found.score <= 1
    ({'train': 20, 'dev': 10, 'test': 10}, True)
    """
    start = time.perf_counter()
    features = _scaled(vectors)
    features["train"] = features["train"][drawn_rows(task.train["label"], labels, seed)]
    recipe = {"name": "frozen", "features": "mean of the last layer's vectors", "labels": labels}
    return _regression(task.draw(labels, seed), features, (strength,), recipe, seed, start)


def window_of(model: str | Path, max_length: int, texts: Sequence[str]) -> list[str]:
    """The part of each text that a classifier on `model` reads: its first `max_length` tokens, special ones included.

    They are fewer where the model has fewer positions.
    """
    from helpers.encoder.load import encoder_of

    encoder, tokenizer = encoder_of(model)
    room = within_positions(encoder, max_length) - 2
    tokens = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ends = [spans[room - 1][1] if len(spans) > room else None for spans in tokens["offset_mapping"]]
    return [text[:end] for text, end in zip(texts, ends, strict=True)]


def _tfidf(task, cut=None) -> dict:
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = {split: list(getattr(task, split)["text"]) for split in SPLITS}
    if cut:
        texts = {split: cut(rows) for split, rows in texts.items()}
    if not any(map(any_words, texts["train"])):
        raise UserError(f"task {task.name!r}, train: no text holds a word, so TF-IDF has nothing to count; "
                        "give it texts with words")  # fmt: skip
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, tokenizer=any_words, token_pattern=None)
    features = {"train": vectorizer.fit_transform(texts["train"])}
    return features | {split: vectorizer.transform(texts[split]) for split in ("dev", "test")}


def _scaled(vectors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The vectors less their mean over train, by their standard deviation there; labels play no part."""
    mean, deviation = vectors["train"].mean(axis=0), vectors["train"].std(axis=0)
    return {split: (rows - mean) / np.maximum(deviation, 1e-6) for split, rows in vectors.items()}


def _regression(task, features: Mapping, strengths: Sequence[float], recipe: Mapping, seed: int, start: float):
    """Logistic regression of the strength with the best dev score, as a Result."""
    from sklearn.linear_model import LogisticRegression

    from helpers.classify.loop import Result

    number = {label: place for place, label in enumerate(task.labels)}
    gold = {split: getattr(task, split)["label"].map(number).to_numpy(dtype=np.int64) for split in SPLITS}
    metric, history, best = task.spec.metric, [], None
    for strength in strengths:
        model = LogisticRegression(C=strength, max_iter=1000).fit(features["train"], gold["train"])
        dev = scores(gold["dev"], model.predict(features["dev"]), task.labels)
        history.append({"C": strength, "dev_" + metric: dev[metric]})
        if best is None or dev[metric] > best[1][metric]:
            best = strength, dev, model
    predicted = best[2].predict(features["test"])
    return Result(
        task=task.name,
        metric=metric,
        recipe={"name": "paper", "C": best[0], **recipe},
        seed=seed,
        labels=tuple(task.labels),
        dev=best[1],
        test=scores(gold["test"], predicted, task.labels),
        test_gold=gold["test"].tolist(),
        test_predictions=predicted.tolist(),
        test_log_loss=log_losses(best[2].predict_proba(features["test"]), gold["test"]),
        sizes={split: len(rows) for split, rows in gold.items()},
        best_epoch=0,
        epochs_run=0,
        seconds=time.perf_counter() - start,
        degenerate=degenerate(predicted),
        history=history,
    )
