"""How far a computation is, on one line: a bar on a terminal, elsewhere a new line now and then."""

import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

LINE_EVERY = 30.0  # seconds between lines where the output is a file or a notebook
_ESCAPES = re.compile(r"\x1b\][^\x07\x1b]*(\x07|\x1b\\)?|\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b.", re.DOTALL)

LINE = re.compile(r"\S.{0,60} [\d,]+/[\d,]+, (\d+ failed, )?\d+(s|m\d\ds|h\d\dm)(, |$)")  # what `Progress.text` gives


_listeners: list[Callable[[float], None]] = []


def report(done: int, planned: int) -> None:
    """Tell who listens in this process that so many of the planned updates of the work at hand are done."""
    for listener in _listeners:
        listener(done / planned)


@contextmanager
def listening(listener: Callable[[float], None]):
    """A context in which `listener` is called with the share of the work at hand that is done, 0 to 1.

    >>> shares = []
    >>> with listening(shares.append):
    ...     report(3, 4)
    >>> shares
    [0.75]
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def told_in(path: Path):
    """A context in which a file keeps the share that is done, for other processes; see `share_in`."""
    told = 0.0

    def tell(share: float) -> None:
        nonlocal told
        if time.monotonic() - told > 1.0:
            told = time.monotonic()
            with suppress(OSError):
                path.write_text(f"{share:.4f}", "utf-8")

    with suppress(OSError):
        path.unlink()  # of a process that was killed
    try:
        with listening(tell):
            yield
    finally:
        with suppress(OSError):
            path.unlink()


def share_in(path: Path) -> float:
    """The share that `told_in` keeps in a file, 0 where there is none."""
    try:
        return min(1.0, max(0.0, float(path.read_text("utf-8"))))
    except (OSError, ValueError):
        return 0.0


class Progress:
    """'title 3/8, 1 failed, 1m20s, 2m10s left, note', drawn by tqdm on a terminal.

    total: how many there are to do. out: where the line goes, standard output by default.
    every: seconds between lines where `out` is no terminal. left: gives the seconds left, None while it does not know;
    without it they follow from those done, and the shares done of those at work (`at_work`: their sum).
    """

    def __init__(
        self, title: str, total: int, out=None, every: float = LINE_EVERY,
        left: Callable[[], float | None] | None = None,
    ):  # fmt: skip
        self.title, self.total, self.every, self.left = title, total, every, left or self._left
        self.at_work: Callable[[], float] = float
        self.out = out or sys.stdout
        self.live = self.out.isatty() if hasattr(self.out, "isatty") else False
        self.done = self.failed = self.found = 0
        self.note = ""
        self.start = self.shown = time.monotonic()
        self._lock = threading.Lock()
        self._bar = None
        if self.live:
            from tqdm import tqdm

            layout = {"bar_format": "{bar:12} {desc}", "dynamic_ncols": True, "mininterval": 0}
            self._bar = tqdm(total=total, desc=title, file=self.out, **layout)

    def step(self, note: str = "", failed: bool = False, found: bool = False) -> None:
        """Count one that has ended. found: it was there already, and tells nothing of the time that the rest takes."""
        with self._lock:
            self.done += 1
            self.failed += failed
            self.found += found
            self.note = note
        self.tick(force=self.live)

    def tick(self, note: str | None = None, force: bool = False) -> None:
        """Show the line when it is due."""
        if note is not None:
            self.note = note
        now = time.monotonic()
        if force or now - self.shown >= (1.0 if self.live else self.every):
            self.shown = now
            self._show()

    def listen(self, share: float) -> None:
        """Show the line when it is due, with that share done of the one at work in this process."""
        self.at_work = lambda: share
        self.tick()

    def say(self, line: str) -> None:
        """A line that stays, above the progress line."""
        if self._bar is not None:
            self._bar.clear()
        self.out.write(f"{printable(line)}\n")
        self.out.flush()
        self.shown = -self.every

    def close(self) -> None:
        """Show the last line."""
        if self.total:
            self._show()
        if self._bar is not None:
            self._bar.close()

    def text(self) -> str:
        passed = time.monotonic() - self.start
        parts = [f"{self.title} {self.done}/{self.total}"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(duration(passed))
        if self.done < self.total and (left := self.left()) is not None:
            parts.append(f"{duration(left)} left")
        if self.note and self.done < self.total:
            parts.append(printable(self.note))
        return ", ".join(parts)

    def _left(self) -> float | None:
        begun = self.at_work()
        made = self.done - self.found + begun
        passed = time.monotonic() - self.start
        return passed / made * (self.total - self.done - begun) if made > 0 else None

    def _show(self) -> None:
        if self._bar is None:
            self.out.write(f"{self.text()[:200]}\n")
            self.out.flush()
        else:
            self._bar.n = self.done
            self._bar.set_description_str(self.text())


def printable(text: str) -> str:
    r"""`text` on one line without what a terminal would obey.

    >>> printable("loss \x1b]0;title\x07\x1b[31m4.1\x1b[0m\tdone")
    'loss 4.1 done'
    """
    return "".join(mark if mark.isprintable() else " " for mark in _ESCAPES.sub("", text)).strip()


def duration(seconds: float) -> str:
    """'42s', '3m05s' or '2h07m'."""
    seconds = int(seconds + 0.5)
    if seconds < 60:
        return f"{seconds}s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
