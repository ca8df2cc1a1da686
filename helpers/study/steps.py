"""One step of the study as a job: what is computed (its key), where the input lies, and how it is made.

A step travels to a worker process, does its work through the store there, and leaves a folder behind. The
key names contents only; inputs (paths, names) are how this machine reaches them.
"""

import functools
import importlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

# Raise a step's number when its code changes what it computes: older artifacts are then left aside.
VERSIONS = {
    "texts": 1, "domain": 1, "model": 2, "losses": 1, "record": 1, "pool": 1, "vampire": 2, "selection": 1,
    "overlap": 1, "audit": 1, "quality": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """An artifact to make: `kind` in MAKERS, `key` of JSON values, `inputs` handed to the maker, words for logs."""

    kind: str
    key: dict
    inputs: dict = field(default_factory=dict, compare=False)
    name: str = field(default="", compare=False)
    about: str = field(default="", compare=False)

    @property
    def parts(self) -> dict:
        return {"version": VERSIONS[self.kind], **self.key}

    @property
    def digest(self) -> str:
        """Name of the artifact's folder in the store."""
        from helpers.hashing import key

        return key(self.parts)


def make_step(store_root: str, step: Step) -> Path:
    """Folder of the step's artifact, made in this process unless it is there."""
    from helpers.store import Store

    def make(folder: Path) -> None:
        module, name = MAKERS[step.kind].split(":")
        getattr(importlib.import_module(module), name)(folder, **step.inputs)

    return Store(store_root, log=lambda line: None).get_or_make(step.kind, step.parts, make)


class Lines:
    """Texts of a JSONL file, read anew by every iteration; `limit` keeps the first ones, 0 all."""

    def __init__(self, path: str | Path, limit: int = 0):
        self.path, self.limit = Path(path), limit

    def __iter__(self):
        with open(self.path, encoding="utf-8") as lines:
            for line in islice(lines, self.limit or None):
                yield json.loads(line)["text"]


def write_lines(path: Path, texts: Iterable[str]) -> dict:
    """Write texts as JSONL. Returns their number, words, bytes of text and a fingerprint of the sequence."""
    import hashlib

    digest, documents, words, size = hashlib.blake2b(digest_size=16), 0, 0, 0
    with open(path, "w", encoding="utf-8") as out:
        for text in texts:
            raw = text.encode()
            digest.update(len(raw).to_bytes(8, "little") + raw)
            documents, words, size = documents + 1, words + len(text.split()), size + len(raw)
            out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    return {"documents": documents, "words": words, "bytes": size, "fingerprint": digest.hexdigest()}


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def logger(folder: Path) -> Callable[[str], None]:
    """A log function that appends to log.txt of the artifact, each line with its time."""
    stream = open(folder / "log.txt", "a", encoding="utf-8", buffering=1)
    return lambda message: print(time.strftime("%H:%M:%S"), message, file=stream)


def make_texts(folder: Path, texts: list[str]) -> None:
    write_json(folder / "meta.json", write_lines(folder / "texts.jsonl", texts))


@functools.lru_cache(maxsize=4)
def _task(name: str, source: tuple):
    """The task, read once a process however many jobs ask for it."""
    from helpers.data import load_task

    return load_task(name, **dict(source))


def make_model(folder: Path, model: str, texts: str, limit: int, shuffle: bool, recipe: dict, seed: int) -> None:
    """Continue masked-LM training of `model` on the texts; the folder becomes an ordinary checkpoint."""
    from helpers.adapt import Recipe, adapt

    source: Iterable[str] = Lines(texts, limit)
    if shuffle:
        source = shuffled_words(source, seed)
    adapted = adapt(model, source, Recipe(**recipe), folder, seed=seed, log=logger(folder))
    size = sum(len(text.encode()) for text in Lines(texts, limit))
    write_json(folder / "summary.json", {**adapted.summary, "bytes": size})


def shuffled_words(texts: Iterable[str], seed: int) -> Iterable[str]:
    """Each text with its words in random order: the domain's vocabulary without its language (A/A control)."""
    import random

    order = random.Random(seed)
    for text in texts:
        words = text.split()
        order.shuffle(words)
        yield " ".join(words)


def make_losses(folder: Path, model: str, texts: str, max_length: int) -> None:
    """Masked-LM loss of every document, by the fixed masks of the authors' study."""
    from helpers.adapt import masked_lm_loss

    frame = masked_lm_loss(model, list(Lines(texts)), max_length=max_length)
    frame.to_csv(folder / "losses.csv", index=False)


def make_record(folder: Path, task: str, source: tuple, model: str, recipe: dict, seed: int) -> None:
    """Fine-tune one classifier, or fit the TF-IDF line when there is no model; leave its scores as JSON."""
    from helpers import classify, compute

    loaded = _task(task, source)
    if model:
        result = classify.fine_tune(model, loaded, classify.Recipe(**recipe), seed=seed, log=logger(folder))
    else:
        result = classify.tfidf_baseline(loaded)
    made = {"versions": compute.versions(), "git_commit": compute.git_commit()}
    made["created"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    write_json(folder / "record.json", result.record() | made)


# By name, so that a process imports only what its own steps need.
MAKERS = {
    "texts": "helpers.study.steps:make_texts",
    "domain": "helpers.study.corpora:make_domain",
    "model": "helpers.study.steps:make_model",
    "losses": "helpers.study.steps:make_losses",
    "record": "helpers.study.steps:make_record",
    "pool": "helpers.study.selection:make_pool",
    "vampire": "helpers.study.selection:make_vampire",
    "selection": "helpers.study.selection:make_selection",
}
