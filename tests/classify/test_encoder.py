import numpy as np
import pytest
import torch
import transformers

from helpers.classify.batches import Layout
from helpers.classify.encoder import FastDropout, first_vectors, replace_dropout
from helpers.packing import Windows

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


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_fast_dropout_drops_the_rate_and_keeps_the_mean(rate):
    torch.manual_seed(1)
    x = torch.ones(1000, 333, requires_grad=True)
    y = FastDropout(rate).train()(x)
    n = x.numel()
    dropped = float((y == 0).float().mean())
    assert dropped == pytest.approx(rate, abs=4 * (rate * (1 - rate) / n) ** 0.5)
    assert y.max().item() == pytest.approx(1 / (1 - rate), rel=1e-4)
    # Every place within the random word, and every column, is as likely to be dropped.
    by_place = (y == 0).float().flatten()[: n // 4 * 4].view(-1, 4).mean(dim=0)
    assert by_place.numpy() == pytest.approx([rate] * 4, abs=5 * (4 * rate * (1 - rate) / n) ** 0.5)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_fast_dropout_follows_the_seed_and_rests_in_evaluation():
    x, dropout = torch.randn(7, 5), FastDropout(0.3).train()
    torch.manual_seed(3)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(3)
    assert torch.equal(dropout(x), first) and not torch.equal(first, second)
    assert dropout.eval()(x) is x and FastDropout(0.0).train()(x) is x


def test_every_dropout_of_an_encoder_is_replaced():
    config = transformers.RobertaConfig(**{**SIZES, "hidden_dropout_prob": 0.2})
    encoder = replace_dropout(transformers.RobertaModel(config))
    assert not any(type(module) is torch.nn.Dropout for module in encoder.modules())
    assert encoder.embeddings.dropout.p == 0.2
