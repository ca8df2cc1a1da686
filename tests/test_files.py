"""Files: whole or not at all, one line where a place cannot be written, one lock."""

import errno
import os
from pathlib import Path

import pytest

from helpers.errors import UserError
from helpers.files import Busy, aside, locked, read_json, write_json, write_text, writing


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_json(tmp_path / "in" / "a.json", {"é": [1]})
    with pytest.raises(ZeroDivisionError), aside(path) as new:
        new.write_text("half")
        raise ZeroDivisionError
    assert read_json(path) == {"é": [1]} and list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written .*; make room or choose another folder") as caught:
        write_text(tmp_path / "file" / "a.txt", "x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_disk_that_cannot_be_written_is_said_in_one_line(tmp_path, code):
    with pytest.raises(UserError, match=os.strerror(code)), aside(tmp_path / "a") as new:
        raise OSError(code, os.strerror(code), str(new))
    assert list(tmp_path.iterdir()) == []


def test_an_error_about_a_file_elsewhere_is_passed_on(tmp_path):
    with pytest.raises(PermissionError), writing(tmp_path):
        raise PermissionError(errno.EACCES, "no", "/elsewhere/data.jsonl")
    with pytest.raises(FileNotFoundError), writing(tmp_path):
        Path(tmp_path / "none").read_text()


def test_a_lock_that_is_held_is_waited_for_or_said(tmp_path):
    path = tmp_path / "in" / ".lock"
    with locked(path):
        with pytest.raises(Busy, match="at work"), locked(path, busy="at work"):
            pass
    with locked(path, busy="at work"):
        pass
