"""A small study killed at any moment and resumed ends as the undisturbed one; two at once make each artifact once.

CHAOS_KILLS says how many kills (12 by default; `make chaos` asks for 200), CHAOS_SEED where they fall.
"""

import os
import random
import signal
import time

import psutil
import pytest

from helpers.store import Store
from tests.chaos.tiny_study import SERVER, contents, end, make_root, start

pytestmark = pytest.mark.chaos
KILLS = int(os.environ.get("CHAOS_KILLS", "12"))
SEED = int(os.environ.get("CHAOS_SEED", "0"))
IN_A_ROW = 5  # kills of one run before it is left to end


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("chaos"))


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """What the undisturbed study left, its seconds and its number of writes."""
    run, writes = tmp_path_factory.mktemp("whole"), SERVER.Value("i", 0)
    began = time.monotonic()
    end(start(root, run, writes=writes))
    return contents(run), time.monotonic() - began, writes.value


def test_killed_at_any_moment_and_resumed_it_ends_as_the_undisturbed_one(root, whole, tmp_path, capsys):
    expected, seconds, writes = whole
    draw, killed, equal, chain = random.Random(SEED), 0, 0, 0
    while killed < KILLS:
        run, kills = tmp_path / str(chain), 0
        chain += 1
        while kills < IN_A_ROW and killed + kills < KILLS:
            if draw.random() < 0.5:
                process = start(root, run, at_write=draw.randint(1, writes // 3))
                process.join(300)
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
        found = contents(run)
        differ = [name for name in {*expected, *found} if expected.get(name) != found.get(name)]
        assert not differ, f"seed {SEED}, run {chain}: {differ}"
        killed += kills
        equal += kills
    with capsys.disabled():
        print(f"{equal} of {killed} resumed runs equal")


def test_a_worker_killed_mid_job_is_survived(root, whole, tmp_path, capsys):
    expected, _, _ = whole
    draw, trials = random.Random(SEED), max(1, KILLS // 40)
    for trial in range(trials):
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
        assert contents(run) == expected
    with capsys.disabled():
        print(f"{trials} of {trials} runs with a killed worker equal")


def _workers(pid: int) -> list:
    try:
        found = psutil.Process(pid).children(recursive=True)
        return [one for one in found if "spawn_main" in " ".join(one.cmdline())]
    except psutil.NoSuchProcess:
        return []


def test_two_runs_at_once_make_each_artifact_once_and_no_reader_meets_half_of_it(root, whole, tmp_path):
    expected, _, _ = whole
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
