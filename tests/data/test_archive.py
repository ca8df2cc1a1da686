"""A zip of several files is read as the folder it was made of; one that could do harm is refused, nothing written."""

import io
import json
import os
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from datasets import Dataset

from helpers.data import load_domain, load_task
from helpers.data.check import check_report
from helpers.data.records import labelled, records
from helpers.errors import UserError

ROWS = [{"text": f"text number {n} of them", "label": "pos" if n % 2 else "neg"} for n in range(60)]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Where temporary folders are made in this test."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("DSP_OFFLINE", "1")
    return tmp_path / "temporary"


def packed(path, files, **options):
    """A zip of {name: text or bytes}."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def csv(rows):
    return pd.DataFrame(rows).to_csv(index=False)


LETTERS = {"a.txt": "first\nletter", "more/b.TXT": "second", "c.jsonl": json.dumps({"text": "third"}) + "\n",
           "notes.docx": b"left aside"}  # fmt: skip


@pytest.mark.parametrize("name", ["letters.zip", "LETTERS.ZIP", "letters.txt.zip"])
@pytest.mark.parametrize("inside", ["", "letters/", "home/letters/"])
def test_a_folder_of_texts_is_read_as_the_folder(tmp_path, name, inside):
    for file, content in LETTERS.items():
        path = tmp_path / "letters" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    junk = {f"__MACOSX/{inside}._a.txt": b"\x00\xff", f"{inside}.DS_Store": b"\x00"}
    archive = packed(tmp_path / name, {inside + file: content for file, content in LETTERS.items()} | junk)
    domain = load_domain(archive)
    assert (
        list(domain) == list(domain) == list(load_domain(tmp_path / "letters")) == ["first\nletter", "third", "second"]
    )
    assert domain.name.lower() == "letters" and name in domain.source
    assert "documents" in check_report(archive)


def test_splits_in_a_zip_are_a_task(tmp_path):
    files = {"mine/train.csv": csv(ROWS), "mine/valid.csv": csv(ROWS[:6]), "mine/unlabeled.txt": "one more\nanother",
             "mine/test.jsonl": "\n".join(map(json.dumps, ROWS[:8]))}  # fmt: skip
    task = load_task(packed(tmp_path / "moods.zip", files))
    assert (task.name, len(task.train), len(task.dev), len(task.test)) == ("moods", 60, 6, 8)
    assert task.unlabeled == ["one more", "another"] and task.source == "your file moods.zip"
    with zipfile.ZipFile(tmp_path / "saved.zip", "w") as archive:
        Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
        for file in (tmp_path / "saved").iterdir():
            archive.write(file, f"saved/{file.name}")
    assert labelled(tmp_path / "saved.zip")[0].to_dict("records") == ROWS


def test_one_file_in_a_zip_is_that_file(tmp_path):
    assert list(load_domain(packed(tmp_path / "law.zip", {"law.txt": "one\ntwo"}))) == ["one", "two"]
    path = packed(tmp_path / "rows.csv.zip", {"x/rows.csv": csv(ROWS), "__MACOSX/x/._rows.csv": b"\x00"})
    assert labelled(path)[0].to_dict("records") == ROWS
    task = load_task(packed(tmp_path / "moods.zip", {"rows.csv": csv(ROWS)}))
    assert len(task.train) + len(task.dev) + len(task.test) == 60


def test_a_zip_lies_in_a_data_root_like_any_other_form(tmp_path):
    (tmp_path / "root/domains").mkdir(parents=True)
    (tmp_path / "root/tasks").mkdir()
    packed(tmp_path / "root/domains/law.zip", {"a.txt": "one", "b.txt": "two"})
    packed(tmp_path / "root/tasks/moods.zip", {f"{split}.csv": csv(ROWS) for split in ("train", "dev", "test")})
    assert list(load_domain("law", data_dir=tmp_path / "root")) == ["one", "two"]
    assert len(load_task("moods", data_dir=tmp_path / "root").test) == 60


def test_errors_name_the_file_in_the_zip_and_its_row(tmp_path):
    path = packed(tmp_path / "notes.zip", {"a.csv": csv(ROWS[:3]), "b.csv": "text,label\none,pos\n,neg\n"})
    with pytest.raises(UserError, match=r"notes\.zip/b\.csv, row 3: text is empty"):
        labelled(path)


def test_a_zip_written_anew_is_read_anew(tmp_path):
    path = packed(tmp_path / "law.zip", {"a.txt": "one", "b.txt": "two"})
    assert list(load_domain(path)) == ["one", "two"]
    packed(path, {"a.txt": "three", "b.txt": "four", "c.txt": "five"})
    assert list(load_domain(path)) == ["three", "four", "five"]


def link(path):
    info = zipfile.ZipInfo("b.txt")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "fine")
        archive.writestr(info, "/etc/passwd")


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in "ab":
            with archive.open(f"{name}.txt", "w") as file:
                for _ in range(70):
                    file.write(bytes(1 << 20))


def inner(path):
    whole = io.BytesIO()
    packed(whole, {"a.txt": "one"})
    packed(path, {"a.txt": "one", "more.zip": whole.getvalue()})


def twice(path):
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for text in ("one", "two"):
            archive.writestr("a.txt", text)
        archive.writestr("b.txt", "three")


def cut(path):
    packed(path, {"a.txt": "one", "b.txt": "two"})
    path.write_bytes(path.read_bytes()[:-30])


def encrypted(path):
    packed(path, {"a.txt": "one", "b.txt": "two"})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # the flag in the directory at the end
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda path: packed(path, {"a.txt": "one", "../b.txt": "two"}), "would be written outside the folder"),
        (lambda path: packed(path, {"a.txt": "one", "x/../../b.txt": "two"}), "would be written outside the folder"),
        (lambda path: packed(path, {"a.txt": "one", "..\\b.txt": "two"}), "would be written outside the folder"),
        (lambda path: packed(path, {"a.txt": "one", "/tmp/b.txt": "two"}), "would be written outside the folder"),
        (lambda path: packed(path, {"a.txt": "one", "C:/b.txt": "two"}), "would be written outside the folder"),
        (link, "is a link or no ordinary file"),
        (bomb, "it could fill the disk"),
        (inner, "is a zip itself; unpack it and give the folder"),
        (twice, "is there twice"),
        (encrypted, "is encrypted"),
        (cut, "damaged zip file"),
        (lambda path: path.write_bytes(b"no zip at all"), "damaged zip file"),
        (lambda path: packed(path, {}), "an empty zip"),
        (lambda path: packed(path, {"a.txt/b.txt": "one", "a.txt": "two"}), "cannot be unpacked"),
    ],
)
def test_a_zip_that_could_do_harm_is_one_line_and_nothing_is_written(tmp_path, place, make, line):
    path = tmp_path / "law.zip"
    make(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError) as caught:
        list(records(path))
    assert line in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    left = {file for file in tmp_path.rglob("*") if file not in before}
    assert all(place in file.parents for file in left)
    assert not left or line == "cannot be unpacked"
    with pytest.raises(UserError, match=line.split("(")[0]):
        load_task(path)


def test_what_is_damaged_inside_is_one_line(tmp_path, place):
    path = tmp_path / "law.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a text that is stored as it is")
        archive.writestr("b.txt", "another")
    path.write_bytes(path.read_bytes().replace(b"stored as it is", b"stored as it WAS"[:15]))
    with pytest.raises(UserError, match="damaged zip file.*CRC"):
        list(records(path))


def test_the_temporary_folder_goes_with_the_process(tmp_path, place):
    path = packed(tmp_path / "law.zip", {"a.txt": "one", "b.txt": "two"})
    script = f"from helpers.data import load_domain; print(list(load_domain({str(path)!r})))"
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(place)},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "['one', 'two']" and not list(Path(place).iterdir())


@pytest.mark.parametrize("offset, value", [(6, 1), (8, 9)])  # of the local header: encrypted; packed by deflate64
def test_a_zip_of_one_file_that_python_cannot_unpack_is_said(tmp_path, offset, value):
    path = tmp_path / "rows.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rows.csv", "text,label\n" + "a,b\n" * 20)
    packed = bytearray(path.read_bytes())
    for start, mark in ((0, b"PK\x03\x04"), (packed.index(b"PK\x01\x02"), b"PK\x01\x02")):
        packed[start + offset + (2 if mark.endswith(b"\x02") else 0)] = value
    path.write_bytes(bytes(packed))
    with pytest.raises(UserError, match="rows.csv.zip: cannot be unpacked"):
        list(records(path))
