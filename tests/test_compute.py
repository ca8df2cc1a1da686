"""The machine settings that computing relies on."""

import platform
import subprocess
import sys

import pytest

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
