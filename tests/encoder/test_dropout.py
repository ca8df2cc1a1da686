"""FastDropout: its rate and mean, its seeds, and its place in a model."""

import pytest
import torch
import transformers

from helpers.encoder.dropout import FastDropout, with_fast_dropout
from helpers.pretrain.training import can_compile

SIZES = dict(
    vocab_size=60, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
    max_position_embeddings=64, hidden_dropout_prob=0.2,
)  # fmt: skip


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
    config = transformers.RobertaConfig(**SIZES)
    encoder = with_fast_dropout(transformers.RobertaModel(config))
    assert not any(type(module) is torch.nn.Dropout for module in encoder.modules())
    assert encoder.embeddings.dropout.p == 0.2


@pytest.mark.skipif(not can_compile(), reason="torch.compile needs a C++ compiler here")
def test_compiled_dropout_keeps_rate_mean_and_gradient_and_draws_anew_at_each_place_and_call():
    one, two = FastDropout(0.2, site=0).train(), FastDropout(0.2, site=1).train()
    both = torch.compile(lambda x: (one(x * 1), two(x * 1)), dynamic=True)
    x = torch.ones(500, 333, requires_grad=True)
    torch.manual_seed(5)
    a, b = both(x)
    a.sum().backward()
    assert torch.equal(x.grad, a.detach())
    a, b, n = a.detach(), b.detach(), x.numel()
    error = 4 * (0.2 * 0.8 / n) ** 0.5
    for dropped in ((a == 0), (b == 0)):
        assert float(dropped.float().mean()) == pytest.approx(0.2, abs=error)
        assert dropped.float().mean(dim=0).numpy() == pytest.approx([0.2] * 333, abs=5 * (0.2 * 0.8 / 500) ** 0.5)
    assert a.max().item() == pytest.approx(1.25, rel=1e-6)
    assert float(((a == 0) & (b == 0)).float().mean()) == pytest.approx(0.04, abs=error)  # independent of each other
    again = both(x)[0].detach()
    assert float(((a == 0) & (again == 0)).float().mean()) == pytest.approx(0.04, abs=error)  # and of the call before
    neighbours = ((a == 0)[:, 1:] & (a == 0)[:, :-1]).float().mean()
    assert float(neighbours) == pytest.approx(0.04, abs=error)
    torch.manual_seed(5)
    assert torch.equal(both(x)[0], a)
