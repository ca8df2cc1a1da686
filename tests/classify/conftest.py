"""A tiny random RoBERTa with its own tokenizer, and a task that it can learn."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.classify.recipes import PAPER

CUES = {"anger": "furious shouting", "calm": "quiet river", "joy": "happy laughing"}
FILLER = "the a of on house street morning people walked saw green small table paper with they and slowly".split()


def sentences(label: str, n: int, seed: int) -> list[str]:
    generator = np.random.default_rng([seed, sorted(CUES).index(label)])
    texts = []
    for _ in range(n):
        words = list(generator.choice(FILLER, generator.integers(3, 25)))
        words.insert(int(generator.integers(len(words))), str(generator.choice(CUES[label].split())))
        texts.append(" ".join(words))
    return texts


def frame(n: int, seed: int) -> pd.DataFrame:
    rows = [(text, label) for label in CUES for text in sentences(label, n, seed)]
    return pd.DataFrame(rows, columns=["text", "label"]).sample(frac=1, random_state=seed, ignore_index=True)


def make_task(train, dev, test, metric="macro_f1"):
    labels = tuple(sorted(train["label"].unique()))
    return SimpleNamespace(
        name="moods", train=train, dev=dev, test=test, labels=labels, spec=SimpleNamespace(metric=metric)
    )


@pytest.fixture(scope="session")
def task():
    """Three classes, 90 / 30 / 30 texts of 4 to 26 words, one telling word each."""
    return make_task(frame(30, 1), frame(10, 2), frame(10, 3))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, task) -> str:
    """Folder of a masked LM: 2 layers of width 32, byte-level BPE of 400, random weights."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    bpe = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator(task.train["text"], vocab_size=400, special_tokens=special, show_progress=False)
    bpe.save_model(str(folder))
    tokenizer = RobertaTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=66,
    )  # fmt: skip
    torch.manual_seed(0)
    RobertaForMaskedLM(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def one_thread():
    """Models this small only lose by a second thread, most of all on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def quick():
    """The paper's recipe with a learning rate that suits random weights."""
    return replace(PAPER, learning_rate=3e-3, epochs=6)
