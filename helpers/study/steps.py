"""Steps: what is to be made, known in full before anything is computed, and the one loop that makes it.

A step names its maker, its settings and the steps it reads. Its key follows from these, so a whole study can be laid
out, looked up and explained without making any of it; `make` then makes what the store lacks, parents first.
"""

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from helpers.errors import UserError
from helpers.hashing import key
from helpers.jobs import JobsFailed, run_jobs
from helpers.progress import share_in, told_in
from helpers.store import Store


@dataclass(frozen=True, eq=False)
class Step:
    """An artifact to be made.

    make: its maker, a function marked by `makes`. settings: plain data, what is computed. reads: role -> the step
    read in it. here: how this machine reaches what lies outside the study (paths, names), no part of the key.
    name, about: words for logs.
    """

    make: Callable[..., None]
    settings: Mapping
    reads: Mapping[str, "Step"] = field(default_factory=dict)
    here: Mapping = field(default_factory=dict)
    name: str = ""
    about: str = ""

    @property
    def kind(self) -> str:
        return self.make.__name__

    @functools.cached_property
    def recipe(self) -> dict:
        """What the key is a hash of: the maker's version, the settings, the keys of what is read, the precision."""
        reads = {role: step.key for role, step in self.reads.items()}
        return {"version": self.make.version, **self.settings, **reads, **self.chosen_precision()}

    def chosen_precision(self) -> dict:
        """The precision that DSP_PRECISION gives to what runs a model; none where the device decides it.

        So a table that asks for one holds no number of another, and without it a laptop finds what a cluster made.
        """
        chosen = os.environ.get("DSP_PRECISION")
        return {"precision": chosen} if chosen and self.settings.get("base") else {}

    @functools.cached_property
    def key(self) -> str:
        """Name of the artifact's folder in the store."""
        return key(self.recipe)

    @functools.cached_property
    def depth(self) -> int:
        """1 for a step that reads no other, else one more than the deepest it reads."""
        return 1 + max((step.depth for step in self.reads.values()), default=0)

    def folder(self, store: Store) -> Path | None:
        """The artifact's folder when it is there whole, else None."""
        return store.find(self.kind, self.recipe)


def makes(version: int) -> Callable:
    """Decorator of a maker, `make(folder, **settings, **here, **{role: folder})`; raise version when results change."""

    def mark(function):
        function.version = version
        return function

    return mark


def make_one(root: str, step: Step) -> Path:
    """The step's folder, made in this process unless it is whole. Raises UserError where what it reads is not there."""
    store = Store(root, log=lambda line: None)
    folders = {role: read.folder(store) for role, read in step.reads.items()}
    for role, folder in folders.items():
        if folder is None:  # without it the maker would make something else of this name
            read = step.reads[role]
            raise UserError(f"{step.kind} {step.name}: the {read.kind} {read.name} that it reads is gone from "
                            f"{store.root}, or damaged; run it again")  # fmt: skip
    if step.chosen_precision().get("precision") != step.recipe.get("precision"):
        raise UserError(f"{step.kind} {step.name}: DSP_PRECISION is another in this process than where it was planned; "
                        "it must be the same there")  # fmt: skip
    inputs = {**step.settings, **step.here, **folders}
    with told_in(updates_of(store, step)):
        return store.get_or_make(step.kind, step.recipe, lambda folder: step.make(folder, **inputs))


def updates_of(store: Store, step: Step) -> Path:
    """The file that says, while a step is being made, which share of its updates is done; see `helpers.progress`."""
    return store.root / step.kind / f".{step.key}.share"


def missing(steps: Iterable[Step], store: Store) -> list[Step]:
    """What `make` would make: the steps, and all they read, that are not in the store; each once, parents first."""
    todo: dict[str, Step] = {}
    found: set[str] = set()

    def want(step: Step) -> None:
        if step.key in todo or step.key in found:
            return
        if step.folder(store):
            found.add(step.key)
            return
        for read in step.reads.values():
            want(read)
        todo[step.key] = step

    for step in steps:
        want(step)
    return list(todo.values())


def everything(steps: Iterable[Step]) -> list[Step]:
    """The steps and all they read, made or not, each once."""
    found: dict[str, Step] = {}

    def take(step: Step) -> None:
        if step.key not in found:
            found[step.key] = step
            for read in step.reads.values():
                take(read)

    for step in steps:
        take(step)
    return list(found.values())


def make(steps: Iterable[Step], store: Store, *, executor: Callable, log: Path, say: Callable = print) -> None:
    """Make what the store lacks, a generation at a time, its members side by side.

    executor: number of jobs -> an executor. log: folder for the tracebacks of failures. say: called with a line.
    What would read a failed step is left out, everything else is made; then JobsFailed is raised.
    """
    steps = list(steps)
    todo, failure = missing(steps, store), None
    # An executor divides the cores, and sums of floats hang on the threads: one job that is left of several, after a
    # run was killed, gets no more of them than it would have had beside the others.
    beside = Counter((step.depth, step.kind) for step in everything(steps))
    failed: set[str] = set()
    for depth in sorted({step.depth for step in todo}):
        generation = [step for step in todo if step.depth == depth]
        ready = [step for step in generation if not failed & {read.key for read in step.reads.values()}]
        failed |= {step.key for step in generation if step not in ready}
        for kind in dict.fromkeys(step.kind for step in ready):
            members = [step for step in ready if step.kind == kind]
            title = members[0].make.__doc__.split(":")[0].split(".")[0]
            say(f"{title}: {len(members)} to make")
            for step in members:
                if step.about:
                    say(f"  {step.name}: {step.about}")
            try:
                run_jobs(
                    make_one, [(str(store.root), step) for step in members], executor=executor(beside[depth, kind]),
                    title=kind, describe=lambda job: job[1].name, log=log / f"{kind}_failures.log",
                    share=lambda job: share_in(updates_of(store, job[1])),
                )  # fmt: skip
            except JobsFailed as error:
                failure = failure or error
                failed |= {step.key for step in members if not step.folder(store)}
    if failure:
        raise failure
