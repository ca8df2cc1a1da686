"""The machine settings that computing relies on."""

import platform
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers import TAPT, adapt, compute
from helpers.classify import PAPER, fine_tune
from helpers.data import load_task
from helpers.errors import UserError

FAULTS = """
import resource
import numpy as np
from helpers.compute import keep_memory

keep_memory()
keep_memory()
faults = []
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(8_000_000)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(*faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_kept_memory_is_not_mapped_anew():
    out = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True).stdout
    first, *later = map(int, out.split())
    assert max(later) < first / 20  # handed back, the pages of 64 MB would be mapped again each time


def test_a_training_leaves_the_callers_generators_as_they_were(tmp_path):
    task = load_task("toy_cs", data_dir="toy", max_train=8, max_dev=4, max_test=4)

    def draws():
        return random.random(), np.random.random(), torch.rand(1).item()

    def seed():
        random.seed(1), np.random.seed(1), torch.manual_seed(1)

    seed()
    expected = draws()
    seed()
    adapt("mini", task.train.text, replace(TAPT, epochs=1, max_length=16), tmp_path / "out", log=lambda line: None)
    fine_tune("mini", task, replace(PAPER, epochs=1, max_length=16), seed=5)
    assert draws() == expected


@pytest.fixture
def capabilities(monkeypatch):
    """Sets what the CPU says it has; nothing else decides the precision."""
    monkeypatch.delenv("DSP_PRECISION", raising=False)
    compute.computes_in_bfloat16.cache_clear()
    yield lambda **found: monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    compute.computes_in_bfloat16.cache_clear()


@pytest.mark.parametrize(
    "found, wanted",
    [
        ({"amx_bf16": True}, "bf16"),
        ({"avx512_bf16": True}, "bf16"),
        ({"avx2": True, "amx_bf16": False}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_precision_is_decided_by_the_instructions_of_the_cpu(capabilities, monkeypatch, found, wanted):
    capabilities(**found)
    where = torch.device("cpu")
    assert compute.precision(where) == wanted
    monkeypatch.setenv("DSP_PRECISION", "bf16")
    assert compute.precision(where) == "bf16"
    with compute.autocast(where):
        assert compute.autocast_dtype("cpu") == torch.bfloat16
    with compute.autocast(where, "fp32"):
        assert compute.autocast_dtype("cpu") == torch.float32


@pytest.mark.parametrize(
    "variable, value, ask",
    [("DSP_DEVICE", "gpu", compute.device), ("DSP_DEVICE", "cuda:x", compute.device),
     ("DSP_DEVICE", "cuda:99", compute.device), ("DSP_PRECISION", "fp16", compute.precision)],
)  # fmt: skip
def test_unknown_settings_are_refused_in_one_line(monkeypatch, variable, value, ask):
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=f"^{variable}={value}: [^\n]*$"):
        ask()
