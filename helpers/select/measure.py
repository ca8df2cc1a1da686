"""Seconds and peak memory of a piece of work."""

import os
import sys
import threading
import time


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
