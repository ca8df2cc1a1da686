"""Independent jobs on one machine's cores or a cluster, through the `concurrent.futures` interface.

    run_jobs(fine_tune_one, jobs)                                     # a process a core
    run_jobs(fine_tune_one, jobs, executor=executor(cluster="tcp://..."))   # a Dask cluster (extra [cluster])

Anything with `submit(fn, *args) -> future` will do. `fn` is a function of an importable module, so that
other processes find it, also when the call comes from a notebook.
"""

import ast
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from helpers.compute import cores, keep_memory
from helpers.errors import UserError
from helpers.progress import Progress, listening


class InProcess(Executor):
    """Runs each job at once in this process: no start-up cost, readable tracebacks, a debugger works."""

    def submit(self, fn, /, *args, **kwargs) -> Future:
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def executor(workers: int = 0, cluster: str = "") -> Executor:
    """An executor with that many processes; the machine's cores are divided among them.

    workers: 0 means one a core, 1 runs the jobs in this process with all its threads.
    cluster: empty for processes of this machine; "local" for a Dask cluster on it; a Dask scheduler's address
    ("tcp://host:8786"); or a batch system in `helpers.config.QUEUES`, asked through dask-jobqueue for `workers` jobs
    of the size that its own configuration file says. Workers elsewhere must see the same store.
    Processes are spawned (safe with CUDA and threads) and end when this process does, however it ends.
    Raises UserError when a cluster cannot be reached, or when a script would start itself again in each process.

    >>> executor(1).submit(sum, [1, 2]).result()
    3
    """
    if cluster:
        return _dask(workers or cores(), cluster)
    workers = workers or cores()
    if workers == 1:
        return InProcess()
    _refuse_bare_script()
    return _pool(workers, max(1, cores() // workers))


def _pool(workers: int, threads: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(threads,))


def broken(executor: Executor) -> bool:
    """Whether an executor takes no more jobs since one of its processes died.

    >>> broken(InProcess())
    False
    """
    try:
        executor.submit(int)
    except BrokenProcessPool:
        return True
    return False


def _dask(workers: int, name: str) -> Executor:
    from helpers.config import QUEUES

    try:
        from distributed import Client, LocalCluster
    except ImportError:
        needed = "pip install 'dask[distributed]' dask-jobqueue"
        raise UserError(f"CLUSTER={name}: Dask is not installed; {needed}") from None
    cluster = name
    try:
        if name == "local":
            _refuse_bare_script()
            cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0")
        elif name in QUEUES:
            cluster = _batch_system(name)(scheduler_options={"dashboard_address": ":0"})
            cluster.scale(jobs=workers)
        return Client(cluster, timeout=10, set_as_default=False).get_executor(pure=False)
    except (OSError, ValueError) as error:
        said = str(error).splitlines()[0]
        if name in QUEUES:
            raise UserError(f"CLUSTER={name}: {said}; say cores, memory, queue and walltime in "
                            "~/.config/dask/jobqueue.yaml (docs/scaling.md)") from None  # fmt: skip
        raise UserError(f"CLUSTER={name}: no scheduler answers there ({said})") from None


def _batch_system(name: str):
    """The cluster class of a batch system. The import takes the interrupt for itself; it is given back."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        import dask_jobqueue
    except ImportError:
        raise UserError(f"CLUSTER={name}: pip install dask-jobqueue") from None
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
    return getattr(dask_jobqueue, f"{name.upper()}Cluster")


def _refuse_bare_script() -> None:
    """A spawned process imports the script it comes from: a call outside a main guard would run in each anew."""
    path = getattr(sys.modules["__main__"], "__file__", None)
    frame = sys._getframe()
    while frame and not (frame.f_globals.get("__name__") == "__main__" and frame.f_code.co_name == "<module>"):
        frame = frame.f_back
    if path is None or frame is None or frame.f_code.co_filename != path:
        return
    try:
        statements = ast.parse(Path(path).read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return
    running = [one for one in statements if one.lineno <= frame.f_lineno <= one.end_lineno]
    guards = [one for one in running if isinstance(one, ast.If) and "__name__" in ast.unparse(one.test)]
    if running and not guards:
        raise UserError(
            f"{path}, line {frame.f_lineno}: jobs run in processes that import this script; put the call under "
            "if __name__ == '__main__':, or set WORKERS=1"
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
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent) -> None:
    """End this worker when its parent is gone: it would wait for jobs for ever, holding both ends of its queue."""
    # The pipe that tells of the parent's end stays open while a process forked from the parent lives; its id tells too.
    while os.getppid() == parent.pid and parent.is_alive():
        parent.join(1.0)
    os._exit(1)


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
    share: Callable[[object], float] = lambda job: 0.0,
    out=None,
) -> list:
    """Run `fn` on every job and return the results in the order of the jobs.

    jobs: a tuple gives positional arguments, a dict keyword arguments, anything else the one argument.
    workers: as in `executor`. executor: one of your own; it is not shut down.
    describe: a job's name in messages. title: what the progress line is about. share: of a job at work in another
    process that is done, 0 to 1; in this one `helpers.progress.report` tells.
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
                with listening(progress.listen):  # where the job is done in this process, before the call returns
                    future = executor.submit(_call, fn, job, describe(job))
            except BrokenProcessPool:  # a pool that broke earlier, or just now
                lost.append(index)
                continue
            futures[future] = index
            if future.done():  # in this process: show it before the next begins
                results[index], progress.at_work = future.result(), float
                progress.step(describe(job), isinstance(results[index], Failure))
        waiting = {future for future, index in futures.items() if results[index] is None}
        progress.at_work = lambda: sum(share(jobs[futures[future]]) for future in waiting)
        while waiting:
            done, waiting = wait(waiting, timeout=1.0, return_when="FIRST_COMPLETED")
            for future in done:
                index = futures[future]
                results[index] = _outcome(future, describe(jobs[index]))
                if results[index] is _LOST:
                    lost.append(index)
                else:
                    progress.step(describe(jobs[index]), isinstance(results[index], Failure))
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
        with _pool(1, max(1, cores() // (workers or cores()))) as pool:
            future = pool.submit(_call, fn, jobs[index], name)
            processes = list(pool._processes.values())
            outcome = _outcome(future, name)
        if outcome is _LOST:
            outcome = Failure(name, _end_of(processes[0]), "")
        results[index] = outcome
        progress.step(name, isinstance(outcome, Failure))

    if lost:
        with ThreadPoolExecutor(workers or cores()) as threads:
            list(threads.map(run, lost))


def _end_of(process) -> str:
    """What is known of how a job's process ended."""
    process.join(5)
    code = process.exitcode
    if code == -signal.SIGKILL:
        return "its process was killed from outside (SIGKILL), as happens when memory runs out"
    if code is not None and code < 0:
        return f"its process ended by signal {-code} ({signal.strsignal(-code)})"
    return f"its process ended before the job did, with status {code}; what it printed tells more"


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
