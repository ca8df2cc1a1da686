"""A study whose adaptations are divided among processes: the same plan and keys, the weights of one process."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from helpers.files import read_json, write_json
from tests.tiny_base import make_base


@pytest.fixture
def base(tmp_path):
    """A base model without dropout, which each process would draw for itself."""
    return make_base(tmp_path / "base", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def test_adaptations_divided_among_two_processes(open_study, base, tmp_path, monkeypatch):
    monkeypatch.setenv("DSP_PRECISION", "fp32")
    monkeypatch.setenv("DSP_DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    small = {"TASKS": "chemprot", "DOMAINS": "biomed", "MAX_LENGTH": 16, "DAPT_STEPS": 3, "DAPT_BATCH": 100,
             "DAPT_LEARNING_RATE": 1e-3}  # fmt: skip
    one = open_study(**small)
    step = one.plan.dapt("biomed")
    alone = one.folder(step)
    monkeypatch.setenv("DSP_CACHE", str(tmp_path / "other"))
    two = open_study(**small, ADAPTATION_PROCESSES=2)
    shared = two.folder(two.plan.dapt("biomed"))
    # the same step, so that a cluster finds what a laptop made; the summary tells what computed it
    assert shared.name == alone.name == step.key and shared != alone
    assert [read_json(folder / "summary.json")["processes"] for folder in (alone, shared)] == [1, 2]
    assert sorted(path.name for path in alone.iterdir()) == sorted(path.name for path in shared.iterdir())
    assert "2 process(es)" in (shared / "log.txt").read_text()

    # torchrun by hand, on the same text: 3 updates of 100 take every document
    recipe = write_json(tmp_path / "recipe.json", dict(step.settings["recipe"]))
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
         "helpers.pretrain", "--model", str(base), "--texts", two.folder(two.plan.domain("biomed")) / "train.jsonl",
         "--recipe", recipe, "--output", tmp_path / "by_hand"], check=True, capture_output=True,
    )  # fmt: skip
    alone, shared, by_hand, start = (load_file(f / "model.safetensors")
                                     for f in (alone, shared, tmp_path / "by_hand", base))  # fmt: skip
    for name, value in shared.items():
        assert torch.equal(value, by_hand[name]) and torch.allclose(value, alone[name], rtol=0, atol=1e-5)
    assert not all(torch.allclose(value, start[name], rtol=0, atol=1e-4) for name, value in shared.items())
