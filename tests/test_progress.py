"""Progress: one line on a terminal, few in a file, nothing that a terminal would obey."""

import io

import pytest

from helpers import progress
from helpers.progress import Progress, duration, printable, report, share_in, told_in


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


def test_the_time_left_follows_from_updates_done_before_any_job_has_ended(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    shown = Progress("model", 4, io.StringIO())
    clock[0] = 60.0
    assert shown.text() == "model 0/4, 1m00s"
    shown.at_work = lambda: 0.5  # half of one job in a minute: seven such halves are left
    assert shown.text() == "model 0/4, 1m00s, 7m00s left" and progress.LINE.match(shown.text())
    for known, text in ((None, "model 0/4, 1m00s"), (90.0, "model 0/4, 1m00s, 1m30s left")):
        told = Progress("model", 4, io.StringIO(), left=lambda known=known: known)
        told.start = 0.0
        assert told.text() == text


def test_another_process_finds_the_share_that_is_done_while_the_work_lasts(tmp_path):
    report(1, 2)  # nobody listens
    (tmp_path / "share").write_text("0.5")
    with told_in(tmp_path / "share"):
        assert share_in(tmp_path / "share") == 0.0, "not what a killed process left"
        report(3, 4)
        assert share_in(tmp_path / "share") == 0.75
        report(4, 4)  # not twice a second
        assert share_in(tmp_path / "share") == 0.75
    assert not list(tmp_path.iterdir())
    with told_in(tmp_path / "no folder" / "share"):  # a place that cannot be written stops no work
        report(1, 2)


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
