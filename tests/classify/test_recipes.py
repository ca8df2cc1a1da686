from dataclasses import replace

import pytest
import torch

from helpers.classify import PAPER, STRONG, recipe_for
from helpers.classify.loop import make_optimizer
from helpers.config import make_config
from helpers.errors import UserError


def test_paper_recipe_by_task_size():
    small, big = PAPER.sized(5000), PAPER.sized(5001)
    assert (small.epochs, small.schedule, small.batch_size, small.learning_rate) == (10, "constant", 16, 2e-5)
    assert (big.epochs, big.schedule) == (3, "linear")
    assert (STRONG.sized(500).epochs, STRONG.sized(500).schedule) == (20, "linear")


def test_learning_rate_schedules():
    assert {PAPER.sized(100).rate(update, 50) for update in range(50)} == {1.0}
    rates = [STRONG.sized(100).rate(update, 100) for update in range(100)]
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.3]) and max(rates) == rates[9] == 1.0
    assert rates[50] > rates[60] > rates[99] > 0
    assert all(0 <= rate <= 1 for rate in rates)


def test_preset_overrides_the_recipe():
    config = make_config("demo", dict(epochs=4, learning_rate=3e-4, batch_size=8, patience=2, max_length=64))
    paper, strong = recipe_for(config), recipe_for(config, "strong")
    assert (paper.epochs, paper.learning_rate, paper.batch_size) == (4, 3e-4, 8)
    assert (paper.patience, paper.max_length) == (2, 64)
    assert (strong.epochs, strong.patience, strong.bias_correction) == (8, 0, True)
    assert recipe_for(make_config("paper")) == PAPER


def test_a_preset_that_warms_up_also_decays_and_corrects_the_bias():
    recipe = recipe_for(make_config("paper", dict(warmup=0.2))).sized(500)
    assert recipe == replace(PAPER.sized(500), schedule="linear", warmup=0.2, bias_correction=True)
    rates = [recipe.rate(update, 100) for update in range(100)]
    assert rates[9] == pytest.approx(0.5) and max(rates) == rates[19] == 1.0 and rates[99] == pytest.approx(1 / 80)
    assert recipe_for(make_config("paper", dict(warmup=0.2)), "strong").warmup == 0.2


def trained(optimizer_of, steps=5):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2))
    optimizer, data = optimizer_of(model), torch.randn(steps, 8, 3)
    for batch in data:
        optimizer.zero_grad()
        model(batch).pow(2).sum().backward()
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


class BertAdam(torch.optim.Optimizer):
    """The update as written down for pytorch-pretrained-bert: no correction, decay added to the update."""

    def __init__(self, groups, lr, betas, eps):
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps})

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                m, v = state.get("m", torch.zeros_like(p)), state.get("v", torch.zeros_like(p))
                state["m"] = m = group["betas"][0] * m + (1 - group["betas"][0]) * p.grad
                state["v"] = v = group["betas"][1] * v + (1 - group["betas"][1]) * p.grad**2
                p.data -= group["lr"] * (m / (v.sqrt() + group["eps"]) + group["weight_decay"] * p.data)


def groups(model):
    matrices, vectors = ([p for p in model.parameters() if (p.dim() > 1) == wide] for wide in (True, False))
    return [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]


@pytest.mark.parametrize("corrected", [False, True])
def test_optimizer_with_and_without_bias_correction(corrected):
    recipe = replace(PAPER, learning_rate=0.05, bias_correction=corrected)
    if corrected:
        reference = trained(lambda m: torch.optim.AdamW(groups(m), lr=0.05, betas=(0.9, 0.98), eps=1e-6))
    else:
        reference = trained(lambda m: BertAdam(groups(m), lr=0.05, betas=(0.9, 0.98), eps=1e-6))
    torch.testing.assert_close(trained(lambda m: make_optimizer(m, recipe)), reference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("change", [
    {"weights": "lst"}, {"schedule": "cosine"}, {"batch_size": 0}, {"max_length": 2}, {"learning_rate": -1e-5},
    {"epochs": -1}, {"dropout": 1.0}, {"warmup": 1.5},
])  # fmt: skip
def test_values_that_cannot_be_are_refused(change):
    with pytest.raises(UserError, match=f"recipe paper: {next(iter(change))}"):
        replace(PAPER, **change)
