"""A small study killed at any moment and resumed ends as the undisturbed one; two at once make each artifact once.

CHAOS_KILLS says how many kills (12 by default; `make chaos` asks for 200), CHAOS_SEED where they fall.
"""

import os
import random
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest

from helpers.store import Store
from tests.chaos.tiny_study import PATIENCE, SERVER, contents, end, make_root, start, tables

pytestmark = pytest.mark.chaos
KILLS = int(os.environ.get("CHAOS_KILLS", "12"))
WORKERS, NOTEBOOKS, TORCHRUN = max(1, KILLS // 40), max(3, KILLS // 10), 1  # of them; the last is in test_adapt.py
SEED = int(os.environ.get("CHAOS_SEED", "0"))
IN_A_ROW = 5  # kills of one run before it is left to end


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("chaos"))


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """What the undisturbed study left in the store and as tables, its seconds and its number of writes."""
    run, writes = tmp_path_factory.mktemp("whole"), SERVER.Value("i", 0)
    began = time.monotonic()
    end(start(root, run, writes=writes))
    return contents(run), tables(run), time.monotonic() - began, writes.value


@pytest.fixture
def tally(counts):
    return counts["resumed runs equal"]


def test_killed_at_any_moment_and_resumed_it_ends_as_the_undisturbed_one(root, whole, tmp_path, tally):
    expected, _, seconds, writes = whole
    draw, killed, chain = random.Random(SEED), 0, 0
    wanted = max(1, KILLS - WORKERS - NOTEBOOKS - TORCHRUN)
    while killed < wanted:
        run, kills = tmp_path / str(chain), 0
        chain += 1
        while kills < IN_A_ROW and killed + kills < wanted:
            if draw.random() < 0.5:
                process = start(root, run, at_write=draw.randint(1, writes // 3))
                process.join(PATIENCE)
            else:
                process = start(root, run)
                process.join(draw.uniform(0, seconds / 3))
                process.kill()
                process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
            kills += 1
        end(start(root, run))
        differ = _differ(expected, contents(run))
        tally[0] += 0 if differ else kills
        tally[1] += kills
        assert not differ, f"seed {SEED}, run {chain}: {differ}"
        killed += kills


def _differ(expected: dict, found: dict) -> list[str]:
    return [name for name in {*expected, *found} if expected.get(name) != found.get(name)]


def test_a_worker_killed_mid_job_is_survived(root, whole, tmp_path, tally):
    expected = whole[0]
    draw = random.Random(SEED)
    for trial in range(WORKERS):
        run = tmp_path / str(trial)
        process = start(root, run, workers=2)
        while not (workers := _workers(process.pid)):
            assert process.is_alive(), "the study ended before it had workers"
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 10))
        for worker in draw.sample(_workers(process.pid) or workers, 1):
            if psutil.pid_exists(worker.pid):
                worker.kill()
        end(process)
        differ = _differ(expected, contents(run))
        tally[0] += not differ
        tally[1] += 1
        assert not differ


def _workers(pid: int) -> list:
    try:
        found = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [one for one in found if "spawn_main" in " ".join(_words(one))]


def _words(process) -> list[str]:
    """A process's command line, empty for one that has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


NOTEBOOK = """
from pathlib import Path
from tests.chaos.tiny_study import compute
compute(Path({root!r}), Path(OUTPUT_DIR).parent, 1, "out")
"""


@pytest.mark.parametrize("part", ["kernel", "step", "runner"])
def test_a_notebook_whose_kernel_step_or_runner_is_killed_goes_on_by_the_same_command(
    root, whole, tmp_path, tally, part
):
    expected, expected_tables, seconds, _ = whole
    parameters = nbformat.v4.new_code_cell("PRESET = None\nOUTPUT_DIR = None", metadata={"tags": ["parameters"]})
    cells = [parameters, nbformat.v4.new_code_cell(NOTEBOOK.format(root=str(root)))]
    notebook = tmp_path / "01_study.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    draw = random.Random(f"{SEED} {part}")
    for trial in range(NOTEBOOKS // 3 + (part == "kernel") * (NOTEBOOKS % 3)):
        run = tmp_path / str(trial)
        command = [sys.executable, "-m", "helpers.run.cli", "run", str(notebook), "--preset", "smoke", "--output-dir",
                   str(run / "out")]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while not (run / "cache" / "store").exists():  # the study has begun
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        time.sleep(draw.uniform(0, seconds / 2))
        family = psutil.Process(process.pid).children(recursive=True)
        victims = {"kernel": "ipykernel_launcher", "step": "helpers.run.step"}
        every = [psutil.Process(process.pid), *family]
        (victim,) = [one for one in every if victims.get(part, "helpers.run.cli") in _words(one)]
        victim.kill()
        said = process.communicate(timeout=PATIENCE)[1]
        if part == "runner":
            assert process.returncode == -signal.SIGKILL
        else:
            why = "the kernel died, in cell 3" if part == "kernel" else "its process ended with status -9"
            assert process.returncode == 1 and said.startswith(f"01_study failed: {why}") and said.count("\n") == 1
        _, alive = psutil.wait_procs(family, timeout=60)
        assert not alive, [_words(one) for one in alive]
        subprocess.run(command, check=True, capture_output=True)
        differ = _differ(expected | expected_tables, contents(run) | tables(run))
        tally[0] += not differ
        tally[1] += 1
        assert not differ, f"seed {SEED}, {part} {trial}: {differ}"


def test_two_runs_at_once_make_each_artifact_once_and_no_reader_meets_half_of_it(root, whole, tmp_path):
    expected = whole[0]
    made = tmp_path / "made.txt"
    runs = [start(root, tmp_path, output=output, made=made) for output in ("one", "two")]
    store, seen = Store(tmp_path / "cache" / "store", lambda line: None), set()
    while any(process.is_alive() for process in runs):
        for folder in store.root.glob("*/[0-9a-f]*"):
            name = f"{folder.parent.name}/{folder.name}"
            if name not in seen:
                files = {file for file in expected if file.startswith(name)}
                there = {
                    f"{name}/{file.relative_to(folder).as_posix()}" for file in folder.rglob("*") if file.is_file()
                }
                assert store.whole(folder.parent.name, folder.name) and files <= there
                seen.add(name)
        time.sleep(0.01)
    for process in runs:
        end(process)
    names = made.read_text().split()
    assert sorted(names) == sorted(set(names)) == sorted({"/".join(name.split("/")[:2]) for name in expected})
    assert contents(tmp_path) == expected
