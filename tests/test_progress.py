"""Progress: one line on a terminal, few in a file, nothing that a terminal would obey."""

import io

import pytest

from helpers import progress
from helpers.progress import Progress, duration, printable


def test_progress_is_one_line_on_a_terminal_and_few_lines_in_a_file(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for out, lines in ((Terminal(), 1), (io.StringIO(), 4)):
        clock[0] = 0.0
        shown = Progress("fine-tuning", 10, out)
        for number in range(10):
            clock[0] += 10
            shown.step(f"seed {number}", failed=number == 4)
            if number == 3:
                assert shown.text() == "fine-tuning 4/10, 40s, 1m00s left, seed 3"
            assert progress.LINE.match(shown.text())
        shown.close()
        assert out.getvalue().count("\n") == lines
        assert "fine-tuning 10/10, 1 failed, 1m40s" in out.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0s"), (59.6, "1m00s"), (185, "3m05s"), (7620, "2h07m")])
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07loss 4.1", "loss 4.1"),
        ("\x1b]0;owned", ""),
        ("\x1b[2J\x1b[31mred\x1b[0m", "red"),
        ("a\x08b\x9bc", "a b c"),
        ("日本 é", "日本 é"),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out(text, shown):
    out = io.StringIO()
    line = Progress("run", 2, out, every=0)
    line.tick(text)
    line.say(text)
    assert printable(text) == shown and out.getvalue().splitlines()[1] == shown
    assert "\x1b" not in out.getvalue() and out.getvalue().startswith("run 0/2, 0s")
