"""The bundled model as transformers reads it."""

import pytest
from transformers import AutoTokenizer, pipeline

from helpers.paths import MINI
from helpers.pretrain import masked_lm_loss

PROSE = (
    "The river ran high that spring and the lower fields stood under water for a week. "
    "Farmers moved their cattle to the hill, and the school at the crossroads was closed until the road was dry. "
    "A committee met in the town hall to ask what a new wall would cost and who should pay for it. "
    "Some wanted a loan, others a tax, and the miller said that no wall had ever stopped the river for long. "
)


def test_the_mask_takes_the_space_before_it():
    fill = pipeline("fill-mask", model=str(MINI))
    found = fill("They had either <mask> or something.", targets=[" nothing"])[0]
    assert "either nothing or" in found["sequence"] and found["token_str"] == " nothing"


def test_mini_knows_the_positions_it_was_trained_on_and_no_more():
    tokenizer = AutoTokenizer.from_pretrained(MINI)
    assert tokenizer.model_max_length == 512
    long = ["word " * 1200]
    assert masked_lm_loss("mini", long).equals(masked_lm_loss("mini", long, max_length=512))


def test_a_long_window_is_read_as_well_as_its_beginning(monkeypatch):
    """Its loss late in a window is no higher than early: the positions beyond 128 were trained."""
    monkeypatch.setenv("DSP_PRECISION", "fp32")
    text = PROSE * 6
    late, early = (masked_lm_loss("mini", [text], max_length=length)["loss"][0] for length in (512, 128))
    assert late < early + 0.1 < 4.5


def test_its_loss_of_a_sentence(monkeypatch):
    """The number of the weights as they were committed: a file damaged or exchanged shows here."""
    monkeypatch.setenv("DSP_DEVICE", "cpu")
    monkeypatch.setenv("DSP_PRECISION", "fp32")
    text = ["The house stood at the end of the street, and nobody had lived there for many years."]
    assert masked_lm_loss("mini", text)["loss"][0] == pytest.approx(3.860933, rel=1e-5)
