"""What a GPU computes beside the CPU: the same in fp32, near it in bf16, the same again when resumed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helpers import load_task
from helpers.classify import Recipe as FineTuning
from helpers.classify import fine_tune
from helpers.pretrain import Recipe, adapt, masked_lm_loss
from helpers.pretrain.training import Training

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device in this machine")
RECIPE = Recipe("test", learning_rate=1e-3, batch_size=16, steps=12, max_length=32, dropout=0.0)


@pytest.fixture
def on(monkeypatch):
    """A function that sets device and precision."""

    def set_both(device, precision="fp32"):
        monkeypatch.setenv("DSP_DEVICE", device)
        monkeypatch.setenv("DSP_PRECISION", precision)

    return set_both


def trained(tiny, texts, folder, **settings):
    return adapt(tiny, texts, RECIPE, folder, **{"compile": False, "log": lambda line: None, **settings})


def furthest(a, b) -> float:
    """The largest difference between two folders' weights."""
    a, b = (load_file(one.path / "model.safetensors") for one in (a, b))
    return max((a[name] - b[name]).abs().max().item() for name in a)


def test_masked_lm_loss_is_the_cpus(on, tiny, texts):
    found = {}
    for device in ("cpu", "cuda"):
        on(device)
        found[device] = masked_lm_loss(tiny, texts)["loss"]
    np.testing.assert_allclose(found["cuda"], found["cpu"], rtol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_an_adaptation_in_fp32_ends_with_the_cpus_weights(on, tiny, texts, tmp_path, compiled):
    on("cpu")
    mine = trained(tiny, texts, tmp_path / "cpu")
    on("cuda")
    theirs = trained(tiny, texts, tmp_path / "cuda", compile=compiled)
    assert theirs.summary["device"] == "cuda" and theirs.summary["compiled"] is compiled
    assert furthest(mine, theirs) < 1e-4  # twelve updates at 1e-3 moved them by some 1e-2
    np.testing.assert_allclose(theirs.history["loss"], mine.history["loss"], rtol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_bf16_learns_as_fp32(on, tiny, texts, tmp_path, compiled):
    losses = {}
    for precision in ("fp32", "bf16"):
        on("cuda", precision)
        losses[precision] = trained(tiny, texts, tmp_path / precision, compile=compiled).history["loss"]
    np.testing.assert_allclose(losses["bf16"], losses["fp32"], rtol=0.01)


def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(on, tiny, texts, tmp_path, monkeypatch):
    on("cuda")
    whole = trained(tiny, texts, tmp_path / "whole", checkpoint_seconds=0)
    update = Training.update

    def stops(run, step, batch):
        if step == 7:
            raise KeyboardInterrupt
        update(run, step, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Training, "update", stops)
        trained(tiny, texts, tmp_path / "resumed", checkpoint_seconds=0)
    told = []
    resumed = trained(tiny, texts, tmp_path / "resumed", log=told.append)
    assert any("resumed at update 7" in line for line in told)
    assert furthest(whole, resumed) < 1e-6
    np.testing.assert_allclose(resumed.history["loss"], whole.history["loss"], rtol=1e-6)


def test_a_loss_that_is_no_number_is_named_with_its_update(on, tiny, texts, tmp_path):
    on("cuda")
    with pytest.raises(Exception, match=r"the loss became (nan|inf) at update \d+; try a lower learning rate"):
        adapt(tiny, texts, replace(RECIPE, learning_rate=1e30, clip=1e30), tmp_path / "one", compile=False)


@pytest.mark.parametrize("precision, agree", [("fp32", 0.99), ("bf16", 0.9)])
def test_a_fine_tuning_predicts_as_the_cpus(on, precision, agree):
    task = load_task("toy_cs", data_dir="toy", max_train=64, max_dev=32, max_test=200)
    recipe = FineTuning("paper", epochs=3, max_length=64, dropout=0.0)
    found = {}
    for device in ("cpu", "cuda"):
        on(device, precision if device == "cuda" else "fp32")
        found[device] = np.array(fine_tune("mini", task, recipe).test_predictions)
    assert (found["cuda"] == found["cpu"]).mean() >= agree
