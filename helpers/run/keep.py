"""A run made fit to be kept in a repository or sent: without the paths of the machine that made it."""

import re
import shutil
import tempfile
from pathlib import Path

from helpers import files
from helpers.errors import UserError
from helpers.paths import cache_dir, project_root
from helpers.run.report import marked, not_one, read_config, write_results_markdown

# A checkpoint's folder in whatever store the run had, which need not be that of the process that keeps it.
_STORED = re.compile(r"""(?<![\w.~-])/[^\s"'<>\\]*?/store/(\w+)/([0-9a-f]{24})(?![\w.-])""")
KEPT = ("config.json", "run.toml", "report.html", "tables/*.csv", "figures/*.png", "notebooks/[0-9][0-9]_*.ipynb")


def keep_run(run: Path | str, folder: Path | str) -> Path:
    """Copy a finished run's report, executed notebooks, tables and figures into `folder`; returns it.

    Absolute paths become $DSP_CACHE, $PROJECT, $TMPDIR and ~, those that parameters gave $BASE_MODEL, $DATA_DIR,
    $TASK_FILE and $DOMAIN_FILE ($DOMAIN_FILE_1 and so on where there are several). Pages of notebooks are left out,
    since code hosts show the notebooks themselves; the report links to those. The results in Markdown go between the
    markers of the folder's README.md, which is begun where there is none. What an earlier run left there of the same
    kinds is replaced.
    Raises UserError for a run without a report, one with a notebook that failed or stopped or was run with other
    parameters than the others, and for a folder that has files of these kinds and is no kept run.
    """
    run, folder = Path(run), Path(folder)
    if not (run / "report.html").is_file():
        raise UserError(f"{run}: there is no report.html in it; finish the run first, or dsp report {run}")
    if folder.resolve() == run.resolve():
        raise UserError(f"{folder}: this is the run itself; keep it in another folder")
    if failed := sorted(run.glob("notebooks/*.failed.ipynb")):
        raise UserError(f"{failed[0]}: a notebook of the run failed; run it again first")
    if line := not_one(run, read_config(run / "config.json")):
        raise UserError(f"{run}: {line}")
    readme, places = folder / "README.md", _places(run)
    if readme.exists():
        marked(readme)
    elif own := [path for pattern in KEPT for path in folder.glob(pattern)]:
        raise UserError(f"{own[0]}: it would be replaced, and {folder} is no kept run (no README.md with the markers); "
                        "give another folder")  # fmt: skip
    with files.writing(folder):
        for pattern in KEPT:
            for old in folder.glob(pattern):
                old.unlink()
            for path in sorted(run.glob(pattern)):
                kept = folder / path.relative_to(run)
                kept.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == ".png":
                    shutil.copyfile(path, kept)
                else:
                    files.write_text(kept, _without(path.read_text(encoding="utf-8"), places, path.suffix))
        if not readme.exists():
            files.write_text(readme, "# A kept run\n\n<!-- results:start -->\n<!-- results:end -->\n")
    return write_results_markdown(folder, readme).parent


def _places(run: Path) -> dict[str, str]:
    """Path of this machine -> what to say instead, the longest first."""
    given = _given(run)
    named = {str(Path(path).resolve()): name for path, name in given.items()}
    named |= {path.rstrip("/"): name for path, name in given.items()}
    named |= {str(cache_dir()): "$DSP_CACHE", str(run.resolve()): f"$PROJECT/outputs/{run.resolve().name}",
             str(project_root()): "$PROJECT", tempfile.gettempdir(): "$TMPDIR", str(Path.home()): "~"}  # fmt: skip
    # a container's home can be "/", which names nothing and is in every picture that a page holds
    named = {path: name for path, name in named.items() if path.rstrip("/")}
    return dict(sorted(named.items(), key=lambda pair: -len(pair[0])))


def _given(run: Path) -> dict[str, str]:
    """Absolute path that a parameter of the run gave -> the parameter as a placeholder."""
    config, named = read_config(run / "config.json"), {}
    for parameter in ("base_model", "data_dir", "task_file", "domain_file"):
        value = config.get(parameter, "")
        places = [part.strip() for part in value.split(",")] if parameter == "domain_file" else [value]
        for number, place in enumerate(places, 1):
            if Path(place).is_absolute():
                named[place] = f"${parameter.upper()}" + (f"_{number}" if len(places) > 1 else "")
    return named


def _without(text: str, places: dict[str, str], kind: str) -> str:
    text = _STORED.sub(r"$DSP_CACHE/store/\1/\2", text)
    for path, name in places.items():
        # a slash before it: the middle of a longer path or of a picture's data, but for file:///
        text = re.sub(rf"(?:(?<![\w.~+/-])|(?<=file://)){re.escape(path)}(?![\w.+-])", lambda _, name=name: name, text)
    return re.sub(r'href="(notebooks/[^"]+)\.html"', r'href="\1.ipynb"', text) if kind == ".html" else text
