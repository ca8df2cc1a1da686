"""A run's report: one HTML file with every figure and table, and its short form in Markdown.

Both are made from what lies in the run's folder: tables/*.csv, figures/*.png, config.json.
"""

import base64
import hashlib
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from helpers import files
from helpers.compute import git_commit
from helpers.config import ABOUT, HERE, PRESETS, Config, make_config
from helpers.data import TASKS
from helpers.errors import UserError, counted
from helpers.results import caption, sentences
from helpers.results.render import markdown
from helpers.run import readable
from helpers.run.logs import amiss, made_by, shown_value
from helpers.run.models import adapted_models, loading, shown
from helpers.run.notebook_pages import write_pages
from helpers.run.sections import SECTIONS, TABLES, Section, further
from helpers.study.opening import spec_of

FOLDED = 60  # rows above which a table in Markdown is folded
_PNG = b"\x89PNG\r\n\x1a\n"


def write_report(run_dir: Path | str) -> Path:
    """Write <run_dir>/report.html from the tables and figures in the run's folder; returns its path.

    The file stands alone: figures, style and the script that sorts and enlarges are inside it, and no other script is
    let run (Content-Security-Policy). Links lead to the executed notebooks, which are written as HTML beside it.
    Raises UserError, one line, when the folder is no run, holds neither a table nor
    a figure, or one of its files is damaged.
    """
    import jinja2

    run = Path(run_dir)
    tables, figures, config = _contents(run)
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    made, models = made_by(run), adapted_models(run)
    models["folder"] = models["folder"].map(shown)
    script = Path(__file__).with_name("report.js").read_text("utf-8")
    page = environment.get_template("report.html.j2").render(
        run=run.resolve().name,
        preset=config.get("preset", run.name),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        summary=sentences.summary(tables),
        verdicts=readable.cells(_verdicts(tables["claims"])) if len(tables.get("claims", ())) else None,
        scale=_scale(config),
        amiss=not_one(run, config),
        command=_command(config, run.name),
        made=made,
        commit=git_commit(),
        sections=[_section(run, section, tables, figures, config) for section in _present(tables, figures)],
        notebooks=[page.stem for page in write_pages(run / "notebooks")],
        models=readable.cells(models) if len(models) else None,
        loading=loading(models["folder"].iloc[0]) if len(models) else "",
        settings=readable.cells(_settings(config, made)),
        script=script,
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
    )
    return files.write_text(run / "report.html", page)


def results_markdown(run_dir: Path | str) -> str:
    """The run's tables beside the paper's numbers, as Markdown under one heading each."""
    run = Path(run_dir)
    tables, _, config = _contents(run)
    parts = [f"Preset `{config.get('preset', run.name)}`, made by `{_command(config, run.name)}`. {_scale(config)}\n"]
    parts += [f"{line}\n"] if (line := not_one(run, config)) else []
    for section in _present(tables, {}):
        for name in section.tables:
            if len(tables.get(name, ())):
                title, columns = TABLES.get(name, ("", ""))
                frame = readable.arranged(tables[name], run / "tables" / f"{name}.csv")
                table = markdown(frame)
                if len(frame) > FOLDED:
                    table = f"<details><summary>{len(frame)} rows</summary>\n\n{table}\n</details>\n"
                source = f" ({section.paper})" if section.paper and not title else ""
                parts.append("\n\n".join(filter(None, [f"**{title or section.title}**{source}", columns, table])))
    return "\n".join(parts)


def write_results_markdown(run_dir: Path | str, readme: Path | str, marker: str = "results") -> Path:
    """Put `results_markdown` between `<!-- results:start -->` and `<!-- results:end -->` of a file.

    Raises UserError when the file does not hold the two markers in that order.
    """
    before, after = marked(readme, marker)
    return files.write_text(Path(readme), f"{before}\n{results_markdown(run_dir).rstrip()}\n{after}")


def marked(readme: Path | str, marker: str = "results") -> tuple[str, str]:
    """What stands before and after the results in a file, the two markers with it; UserError where it lacks them."""
    start, end = f"<!-- {marker}:start -->", f"<!-- {marker}:end -->"
    before, found_start, rest = Path(readme).read_text("utf-8").partition(start)
    _, found_end, after = rest.partition(end)
    if not (found_start and found_end):
        raise UserError(f"{readme}: expected the markers {start} and {end} around the results")
    return before + start, end + after


def _contents(run: Path) -> tuple[dict[str, pd.DataFrame], dict[str, Path], dict]:
    """Tables and figures of a run by name, and its settings; every file is read, so that damage is said first."""
    if not run.is_dir():
        raise UserError(f"{run}: there is no such run; dsp run --preset demo makes outputs/demo")
    tables = {path.stem: readable.read(path) for path in sorted(run.glob("tables/*.csv"))}
    figures = {path.stem: path for path in sorted(run.glob("figures/*.png"))}
    if not tables and not figures:
        raise UserError(f"{run}: there are no tables/*.csv and no figures/*.png in it; run the notebooks first")
    for path in figures.values():
        if not path.is_file() or not path.read_bytes().startswith(_PNG):
            raise UserError(f"{path}: not a PNG picture; run the notebook that draws it again, with --force")
    for path in sorted(run.glob("records/**/*.json")):
        _read_object(path, "record; remove it and run its notebook again")
    return tables, figures, read_config(run / "config.json")


def read_config(path: Path) -> dict:
    """Settings of a run as plain data, fields this version does not know left out; none without the file."""
    if not path.exists():
        return {}
    config = _read_object(path, "configuration; run any notebook again to write it anew")
    known = {name: value for name, value in config.items() if name in Config.model_fields}
    try:
        return make_config(known.get("preset", "demo"), known).model_dump(mode="json")
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _read_object(path: Path, what: str) -> dict:
    try:
        found = files.read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a readable {what} ({str(error).splitlines()[0]})") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: not a readable {what} (expected an object)")
    return found


def _present(tables: dict, figures: dict) -> list[Section]:
    """The sections that have something to show, and one more for what none of them names."""
    return [
        section
        for section in (*SECTIONS, further(tables, figures))
        if any(name in tables for name in section.tables) or any(one.name in figures for one in section.figures)
    ]


def _section(run: Path, section: Section, tables: dict, figures: dict, config: dict) -> dict:
    """What the template shows of a section."""
    said = [section.question]
    for name in section.tables:
        if len(tables.get(name, ())):
            said.append(caption(tables[name]))
    if "transfer" in section.tables and {"method", "corpus", "domain"} <= set(tables.get("transfer", ())):
        said.append(sentences.transfer(tables["transfer"], lambda task: _domain_of(task, config)))
    shown = []
    for figure in section.figures:
        if figure.name in figures:
            drawn = figures[figure.name].with_suffix(".csv")
            frame = readable.read(drawn) if drawn.exists() else tables.get(figure.table, pd.DataFrame())
            sentence = caption(frame)
            data = base64.b64encode(figures[figure.name].read_bytes()).decode()
            alt = f"{figure.title}. {sentence}".strip()
            below = "" if sentence in said else sentence  # said above, it needs no saying twice
            shown.append(dict(name=figure.name, title=figure.title, caption=below, alt=alt, data=data))
    path = run / "tables"
    return {
        "anchor": section.anchor,
        "title": section.title,
        "paper": section.paper,
        "notebook": section.notebook,
        "sentences": [sentence for sentence in said if sentence],
        "figures": shown,
        "tables": [_table(path / f"{name}.csv", tables[name]) for name in section.tables if name in tables],
    }


def _table(path: Path, frame: pd.DataFrame) -> dict:
    rows = f"{len(frame):,} row{'' if len(frame) == 1 else 's'}"
    arranged = readable.arranged(frame, path)
    full = frame.drop(columns="records", errors="ignore")
    more = len(frame) and list(arranged.columns) != list(full.columns)
    title, columns = TABLES.get(path.stem, ("", ""))
    return {
        "caption": f"{title}: tables/{path.name}, {rows}" if title else f"tables/{path.name}, {rows}",
        "columns": columns,
        "cells": readable.cells(arranged) if len(frame) else None,
        "full": readable.cells(full) if more else None,
    }


def _domain_of(task: str, config: dict) -> str | None:
    try:
        return spec_of(task, make_config(config.get("preset", "demo"), config)).domain
    except UserError:  # a task of the run's own file or data root, which is gone
        return TASKS[task].domain if task in TASKS else None


def _verdicts(claims: pd.DataFrame) -> pd.DataFrame:
    counts = sentences.verdict_counts(claims).set_index("measure")
    return counts.astype("Int64").mask(counts == 0).reset_index()  # what there is none of is left blank


def _command(config: dict, name: str) -> str:
    """The command of a run: its preset, and every parameter in which it differs from that."""
    preset = config.get("preset", name)
    usual = make_config(preset).model_dump(mode="json") if preset in PRESETS else config
    changed = [
        "-p " + shlex.quote(f"{key.upper()}={shown_value(value, ',')}")
        for key, value in config.items()
        if value != usual.get(key)
    ]
    return " ".join([f"dsp run --preset {preset}", *changed])


def not_one(run: Path, config: dict) -> str:
    """A line where a run's notebooks are not of one run, with the way out; '' where they are."""
    if not (found := amiss(run, config)):
        return ""
    return f"These numbers are not of one run: {found}. To run all notebooks alike: dsp run --file, with its run.toml."


def _scale(config: dict) -> str:
    if not config:
        return ""
    paper = make_config("paper").model_dump(mode="json")
    changed = any(value != paper[name] for name, value in config.items() if name not in (*HERE, *ABOUT))
    warning = " These are results at this scale, not the paper's own." if changed else ""
    return f"Base model {config['base_model']}, {counted(config['seeds'], 'seed')} a cell.{warning}"


def _settings(config: dict, made: dict) -> pd.DataFrame:
    settings = [(name.upper(), shown_value(value)) for name, value in config.items()]
    return pd.DataFrame([*made.items(), *settings], columns=["setting", "value"])
