"""Two ways of doing one thing, timed in turn in one process on the same inputs."""

import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import typer

from helpers import files
from helpers.compute import keep_memory
from helpers.errors import UserError

REPEATS = 3  # of what is timed, at full size


def side_by_side(
    ours: Callable[[], object], peer: Callable[[], object], repeats: int = REPEATS, warm: bool = True
) -> tuple[float, float]:
    """Median seconds of both, run in turn, so that a busy machine slows both. warm: after a run each not counted."""
    if warm:
        ours(), peer()
    seconds = [(timed(ours), timed(peer)) for _ in range(repeats)]
    return median(pair[0] for pair in seconds), median(pair[1] for pair in seconds)


def timed(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def row(case: str, unit: str, ours: float, peer: float | None, peer_name: str, more_is_better: bool = False) -> dict:
    """One line of a benchmark; ratio > 1 means ours is better. peer: None where there is nothing beside ours."""
    ratio = None if peer is None else ours / peer if more_is_better else peer / ours
    return dict(case=case, unit=unit, ours=ours, peer=peer, peer_name=peer_name, ratio=ratio)


Part = tuple[str, Callable[[], Iterable[dict]]]  # what is compared, in words, and the rows when it is run


class Size(StrEnum):
    """How much is timed."""

    small = "small"
    full = "full"


def main(
    parts: Callable[[str], Iterable[Part]], description: str, of_run: Callable[[Path], Iterable[dict]] | None = None
) -> None:
    """Run the parts of a size, print each row as it comes and write all so far where --json says.

    of_run: the rows told from a run's folder instead, for --run.
    """

    def command(
        json_file: Annotated[Path | None, typer.Option("--json", help="File to write the rows to.")] = None,
        size: Annotated[Size, typer.Option(help="small: seconds, to see it work.")] = Size.full,
        case: Annotated[str, typer.Option(help="Only the parts whose name holds this.")] = "",
        run: Annotated[
            Path | None, typer.Option(hidden=of_run is None, help="Folder of a run: only tell where its minutes went.")
        ] = None,
    ) -> None:
        keep_memory()  # as every worker of a run does
        rows = []
        if run and not of_run:
            raise typer.BadParameter("only the study benchmark tells of a run", param_hint="--run")
        named = [("run", lambda: of_run(run))] if run else list(parts(size.value))
        found = [(name, part) for name, part in named if case in name]
        if not found:
            names = ", ".join(repr(name) for name, _ in named)
            raise typer.BadParameter(f"{case!r} is in no part's name; they are {names}", param_hint="--case")
        sys.stdout.reconfigure(line_buffering=True)  # a row is seen when it comes, in a file too
        print(f"{'case':<58} {'unit':<12} {'ours':>11} {'peer':>11} {'ratio':>7}  peer")
        for line in (line for _, part in found for line in part()):
            rows.append(line)
            peer, ratio = ("-", "-") if line["peer"] is None else (f"{line['peer']:.4g}", f"{line['ratio']:.2f}")
            print("{case:<58} {unit:<12} {ours:>11.4g}".format(**line), f"{peer:>11} {ratio:>7}  {line['peer_name']}")
            if json_file:
                files.write_json(json_file, rows)

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=description)(command)
    try:
        app()
    except UserError as error:
        sys.exit(f"error: {error}")
