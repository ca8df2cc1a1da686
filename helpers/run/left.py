"""How long the rest of a run takes: reckoned from its plan once, then told by what the store holds and what is at work.

`python -m helpers.run.left RUN` reckons, beside the first notebook that is run, so that the run waits for nothing.
"""

import subprocess
import sys
import time
from pathlib import Path

from helpers import files
from helpers.hashing import MANIFEST
from helpers.progress import share_in
from helpers.run.step import die_with_parent

FILE = Path(".scratch", "left.json")  # in the run's folder while it is going
TRUST = 60.0  # reckoned seconds of work that count as much as what has been measured


class Left:
    """Seconds left of the run in a folder: what is to make, at the pace of what has been made.

    >>> Left(tmp).seconds() is None
    True
    """

    def __init__(self, run: Path):
        self.run, self.file, self.plan, self.made, self.process = run, run / FILE, None, set(), None

    def forget(self) -> None:
        """Know nothing of what is to make, nor leave on disk what a run that was killed reckoned."""
        self.plan, self.made = None, set()
        self.file.unlink(missing_ok=True)

    def start(self) -> None:
        """Begin to reckon, in a process of its own; once."""
        if self.process is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.forget()
            quiet, command = subprocess.DEVNULL, [sys.executable, "-m", "helpers.run.left", str(self.run)]
            self.process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)

    def close(self) -> None:
        """End what `start` began."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def seconds(self) -> float | None:
        """Seconds left of what is to make; None while they are not reckoned, and where nothing is to make any more."""
        if self.plan is None and (plan := _plan(self.file)):
            self.plan = plan
        if self.plan is None:
            return None
        began, steps = self.plan
        done = whole = 0.0
        for folder, reckoned in steps:
            if folder not in self.made and (folder / MANIFEST).exists():
                self.made.add(folder)
            share = 1.0 if folder in self.made else share_in(folder.with_name(f".{folder.name}.share"))
            done, whole = done + share * reckoned, whole + reckoned
        pace = (time.time() - began + TRUST) / (done + TRUST)
        return pace * (whole - done) or None


def _plan(file: Path) -> tuple[float, list[tuple[Path, float]]] | None:
    try:
        found = files.read_json(file)
        return float(found["began"]), [(Path(folder), float(seconds)) for folder, seconds in found["steps"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main(run: Path) -> None:
    """Reckon what the run in this folder has still to make, and leave it there for `Left`."""
    die_with_parent()
    from helpers.run.description import NAME, read_run
    from helpers.study import Study
    from helpers.study.opening import open_config
    from helpers.study.outlook import seconds_to_make

    study = Study(open_config(*read_run(run / NAME)), log=lambda line: None)
    folders = {study.store.folder(step.kind, step.key): seconds for step, seconds in seconds_to_make(study).items()}
    if (run / FILE).parent.is_dir():  # the run may have ended
        steps = [[str(folder), seconds] for folder, seconds in folders.items()]
        files.write_json(run / FILE, {"began": time.time(), "steps": steps})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
