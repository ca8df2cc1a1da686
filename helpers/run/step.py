"""One notebook through papermill, in a process of its own: `python -m helpers.run.step REQUEST.json`.

The request names notebook, output, parameters and the file for the result. Exit status 0: done,
1: a cell failed, 3: the kernel could not start or died.
"""

import json
import logging
import os
import re
import sys
import threading
import time
from pathlib import Path


def main(request_path: str) -> int:
    """Execute the requested notebook and write {error, message, cell} when it failed."""
    request = json.loads(Path(request_path).read_text("utf-8"))
    die_with_parent()
    without_grammars()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    # A port taken by another kernel in the same moment is the known failure of a kernel's start.
    for attempt in (1, 2):
        error = _execute(request)
        if error is None:
            return 0
        if error["cell"] is not None or attempt == 2:
            break
        print(f"the kernel did not start ({error['message']}), trying once more", flush=True)
    Path(request["result"]).write_text(json.dumps(error), "utf-8")
    return 1 if error["error"] != "kernel" else 3


def without_grammars() -> None:
    """Spare this process a second and more: what nbformat imports would build the grammar of international web
    addresses, to check a kind of value that no notebook has. For processes of our own only."""
    sys.modules.setdefault("rfc3987_syntax", None)


def _execute(request: dict) -> dict | None:
    import papermill
    from nbclient.exceptions import DeadKernelError

    try:
        papermill.execute_notebook(
            request["notebook"], request["output"], request["parameters"], kernel_name="python3",
            language="python", progress_bar=False, log_output=True,
        )  # fmt: skip
    except papermill.exceptions.PapermillExecutionError as error:
        print(re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)), flush=True)
        return {"error": error.ename, "message": error.evalue, "cell": error.exec_count}
    except (DeadKernelError, RuntimeError, OSError) as error:
        started = _cells_begun(request["output"])
        ended = "the kernel died" if isinstance(error, DeadKernelError) else f"the kernel was lost: {error}"
        reason = f"{ended}, in cell {started}" if started else str(error)
        return {"error": "kernel", "message": reason, "cell": started or None}
    return None


def _cells_begun(output: str) -> int:
    """How many code cells of a half-run notebook had begun."""
    try:
        cells = json.loads(Path(output).read_text("utf-8"))["cells"]
    except (OSError, ValueError):
        return 0
    states = [cell["metadata"].get("papermill", {}).get("status") for cell in cells if cell["cell_type"] == "code"]
    return sum(state in ("running", "completed", "failed") for state in states)


def die_with_parent() -> None:
    """End this process and its children when the runner is gone, even by SIGKILL."""
    parent = os.getppid()

    def watch():
        import psutil

        while os.getppid() == parent:
            time.sleep(1)
        for process in psutil.Process().children(recursive=True):
            process.kill()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
