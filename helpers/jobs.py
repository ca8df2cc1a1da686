"""Independent jobs on one machine's cores or a cluster, through the `concurrent.futures` interface.

    run_jobs(fine_tune_one, jobs)                                     # a process a core
    run_jobs(fine_tune_one, jobs, executor=client.get_executor())     # a Dask cluster (extra [cluster])

Anything with `submit(fn, *args) -> future` will do. `fn` is a function of an importable module, so that
other processes find it, also when the call comes from a notebook.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from helpers.compute import cores, keep_memory
from helpers.errors import UserError

LINE_EVERY = 30.0  # seconds between progress lines where the output is a file


class InProcess(Executor):
    """Runs each job at once in this process: no start-up cost, readable tracebacks, a debugger works."""

    def submit(self, fn, /, *args, **kwargs) -> Future:
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def executor(workers: int = 0) -> Executor:
    """An executor with that many processes; the machine's cores are divided among them.

    workers: 0 means one a core, 1 runs the jobs in this process with all its threads.
    Processes are spawned (safe with CUDA and threads) and end when this process does, however it ends.
    """
    workers = workers or cores()
    if workers == 1:
        return InProcess()
    threads = max(1, cores() // workers)
    return ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(threads,)
    )


def _start_worker(threads: int) -> None:
    """Limit a worker's threads before NumPy and torch are imported, and tie its life to its parent's."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    keep_memory()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    # A terminal or Jupyter interrupts the whole process group: a waiting worker is not meant, see _call.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A pool's worker waits for jobs for ever when its parent is killed: it holds both ends of the pipe.
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


@dataclass(frozen=True)
class Failure:
    """A job that did not end well: its description, one line on why, and the traceback."""

    job: str
    reason: str
    traceback: str


class JobsFailed(UserError):
    """Some jobs failed, the others are done. results: in job order, a Failure where there is none."""

    def __init__(self, message: str, results: list):
        super().__init__(message)
        self.results = results
        self.failures = [result for result in results if isinstance(result, Failure)]

    def __reduce__(self):
        return JobsFailed, (str(self), self.results)


def run_jobs(
    fn: Callable,
    jobs: Sequence,
    *,
    workers: int = 0,
    executor: Executor | None = None,
    describe: Callable[[object], str] = str,
    title: str = "jobs",
    log: Path | str | None = None,
    raise_failures: bool = True,
    out=None,
) -> list:
    """Run `fn` on every job and return the results in the order of the jobs.

    jobs: a tuple gives positional arguments, a dict keyword arguments, anything else the one argument.
    workers: as in `executor`. executor: one of your own; it is not shut down.
    describe: a job's name in messages. title: what the progress line is about.
    A job that fails, or whose process dies, does not stop the others. At the end the failures are raised
    together as JobsFailed, with one line each and their tracebacks in the file `log` (empty: a temporary
    file); with raise_failures=False they stand as Failure in the list.
    """
    jobs = list(jobs)
    progress = Progress(title, len(jobs), out)
    results: list = [None] * len(jobs)
    own = executor is None
    if own:
        executor = _make_executor(min(workers or cores(), max(1, len(jobs))))
    lost = []  # jobs whose pool broke under them; one of them may be the cause
    futures = {}
    try:
        for index, job in enumerate(jobs):
            try:
                future = executor.submit(_call, fn, job, describe(job))
            except BrokenProcessPool:  # a pool that broke earlier, or just now
                lost.append(index)
                continue
            futures[future] = index
            if future.done():  # in this process: show it before the next begins
                results[index] = future.result()
                progress.step(results[index], describe(job))
        waiting = {future for future, index in futures.items() if results[index] is None}
        while waiting:
            done, waiting = wait(waiting, timeout=1.0, return_when="FIRST_COMPLETED")
            for future in done:
                index = futures[future]
                results[index] = _outcome(future, describe(jobs[index]))
                if results[index] is _LOST:
                    lost.append(index)
                else:
                    progress.step(results[index], describe(jobs[index]))
            progress.tick()
    except BaseException:
        for future in futures:
            future.cancel()
        if own:
            _stop(executor)
        raise
    if own:
        executor.shutdown()
    _run_apart(fn, jobs, lost, results, describe, progress, workers)
    progress.close()
    results = [result if isinstance(result, Failure) else result[0] for result in results]
    failures = [result for result in results if isinstance(result, Failure)]
    if failures and raise_failures:
        raise JobsFailed(_summary(title, len(jobs), failures, _write_log(log, failures)), results)
    return results


_make_executor = executor
_LOST = object()


def _call(fn: Callable, job, name: str):
    """A one-tuple with the result, or a Failure: text, so that any exception can cross between processes."""
    in_worker = signal.getsignal(signal.SIGINT) is signal.SIG_IGN and _is_main_thread()
    if in_worker:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if isinstance(job, dict):
            return (fn(**job),)
        return (fn(*job),) if isinstance(job, tuple) else (fn(job),)
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return Failure(name, reason, traceback.format_exc())
    finally:
        if in_worker:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _outcome(future: Future, name: str):
    try:
        return future.result()
    except BrokenProcessPool:
        return _LOST
    except Exception as error:  # the job or its result could not be sent, or the cluster lost it
        text = "".join(traceback.format_exception(error))
        return Failure(name, f"{type(error).__name__}: {error}", text)


def _run_apart(fn, jobs, lost, results, describe, progress, workers) -> None:
    """Run jobs again after a worker died, each in a process of its own: only the guilty one fails."""

    def run(index: int) -> None:
        name = describe(jobs[index])
        threads = max(1, cores() // (workers or cores()))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, context, initializer=_start_worker, initargs=(threads,)) as pool:
            outcome = _outcome(pool.submit(_call, fn, jobs[index], name), name)
        if outcome is _LOST:
            outcome = Failure(name, "its process was killed (out of memory?)", "")
        results[index] = outcome
        progress.step(outcome, name)

    if lost:
        with ThreadPoolExecutor(workers or cores()) as threads:
            list(threads.map(run, lost))


def _stop(executor: Executor) -> None:
    processes = list((getattr(executor, "_processes", None) or {}).values())
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()


def _write_log(log: Path | str | None, failures: list[Failure]) -> Path:
    if log is None:
        handle, log = tempfile.mkstemp(prefix="dsp-jobs-", suffix=".log")
        os.close(handle)
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(f"{failure.job}: {failure.reason}\n{failure.traceback}" for failure in failures)
    log.write_text(text, "utf-8")
    return log


def _summary(title: str, count: int, failures: list[Failure], log: Path) -> str:
    first = "; ".join(f"{failure.job}: {failure.reason}" for failure in failures[:3])
    more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
    return f"{title}: {len(failures)} of {count} failed ({first}{more}); tracebacks in {log}"


def duration(seconds: float) -> str:
    """'42s', '3m05s' or '2h07m'."""
    seconds = int(seconds + 0.5)
    if seconds < 60:
        return f"{seconds}s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


class Progress:
    """One line, rewritten on a terminal; elsewhere a new line every LINE_EVERY seconds and at the end."""

    def __init__(self, title: str, total: int, out=None):
        self.title, self.total = title, total
        self.out = out or sys.stdout
        self.live = self.out.isatty() if hasattr(self.out, "isatty") else False
        self.done = self.failed = 0
        self.last = ""
        self.start = self.shown = time.monotonic()
        self._lock = threading.Lock()

    def step(self, outcome, name: str) -> None:
        """Count one finished job."""
        with self._lock:
            self.done += 1
            self.failed += isinstance(outcome, Failure)
            self.last = name
        self.tick(force=self.live)

    def tick(self, force: bool = False) -> None:
        """Show the line when it is due."""
        now = time.monotonic()
        if force or now - self.shown >= (1.0 if self.live else LINE_EVERY):
            self.shown = now
            self._show("\r" if self.live else "", "" if self.live else "\n")

    def close(self) -> None:
        """Show the last line."""
        if self.total:
            self._show("\r" if self.live else "", "\n")

    def text(self) -> str:
        """'title 3/8, 1 failed, 1m20s, 2m10s left, last: name'."""
        passed = time.monotonic() - self.start
        parts = [f"{self.title} {self.done}/{self.total}"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(duration(passed))
        if 0 < self.done < self.total:
            parts.append(f"{duration(passed / self.done * (self.total - self.done))} left")
        if self.last and self.done < self.total:
            parts.append(f"last: {self.last}")
        return ", ".join(parts)

    def _show(self, before: str, after: str) -> None:
        text = self.text()[:110]
        self.out.write(f"{before}{text:<110}{after}" if self.live else f"{text}{after}")
        self.out.flush()
