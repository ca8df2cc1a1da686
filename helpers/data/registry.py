"""The tasks and domains of the study, with the paper's sizes, classes and metrics (Paper: Tables 1, 2, 3, 6)."""

import json
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from helpers.data.raw import form, stem
from helpers.data.records import TEXT_COLUMNS, find_column
from helpers.data.sources import data_root, domain_name
from helpers.errors import UserError, nearest
from helpers.paths import expanded

METRICS = ("micro_f1", "macro_f1")


@dataclass(frozen=True)
class TaskSpec:
    """What is known of a classification task before its text is read.

    metric: "micro_f1" or "macro_f1", the score the paper reports for it. classes: how many labels it has.
    labels: their names where every source spells them alike, else None. partner: the task whose text
    Transfer-TAPT adapts to (Table 6); it lies in another domain where the sample has only one task a domain.
    paper_sizes: rows of train, dev and test in Table 2. kind: "paper", "sample", "toy" or "user".
    evaluation: the task whose dev and test serve this one too. folder: the file or folder a user's task lies in.
    """

    name: str
    domain: str
    metric: str = "macro_f1"
    classes: int | None = None
    labels: tuple[str, ...] | None = None
    partner: str | None = None
    description: str = ""
    licence: str = ""
    paper_sizes: tuple[int, int, int] | None = None
    kind: str = "paper"
    evaluation: str | None = None
    folder: str | None = None


@dataclass(frozen=True)
class DomainSpec:
    """A domain to adapt to; not_dapt is the unrelated domain the paper compares with (Table 3).

    title, colour: as every table and figure shows it.
    """

    name: str
    title: str
    description: str
    licence: str
    not_dapt: str | None = None
    path: str | None = None
    colour: str = ""


_RCT_LABELS = ("BACKGROUND", "CONCLUSIONS", "METHODS", "OBJECTIVE", "RESULTS")
_CHEMPROT_LABELS = (
    "ACTIVATOR", "AGONIST", "AGONIST-ACTIVATOR", "AGONIST-INHIBITOR", "ANTAGONIST", "DOWNREGULATOR",
    "INDIRECT-DOWNREGULATOR", "INDIRECT-UPREGULATOR", "INHIBITOR", "PRODUCT-OF", "SUBSTRATE",
    "SUBSTRATE_PRODUCT-OF", "UPREGULATOR",
)  # fmt: skip
_CITATION_LABELS = ("Background", "CompareOrContrast", "Extends", "Future", "Motivation", "Uses")
_SCIERC_LABELS = ("COMPARE", "CONJUNCTION", "EVALUATE-FOR", "FEATURE-OF", "HYPONYM-OF", "PART-OF", "USED-FOR")
_ARXIV_LABELS = ("cs.AI", "cs.CL", "cs.CV", "cs.IT", "cs.LG")
_BBC_LABELS = ("business", "entertainment", "politics", "sports", "tech")
_NLM = "US National Library of Medicine: free of charge, abstracts may carry their publishers' copyright"

_TASKS = (
    TaskSpec("chemprot", "biomed", "micro_f1", 13, _CHEMPROT_LABELS, "rct", paper_sizes=(4169, 2427, 3469),
             description="relation between a chemical and a protein", licence="BioCreative VI, research use"),
    TaskSpec("rct", "biomed", "micro_f1", 5, None, "chemprot", paper_sizes=(180040, 30212, 30135),
             description="role of a sentence in the abstract of a trial", licence=_NLM),
    TaskSpec("rct-sample", "biomed", "micro_f1", 5, None, "chemprot", paper_sizes=(500, 30212, 30135),
             description="RCT with 500 training rows", licence=_NLM, evaluation="rct"),
    TaskSpec("citation_intent", "cs", "macro_f1", 6, _CITATION_LABELS, "sciie", paper_sizes=(1688, 114, 139),
             description="why a paper cites another (ACL-ARC)", licence="ACL Anthology, CC BY-NC-SA 3.0"),
    TaskSpec("sciie", "cs", "macro_f1", 7, _SCIERC_LABELS, "citation_intent", paper_sizes=(3219, 455, 974),
             description="relation between scientific terms (SciERC)", licence="not stated, research use"),
    TaskSpec("hyperpartisan_news", "news", "macro_f1", 2, None, "ag", paper_sizes=(515, 65, 65),
             description="whether an article is hyperpartisan", licence="CC BY 4.0"),
    TaskSpec("ag", "news", "macro_f1", 4, None, "hyperpartisan_news", paper_sizes=(115000, 5000, 7600),
             description="topic of a news item (AGNEWS)", licence="non-commercial use"),
    TaskSpec("helpfulness", "reviews", "macro_f1", 2, None, "imdb", paper_sizes=(115251, 5000, 25000),
             description="whether readers found an Amazon review helpful", licence="Amazon reviews, research use"),
    TaskSpec("imdb", "reviews", "macro_f1", 2, None, "helpfulness", paper_sizes=(20000, 5000, 25000),
             description="sentiment of a film review", licence="IMDB reviews, research use"),
    TaskSpec("rct_nlm", "biomed", "micro_f1", 5, _RCT_LABELS, "arxiv_cs", kind="sample",
             description="role of a sentence in a MEDLINE abstract, all study types", licence=_NLM),
    TaskSpec("arxiv_cs", "cs", "macro_f1", 5, _ARXIV_LABELS, "bbc", kind="sample",
             description="primary arXiv category of an abstract", licence="arXiv metadata, CC0 1.0"),
    TaskSpec("bbc", "news", "macro_f1", 5, _BBC_LABELS, "imdb_sample", kind="sample",
             description="topic of a BBC article", licence="BBC copyright, research use"),
    TaskSpec("imdb_sample", "reviews", "macro_f1", 2, ("neg", "pos"), "rotten_tomatoes", kind="sample",
             description="sentiment of a film review, out of IMDB's training half",
             licence="IMDB reviews, research use"),
    TaskSpec("rotten_tomatoes", "reviews", "macro_f1", 2, ("neg", "pos"), "imdb_sample", kind="sample",
             description="sentiment of a sentence out of a film review", licence="Rotten Tomatoes, research use"),
    TaskSpec("toy_biomed", "biomed", "micro_f1", 3, None, "toy_cs", kind="toy", description="generated text",
             licence="ours"),
    TaskSpec("toy_cs", "cs", "macro_f1", 3, None, "toy_news", kind="toy", description="generated text",
             licence="ours"),
    TaskSpec("toy_news", "news", "macro_f1", 3, None, "toy_reviews", kind="toy", description="generated text",
             licence="ours"),
    TaskSpec("toy_reviews", "reviews", "macro_f1", 3, None, "toy_biomed", kind="toy",
             description="generated text", licence="ours"),
)  # fmt: skip
TASKS: dict[str, TaskSpec] = {spec.name: spec for spec in _TASKS}

_DOMAINS = (  # in the order of every table
    DomainSpec("generic", "PT", "text like the base model's own pretraining sources; in the sample, Wikipedia "
               "paragraphs and speeches", "CC BY-SA 3.0 and public domain", colour="#6e7985"),
    DomainSpec("biomed", "BioMed", "biomedical papers; in the sample, MEDLINE abstracts", _NLM, "reviews",
               colour="#0ea478"),
    DomainSpec("cs", "CS", "computer-science papers; in the sample, arXiv abstracts", "CC0 1.0", "news",
               colour="#0e75b4"),
    DomainSpec("news", "News", "news articles; in the sample, articles of 2016-17 and the BBC's",
               "CC0 1.0 and BBC copyright, research use", "cs", colour="#d96100"),
    DomainSpec("reviews", "Reviews", "product reviews; in the sample, film reviews", "research use", "biomed",
               colour="#d282c7"),
)  # fmt: skip
DOMAINS: dict[str, DomainSpec] = {spec.name: spec for spec in _DOMAINS}


def known_tasks(task_file: str | Path = "", data_dir: str | Path = "", domain: str = "") -> dict[str, TaskSpec]:
    """Every task there is: the study's, those of TASK_FILE and those that lie in the data root."""
    own = read_task_file(task_file, domain)
    return {**TASKS, **{name: spec for name, spec in root_tasks(data_dir).items() if name not in own}, **own}


def task_spec(name: str, task_file: str | Path = "", data_dir: str | Path = "", domain: str = "") -> TaskSpec:
    """The task of that name; raises UserError with the nearest name when there is none.

    task_file, domain: see read_task_file. data_dir: a data root, whose tasks/ are known too.
    """
    tasks = known_tasks(task_file, data_dir, domain)
    if name not in tasks:
        raise UserError(
            f"task {name!r}: there is none of that name.{nearest(str(name), tasks)} "
            f"Tasks: {', '.join(tasks)}; TASK_FILE registers your own"
        )
    return tasks[name]


def domain_spec(name: str, domain_file: str | Path = "", data_dir: str | Path = "") -> DomainSpec:
    """The domain of that name; raises UserError with the nearest name when there is none.

    domain_file: one or more of your own, see own_domains. data_dir: a data root, whose domains/ are known too.
    """
    domains = known_domains(domain_file, data_dir)
    if name not in domains:
        raise UserError(
            f"domain {name!r}: there is none of that name.{nearest(str(name), domains)} "
            f"Domains: {', '.join(domains)}; DOMAIN_FILE adds your own, and a task of yours says its domain in the "
            "entry of TASK_FILE, of the data root's tasks.toml or of tasks/<task>/task.toml"
        )
    return domains[name]


def known_domains(domain_file: str | Path = "", data_dir: str | Path = "") -> dict[str, DomainSpec]:
    """The study's domains, those of the data root and of DOMAIN_FILE, by name; the last go before."""
    return {**DOMAINS, **root_domains(data_dir), **own_domains(domain_file)}


def domain_names(domain_file: str | Path = "") -> tuple[str, ...]:
    """The names of the domains in DOMAIN_FILE, in its order; see own_domains."""
    return tuple(own_domains(domain_file))


def own_domains(domain_file: str | Path = "") -> dict[str, DomainSpec]:
    """The domains of DOMAIN_FILE: a file or folder of text, or several between commas, each named by its stem.

    A file named as one of the study's domains stands in for it. Raises UserError for a domain given twice, two files
    of one name, and a file called generic.
    """
    found: dict[str, DomainSpec] = {}
    parts = [str(part).strip() for part in str(domain_file).split(",")] if str(domain_file) else []
    for part in filter(None, parts):
        path = expanded(part)
        name = domain_name(path)
        if name in found:
            other = found[name].path
            way = "give it once" if Path(other).resolve() == path.resolve() else "rename one of them"
            raise UserError(f"DOMAIN_FILE {domain_file}: {other} and {path} are both domain {name!r}; {way}")
        if name == "generic":
            raise UserError(
                f"DOMAIN_FILE {path}: 'generic' is the text like the base model's own, not a domain of its own; rename "
                "the file, or put it as domains/generic.jsonl into a data root to stand in for that text"
            )
        found[name] = _own_domain(name, path)
    return found


def _own_domain(name: str, path: Path) -> DomainSpec:
    known = DOMAINS.get(name)
    return DomainSpec(name, known.title if known else name, f"text of {path.name}", "yours",
                      known.not_dapt if known else None, str(path))  # fmt: skip


def root_domains(data_dir: str | Path = "") -> dict[str, DomainSpec]:
    """The domains that lie in the data root beside the study's own."""
    root = data_root(data_dir)
    folder = root / "domains" if root else None
    if not folder or not folder.is_dir():
        return {}
    paths = [path for path in sorted(folder.iterdir()) if path.is_dir() or form(path)]
    names = {domain_name(path): path for path in paths if not path.name.startswith(".")}
    return {name: _own_domain(name, path) for name, path in names.items() if name not in DOMAINS}


def root_tasks(data_dir: str | Path = "") -> dict[str, TaskSpec]:
    """The tasks that lie in the data root's tasks/ beside the study's own, each named by its folder or file.

    tasks.toml in the root (as TASK_FILE), or task.toml in a task's folder, says domain and metric. Without them the
    metric is macro-F1, and the domain the root's own one where there is just one, else one named as the task.
    """
    root = data_root(data_dir)
    if not root:
        return {}
    found = read_task_file(root / "tasks.toml") if (root / "tasks.toml").is_file() else {}
    own = list(root_domains(data_dir))
    folder = root / "tasks"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        name = stem(path)
        if name in TASKS or name in found or name.startswith(".") or not (path.is_dir() or form(path)):
            continue
        entry = {"name": name, "domain": own[0] if len(own) == 1 else name}
        if (path / "task.toml").is_file():
            entry |= _read_entries(path / "task.toml")
        spec = _own_task(entry, f"data root {root.name}, task {name}", folder)
        found[spec.name] = replace(spec, folder=str(path))
    return found


def without_twins(tasks: Collection[str]) -> list[str]:
    """The tasks without those whose dev and test rows are another's of them too, as RCT-500's are RCT's.

    >>> without_twins(["rct", "rct-sample", "mine"])
    ['rct', 'mine']
    """
    return [task for task in tasks if task not in TASKS or TASKS[task].evaluation not in tasks]


def own_task(path: str | Path, domain: str = "") -> TaskSpec:
    """The task whose labelled rows lie in this file or folder, named by its stem.

    domain: the domain its text comes from; one named as the task where not given.
    """
    name = domain_name(path)
    if name in TASKS:
        raise UserError(f"{path}: the name {name!r} is taken by a task of the study; rename the file or folder")
    return TaskSpec(name, domain or name, description=f"rows of {Path(path).name}", licence="yours", kind="user",
                    folder=str(expanded(path)))  # fmt: skip


def read_task_file(path: str | Path = "", domain: str = "") -> dict[str, TaskSpec]:
    """Tasks of your own: labelled rows themselves, or a few lines of JSON or TOML that register some.

    path: a .csv, .tsv, .jsonl, .parquet or .json of rows, or a folder with splits, which is one task named by its
    stem; or JSON (a list of objects) or TOML (tables [[task]]) with the keys name, domain; optional metric ("macro_f1"
    unless said, or "micro_f1"), path (file or folder of its rows, relative to this file; without it the data root's
    tasks/<name>), partner (task for Transfer-TAPT), description, licence. domain: of a task that names none; else one
    named as the task. Raises UserError for anything else.
    """
    if not path:
        return {}
    path = expanded(path)
    entries = _read_entries(path) if path.suffix.lower() in (".toml", ".json") and not path.is_dir() else None
    if entries is None or _are_rows(entries):
        if not path.exists():
            raise UserError(f"TASK_FILE {path}: no such file or folder")
        spec = own_task(path, domain)
        return {spec.name: spec}
    if isinstance(entries, dict):
        entries = entries.get("task", entries.get("tasks", [entries]))
    if not isinstance(entries, list):
        raise UserError(f"TASK_FILE {path}: expected a list of tasks, each with a name and a domain")
    tasks: dict[str, TaskSpec] = {}
    for number, entry in enumerate(entries, 1):
        if domain and isinstance(entry, dict):
            entry = {"domain": domain} | entry
        spec = _own_task(entry, f"TASK_FILE {path}, task {number}", path.parent)
        if spec.name in TASKS or spec.name in tasks:
            raise UserError(f"TASK_FILE {path}, task {number}: the name {spec.name!r} is taken; choose another")
        tasks[spec.name] = spec
    for spec in tasks.values():
        if spec.partner and spec.partner not in TASKS and spec.partner not in tasks:
            hint = nearest(spec.partner, [*TASKS, *tasks])
            raise UserError(f"TASK_FILE {path}: partner {spec.partner!r} of {spec.name!r} is no task.{hint}")
    return tasks


def _read_entries(path: Path):
    """What a file registers; None for JSON Lines, which are rows."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except OSError as error:
        raise UserError(f"TASK_FILE {path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        if path.suffix.lower() == ".json" and "Extra data" in str(error):
            return None  # an object a line: rows
        raise UserError(f"TASK_FILE {path}: malformed: {error}") from None


def _are_rows(entries) -> bool:
    """Whether a JSON array is of rows: by a text, or by nothing that a task is registered with."""
    first = entries[0] if isinstance(entries, list) and entries else None
    if not isinstance(first, dict):
        return False
    return bool(find_column(first, "", TEXT_COLUMNS, "")) or not {"name", "domain", "path"} & set(first)


_KEYS = ("name", "domain", "metric", "path", "partner", "description", "licence")


def _own_task(entry, where: str, base: Path) -> TaskSpec:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: expected an object with the keys {', '.join(_KEYS)}")
    for key, value in entry.items():
        if key not in _KEYS:
            raise UserError(f"{where}: unknown key {key!r}.{nearest(key, _KEYS)} Keys: {', '.join(_KEYS)}")
        if not isinstance(value, str) or not value:
            raise UserError(f"{where}: {key} must be a word or words, not {value!r}")
    for key in ("name", "domain"):
        if key not in entry:
            raise UserError(f"{where}: {key} is missing")
    if not all(mark.isalnum() or mark in "._-" for mark in entry["name"]) or entry["name"].startswith("."):
        raise UserError(f"{where}: name {entry['name']!r}: letters, digits, '.', '_' and '-' only")
    if len(entry["name"].encode()) > 100:  # it becomes part of file names
        raise UserError(f"{where}: name {entry['name'][:20]!r}...: 100 bytes at most")
    metric = entry.get("metric", "macro_f1")
    if metric not in METRICS:
        raise UserError(f"{where}: metric {metric!r}: expected one of {', '.join(METRICS)}")
    folder = entry.get("path")
    return TaskSpec(
        entry["name"],
        entry["domain"],
        metric,
        partner=entry.get("partner"),
        description=entry.get("description", ""),
        licence=entry.get("licence", "yours"),
        kind="user",
        folder=str(base / expanded(folder)) if folder else None,
    )
