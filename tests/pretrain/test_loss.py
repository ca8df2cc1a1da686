"""Held-out loss: how many draws of masks a text is read under, and which models have none."""

import pytest

from helpers.errors import UserError
from helpers.pretrain import masked_lm_loss


def test_further_draws_of_masks_ask_for_other_tokens_and_take_most_of_the_chance_away(tiny, texts):
    few = texts[:60]

    def losses(seed, masked_tokens):
        return masked_lm_loss(tiny, few, max_length=32, mask_seed=seed, masked_tokens=masked_tokens).set_index(
            "document"
        )

    once, often = ([losses(seed, wanted) for seed in (1, 2)] for wanted in (0, 10**6))
    assert losses(1, 1).equals(once[0])
    asked = once[0]["masked_tokens"].sum()
    assert asked * 7 < often[0]["masked_tokens"].sum() < asked * 9  # eight draws at most
    assert asked < losses(1, 2 * asked)["masked_tokens"].sum() < asked * 3.5
    spread = [(first["loss"] - second["loss"]).std() for first, second in (once, often)]
    assert spread[1] < 0.6 * spread[0]  # by chance alone 1 / sqrt(8)


def test_the_loss_of_a_model_without_a_trained_head_is_refused(tiny, texts, tmp_path):
    from transformers import AutoTokenizer, RobertaModel

    RobertaModel.from_pretrained(tiny, add_pooling_layer=False).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no trained masked-LM head"):
        masked_lm_loss(tmp_path, texts)
