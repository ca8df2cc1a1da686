"""The store: keys, fingerprints, and what survives kills, races and damage."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import UserError
from helpers.files import aside
from helpers.hashing import fingerprint, key
from helpers.store import Store

RECIPE = {"step": "adapt", "seed": 0}
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part),
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(), plain))
def test_key_does_not_depend_on_order_and_survives_json(recipe):
    again = json.loads(json.dumps(dict(reversed(recipe.items()))))
    assert key(again) == key(recipe)


def test_key_reads_dataclasses_and_numpy_and_refuses_the_rest():
    @dataclass
    class Recipe:
        steps: int
        names: tuple

    assert key({"a": Recipe(np.int64(3), ("x",))}) == key({"a": {"names": ["x"], "steps": 3}})
    assert key({"a": 1}) != key({"a": "1"})
    with pytest.raises(TypeError, match="plain data"):
        key({"where": Path("somewhere")})


def test_fingerprint_of_texts_counts_borders_and_order():
    assert fingerprint(["ab", "c"]) == fingerprint(text for text in ("ab", "c"))
    assert len({fingerprint(texts) for texts in (["ab", "c"], ["a", "bc"], ["c", "ab"], ["abc"], [])}) == 5
    with pytest.raises(TypeError):
        fingerprint([1])


def test_fingerprint_of_a_frame_counts_values_not_its_index():
    frame = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})
    assert fingerprint(frame) == fingerprint(frame.set_axis([7, 9]))
    assert fingerprint(frame) != fingerprint(frame.rename(columns={"label": "class"}))
    assert fingerprint(frame) != fingerprint(frame.assign(label=["x", "z"]))
    assert fingerprint(frame) != fingerprint(frame[::-1])


def test_fingerprint_of_a_folder_counts_names_and_bytes_but_not_the_manifest(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, note in ((one, "first"), (two, "second")):
        (folder / "in").mkdir(parents=True)
        (folder / "in" / "weights").write_bytes(b"123")
        (folder / "manifest.json").write_text(note)
    assert fingerprint(one) == fingerprint(str(two))
    (two / "in" / "weights").rename(two / "in" / "other")
    assert fingerprint(one) != fingerprint(two)
    with pytest.raises(UserError, match="no such file"):
        fingerprint(tmp_path / "three")


def test_made_once_with_a_manifest_then_found(tmp_path):
    calls = []

    def make(folder):
        calls.append(folder)
        (folder / "result.txt").write_text("done")

    store = Store(tmp_path)
    assert store.find("models", RECIPE) is None
    first = store.get_or_make("models", RECIPE, make)
    assert store.get_or_make("models", RECIPE, make) == first == store.find("models", RECIPE)
    assert len(calls) == 1 and (first / "result.txt").read_text() == "done"
    manifest = store.manifest(first)
    assert manifest["recipe"] == RECIPE and manifest["key"] == key(RECIPE) == first.name
    assert list(manifest["files"]) == ["result.txt"] and manifest["versions"]["torch"]
    assert store.get_or_make("models", {**RECIPE, "seed": 1}, make) != first and len(calls) == 2


@pytest.mark.parametrize("damage", ["byte", "missing", "manifest"])
def test_a_damaged_artifact_is_said_and_made_again(tmp_path, damage):
    said = []
    store = Store(tmp_path, said.append)

    def make(folder):
        (folder / "weights").write_bytes(b"x" * 1000)

    folder = store.get_or_make("models", RECIPE, make)
    if damage == "byte":
        before = (folder / "weights").stat()
        with open(folder / "weights", "r+b") as file:
            file.seek(500)
            file.write(b"y")
        # A disk that rots keeps size and times; only the bytes tell, in a process that reads them afresh.
        os.utime(folder / "weights", ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    elif damage == "missing":
        (folder / "weights").unlink()
    else:
        (folder / "manifest.json").write_text('{"files": ')
    assert store.find("models", RECIPE) is None
    assert store.get_or_make("models", RECIPE, make) == folder
    assert (folder / "weights").read_bytes() == b"x" * 1000
    assert any("damaged" in line for line in said)
    assert not list(tmp_path.glob("*/.removed*")) and not list(tmp_path.glob("*/.partial*"))


def test_rot_that_keeps_size_and_times_is_seen_by_the_next_process(tmp_path):
    store = Store(tmp_path)
    folder = store.get_or_make("models", RECIPE, lambda folder: (folder / "weights").write_bytes(b"xx"))
    before = (folder / "weights").stat()
    (folder / "weights").write_bytes(b"xy")
    os.utime(folder / "weights", ns=(before.st_atime_ns, before.st_mtime_ns))
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert pool.apply(_is_there, (tmp_path,)) is False


def _is_there(root):
    return Store(root).find("models", RECIPE) is not None


def test_a_failing_maker_leaves_no_artifact_and_the_next_call_goes_on(tmp_path):
    said = []
    store = Store(tmp_path, said.append)

    def make(folder):
        if not (folder / "checkpoint").exists():
            (folder / "checkpoint").write_text("half way")
            raise ValueError("out of memory")
        (folder / "checkpoint").rename(folder / "weights")

    with pytest.raises(ValueError, match="out of memory"):
        store.get_or_make("models", RECIPE, make)
    assert store.find("models", RECIPE) is None
    folder = store.get_or_make("models", RECIPE, make)
    assert [path.name for path in sorted(folder.iterdir())] == ["manifest.json", "weights"]
    assert "going on" in said[-1]


def test_without_resume_a_second_call_starts_from_an_empty_folder(tmp_path):
    store = Store(tmp_path, lambda line: None)

    def fail(folder):
        (folder / "left").write_text("over")
        raise ValueError

    with pytest.raises(ValueError):
        store.get_or_make("tables", RECIPE, fail)
    seen = []
    store.get_or_make("tables", RECIPE, lambda folder: seen.extend(folder.iterdir()), resume=False)
    assert seen == []


def _slow_step(root, log):
    """Ten checkpoints of 50 ms each; a line of `log` for each that was computed."""

    def make(folder):
        for number in range(10):
            if not (folder / f"part-{number}").exists():
                time.sleep(0.05)
                (folder / f"part-{number}.new").write_text(str(number))
                os.replace(folder / f"part-{number}.new", folder / f"part-{number}")
                with open(log, "a") as file:
                    file.write(f"{number}\n")

    Store(root).get_or_make("models", RECIPE, make)


def _start(root, log):
    log.touch()
    process = multiprocessing.get_context("spawn").Process(target=_slow_step, args=(root, log))
    process.start()
    return process


def test_kill_in_the_middle_loses_only_the_work_since_the_last_checkpoint(tmp_path):
    root, log = tmp_path / "store", tmp_path / "log"
    process = _start(root, log)
    while len(log.read_text().split()) < 3:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    before = log.read_text().split()
    assert 3 <= len(before) < 10
    assert Store(root).find("models", RECIPE) is None

    process = _start(root, log)
    process.join(60)
    assert process.exitcode == 0
    folder = Store(root).find("models", RECIPE)
    assert [(folder / f"part-{number}").read_text() for number in range(10)] == [str(n) for n in range(10)]
    # A part may be finished and its line unwritten when the kill comes; none is computed twice.
    assert 9 <= len(log.read_text().split()) <= 10


def test_of_two_processes_one_makes_it_and_the_other_waits(tmp_path):
    root, log = tmp_path / "store", tmp_path / "log"
    running = [_start(root, log) for _ in range(2)]
    for process in running:
        process.join(60)
    assert [process.exitcode for process in running] == [0, 0]
    assert log.read_text().split() == [str(number) for number in range(10)]


def test_a_kill_between_manifest_and_rename_costs_nothing(tmp_path):
    store = Store(tmp_path, lambda line: None)
    folder = store.get_or_make("models", RECIPE, lambda folder: (folder / "weights").write_text("w"))
    folder.rename(folder.with_name(f".partial-{folder.name}"))
    assert store.find("models", RECIPE) is None
    assert store.get_or_make("models", RECIPE, lambda folder: pytest.fail("made again")) == folder


def test_a_file_that_a_killed_maker_was_writing_is_no_part_of_the_artifact(tmp_path):
    store = Store(tmp_path, lambda line: None)

    def write(folder, end=lambda: None):
        with aside(folder / "in" / "weights") as new:
            new.write_text("w")
            end()

    context = multiprocessing.get_context("fork")
    process = context.Process(
        target=store.get_or_make,
        args=("models", RECIPE, lambda folder: write(folder, lambda: os.kill(os.getpid(), signal.SIGKILL))),
    )
    process.start()
    process.join()
    assert len([path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name == "in"]) == 1
    folder = store.get_or_make("models", RECIPE, write)
    assert sorted(path.name for path in (folder / "in").iterdir()) == ["weights"]


def test_looking_up_writes_nothing(tmp_path):
    store = Store(tmp_path / "store")
    assert store.find("models", RECIPE) is None and not (tmp_path / "store").exists()
    folder = store.get_or_make("models", RECIPE, lambda folder: (folder / "weights").write_text("w"))
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert Store(tmp_path / "store").get_or_make("models", RECIPE, pytest.fail) == folder
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times


def test_a_store_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="DSP_CACHE"):
        Store(tmp_path / "file").get_or_make("models", RECIPE, lambda folder: None)


def test_list_and_prune(tmp_path):
    store = Store(tmp_path, lambda line: None)
    assert store.list().empty and store.prune() == 0
    store.get_or_make("models", RECIPE, lambda folder: (folder / "weights").write_bytes(b"x" * 5000))
    store.get_or_make("tables", RECIPE, lambda folder: (folder / "table").write_bytes(b"x" * 100))
    with pytest.raises(ZeroDivisionError):
        store.get_or_make("tables", {"other": 1}, lambda folder: 1 / 0)
    listed = store.list()
    assert sorted(zip(listed["kind"], listed["state"], strict=True)) == [
        ("models", "whole"), ("tables", "partial"), ("tables", "whole"),
    ]  # fmt: skip
    assert store.prune(older_than_days=1) == 0
    assert store.prune(kind="models") > 5000
    assert list(store.list()["kind"]) == ["tables", "tables"]
    store.prune()
    assert store.list().empty and store.find("tables", RECIPE) is None


def _fill(folder):
    """An artifact with files of every shape: large, small, empty, in a folder."""
    (folder / "in").mkdir(exist_ok=True)
    for name, data in (("weights", b"x" * 5000), ("in/config", b"{}"), ("empty", b"")):
        (folder / name).write_bytes(data)


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _rewrite(**changes):
    def write(path):
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return write


DAMAGES = {
    "flip": _flip,
    "truncate": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "delete": lambda path: path.unlink(),
    "add": lambda path: path.with_name(f"{path.name}.more").write_bytes(b"more"),
    "folder for file": lambda path: (path.unlink(), path.mkdir()),
}
MANIFEST_DAMAGES = {
    "no JSON": lambda path: path.write_bytes(b"\xff{"),
    "a list": lambda path: path.write_text("[]"),
    "a number": lambda path: path.write_text("3"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "files: []": _rewrite(files=[]),
    "files: {}": _rewrite(files={}),
    "files: null": _rewrite(files=None),
    "another's": _rewrite(key="0" * 24),
    "sums are numbers": _rewrite(files={"weights": 1}),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


def test_every_damage_to_an_artifact_is_noticed_named_and_made_good(tmp_path, capsys):
    said = []
    store = Store(tmp_path, said.append)
    folder = store.get_or_make("models", RECIPE, _fill)
    manifest = folder / "manifest.json"
    cases = [
        (name, path, harm)
        for path in (folder / "weights", folder / "in" / "config", folder / "empty", manifest)
        for name, harm in DAMAGES.items()
        if path.stat().st_size or name not in ("flip", "truncate", "empty")
    ]
    cases += [(name, manifest, harm) for name, harm in MANIFEST_DAMAGES.items()]
    cases.append(("file for folder", folder, lambda path: (shutil.rmtree(path), path.write_text("x"))))
    noticed = 0
    for name, path, harm in cases:
        # a flip inside the recipe or a time of the manifest changes no file: it is its files that are vouched for
        if path == manifest and name == "flip":
            harm = lambda path: path.write_text(path.read_text().replace('"files"', '"filez"'))  # noqa: E731
        harm(path)
        said.clear()
        assert store.find("models", RECIPE) is None, (name, path)
        assert said and str(folder) in said[0] and "\n" not in said[0], (name, path)
        assert store.get_or_make("models", RECIPE, _fill) == folder and store.whole("models", folder.name)
        assert (folder / "weights").read_bytes() == b"x" * 5000
        noticed += 1
    assert not list(tmp_path.glob("*/.removed*")) and not list(tmp_path.glob("*/.partial*"))
    with capsys.disabled():
        print(f"{noticed} of {len(cases)} damages noticed")


def test_one_place_knows_the_layout(tmp_path):
    store = Store(tmp_path, lambda line: None)
    assert not store.whole("models", key(RECIPE))
    made = store.get_or_make("models", RECIPE, _fill)
    assert store.folder("models", key(RECIPE)) == made and store.whole("models", key(RECIPE))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "../.."}, "expected one of models"),
        ({"kind": "."}, "expected one of models"),
        ({"kind": "model"}, "Did you mean models"),
        ({"kind": "*"}, "expected one of models"),
        ({"older_than_days": float("nan")}, "from 0 to 36500"),
        ({"older_than_days": float("inf")}, "from 0 to 36500"),
        ({"older_than_days": -1}, "from 0 to 36500"),
    ],
)
def test_prune_takes_a_kind_there_is_and_an_age_there_can_be(tmp_path, given, said):
    store = Store(tmp_path / "store", lambda line: None)
    folder = store.get_or_make("models", RECIPE, _fill)
    with pytest.raises(UserError, match=said):
        store.prune(**given)
    assert folder.is_dir()


@pytest.mark.parametrize("error", [OSError(28, os.strerror(28)), RuntimeError(f"I/O error: {os.strerror(28)}")])
def test_a_full_disk_is_one_line_and_leaves_no_artifact(tmp_path, error):
    def make(folder):
        raise error

    store = Store(tmp_path, lambda line: None)
    with pytest.raises(UserError, match="No space left on device.; make room, or set DSP_CACHE"):
        store.get_or_make("models", RECIPE, make)
    assert store.find("models", RECIPE) is None


def test_what_a_maker_cannot_read_elsewhere_is_not_said_of_the_store(tmp_path):
    def make(folder):
        raise PermissionError(13, "Permission denied", "/elsewhere/data.jsonl")

    with pytest.raises(PermissionError):
        Store(tmp_path, lambda line: None).get_or_make("models", RECIPE, make)
