"""The texts of one study: tasks, domains, and the promise that no dev or test text is trained on."""

import functools
import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from helpers.config import Config
from helpers.errors import UserError
from helpers.hashing import fingerprint
from helpers.store import Store
from helpers.study.steps import Lines, Step, make_step, read_json, write_json, write_lines

HELDOUT_SHARE = 0.05  # of a domain's documents, never trained on


class Corpora:
    """Tasks and domains as the configuration names them, read once, with the fingerprints keys need."""

    def __init__(self, config: Config, store: Store):
        self.config, self.store = config, store
        self.task_source = (
            ("data_dir", config.data_dir),
            ("task_file", config.task_file),
            ("max_train", config.max_train),
            ("max_dev", config.max_dev),
            ("max_test", config.max_test),
        )
        self.domain_source = {"data_dir": config.data_dir, "domain_file": config.domain_file}

    @property
    def own_domain(self) -> str:
        """Name of the domain in DOMAIN_FILE, or an empty string."""
        return Path(self.config.domain_file).name.split(".")[0] if self.config.domain_file else ""

    @property
    def domains(self) -> tuple[str, ...]:
        own = self.own_domain
        return self.config.domains + ((own,) if own and own not in self.config.domains else ())

    @functools.cached_property
    def audited(self) -> tuple[str, ...]:
        """Tasks whose dev and test text stays out of everything that is trained on."""
        return tuple(dict.fromkeys((*self.config.tasks, *self.config.selection_tasks)))

    @functools.cache  # noqa: B019 - lives as long as the study
    def task(self, name: str):
        from helpers.data import load_task

        return load_task(name, **dict(self.task_source))

    def has_task(self, name: str) -> bool:
        """Whether the task's text can be had."""
        try:
            return bool(self.task(name))
        except UserError:
            return False

    def has_domain(self, name: str) -> bool:
        """Whether the domain's text can be had."""
        try:
            return bool(self.domain_step(name))
        except UserError:
            return False

    @functools.cache  # noqa: B019
    def task_fingerprint(self, name: str) -> str:
        task = self.task(name)
        splits = (task.train, task.dev, task.test)
        return fingerprint([fingerprint(split[["text", "label"]]) for split in splits])

    @functools.cached_property
    def held(self) -> list[str]:
        """Dev and test texts of every task of the study."""
        return [
            text for name in self.audited for split in ("dev", "test") for text in getattr(self.task(name), split).text
        ]

    def texts_step(self, texts: list[str]) -> Step:
        """A step that leaves `texts` on disk for worker processes."""
        return Step("texts", {"texts": fingerprint(texts)}, {"texts": texts}, "texts")

    @functools.cached_property
    def held_fingerprint(self) -> str:
        return fingerprint(self.held)

    @functools.cached_property
    def held_path(self) -> Path:
        return self.folder(self.texts_step(self.held)) / "texts.jsonl"

    def folder(self, step: Step) -> Path:
        """Folder of a step's artifact, made in this process unless it is there."""
        return make_step(str(self.store.root), step)

    @functools.cache  # noqa: B019
    def domain_step(self, name: str) -> Step:
        """The domain's text as training and held-out side, dev and test text left out, capped by the preset."""
        from helpers.data import load_domain

        corpus = load_domain(name, **self.domain_source)
        source = Path(corpus.path) if getattr(corpus, "path", None) else None
        config = self.config
        caps = {
            # as many documents as DAPT reads in one pass, or as the other steps ask for
            "train": max(config.dapt_steps * config.dapt_batch, config.overlap_documents, config.pool_sentences),
            "heldout": config.heldout_documents,
        }
        parts = {
            "source": fingerprint(source) if source else fingerprint(corpus),
            "held": self.held_fingerprint,
            "share": HELDOUT_SHARE,
            **caps,
        }
        inputs = {"name": name, "source": self.domain_source, "held": str(self.held_path), "caps": caps}
        return Step("domain", parts, inputs, name)

    def domain(self, name: str) -> Path:
        """Folder with train.jsonl, heldout.jsonl and meta.json of a domain."""
        return self.folder(self.domain_step(name))

    @functools.cache  # noqa: B019
    def domain_meta(self, name: str) -> dict:
        return read_json(self.domain(name) / "meta.json")

    def train_texts(self, name: str, limit: int = 0) -> Lines:
        return Lines(self.domain(name) / "train.jsonl", limit)

    def heldout_texts(self, name: str) -> Lines:
        return Lines(self.domain(name) / "heldout.jsonl")

    @functools.cache  # noqa: B019
    def tapt_texts(self, name: str, unlabeled: bool = False) -> list[str]:
        """Training text of a task, its unlabelled text too when asked for, without any dev or test text."""
        from helpers.data import exclude

        task = self.task(name)
        if unlabeled and not task.unlabeled:
            raise UserError(f"curated_tapt: task {name} has no unlabelled text (unlabeled.jsonl)")
        texts = [*task.train.text, *(task.unlabeled if unlabeled else ())]
        return list(exclude(texts, self.held))


def thin(texts: Iterable[str], wanted: int) -> Iterator[str]:
    """A random `wanted` of the texts, in their order, chosen by content: the same on every machine.

    texts: read twice, so no generator; the memory held is 8 bytes a text.
    """
    codes = np.fromiter(map(_code, texts), np.uint64)
    bound = np.partition(codes, wanted - 1)[wanted - 1] if len(codes) > wanted else None
    chosen = (text for text in texts if bound is None or _code(text) <= bound)
    return islice(chosen, wanted)


def _code(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, salt=b"thin").digest(), "little")


def make_domain(folder: Path, name: str, source: dict, held: str, caps: dict) -> None:
    """Write the training and held-out side of a domain."""
    from helpers.data import exclude, load_domain, split_heldout

    corpus = load_domain(name, **source)
    clean = folder / "clean.jsonl"
    kept = write_lines(clean, exclude(corpus, list(Lines(held))))["documents"]
    train, heldout = split_heldout(Lines(clean), HELDOUT_SHARE)
    meta = {
        "domain": name,
        "source": getattr(corpus, "source", ""),
        "read": len(corpus),
        "held_text_left_out": len(corpus) - kept,
        "train": write_lines(folder / "train.jsonl", thin(train, caps["train"])),
        "heldout": write_lines(folder / "heldout.jsonl", thin(heldout, caps["heldout"])),
    }
    if not meta["train"]["documents"] or not meta["heldout"]["documents"]:
        raise UserError(f"domain {name}: {kept} documents are too few to set some apart; give it a few hundred")
    clean.unlink()
    write_json(folder / "meta.json", meta)
