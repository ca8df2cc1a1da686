"""The machine: device, precision, threads, speed, seeds, versions. Nothing here changes what is computed."""

import ctypes
import functools
import importlib.metadata
import os
import platform
import random
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext

import numpy as np

from helpers.errors import UserError, nearest
from helpers.paths import project_root

SEGMENTERS = ("sudachipy", "sudachidict_core", "jieba")  # of the extra `languages`
PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "numpy", "pandas", "scipy", "scikit-learn", "papermill",
            *SEGMENTERS)  # fmt: skip
PRECISIONS = ("bf16", "fp32")


def device():
    """The accelerator when there is one, else the CPU; DSP_DEVICE (cpu, cuda, cuda:1, mps) overrides it.

    Raises UserError for a DSP_DEVICE that is none of these or is not in this machine.
    """
    import torch

    wanted = os.environ.get("DSP_DEVICE")
    if not wanted:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = wanted.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdecimal()):
        raise UserError(f"DSP_DEVICE={wanted}: expected cpu, cuda, cuda:1 or mps.{nearest(wanted, ('cpu', 'cuda'))}")
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(number or 0) >= there:
        raise UserError(f"DSP_DEVICE={wanted}: torch finds no such device here; unset it or give cpu")
    return torch.device(wanted)


@functools.cache
def computes_in_bfloat16() -> bool:
    """Whether this CPU multiplies bf16 matrices in instructions of its own (AMX, AVX-512); False where unknown."""
    import torch

    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def precision(where=None) -> str:
    """'bf16' or 'fp32': what matrix products run in here, by what the device has; DSP_PRECISION overrides it.

    where: a torch device; None is `device()`. Weights, optimiser state and losses are fp32 in either case.
    Raises UserError for a DSP_PRECISION that is neither.
    """
    import torch

    where = where or device()
    wanted = os.environ.get("DSP_PRECISION")
    if wanted:
        if wanted not in PRECISIONS:
            raise UserError(f"DSP_PRECISION={wanted}: expected bf16 or fp32.{nearest(wanted, PRECISIONS)}")
        return wanted
    if where.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if where.type == "cpu" and computes_in_bfloat16() else "fp32"


def autocast(where=None, wanted: str | None = None):
    """A context in which matrix products run in `wanted` ('bf16' or 'fp32'); None is `precision(where)`."""
    import torch

    where = where or device()
    low = (wanted or precision(where)) == "bf16"
    return torch.autocast(where.type, dtype=torch.bfloat16) if low else nullcontext()


def autocast_dtype(kind: str):
    """Dtype of matrix products on a device of `kind` ('cpu', 'cuda') inside the autocast around the call."""
    import torch

    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32


@functools.cache
def keep_memory() -> None:
    """Keep freed memory (up to 2 GiB) in this process, and take it in large pages; elsewhere than on Linux, nothing.

    An update of a training frees and takes hundreds of MiB. Handed back to Linux each time, they are zeroed and
    mapped anew page by page, which took a sixth of a fine-tuning at 256 tokens.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch reads it at its first large allocation
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # their numbers in malloc.h
    for setting, size in ((mmap_threshold, 2**28), (trim_threshold, 2**31 - 1), (top_pad, 2**26)):
        mallopt(setting, size)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch. PYTHONHASHSEED stays as it is: no result here depends on the order of a set."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def random_state_kept():
    """A context that may seed and draw as it likes: after it Python, NumPy and torch draw as they would have."""
    import torch

    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device().type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def matrix_rate(width: int = 768, dtype=None) -> float:
    """Operations a second of 2,048 tokens (8,192 on a GPU) through a feed-forward layer of `width`; median of nine.

    dtype: of both factors; None is what `precision()` says. Nothing but an estimate may depend on it.
    """
    import torch

    where = device()
    dtype = dtype or (torch.bfloat16 if precision(where) == "bf16" else torch.float32)
    tokens = 2048 if where.type == "cpu" else 8192
    a = torch.ones(tokens, width, dtype=dtype, device=where)
    b = torch.ones(width, 4 * width, dtype=dtype, device=where)
    seconds = []
    for _ in range(10):  # the first one warms up
        began = time.perf_counter()
        a @ b
        if where.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return 2 * tokens * width * 4 * width / statistics.median(seconds[1:])


def threads() -> int:
    """Threads of this process's matrix products: sums cut otherwise round otherwise, in the last digits."""
    import torch

    return torch.get_num_threads()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages results depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def segmenters() -> str:
    """The segmenters that are installed, with their versions, as 'jieba 0.42.1'; '' for none: what words are cut by."""
    found = versions()
    return ", ".join(f"{name} {found[name]}" for name in SEGMENTERS if found[name] != "absent")


@functools.cache
def git_commit() -> str:
    """Commit of the checkout the package runs from, '+' behind it when files are changed, or 'unknown'."""
    try:
        run = functools.partial(
            subprocess.run, cwd=project_root(), capture_output=True, text=True, check=True, timeout=10
        )
        changed = run(["git", "status", "--porcelain", "--untracked-files=no"]).stdout.strip()
        return run(["git", "rev-parse", "--short=12", "HEAD"]).stdout.strip() + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def memory_mb() -> float:
    """Resident memory of this process now, in MiB; its peak so far where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class Meter:
    """`with Meter() as meter: ...` then `meter.seconds`, `meter.peak_mb` and `meter.grown_mb` (peak - start)."""

    def __init__(self, interval: float = 0.02):
        self.interval, self.seconds, self.peak_mb, self.grown_mb = interval, 0.0, 0.0, 0.0

    def __enter__(self):
        self._start = self.peak_mb = memory_mb()
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._began = time.perf_counter()
        self._watch.start()
        return self

    def _look(self) -> None:
        while not self._done.wait(self.interval):
            self.peak_mb = max(self.peak_mb, memory_mb())

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self._began
        self._done.set()
        self._watch.join()
        self.peak_mb = max(self.peak_mb, memory_mb())
        self.grown_mb = self.peak_mb - self._start
