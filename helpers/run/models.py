"""Where a run's adapted models lie, and the lines that load one."""

import os
from pathlib import Path

import pandas as pd

from helpers import files
from helpers.methods import METHODS, method_order, method_title, split_selection
from helpers.paths import cache_dir
from helpers.store import open_store


def adapted_models(run: Path | str) -> pd.DataFrame:
    """The models that a run's records were fine-tuned from and that are still in the store of this machine.

    Records of tasks or a base model that config.json does not name are of an earlier run in the same folder.

    Returns model (as 'DAPT'), adapted_to (corpus), adaptation (its number), folder (an ordinary Hugging Face model);
    those that were made to compare with, as shuffled DAPT, come last.
    """
    store, rows, settings = open_store(lambda line: None), {}, _settings(Path(run))
    for path in sorted(Path(run).glob("records/*/*/seed-*.json")):
        try:
            record = files.read_json(path)
            if settings and (record["task"] not in settings["tasks"] or record["base_model"] != settings["base_model"]):
                continue
            made = record["adaptation"] or {}
            key, method, corpus, number = (made[name] for name in ("checkpoint_key", "method", "corpus", "seed"))
            place = _control(method), method_order(method), corpus, number
        except (OSError, ValueError, KeyError, TypeError):  # of the unadapted base, or damaged: the report says so
            continue
        folder = store.folder("model", key)
        if (folder / "config.json").is_file():
            rows[place] = method_title(method), corpus, number, folder
    columns = ["model", "adapted_to", "adaptation", "folder"]
    return pd.DataFrame([rows[order] for order in sorted(rows)], columns=columns)


def _control(method: str) -> bool:
    """Whether an adaptation is there to compare others with: on no text of the task or its domain, or a random one."""
    if picked := split_selection(method):
        return picked[0] == "random"
    return {"domain", "task", "unlabeled"}.isdisjoint(METHODS[method].texts)


def _settings(run: Path) -> dict:
    """Tasks and name of the base model of the run that wrote config.json last; {} where that cannot be told."""
    try:
        config = files.read_json(run / "config.json")
        return {"tasks": {*config["tasks"], *config["selection_tasks"]}, "base_model": Path(config["base_model"]).name}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def shown(folder: Path) -> str:
    """A folder below the cache without this machine's own paths: from $DSP_CACHE where that is set, else from ~."""
    if os.environ.get("DSP_CACHE"):
        return f"$DSP_CACHE/{folder.relative_to(cache_dir()).as_posix()}"
    home = Path.home()
    return f"~/{folder.relative_to(home).as_posix()}" if folder.is_relative_to(home) else str(folder)


def loading(folder: str) -> str:
    """The lines that load the model of a folder as `shown` names it, and its tokenizer."""
    return (
        f'folder = os.path.expandvars(os.path.expanduser("{folder}"))\n'
        "model = AutoModelForMaskedLM.from_pretrained(folder)\n"
        "tokenizer = AutoTokenizer.from_pretrained(folder)"
    )
