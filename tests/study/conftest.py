"""A tiny data root, a base model, a study of both; training replaced by files."""

import json
import random
import shutil

import pandas as pd
import pytest

from helpers.paths import MINI
from helpers.study import Study, makers
from helpers.study.steps import makes
from helpers.study.texts import Lines

WORDS = {
    "biomed": "cells protein dose trial tumour kinase serum assay mice lesion".split(),
    "cs": "graph parser kernel cache query lattice thread token grammar proof".split(),
    "generic": "river train village market winter bridge letter garden harbour road".split(),
    "news": "minister vote strike budget reporter tariff poll senate union mayor".split(),
    "reviews": "plot battery camera acting screen boring refund lovely sequel charger".split(),
}


def sentence(draw, domain, words=9):
    return " ".join(draw.choice(WORDS[domain]) for _ in range(words)) + f" {draw.randrange(10**9)}."


def write_jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data root of two tasks and five domains, with test text planted in domains and in train."""
    monkeypatch.setenv("DSP_CACHE", str(tmp_path / "cache"))
    draw, root = random.Random(0), tmp_path / "data"
    splits = {}
    for task, domain in (("chemprot", "biomed"), ("sciie", "cs")):
        for split, size in (("train", 40), ("dev", 12), ("test", 12)):
            splits[task, split] = [{"text": sentence(draw, domain), "label": f"L{i % 3}"} for i in range(size)]
    splits["chemprot", "train"][5]["text"] = splits["chemprot", "test"][2]["text"].upper()
    splits["chemprot", "train"][6]["text"] = "First, " + splits["sciie", "dev"][1]["text"]
    for (task, split), rows in splits.items():
        write_jsonl(root / "tasks" / task / f"{split}.jsonl", rows)
    for domain in WORDS:
        texts = [" ".join(sentence(draw, domain) for _ in range(3)) for _ in range(300)]
        texts[10] += " " + splits["chemprot", "test"][0]["text"]
        texts[20] = splits["sciie", "dev"][3]["text"].replace(" ", "  ") + " " + texts[20]
        write_jsonl(root / "domains" / f"{domain}.jsonl", [{"text": text} for text in texts])
    return root


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text("weights")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(MINI / name, folder)
    return folder


@pytest.fixture
def open_study(root, base, tmp_path):
    def opened(**overrides):
        given = {
            "TASKS": "chemprot,sciie", "DOMAINS": "biomed,cs", "SELECTION_TASKS": "chemprot", "DATA_DIR": str(root),
            "BASE_MODEL": str(base), "OUTPUT_DIR": str(tmp_path / "out"), "WORKERS": 1, "SEEDS": 2, "MAX_TRAIN": 0,
            "MAX_DEV": 0, "MAX_TEST": 0,
        }  # fmt: skip
        return Study.open(PRESET="smoke", **{**given, **overrides})

    return opened


@pytest.fixture
def made(monkeypatch):
    """Training replaced by files: a list of what was made, in order."""
    log = []

    @makes(version=1)
    def model(folder, recipe, base_path, texts, documents=0, shuffle=False, selected=None, parent=None, **rest):
        """Adaptation: replaced."""
        whole = texts / "train.jsonl"
        source = list(makers.Thinned(Lines(whole if whole.exists() else texts / "texts.jsonl"), documents))
        source += list(Lines(selected / "texts.jsonl")) if selected else []
        log.append(("model", str(parent or base_path), tuple(source), shuffle))
        (folder / "config.json").write_text("{}")
        summary = dict(steps=3, epochs=1.0, documents=5, tokens=50, bytes=300, seconds=1.0)
        (folder / "summary.json").write_text(json.dumps(summary))
        pd.DataFrame({"step": [1, 3], "loss": [3.0, 2.0]}).to_csv(folder / "history.csv", index=False)

    @makes(version=1)
    def losses(folder, sample, base_path, model=None, **rest):
        """Held-out loss: replaced."""
        log.append(("losses", str(model or base_path), sample))
        table = pd.DataFrame({"document": [0, 1], "loss": [1.0, 2.0], "masked_tokens": [3, 4]})
        table.to_csv(folder / "losses.csv", index=False)

    @makes(version=1)
    def record(folder, name, seed, base_path, model=None, **rest):
        """Fine-tuning: replaced."""
        log.append(("record", name, str(model or base_path), seed))
        scores = {"macro_f1": 1.0, "micro_f1": 1.0, "accuracy": 1.0, "per_class": {}}
        gold = [0, 1, 2] * 4
        found = {
            "dev": scores, "test": scores, "labels": ["L0", "L1", "L2"], "test_gold": gold,
            "test_predictions": gold, "sizes": {"train": 40, "dev": 12, "test": 12}, "best_epoch": 1,
            "epochs_run": 1, "seconds": 0.1, "degenerate": False,
        }  # fmt: skip
        (folder / "record.json").write_text(json.dumps(found))

    for fake in (model, losses, record):
        monkeypatch.setattr(makers, fake.__name__, fake)
    return log
