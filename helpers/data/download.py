"""Fetching the paper's tasks from the Hugging Face hub and the data sets' own URLs into the cache.

Addresses can be moved: DSP_SCIBERT_URL, DSP_BUCKET_URL and the usual HF_ENDPOINT. One attempt each, with a short
time-out (DSP_TIMEOUT, seconds), so that a machine without network learns it at once; HF_HUB_OFFLINE=1 or
DSP_OFFLINE=1 asks nothing at all.
"""

import hashlib
import http.client
import json
import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers.data import jsonl, sources
from helpers.data.hub import ask_hub
from helpers.data.records import labelled
from helpers.data.registry import TASKS, TaskSpec
from helpers.errors import UserError
from helpers.files import locked

# SHA-256 over "text<TAB>label" lines (white space collapsed) of the official splits as allenai/scibert keeps them.
# For the other tasks no reference copy was at hand, so no hash is pinned: their numbers of rows and of labels,
# which the paper prints, are all that is checked.
CONTENT = {
    "chemprot": {
        "train": "9a73f0726717ce5f0bec5746266ca9389b5dfc5476209a96df39569a27da9a51",
        "dev": "771501e78a312d6dbc96d0283f72d7864c70eb543ed30d5b6001720e2e7a2125",
        "test": "a9248d6e16a9d8d517974fe28dd8b91946a6c98ca47ccaeccdc6bb6e1ca16f00",
    },
    "citation_intent": {
        "train": "5b378082b1410e439202b09ea72c1f023b73a04da3ea9aec1eb385e7a766eed8",
        "dev": "2c99f0d4fed2bc9fba36a8c66d549f2be78e9d04f56b99e04c4999dae0789a91",
        "test": "0f64d84b2e6081118d18200fe9d94342dd3377cc25def6bf91d265905ee5d58a",
    },
    "sciie": {
        "train": "a39f8b8f01667c0f6fff27bb655fc4f4d4dc23515442a5f471e18665d6b84131",
        "dev": "54f1b5052bd1697bdc25d21781400bd09a23986238c36bbc4d1e2e8283dcd4e6",
        "test": "f626a11b9438aa537423785282920e1399edd8e37fbf21b6b127ab88434ae842",
    },
}

# Our name -> folder in allenai/scibert; name on the hub and in the bucket where it is not ours.
_SCIBERT = {"chemprot": "chemprot", "citation_intent": "citation_intent", "sciie": "sciie-relation-extraction"}
_ELSEWHERE = {"rct": "rct-20k", "helpfulness": "amazon"}
_REFUSED = (urllib.error.URLError, http.client.HTTPException, OSError)


@dataclass(frozen=True)
class Source:
    """A place to fetch from: its title and, per split, the addresses tried one after the other.

    hub: the data set on the Hugging Face hub that the addresses are files of. pinned: its text must have the hashes
    in CONTENT.
    """

    title: str
    addresses: dict[str, tuple[str, ...]]
    hub: str = ""
    pinned: bool = False


def places(task: str) -> list[Source]:
    """Where a task can be fetched from, in the order they are tried."""
    found = []
    if task in _SCIBERT:
        base = _base("DSP_SCIBERT_URL", "https://raw.githubusercontent.com/allenai/scibert/master")
        folder = f"{base}/data/text_classification/{_SCIBERT[task]}"
        files = {part: (f"{folder}/{part}.txt",) for part in sources.SPLITS}
        found.append(Source("allenai/scibert", files, pinned=True))
    name = _ELSEWHERE.get(task, task)
    if task != "rct-sample":  # the hub has none
        files = {part: (f"{name}_{part}.jsonl", f"{part}.jsonl") for part in sources.SPLITS}
        found.append(Source("hub zapsdcn", files, hub=f"zapsdcn/{name}"))
    base = _base("DSP_BUCKET_URL", "https://allennlp.s3-us-west-2.amazonaws.com/dont_stop_pretraining/data")
    found.append(Source("authors' bucket", {part: (f"{base}/{name}/{part}.jsonl",) for part in sources.SPLITS}))
    return found


def is_fetched(spec: TaskSpec) -> bool:
    """Whether the cache holds the task, complete."""
    return (sources.downloads() / "tasks" / spec.name / "manifest.json").is_file()


def get_task(spec: TaskSpec) -> Path:
    """The folder of a task of the paper in the cache, fetched first where it is not there yet.

    Raises UserError, with what each place answered and the ways out, when none has it as the paper counts it.
    """
    folder = sources.downloads() / "tasks" / spec.name
    if spec.evaluation:  # its dev and test are another task's, found in the folder beside
        get_task(TASKS[spec.evaluation])
    if is_fetched(spec):
        return folder
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0") or os.environ.get("DSP_OFFLINE", "0") not in ("", "0"):
        raise UserError(_ways_out(spec, "not in the cache, and downloads are switched off (HF_HUB_OFFLINE)"))
    wait = f"{spec.name}: another process fetches it"
    with locked(folder.parent / f"{spec.name}.lock", waiting=lambda: print(wait, file=sys.stderr)):
        if is_fetched(spec):
            return folder
        for left in folder.parent.glob(f".{spec.name}-*"):  # by a process that was killed
            shutil.rmtree(left)
        answers = []
        for source in places(spec.name):
            with tempfile.TemporaryDirectory(prefix=f".{spec.name}-", dir=folder.parent) as work:
                made = Path(work) / "task"
                try:
                    _fetch(spec, source, made)
                except _Refused as refusal:
                    answers.append(f"{source.title}: {refusal}")
                    continue
                if folder.exists():
                    shutil.rmtree(folder)
                os.replace(made, folder)
                return folder
    raise UserError(_ways_out(spec, "; ".join(answers)))


class _Refused(Exception):
    """Why one place did not give a task."""


_silent_hosts: set[str] = set()  # hosts that did not answer: the other tasks of this process need not wait again


def _fetch(spec: TaskSpec, source: Source, folder: Path) -> None:
    manifest: dict = {"task": spec.name, "source": source.title, "files": {}}
    frames: dict[str, pd.DataFrame] = {}
    if source.hub:
        _reach_hub()
    for split in sources.SPLITS[:1] if spec.evaluation else sources.SPLITS:
        address, raw = _first_of(source, split)
        path = folder / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        try:
            frame = labelled(path)[0]
        except UserError as error:
            raise _Refused(f"{split} cannot be read ({str(error).rpartition('/')[2]})") from None
        path.unlink()
        frames[split] = frame
        _check_rows(spec, split, frame)
        digest = content_hash(frame)
        if source.pinned and digest != CONTENT[spec.name][split]:
            raise _Refused(f"{split} is not the official text (SHA-256 {digest[:16]}...)")
        jsonl.write(folder / f"{split}.jsonl.gz", frame.to_dict("records"))
        entry = {"url": address, "sha256": hashlib.sha256(raw).hexdigest(), "rows": len(frame), "content": digest}
        manifest["files"][split] = entry
    found = frames["train"]["label"].nunique()
    if spec.classes and found != spec.classes:
        raise _Refused(f"{found} labels, the paper has {spec.classes}")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def content_hash(frame: pd.DataFrame) -> str:
    """SHA-256 over the words and labels of a split, in order; spacing and other keys do not count."""
    digest = hashlib.sha256()
    for text, label in zip(frame["text"], frame["label"], strict=True):
        digest.update(f"{' '.join(text.split())}\t{label}\n".encode())
    return digest.hexdigest()


def _check_rows(spec: TaskSpec, split: str, frame: pd.DataFrame) -> None:
    expected = spec.paper_sizes[sources.SPLITS.index(split)]
    # The authors' Hyperpartisan split has 500 or 515 training rows, depending on whom one asks.
    loose = spec.name == "hyperpartisan_news" and split == "train" and len(frame) == 500
    if len(frame) != expected and not loose:
        raise _Refused(f"{split} has {len(frame)} rows, the paper {expected}")


def _first_of(source: Source, split: str) -> tuple[str, bytes]:
    for address in (addresses := source.addresses[split]):
        try:
            return address, _from_hub(source.hub, address) if source.hub else _read(address)
        except _Refused:
            if address == addresses[-1]:
                raise
    raise AssertionError("no address")


def _reach_hub() -> None:
    """Refuse a hub that does not answer, before any of a task's files is asked for."""
    host = _host(_hub())
    try:
        ask_hub(_hub(), _patience())
    except OSError as error:
        _silent_hosts.add(host)
        raise _Refused(f"{host} does not answer ({error})") from None


def _from_hub(data_set: str, file: str) -> bytes:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    endpoint = _hub()
    host = _host(endpoint)
    how = {"repo_type": "dataset", "endpoint": endpoint, "etag_timeout": _patience()}
    try:
        with tempfile.TemporaryDirectory() as folder:  # what is kept is the task as it was read, with its hash
            return Path(hf_hub_download(data_set, file, cache_dir=folder, **how)).read_bytes()
    except LocalEntryNotFoundError as error:  # how the library says that it could not ask
        _silent_hosts.add(host)
        raise _Refused(f"{host} does not answer ({type(error.__cause__).__name__})") from None
    except HfHubHTTPError as error:
        raise _Refused(f"{host} answers {error.response.status_code}") from None
    except Exception as error:  # the library lets its HTTP client's own through
        raise _Refused(f"{host} does not answer as a hub does ({type(error).__name__})") from None


def _read(address: str) -> bytes:
    host = _host(address)
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "dont-stop-pretraining"})
        with urllib.request.urlopen(request, timeout=_patience()) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise _Refused(f"{host} answers {error.code}") from None
    except _REFUSED as error:
        _silent_hosts.add(host)
        raise _Refused(f"{host} does not answer ({getattr(error, 'reason', error)})") from None


def _host(address: str) -> str:
    host = urllib.parse.urlsplit(address).netloc
    if host in _silent_hosts:
        raise _Refused(f"{host} does not answer")
    return host


def _patience() -> float:
    return float(os.environ.get("DSP_TIMEOUT", "6"))


def _hub() -> str:
    return _base("HF_ENDPOINT", "https://huggingface.co")


def _base(variable: str, standard: str) -> str:
    return (os.environ.get(variable) or standard).rstrip("/")


def _ways_out(spec: TaskSpec, found: str) -> str:
    return (
        f"task {spec.name!r} cannot be had: {found}. Ways out: --data-dir (or DSP_DATA) with tasks/{spec.name}/"
        "{train,dev,test}.jsonl in it, or the tasks of the sample, which need only pip: "
        "rct_nlm, arxiv_cs, bbc, imdb_sample"
    )
