"""One update of a training: what is compiled, and what an update without a masked token does."""

import pytest
import torch

from helpers.pretrain import Recipe, adapt

RECIPE = Recipe("test", learning_rate=1e-3, batch_size=1, steps=12, max_length=32, mask_probability=0.5)


pytestmark = pytest.mark.usefixtures("plain_cpu")


def test_a_compiled_step_meets_rows_of_many_lengths_with_one_source_of_dropout(tiny, tmp_path, monkeypatch):
    """Windows of DeBERTa share no rows, so that each update's are as long as its text."""
    from transformers import AutoTokenizer, DebertaV2Config, DebertaV2ForMaskedLM

    sizes = dict(vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    attention = dict(relative_attention=True, pos_att_type=["c2p", "p2c"], max_position_embeddings=40)
    DebertaV2ForMaskedLM(DebertaV2Config(**sizes, **attention)).save_pretrained(tmp_path / "net")
    AutoTokenizer.from_pretrained(tiny).save_pretrained(tmp_path / "net")
    compiler, eager_draws = torch.compile, []
    monkeypatch.setattr(torch, "compile", lambda step, dynamic: compiler(step, dynamic=dynamic, backend="eager"))
    monkeypatch.setattr("helpers.encoder.dropout._keep", lambda x, p: eager_draws.append(x.shape) or 1)
    texts = [" cell" * (words + 3) for words in range(12)]
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    adapt(tmp_path / "net", texts, RECIPE, tmp_path / "out", compile=True, log=lambda line: None)
    assert not eager_draws and torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 2
