"""Jobs: order, isolation of failures and of deaths, threads, what the user is told."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from helpers import jobs
from helpers.errors import UserError
from helpers.jobs import Failure, InProcess, JobsFailed, broken, executor, run_jobs
from helpers.progress import Progress, report


def square(number):
    return number * number


def report_threads():
    import torch

    return os.environ["OMP_NUM_THREADS"], torch.get_num_threads()


def fragile(number):
    if number == 1:
        raise ValueError("one is not wanted")
    if number == 2:
        raise UserError("task 2: no such task")
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


class Unpicklable(Exception):
    def __init__(self, first, second):
        super().__init__(first)


def raise_unpicklable():
    raise Unpicklable("first", "second")


def test_one_worker_runs_in_this_process():
    assert isinstance(executor(1), InProcess)
    assert run_jobs(os.getpid, [()] * 2, workers=1) == [os.getpid()] * 2


def test_results_come_in_job_order_and_none_is_a_result():
    assert run_jobs(square, [3, (1,), {"number": 2}], workers=1) == [9, 1, 4]
    assert run_jobs(square, [], workers=1) == []
    assert run_jobs(print, [()], workers=1) == [None]


def test_a_pool_divides_the_cores_and_survives_a_killed_worker(monkeypatch):
    monkeypatch.setattr(jobs, "cores", lambda: 4)
    with executor(2) as pool:
        assert run_jobs(square, range(5), executor=pool) == [0, 1, 4, 9, 16]
        assert run_jobs(report_threads, [()] * 2, executor=pool) == [("2", 2)] * 2
    results = run_jobs(fragile, range(6), workers=2, raise_failures=False)
    assert [results[index] for index in (0, 4, 5)] == [0, 4, 5]
    assert [failure.reason for failure in results[1:4]] == [
        "ValueError: one is not wanted",
        "task 2: no such task",
        "its process was killed from outside (SIGKILL), as happens when memory runs out",
    ]


def test_failures_are_raised_together_after_the_rest_is_done(tmp_path):
    log = tmp_path / "logs" / "jobs.log"
    with pytest.raises(JobsFailed) as caught:
        run_jobs(fragile, [0, 1, 2, 4], workers=1, describe="seed {}".format, title="fine-tuning", log=log)
    assert str(caught.value) == (
        "fine-tuning: 2 of 4 failed (seed 1: ValueError: one is not wanted; seed 2: task 2: no such task); "
        f"tracebacks in {log}"
    )
    assert isinstance(caught.value, UserError) and len(caught.value.failures) == 2
    assert caught.value.results[0] == 0 and caught.value.results[3] == 4
    assert 'raise ValueError("one is not wanted")' in log.read_text()


def test_any_exception_crosses_between_processes():
    (failure,) = run_jobs(raise_unpicklable, [()], executor=executor(2), raise_failures=False)
    assert isinstance(failure, Failure) and failure.reason == "Unpicklable: first"


def end_badly(code):
    os._exit(code)


def test_of_a_process_that_ended_only_what_is_known_is_said():
    (failure,) = run_jobs(end_badly, [(3,)], executor=executor(2), raise_failures=False)
    assert failure.reason == "its process ended before the job did, with status 3; what it printed tells more"


def _gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("forked", [False, True])
def test_workers_end_when_their_parent_is_killed(tmp_path, forked):
    # a process forked from the parent keeps the parent's pipes open
    fork = (
        "    pid = os.fork()\n    if pid == 0:\n        time.sleep(120)\n        os._exit(0)\n"
        if forked
        else "    pid = 0\n"
    )
    script = (
        "import os, time\nfrom helpers.jobs import executor\n"
        "if __name__ == '__main__':\n"
        "    pool = executor(2)\n    worker = pool.submit(os.getpid).result()\n"
        f"{fork}    print(worker, pid, flush=True)\n    time.sleep(120)\n"
    )
    (tmp_path / "script.py").write_text(script)
    parent = subprocess.Popen([sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE, text=True)
    worker, child = map(int, parent.stdout.readline().split())
    try:
        assert psutil.pid_exists(worker)
        parent.kill()
        parent.wait()
        limit = time.monotonic() + 30
        while not _gone(worker):
            assert time.monotonic() < limit, "the worker outlived its parent"
            time.sleep(0.05)
    finally:
        if child:
            os.kill(child, signal.SIGKILL)


def test_a_script_without_a_main_guard_is_told_so_before_a_process_starts(tmp_path):
    bare = "import os\nfrom helpers.errors import UserError\nfrom helpers.jobs import run_jobs\n"
    call = "run_jobs(os.getpid, [(), ()], workers=2, out=open(os.devnull, 'w'))"
    (tmp_path / "bare.py").write_text(f"{bare}try:\n    {call}\nexcept UserError as error:\n    print(error)\n")
    (tmp_path / "guarded.py").write_text(f"{bare}if __name__ == '__main__':\n    print(len({call}))\n")
    (tmp_path / "importing.py").write_text("import bare\n")
    said = {
        path.stem: subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120)
        for path in tmp_path.glob("*.py")
    }
    expected = "jobs run in processes that import this script; put the call under if __name__ == '__main__':"
    assert f"bare.py, line 5: {expected}" in said["bare"].stdout
    assert f"importing.py, line 1: {expected}" in said["importing"].stdout
    assert said["guarded"].stdout == "2\n" and not any(done.stderr for done in said.values())


def halfway(_):
    report(1, 2)


def test_a_job_that_goes_on_is_counted_by_its_updates(monkeypatch):
    class EveryLine(Progress):
        def __init__(self, title, total, out):
            super().__init__(title, total, out, every=0.0)
            self.start -= 60.0

    monkeypatch.setattr(jobs, "Progress", EveryLine)
    out = io.StringIO()
    run_jobs(halfway, [0, 1], executor=executor(1), out=out, title="model")
    # half a job of two in a minute, then one and a half, then all
    lines = [line.rsplit(" left")[0] for line in out.getvalue().splitlines()]
    assert lines[:3] == ["model 0/2, 1m00s, 3m00s", "model 1/2, 1m00s, 1m00s", "model 1/2, 1m00s, 20s"]
    asked, out = threading.Event(), io.StringIO()
    with ThreadPoolExecutor(1) as pool:  # as another process would, it tells through `share`
        run_jobs(asked.wait, [30], executor=pool, out=out, title="model", share=lambda job: asked.set() or 0.25)
    assert out.getvalue().startswith("model 0/1, 1m0") and "3m0" in out.getvalue().splitlines()[0]


def interruptible(begun):
    Path(begun).touch()
    time.sleep(60)


def test_an_interrupt_of_the_group_stops_the_jobs_and_leaves_the_pool_usable_and_silent(tmp_path):
    script = (
        "import os, signal, sys, threading, time\nfrom pathlib import Path\n"
        "from helpers.jobs import executor, run_jobs\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_jobs import interruptible, square\n"
        "def interrupt():\n"
        "    while not Path(sys.argv[1]).exists():\n        time.sleep(0.05)\n"
        "    os.killpg(0, signal.SIGINT)\n"
        "if __name__ == '__main__':\n"
        "    pool = executor(2)\n    threading.Thread(target=interrupt).start()\n"
        "    try:\n        run_jobs(interruptible, [sys.argv[1]], executor=pool)\n"
        "    except KeyboardInterrupt:\n        print('interrupted', flush=True)\n"
        "    print(run_jobs(square, [3], executor=pool, out=sys.stderr))\n    pool.shutdown()\n"
    )
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, tmp_path / "script.py", tmp_path / "begun"]
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True, timeout=50)
    assert done.stdout == "interrupted\n[9]\n"
    assert "Traceback" not in done.stderr


def own_process(seconds):
    time.sleep(seconds)
    return os.getpid()


def test_jobs_on_a_dask_cluster_of_two_processes():
    distributed = pytest.importorskip("distributed")
    options = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")
    with distributed.LocalCluster(**options) as cluster:
        pool = executor(cluster=cluster.scheduler_address)
        results = run_jobs(fragile, [0, 1, 4], executor=pool, raise_failures=False)
        processes = set(run_jobs(own_process, [1.0] * 4, executor=pool))
        pool._client.close()
    assert results[0] == 0 and results[2] == 4 and results[1].reason == "ValueError: one is not wanted"
    assert os.getpid() not in processes and len(processes) == 2


def killed_once(mark):
    """Kills its own process the first time, as a machine does that runs out of memory."""
    with open(mark, "a") as file:
        file.write("run\n")
    if len(Path(mark).read_text().splitlines()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def test_a_worker_killed_in_the_middle_of_a_job_costs_no_job(tmp_path):
    distributed = pytest.importorskip("distributed")
    options = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")
    with distributed.LocalCluster(**options) as cluster:
        pool = executor(cluster=cluster.scheduler_address)
        marks = [str(tmp_path / name) for name in "abc"]
        Path(marks[1]).write_text("run\n")
        Path(marks[2]).write_text("run\n")
        assert run_jobs(killed_once, marks, executor=pool) == ["done"] * 3
        pool._client.close()
    # the killed job twice, the others once beside the line that was there
    assert [len(Path(mark).read_text().splitlines()) for mark in marks] == [2, 2, 2]


def test_a_batch_system_is_asked_for_workers_and_they_do_the_jobs(tmp_path, monkeypatch):
    """The real dask-jobqueue with Slurm's commands played by two scripts that run and kill a process here."""
    dask = pytest.importorskip("dask")
    before = signal.getsignal(signal.SIGINT)
    jobs._batch_system("slurm")  # its import fills Dask's configuration, which the block below puts back as it was
    asked = tmp_path / "asked"
    (tmp_path / "sbatch").write_text(
        f'#!/bin/sh\ncat "$1" >> {asked}\ncp "$1" {tmp_path}/job.$$\nsetsid sh {tmp_path}/job.$$ >/dev/null 2>&1 &\n'
        'echo "Submitted batch job $!"\n'
    )
    (tmp_path / "scancel").write_text('#!/bin/sh\nfor job in "$@"; do kill -- -$job; done\n')
    for name in ("sbatch", "scancel"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    place = {"cores": 1, "memory": "1GiB", "processes": 1, "local-directory": str(tmp_path), "queue": "short"}
    with dask.config.set({f"jobqueue.slurm.{name}": value for name, value in place.items()}):
        pool = executor(2, "slurm")
        try:
            pool._client.wait_for_workers(2, timeout=120)  # a machine where none can come fails here and does not wait
            processes = set(run_jobs(own_process, [1.0] * 4, executor=pool))
        finally:
            pool._client.cluster.close()
            pool._client.close()
    assert os.getpid() not in processes and len(processes) == 2
    assert asked.read_text().count("#SBATCH -p short") == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_a_batch_system_without_its_settings_is_said_in_one_line():
    pytest.importorskip("dask")
    with pytest.raises(UserError, match="CLUSTER=pbs: .*; say cores, memory, queue and walltime in .*jobqueue.yaml"):
        executor(2, "pbs")


def test_a_cluster_that_is_not_there_is_said_in_one_line(monkeypatch):
    pytest.importorskip("distributed")
    import distributed

    def refuse(address, **options):
        raise OSError(f"Timed out trying to connect to {address}\nafter 10 s")

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(UserError, match="CLUSTER=tcp://127.0.0.1:9: no scheduler answers there") as caught:
        executor(cluster="tcp://127.0.0.1:9")
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match="Dask is not installed"):
        executor(cluster="local")


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_pool_whose_process_died_is_told_from_one_that_works():
    pool = executor(2)
    assert not broken(pool)
    run_jobs(die, [0], executor=pool, raise_failures=False)
    assert broken(pool)
    pool.shutdown(wait=False)
