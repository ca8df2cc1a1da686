"""The training step's loss and gradients beside transformers' own, for models that take each of its two roads."""

import numpy as np
import pytest
import torch
import transformers

from helpers.encoder.masked_lm import MaskedLoss
from helpers.encoder.packing import Windows, position_offset
from helpers.pretrain.batches import Vocabulary, mask_rows
from helpers.pretrain.recipe import Recipe
from helpers.pretrain.training import can_compile

SIZES = dict(
    vocab_size=60, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2, pad_token_id=1,
    max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip
LENGTHS = [5, 17, 9, 3, 24, 12, 2]
RECIPE = Recipe("test", 1e-3, len(LENGTHS), epochs=1, max_length=24, mask_probability=0.3)


@pytest.fixture(params=["Roberta", "Bert", "Electra"])
def net(request):
    torch.manual_seed(0)
    config = getattr(transformers, f"{request.param}Config")(**SIZES)
    return getattr(transformers, f"{request.param}ForMaskedLM")(config).train()


def update_of(net):
    """Seven windows packed and masked, the windows, and the window of each target; ids below 5 are special."""
    tokens = np.random.default_rng(0).integers(5, 60, sum(LENGTHS))
    windows = Windows(tokens, np.concatenate([[0], np.cumsum(LENGTHS)]), np.arange(len(LENGTHS)))
    vocabulary = Vocabulary(60, 4, 1, (0, 1, 2, 3, 4), position_offset(net))
    order = np.arange(len(LENGTHS))
    return windows, *mask_rows(windows, order, np.zeros_like(order), RECIPE, vocabulary, seed=1)


def transformers_loss(net, windows, update, owner):
    """Sum of the losses of the same masks by the library: every window alone, in a padded batch."""
    ids = torch.ones(len(LENGTHS), max(LENGTHS), dtype=torch.int64)
    labels = torch.full_like(ids, -100)
    seen = {}
    for cell, target, window in zip(update.chosen, update.targets, owner, strict=True):
        seen.setdefault(window, []).append((cell, target))
    flat, offset = update.position_ids.reshape(-1), position_offset(net)
    for window, length in enumerate(LENGTHS):
        ids[window, :length] = torch.from_numpy(windows[window])
        for cell, target in seen.get(window, ()):
            ids[window, flat[cell] - offset] = int(update.input_ids.reshape(-1)[cell])
            labels[window, flat[cell] - offset] = int(target)
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    logits = net(input_ids=ids, attention_mask=mask).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")


def gradients(net):
    found = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    net.zero_grad()
    return found


def assert_same(net, ours, windows, update, owner):
    mine = gradients(net)
    theirs = transformers_loss(net, windows, update, owner)
    theirs.backward()
    expected = gradients(net)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert set(mine) == set(expected)
    for name, gradient in expected.items():
        torch.testing.assert_close(mine[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("multiple", [1, 64])
def test_loss_and_gradients_equal_those_of_transformers(net, multiple):
    """Packing, reading the last layer at masked tokens only, and filled-up shapes change nothing."""
    windows, update, owner = update_of(net)
    reference = transformers_loss(net, windows, update, owner).item()
    loss = MaskedLoss(net)
    ours = loss(*update.tensors("cpu", multiple))
    ours.backward()
    assert ours.item() == pytest.approx(reference, abs=1e-4)
    assert_same(net, ours, windows, update, owner)


@pytest.mark.skipif(not can_compile(), reason="torch.compile needs a C++ compiler here")
def test_a_compiled_step_is_the_same_function():
    torch.manual_seed(0)
    sizes = SIZES | {"num_hidden_layers": 2}  # the last layer reads masked tokens only, the one below all
    net = transformers.RobertaForMaskedLM(transformers.RobertaConfig(**sizes)).train()
    windows, update, owner = update_of(net)
    loss = MaskedLoss(net)
    ours = torch.compile(loss, dynamic=True)(*update.tensors("cpu", 8))
    ours.backward()
    assert_same(net, ours, windows, update, owner)


def test_filled_up_shapes_are_multiples_and_ignored():
    windows, update, _ = update_of(transformers.RobertaForMaskedLM(transformers.RobertaConfig(**SIZES)))
    *_, cells, asked, places, targets = update.tensors("cpu", 16)
    n = len(update.targets)
    assert len(cells) == len(places) == len(targets) == -(-n // 16) * 16
    assert targets[:n].tolist() == update.targets.tolist() and set(targets[n:].tolist()) <= {-100}
    assert asked.flatten()[places].tolist() == cells.tolist()
