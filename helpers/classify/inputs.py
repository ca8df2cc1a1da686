"""A task as numbers: checked, tokenised once, and shared by every fine-tuning in the process."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.encoder.packing import Windows, tokenize
from helpers.errors import UserError

SPLITS = ("train", "dev", "test")
SPLITS_KEPT = 48  # of 16 tasks


@dataclass(frozen=True)
class Encoded:
    """Token windows and class numbers of one task, under one tokenizer.

    windows: {split: Windows}, one window a text. labels: {split: [n] int64}; numbers index `names`.
    """

    windows: dict[str, Windows]
    labels: dict[str, np.ndarray]
    names: tuple[str, ...]


def check_task(task) -> None:
    """Refuse what cannot be fine-tuned on: an empty split, an empty text, one class, a label unseen in train.

    task: a helpers.data.Task, or anything with the same train, dev, test, labels and name.
    Raises UserError in one line that names the task, the split and the row (counted from 0).
    """
    for split in SPLITS:
        rows = getattr(task, split)
        where = f"task {task.name!r}, {split}"
        for column in ("text", "label"):
            if column not in rows.columns:
                raise UserError(f"{where}: no column {column!r}; expected text and label.")
        if not len(rows):
            raise UserError(f"{where}: no rows; give it at least one labelled text.")
        text = rows["text"]
        empty = text.isna() | (text.astype(str).str.strip() == "")
        if empty.any():
            raise UserError(f"{where}, row {int(np.argmax(empty))}: the text is empty; fill it or remove the row.")
        unseen = ~rows["label"].isin(task.labels)
        if unseen.any():
            row = int(np.argmax(unseen))
            raise UserError(
                f"{where}, row {row}: label {rows['label'].iloc[row]!r} is not in train "
                f"({', '.join(map(str, task.labels[:6]))}{', ...' if len(task.labels) > 6 else ''}); "
                "move some of its texts to train or remove them."
            )
    if len(set(task.train["label"])) < 2:
        raise UserError(
            f"task {task.name!r}: train has one label, {task.train['label'].iloc[0]!r}; classification needs two."
        )


def encode(task, tokenizer, max_length: int = 512) -> Encoded:
    """The task's token windows and class numbers; equal texts are tokenised once a process for a tokenizer and length.

    So the draws of few training rows from one task share its dev and test windows. task: see `check_task`, which is
    applied. tokenizer: a fast Hugging Face tokenizer; two with the same vocabulary and rules share the result.
    max_length: tokens a text; longer texts are cut.
    """
    check_task(task)
    _untruncated(tokenizer)
    rules = _tokenizer_key(tokenizer)
    number = {label: place for place, label in enumerate(task.labels)}
    windows, labels = {}, {}
    for split in SPLITS:
        rows = getattr(task, split)
        windows[split] = _windows_once(rows["text"], tokenizer, rules, max_length)
        if (row := tokenless(windows[split], len(rows))) is not None:
            raise UserError(
                f"task {task.name!r}, {split}, row {row}: the tokenizer finds no token in "
                f"{rows['text'].iloc[row]!r}; remove the row."
            )
        labels[split] = rows["label"].map(number).to_numpy(dtype=np.int64, copy=True)
    return Encoded(windows, labels, tuple(task.labels))


_windows: OrderedDict[tuple, Windows] = OrderedDict()


def _windows_once(texts: pd.Series, tokenizer, rules: str, max_length: int) -> Windows:
    key = (_texts_key(texts), rules, max_length)
    if key not in _windows:
        _windows[key] = text_windows(texts, tokenizer, max_length)
    _windows.move_to_end(key)
    if len(_windows) > SPLITS_KEPT:
        _windows.popitem(last=False)
    return _windows[key]


def text_windows(texts: Iterable[str], tokenizer, max_length: int) -> Windows:
    """The first window of each text."""
    return tokenize(texts, tokenizer, max_length, overflow="truncate")


def tokenless(windows: Windows, count: int) -> int | None:
    """The place of the first of that many texts in which the tokenizer found no token; None where there is none."""
    return next(iter(np.setdiff1d(np.arange(count), windows.document).tolist()), None)


def _untruncated(tokenizer) -> None:
    # Calling a Hugging Face tokenizer with truncation=True leaves that setting behind in its Rust half, and so in its
    # key; `packing.tokenize` lifts it for the tokens themselves.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()


def _texts_key(texts: pd.Series) -> str:
    """Equal for equal texts in the same order, whatever object holds them."""
    hashes = pd.util.hash_array(texts.astype(str).to_numpy(dtype=object))
    return hashlib.blake2b(hashes.tobytes(), digest_size=16).hexdigest()


def _tokenizer_key(tokenizer) -> str:
    """Equal for tokenizers with the same vocabulary and rules."""
    rules = tokenizer.backend_tokenizer.to_str() + repr(tokenizer.special_tokens_map)
    return hashlib.blake2b(rules.encode(), digest_size=16).hexdigest()
