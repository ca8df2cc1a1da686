"""Jobs: order, isolation of failures and of deaths, threads, what the user is told."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from helpers import jobs
from helpers.errors import UserError
from helpers.jobs import Failure, InProcess, JobsFailed, Progress, duration, executor, run_jobs


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
        "its process was killed (out of memory?)",
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


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = (
        "import os, time\nfrom helpers.jobs import executor\n"
        "if __name__ == '__main__':\n"
        "    pool = executor(2)\n    print(pool.submit(os.getpid).result(), flush=True)\n    time.sleep(60)\n"
    )
    (tmp_path / "script.py").write_text(script)
    parent = subprocess.Popen([sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    assert psutil.pid_exists(worker)
    parent.kill()
    parent.wait()
    limit = time.monotonic() + 20
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < limit, "the worker outlived its parent"
        time.sleep(0.05)


def interruptible(begun):
    Path(begun).touch()
    time.sleep(60)


def test_an_interrupt_of_the_group_stops_the_jobs_and_leaves_the_pool_usable_and_silent(tmp_path):
    script = (
        "import os, signal, sys, threading, time\nfrom pathlib import Path\n"
        "from helpers.jobs import executor, run_jobs\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_executors import interruptible, square\n"
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


def test_jobs_on_a_dask_cluster():
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        results = run_jobs(fragile, [0, 1, 4], executor=client.get_executor(), raise_failures=False)
    assert results[0] == 0 and results[2] == 4 and results[1].reason == "ValueError: one is not wanted"


def test_progress_is_one_line_on_a_terminal_and_few_lines_in_a_file(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: clock[0])

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for out, lines in ((Terminal(), 1), (io.StringIO(), 4)):
        clock[0] = 0.0
        progress = Progress("fine-tuning", 10, out)
        for number in range(10):
            clock[0] += 10
            progress.step(Failure("", "", "") if number == 4 else (1,), f"seed {number}")
            if number == 3:
                assert progress.text() == "fine-tuning 4/10, 40s, 1m00s left, last: seed 3"
        progress.close()
        assert out.getvalue().count("\n") == lines
        assert "fine-tuning 10/10, 1 failed, 1m40s" in out.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0s"), (59.6, "1m00s"), (185, "3m05s"), (7620, "2h07m")])
def test_duration(seconds, text):
    assert duration(seconds) == text
