"""A very small study: generated text, a random model, one artifact of every kind; and what its store holds."""

import functools
import io
import json
import multiprocessing
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from helpers.store import Store
from helpers.study import Study
from tests.tiny_base import make_base

# Each study runs in a child of a server that has imported everything and computed nothing: a fork of a process in
# which torch has had threads can stand still for ever.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [f"helpers.{room}" for room in ("classify", "overlap", "pretrain", "results", "select", "study")]
)

WORDS = {
    "biomed": "cells protein dose trial tumour kinase serum assay mice lesion".split(),
    "cs": "graph parser kernel cache query lattice thread token grammar proof".split(),
    "generic": "river train village market winter bridge letter garden harbour road".split(),
}
TASKS = {"chemprot": "biomed", "sciie": "cs"}
# What says when, how long or how much memory: the one thing in which equal runs differ.
TIMES = ("seconds", "created", "tokens_per_second", "peak_memory_mb", "grown_memory_mb")
PATIENCE = 1800  # seconds, against hanging for ever
WRITES = ("os.rename", "os.mkdir", "os.remove", "shutil.rmtree")


def make_root(root: Path) -> Path:
    """A data root and a base model under `root`."""
    draw = random.Random(0)

    def sentence(domain: str) -> str:
        return " ".join(draw.choice(WORDS[domain]) for _ in range(9)) + f" {draw.randrange(10**6)}."

    for task, domain in TASKS.items():
        for split in ("train", "dev", "test"):
            _write(root / "data/tasks" / task / f"{split}.jsonl",
                   [{"text": sentence(domain), "label": f"L{i % 2}"} for i in range(12)])  # fmt: skip
    for domain in WORDS:
        texts = [" ".join(sentence(domain) for _ in range(2)) for _ in range(200)]
        _write(root / "data/domains" / f"{domain}.jsonl", [{"text": text} for text in texts])
    make_base(root / "base")
    return root


def _write(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def start(root: Path, run: Path, **more):
    """The process in which `_compute` goes on."""
    process = SERVER.Process(target=_compute, args=(root, run), kwargs=more)
    process.start()
    return process


def end(process) -> None:
    """Wait for a study that nothing disturbs; none is left behind where it does not end."""
    process.join(PATIENCE)
    status = process.exitcode
    process.kill()
    process.join()
    assert status == 0, f"the study ended with status {status}"


def _compute(root: Path, run: Path, at_write: int = 0, writes=None, made: Path | None = None, workers: int = 1,
             output: str = "out") -> None:  # fmt: skip
    """The study of `root`, computed into the folder `run`; a checkpoint is written after every update.

    at_write: the write at which this process is killed, 0 for none. writes: is told the number of writes. made: a
    file that is given a line for each artifact this process makes.
    """
    sys.stdout = sys.stderr = open(os.devnull, "w")

    def act(count: int) -> None:
        if writes is not None:
            writes.value = count
        if count == at_write:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(self, folder, kind, *rest):
        make(self, folder, kind, *rest)
        with open(made, "a") as file:
            file.write(f"{kind}/{folder.name}\n")

    _count_writes(act)
    if made:
        make, Store._make = Store._make, counted
    compute(root, run, workers, output)
    # A child of multiprocessing waits for its own children before concurrent.futures tells them that all is done; an
    # ordinary process does it the other way round. Those children end with their parent.
    os._exit(0)


def compute(root: Path, run: Path, workers: int, output: str) -> None:
    """The study itself, in this process, which it changes."""
    import helpers.pretrain

    os.environ.update(DSP_CACHE=str(run / "cache"), DSP_DEVICE="cpu")
    helpers.pretrain.adapt = functools.partial(helpers.pretrain.adapt, checkpoint_seconds=0)
    study = Study.open(
        PRESET="smoke", TASKS="chemprot,sciie", DOMAINS="biomed,cs", SELECTION_TASKS="chemprot", SEEDS=1,
        DATA_DIR=str(root / "data"), BASE_MODEL=str(root / "base"), OUTPUT_DIR=str(run / output), WORKERS=workers,
        MAX_LENGTH=16, DAPT_STEPS=3, DAPT_BATCH=4, TAPT_EPOCHS=1, TAPT_BATCH=4, EPOCHS=1, BATCH_SIZE=8,
        VAMPIRE_EPOCHS=1, POOL_SENTENCES=40, TOP_WORDS=50, OVERLAP_DOCUMENTS=20, HELDOUT_DOCUMENTS=3, NEIGHBOURS="2",
    )  # fmt: skip
    study.log = lambda line: None
    study.overlap()
    study.audit()
    scores = [study.fine_tune(["base", "tfidf", "dapt", "dapt_tapt"])]
    scores.append(study.fine_tune(["vampire_2_tapt", "random_2_tapt"], ["chemprot"]))
    study.save_table("scores", pd.concat(scores)[["task", "method", "seed", "score"]])
    study.save_table("losses", study.losses())


def tables(run: Path) -> dict[str, bytes]:
    """The tables of the run whose results lie in its folder `out`."""
    return {file.name: file.read_bytes() for file in (run / "out" / "tables").glob("*.csv")}


def contents(run: Path) -> dict[str, object]:
    """Every file of the run's store by kind, key and name, without what tells the time."""
    store = run / "cache" / "store"
    return {
        file.relative_to(store).as_posix(): _timeless(file)
        for folder in store.glob("*/*")
        if folder.is_dir()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in ("manifest.json", "log.txt")
    }


def _timeless(file: Path):
    data = file.read_bytes()
    if file.suffix == ".json":
        found = json.loads(data)
        return _drop(found)
    if file.suffix == ".csv":
        frame = pd.read_csv(io.BytesIO(data))
        return frame.drop(columns=[name for name in TIMES if name in frame]).to_csv(index=False)
    return data


def _drop(value):
    if isinstance(value, dict):
        return {key: _drop(part) for key, part in value.items() if key not in TIMES}
    return [_drop(part) for part in value] if isinstance(value, list) else value


def _count_writes(act: Callable[[int], None]) -> None:
    """Call `act` with 1, 2, ... whenever this process opens a file to write, renames, makes or removes one."""
    count = 0

    def watch(event: str, arguments: tuple) -> None:
        nonlocal count
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if opened or event in WRITES:
            count += 1
            act(count)

    sys.addaudithook(watch)
