"""What there is, where it lies and under which licence: the table behind `dsp data`."""

import json
from pathlib import Path

import pandas as pd

from helpers.data import download, sample, sources, toy
from helpers.data.records import records
from helpers.data.registry import DOMAINS, DomainSpec, TaskSpec, domain_spec, known_tasks, root_domains, task_spec
from helpers.data.tasks import task_splits
from helpers.errors import UserError

_WHEELS_OF = {"rct_nlm": ("medline",), "arxiv_cs": ("arxiv",), "bbc": ("bbc",), "imdb_sample": ("films",),
              "rotten_tomatoes": ("films",), "biomed": ("medline",), "cs": ("arxiv",), "news": ("news", "bbc"),
              "reviews": ("films",), "generic": ("passages", "speeches")}  # fmt: skip


def available(data_dir: str | Path = "") -> pd.DataFrame:
    """Every task and domain, the data root's own too, with the source that would answer now; nothing is downloaded.

    Returns a DataFrame with the columns what, kind ("task" or "domain"), domain, source, rows (train/dev/test of
    a task, documents of a domain), labels, licence. Sizes of what is not here yet are the paper's, in brackets.
    """
    tasks, own = known_tasks(data_dir=data_dir), root_domains(data_dir)
    rows = [_task_row(spec, data_dir) for spec in tasks.values()]
    rows += [_domain_row(spec, data_dir) for spec in [*DOMAINS.values(), *own.values()]]
    return pd.DataFrame(rows, columns=("what", "kind", "domain", "source", "rows", "labels", "licence"))


def card(name: str) -> dict[str, str]:
    """The data card of a task or domain: title, source, licence of the data and, for the sample, of the package.

    A package's licence is not the licence of the text it carries. Raises UserError for an unknown name.
    """
    if name in DOMAINS:
        spec = domain_spec(name)
        title = f"{spec.title}: {spec.description}"
    else:
        spec = task_spec(name)
        title = spec.description
    from_sample = name in DOMAINS or spec.kind == "sample"
    wheels = [sample.WHEELS[key] for key in _WHEELS_OF[name]] if from_sample else []
    if wheels:
        source = "; ".join(f"{wheel.requirement} on PyPI: {wheel.content}" for wheel in wheels)
    else:
        source = "generated" if spec.kind == "toy" else ", ".join(place.title for place in download.places(name))
    return {
        "name": name,
        "title": title,
        "source": source,
        "data_licence": spec.licence,
        "package_licence": "; ".join(f"{wheel.requirement}: {wheel.licence}" for wheel in wheels),
    }


def _task_row(spec: TaskSpec, data_dir: str | Path) -> tuple:
    counts, labels = None, spec.classes
    root = sources.data_root(data_dir)
    place = Path(spec.folder) if spec.folder else sources.find(root / "tasks", spec.name) if root else None
    source = {"paper": "download", "user": "missing"}.get(spec.kind, "sample, not fetched yet: dsp data get sample")
    if spec.kind == "toy":
        frames = toy.task_frames(spec.name)
        counts, source = [len(frames[split]) for split in sources.SPLITS], "generated"
    elif place:
        counts, labels, source = *_counts(spec, place), f"data root {root.name}"
    elif spec.kind == "sample" and sample.is_built():
        files = _manifest(sample.sample_root())["files"]
        counts = [files[f"tasks/{spec.name}/{split}.jsonl.gz"]["rows"] for split in sources.SPLITS]
        source = "sample"
    elif spec.kind == "paper" and download.is_fetched(spec):
        counts, source = _counts(spec, sources.downloads() / "tasks" / spec.name)[0], "cache, downloaded"
    shown = "/".join(map(str, counts)) if counts else ""
    if not counts and spec.paper_sizes:
        shown = f"({'/'.join(map(str, spec.paper_sizes))})"
    return spec.name, "task", spec.domain, source, shown, labels, spec.licence


def _domain_row(spec: DomainSpec, data_dir: str | Path) -> tuple:
    name = spec.name
    root = sources.data_root(data_dir)
    path = sources.find(root / "domains", name) if root else None
    rows, source = "", "sample, not fetched yet: dsp data get sample"
    if str(data_dir) == "toy":
        rows, source = len(toy.domain_texts(name)), "generated"
    elif path:
        rows, source = _rows(path), f"data root {root.name}"
    elif sample.is_built():
        rows, source = _manifest(sample.sample_root())["files"][f"domains/{name}.jsonl.gz"]["rows"], "sample"
    return name, "domain", name, source, str(rows), None, spec.licence


def _counts(spec: TaskSpec, place: Path) -> tuple[list[int], int | None]:
    try:
        found = task_splits(spec, place)
        return [_rows(found[split]) for split in sources.SPLITS if split in found], spec.classes
    except UserError:
        return [], spec.classes  # an incomplete folder: load_task says what is missing


def _rows(source) -> int:
    return sum(1 for _ in records(source))


def _manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
