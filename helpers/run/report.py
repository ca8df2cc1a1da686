"""A run's report: one HTML file with every figure and table, and its short form in Markdown.

Both are made from what lies in the run's folder: tables/*.csv, figures/*.png, config.json, records.
"""

import base64
import html
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from helpers.compute import git_commit, versions
from helpers.config import PRESETS, make_config
from helpers.errors import UserError
from helpers.methods import method_title
from helpers.results.render import beside_paper, html_table, markdown, score

STYLE = Path(__file__).with_name("report.css")


@dataclass(frozen=True)
class Section:
    """A part of the report: its title, the paper's item, what is asked, and the names of what it shows.

    names: a table or figure belongs here when its file name holds one of these words.
    """

    title: str
    paper: str
    question: str
    names: tuple[str, ...]
    notebook: str


# In the order of the report; a file goes to the first section whose word its name holds, in MATCH_ORDER.
SECTIONS = (
    Section(
        "Verdicts", "the paper's claims",
        "Does each claim of the paper hold in this run? An effect counts when its interval leaves zero out, "
        "corrected for the number of claims; otherwise the run is too small to tell.",
        ("claim", "verdict"), "06_report",
    ),
    Section(
        "How far apart are the domains?", "section 3.1, Figure 2",
        "The share of the 10,000 most frequent words that two domains have in common. The further a domain is "
        "from the base model's own text (PT), the more adaptation has to gain.",
        ("overlap",), "01_overlap",
    ),
    Section(
        "Does adapting to a domain lower its masked-LM loss?", "section 3.2, Tables 1 and 12",
        "The loss of the base model and of each adapted model on held-out text of every domain.",
        ("mlm_loss", "loss", "training"), "02_dapt",
    ),
    Section(
        "Domain-adaptive pretraining", "section 3.3, Table 3",
        "Fine-tuning after DAPT, beside the base model and a model adapted to an unrelated domain (not-DAPT).",
        ("dapt",), "02_dapt",
    ),
    Section(
        "Task-adaptive pretraining", "section 4, Table 5",
        "Further pretraining on the task's own unlabelled text: cheap, and DAPT followed by TAPT.",
        ("tapt",), "03_tapt",
    ),
    Section(
        "Who has seen the test?", "not in the paper",
        "Dev and test texts found again in training text or in a corpus, exactly or nearly; -1: nothing to compare.",
        ("leak",), "03_tapt",
    ),
    Section(
        "Does it transfer between tasks?", "section 4.2, Table 6",
        "TAPT on the text of another task of the same domain. If it helps less than TAPT, the gain is the task's.",
        ("transfer",), "04_transfer",
    ),
    Section(
        "Selecting more text for the task", "section 5.2, Table 8",
        "Neighbours of the task's sentences in the domain, by VAMPIRE embeddings, against as much random text.",
        ("selection", "select", "neighbour", "vampire"), "05_augment",
    ),
    Section(
        "What it costs", "section 5.3, Table 9",
        "Steps, text read and seconds of each kind of adaptation, beside the score it brings.",
        ("cost",), "06_report",
    ),
)  # fmt: skip
MATCH_ORDER = ("claim", "verdict", "leak", "cost", "overlap", "selection", "select", "neighbour", "vampire", "transfer",
               "mlm_loss", "loss", "training", "tapt", "dapt")  # fmt: skip
_SCORES = {"task", "recipe", "method", "mean", "sd", "paper_mean", "paper_sd", "paper_grade"}


def write_report(run_dir: Path | str) -> Path:
    """Write <run_dir>/report.html from the tables and figures in the run's folder; returns its path.

    The file stands alone: figures and style are inside it. Links lead to the executed notebooks beside it.
    Raises UserError when the folder is no run or holds neither a table nor a figure.
    """
    run = Path(run_dir)
    tables, figures = _contents(run)
    config = _config(run)
    preset = config.get("preset", run.name)
    parts = [_head(run, preset, config)]
    for number, section in enumerate(_sections(tables, figures), 1):
        parts.append(_section_html(run, number, section, tables, figures))
    parts.append(_machine_html(config))
    title = html.escape(f"Don't Stop Pretraining: run {run.resolve().name}, preset {preset}")
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{STYLE.read_text('utf-8')}</style></head>\n"
        f"<body><main>\n{''.join(parts)}</main></body></html>\n"
    )
    return _replace(run / "report.html", page)


def results_markdown(run_dir: Path | str) -> str:
    """The run's tables beside the paper's numbers, as Markdown under one heading each."""
    run = Path(run_dir)
    tables, figures = _contents(run)
    config = _config(run)
    parts = [f"Preset `{config.get('preset', run.name)}`, made by `{_command(config, run.name)}`. {_scale(config)}\n"]
    for section in _sections(tables, {}):
        for name in _of(section, tables):
            frame = _readable(_read(tables[name]))
            if len(frame):
                parts.append(f"**{section.title}** ({section.paper})\n\n{markdown(frame)}")
    return "\n".join(parts)


def write_results_markdown(run_dir: Path | str, readme: Path | str, marker: str = "results") -> Path:
    """Put `results_markdown` between `<!-- results:start -->` and `<!-- results:end -->` of a file.

    Raises UserError when the file does not hold the two markers in that order.
    """
    readme = Path(readme)
    start, end = f"<!-- {marker}:start -->", f"<!-- {marker}:end -->"
    text = readme.read_text("utf-8")
    before, found_start, rest = text.partition(start)
    _, found_end, after = rest.partition(end)
    if not (found_start and found_end):
        raise UserError(f"{readme}: expected the markers {start} and {end} around the results")
    return _replace(readme, f"{before}{start}\n{results_markdown(run_dir).rstrip()}\n{end}{after}")


def _contents(run: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Tables and figures of a run by name."""
    if not run.is_dir():
        raise UserError(f"{run}: there is no such run; dsp run --preset demo makes outputs/demo")
    tables = {path.stem: path for path in sorted(run.glob("tables/*.csv"))}
    figures = {path.stem: path for path in sorted(run.glob("figures/*.png"))}
    if not tables and not figures:
        raise UserError(f"{run}: there are no tables/*.csv and no figures/*.png in it; run the notebooks first")
    return tables, figures


def _config(run: Path) -> dict:
    path = run / "config.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def _sections(tables: dict, figures: dict) -> list[Section]:
    """The sections that have something to show, and one more for what none of them names."""
    rest = tuple(name for name in (*tables, *figures) if _home(name) is None)
    extra = [Section("Further results", "", "", (), "")] if rest else []
    return [section for section in SECTIONS if _of(section, tables) or _of(section, figures)] + extra


def _home(name: str) -> Section | None:
    for word in MATCH_ORDER:
        if word in name.lower():
            return next(section for section in SECTIONS if word in section.names)
    return None


def _of(section: Section, files: dict) -> list[str]:
    return [name for name in files if (_home(name) or Section("", "", "", (), "")).names == section.names]


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as the paper prints it where the paper has one like it, any other without file names.

    Score tables stand method by method beside the paper's, matrices with the paper's number in brackets,
    of the claims only the overall ones, of the audit a row a split.
    """
    names = set(frame.columns)
    if not len(frame):
        return frame
    if {"model", "sample", "mean", "paper_mean"} <= names:
        return _matrix(frame, "model", "sample", digits=2)
    if {"a", "b", "definition", "mean", "paper_mean"} <= names:
        return _matrix(frame[frame["definition"] == frame["definition"].iloc[0]], "a", "b", digits=1)
    if {"claim", "scope", "verdict"} <= names:
        wanted = ("claim", "recipe", "verdict", "effect", "low", "high", "paper_effect", "detectable_effect", "why")
        return frame.loc[frame["scope"] == "all", [name for name in wanted if name in names]]
    if {"held", "against", "exact", "near"} <= names:
        return _audit(frame)
    if names >= _SCORES:
        return beside_paper(frame) if "steps" not in names else _cost(frame)
    return frame.drop(columns=["records", "preset"], errors="ignore").dropna(axis="columns", how="all")


def _matrix(frame: pd.DataFrame, row: str, column: str, digits: int) -> pd.DataFrame:
    """Rows by columns in their order, cells such as '4.12 (1.36)': ours, in brackets the paper's."""
    printed = [f" ({value:.{digits}f})" if pd.notna(value) else "" for value in frame["paper_mean"]]
    cells = [f"{mean:.{digits}f}{paper}" for mean, paper in zip(frame["mean"], printed, strict=True)]
    wide = frame.assign(cell=cells).pivot(index=row, columns=column, values="cell").fillna("")
    return wide.loc[frame[row].unique(), frame[column].unique()].rename_axis(columns=None).reset_index()


def _audit(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a split, and what its rows were looked for in as columns: '52 exact, 5 near', empty for none."""
    found = [
        ", ".join(f"{count} {kind}" for count, kind in ((exact, "exact"), (near, "near")) if count)
        for exact, near in zip(frame["exact"], frame["near"], strict=True)
    ]
    split = [name for name in ("task", "held", "rows") if name in frame]
    wide = frame.assign(found=found).pivot(index=split, columns="against", values="found").fillna("")
    order = pd.MultiIndex.from_frame(frame[split].drop_duplicates())
    return wide.loc[order, frame["against"].unique()].rename_axis(columns=None).reset_index()


def _cost(frame: pd.DataFrame) -> pd.DataFrame:
    """What each method was adapted to and what that took, beside its score."""
    counts = ("steps", "documents", "tokens", "bytes", "seconds", "fine_tune_seconds")
    kept = frame[["task", "method", "corpus"]].assign(
        method=[method_title(*names) for names in zip(frame["method"], frame["recipe"], strict=True)],
        F1=[score(mean, sd) for mean, sd in zip(frame["mean"], frame["sd"], strict=True)],
    )
    return kept.join(frame[[name for name in counts if name in frame]].round().astype("Int64"))


def _command(config: dict, name: str) -> str:
    """The command of a run: its preset, and every parameter in which it differs from that."""
    preset = config.get("preset", name)
    usual = make_config(preset).model_dump(mode="json") if preset in PRESETS else config
    changed = [f"-p {key.upper()}={_show(value)}" for key, value in config.items() if value != usual.get(key)]
    return " ".join([f"dsp run --preset {preset}", *changed]).replace(", ", ",")


def _scale(config: dict) -> str:
    if not config:
        return ""
    small = config.get("preset") != "paper"
    warning = " These are results at this scale, not the paper's own." if small else ""
    seeds = config["seeds"]
    return f"Base model {config['base_model']}, {seeds} seed{'s' * (seeds != 1)} a cell.{warning}"


def _head(run: Path, preset: str, config: dict) -> str:
    known = f'<span class="preset">preset {html.escape(str(preset))}</span>'
    links = " · ".join(
        f'<a href="notebooks/{html.escape(path.name)}">{html.escape(path.stem)}</a>'
        for path in sorted((run / "notebooks").glob("[0-9][0-9]_*.ipynb"))
        if not path.name.endswith(".failed.ipynb")
    )
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"<header><h1>Don’t Stop Pretraining</h1>\n<p>Run {html.escape(run.resolve().name)} {known}, "
        f"written {made}.</p>\n<p><strong>{html.escape(_scale(config))}</strong> Scores are percent, mean ± standard "
        "deviation over seeds; columns marked (paper), and numbers in brackets, are those of Gururangan et al., "
        "ACL 2020.</p>\n"
        f"<p>{'Executed notebooks: ' + links if links else ''}</p></header>\n"
    )


def _section_html(run: Path, number: int, section: Section, tables: dict, figures: dict) -> str:
    escape = html.escape
    source = f" · paper, {escape(section.paper)}" if section.paper else ""
    notebook = run / "notebooks" / f"{section.notebook}.ipynb"
    if section.notebook and notebook.exists():
        source += f' · <a href="notebooks/{notebook.name}">{section.notebook}</a>'
    lines = [f"<section><h2>{number}. {escape(section.title)}</h2>\n"]
    lines.append(f'<p class="source">{source.removeprefix(" · ")}</p><p>{escape(section.question)}</p>\n')
    for name in _of(section, figures):
        data = base64.b64encode(figures[name].read_bytes()).decode()
        alt = escape(name.replace("_", " "))
        lines.append(f'<figure><img alt="{alt}" src="data:image/png;base64,{data}">')
        lines.append(f"<figcaption>figures/{escape(name)}.png</figcaption></figure>\n")
    for name in _of(section, tables):
        lines.append(_table_html(name, _read(tables[name])))
    return "".join(lines) + "</section>\n"


def _table_html(name: str, frame: pd.DataFrame) -> str:
    caption = f"tables/{name}.csv, {len(frame)} rows"
    if not len(frame):
        return f'<p class="source">{html.escape(caption)}: nothing was computed for it.</p>\n'
    readable = _readable(frame)
    text = f'<div class="scroll">{html_table(readable, caption=caption)}</div>\n'
    if list(readable.columns) != list(frame.columns):
        full = html_table(frame.drop(columns="records", errors="ignore"))
        text += f'<details><summary>all columns</summary><div class="scroll">{full}</div></details>\n'
    return text


def _machine_html(config: dict) -> str:
    settings = [(name.upper(), _show(value)) for name, value in config.items()]
    rows = pd.DataFrame([("commit", git_commit()), *versions().items(), *settings], columns=["setting", "value"])
    known = ", ".join(PRESETS)
    return (
        f"<section><h2>Settings and versions</h2>\n<p>Presets are {known}; dsp presets compares them.</p>\n"
        f'<details><summary>all settings</summary><div class="scroll">{html_table(rows)}</div></details></section>\n'
    )


def _show(value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _replace(path: Path, text: str) -> Path:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, "utf-8")
    os.replace(aside, path)
    return path
