"""The bundled model as transformers reads it."""

import pytest
from transformers import AutoTokenizer, pipeline

from helpers.paths import MINI
from helpers.pretrain import masked_lm_loss


def test_the_mask_takes_the_space_before_it():
    fill = pipeline("fill-mask", model=str(MINI))
    found = fill("They had either <mask> or something.", targets=[" nothing"])[0]
    assert "either nothing or" in found["sequence"] and found["token_str"] == " nothing"


def test_mini_knows_the_positions_it_was_trained_on_and_no_more():
    tokenizer = AutoTokenizer.from_pretrained(MINI)
    assert tokenizer.model_max_length == 128
    long = ["word " * 300]
    assert masked_lm_loss("mini", long).equals(masked_lm_loss("mini", long, max_length=128))


def test_its_loss_is_what_it_was_with_the_longer_position_table(monkeypatch):
    """The rows cut away were never read below 128 tokens; this number was computed before they were cut."""
    monkeypatch.setenv("DSP_DEVICE", "cpu")
    monkeypatch.setenv("DSP_PRECISION", "fp32")
    text = ["The house stood at the end of the street, and nobody had lived there for many years."]
    assert masked_lm_loss("mini", text)["loss"][0] == pytest.approx(3.539389, rel=1e-5)
