"""A tiny masked LM and texts for it."""

import numpy as np
import pytest

WORDS = "the a of house street people saw small green table paper river morning walked slowly they gene cell".split()


@pytest.fixture
def plain_cpu(monkeypatch):
    """fp32 on one thread of the CPU, so that equality means the computation and not the rounding."""
    import torch

    monkeypatch.setenv("DSP_PRECISION", "fp32")
    monkeypatch.setenv("DSP_DEVICE", "cpu")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """200 documents of 3 to 60 words; some are longer than one window of 32 tokens."""
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(WORDS, generator.integers(3, 60))) for _ in range(200)]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, texts) -> str:
    """Folder of a RoBERTa: 2 layers of width 32, byte-level BPE of 300, random weights, dropout 0.1."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizerFast

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    bpe = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator(texts, vocab_size=300, special_tokens=special, show_progress=False)
    bpe.save_model(str(folder))
    tokenizer = RobertaTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=66, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        )
    ).save_pretrained(folder)  # fmt: skip
    return str(folder)
