"""One adaptation by several processes of this machine: `helpers.pretrain` under torchrun, as a child of this one."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from helpers import compute
from helpers.data import jsonl
from helpers.errors import UserError
from helpers.files import read_json, write_json
from helpers.pretrain.loop import FACTS, HISTORY, Adapted
from helpers.pretrain.recipe import Recipe
from helpers.progress import report

_UPDATE = re.compile(r"\w+: update ([\d,]+)/([\d,]+) ")  # what `Training.progress` says
HANDED = "handed"  # what the processes are given lies in the folder they make, and goes at the end
_ERROR = re.compile(
    r"(?:\[rank\d+\]: ?)?((?:[a-z]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt)\b.*|.* \(SIG[A-Z]+\) .*)"
)


def adapt_under_torchrun(
    model: str | Path,
    texts: Iterable[str],
    recipe: Recipe,
    output: str | Path,
    *,
    processes: int,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> Adapted:
    """`helpers.pretrain.adapt` with its updates divided among that many processes, one a GPU where there are any.

    model, texts, recipe, output, seed, log: as for `adapt`; texts are written beside the result for the processes to
    read, and removed at the end. The same call resumes from the last checkpoint. No process outlives this one.
    Returns Adapted, its summary with `processes`: sums of several round differently, and dropout draws by process.
    Raises UserError with what a process said last when one fails, and for more processes than GPUs.
    """
    output = Path(output)
    if compute.device().type == "cuda":
        import torch

        if processes > (there := torch.cuda.device_count()):
            raise UserError(f"ADAPTATION_PROCESSES={processes}: there are {there} GPUs here; give at most {there}")
    handed = output / HANDED
    jsonl.write(handed / "texts.jsonl", ({"text": text} for text in texts))
    write_json(handed / "recipe.json", recipe.as_dict())
    arguments = ["--model", model, "--texts", handed / "texts.jsonl", "--recipe", handed / "recipe.json",
                 "--seed", seed, "--output", output, "--as-child"]  # fmt: skip
    _run(processes, [str(part) for part in arguments], log)
    shutil.rmtree(handed)
    return Adapted(output, pd.read_csv(output / HISTORY), read_json(output / FACTS)["summary"])


def _run(processes: int, arguments: list[str], log: Callable[[str], None]) -> None:
    """torchrun to its end; its processes also end when their standard input does, which this process holds open."""
    package = str(Path(__file__).resolve().parent.parent.parent)
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    threads = max(1, compute.threads() // processes)
    child = subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes),
         "-m", "helpers.pretrain", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"},
        start_new_session=True,  # an interrupt of the terminal is for this process, which ends the others
    )  # fmt: skip
    lines = []
    try:
        for line in child.stdout:
            lines.append(line.rstrip())
            log(lines[-1])
            if told := _UPDATE.match(line):
                report(*(int(number.replace(",", "")) for number in told.groups()))
            del lines[:-400]
        status = child.wait()
    finally:
        child.stdin.close()
        child.send_signal(signal.SIGTERM)
        child.wait()
        child.stdout.close()
    if status:
        raise UserError(f"torchrun with {processes} processes: {_last_error(lines, status)}")


def _last_error(lines: list[str], status: int) -> str:
    """What a process said of its end: its own line for the user, else the last error that is not torchrun's own."""
    if status < 0:  # of torchrun itself
        return f"ended by {signal.Signals(-status).name}"
    own = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    found = [match[1].strip() for line in lines if (match := _ERROR.fullmatch(line)) and "ChildFailed" not in line]
    return (own or found or [f"ended with status {status}"])[-1]
