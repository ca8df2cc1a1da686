import numpy as np
import pytest
import torch
import transformers

from helpers.classify.batches import Layout
from helpers.classify.model import first_vectors
from helpers.encoder.packing import Windows
from helpers.encoder.vectors import Reading

SIZES = dict(
    vocab_size=60, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
    max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip


@pytest.mark.parametrize(
    "kind, lengths",
    [("Bert", [5, 17, 9, 3, 12]), ("Roberta", [5, 17, 9, 3, 12]), ("Electra", [5, 17, 9]), ("Roberta", [32, 32])],
)
def test_first_vectors_and_their_gradients_equal_those_of_transformers(kind, lengths, monkeypatch):
    """With dropout 0 the packed road and the library's padded one are one function, backward included."""
    monkeypatch.setenv("DSP_PRECISION", "fp32")
    torch.manual_seed(0)
    pooler = {"add_pooling_layer": False} if kind != "Electra" else {}
    config = getattr(transformers, f"{kind}Config")(**SIZES, pad_token_id=1)
    encoder = getattr(transformers, f"{kind}Model")(config, **pooler).train()
    tokens = np.random.default_rng(0).integers(3, 60, sum(lengths))
    windows = Windows(tokens, np.concatenate([[0], np.cumsum(lengths)]), np.arange(len(lengths)))
    weights = torch.randn(len(lengths), 16)

    offset = 2 if kind == "Roberta" else 0
    batch = Layout(pad_id=1, offset=offset, packs=True).lay(windows, np.arange(len(lengths)))
    ours = first_vectors(encoder, batch)
    (ours * weights[torch.from_numpy(batch.window)]).sum().backward()
    our_gradients = {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}

    encoder.zero_grad()
    longest = max(lengths)
    ids = torch.ones(len(lengths), longest, dtype=torch.int64)
    for place, length in enumerate(lengths):
        ids[place, :length] = torch.from_numpy(windows[place])
    mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    theirs = encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
    (theirs * weights).sum().backward()

    torch.testing.assert_close(ours, theirs[torch.from_numpy(batch.window)], rtol=1e-4, atol=1e-5)
    assert set(our_gradients) == {name for name, p in encoder.named_parameters() if p.grad is not None}
    for name, parameter in encoder.named_parameters():
        if name in our_gradients:
            torch.testing.assert_close(our_gradients[name], parameter.grad, rtol=1e-3, atol=1e-5, msg=name)


def test_bfloat16_stays_near_single_precision(monkeypatch):
    encoder = transformers.RobertaModel(transformers.RobertaConfig(**SIZES), add_pooling_layer=False).eval()
    windows = Windows(np.arange(3, 43), np.array([0, 20, 40]), np.arange(2))
    batch = Layout(1, 2, True).lay(windows, np.arange(2))
    found = {}
    for precision in ("fp32", "bf16"):
        monkeypatch.setenv("DSP_PRECISION", precision)
        found[precision] = first_vectors(encoder, batch).detach()
    assert found["bf16"].dtype == torch.float32
    torch.testing.assert_close(found["bf16"], found["fp32"], rtol=0.05, atol=0.05)
    assert not torch.equal(found["bf16"], found["fp32"])


def test_a_reading_finds_each_cell_in_its_own_row():
    """Rows of 10 tokens: three cells in the first, none in the second, one in the third."""
    reading = Reading.of([1, 4, 9, 25], rows=3, length=10, slots=2)
    assert reading.asked.tolist() == [[1, 4, 9, 0], [10, 10, 10, 10], [25, 20, 20, 20]]
    assert reading.places.tolist() == [0, 1, 2, 8]
    assert reading.asked.reshape(-1)[reading.places].tolist() == reading.cells.tolist()
