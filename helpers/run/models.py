"""Where a run's adapted models lie, and the lines that load one."""

import os
from pathlib import Path

import pandas as pd

from helpers import files
from helpers.methods import method_order, method_title
from helpers.paths import cache_dir
from helpers.store import open_store


def adapted_models(run: Path | str) -> pd.DataFrame:
    """The models that the records of a run were fine-tuned from and that are still in the store of this machine.

    Returns model (as 'DAPT'), adapted_to (corpus), adaptation (its number), folder (an ordinary Hugging Face model).
    """
    store, rows = open_store(lambda line: None), {}
    for path in sorted(Path(run).glob("records/*/*/seed-*.json")):
        try:
            made = files.read_json(path)["adaptation"] or {}
            key, method, corpus, number = (made[name] for name in ("checkpoint_key", "method", "corpus", "seed"))
        except (OSError, ValueError, KeyError, TypeError):  # of the unadapted base, or damaged: the report says so
            continue
        folder = store.folder("model", key)
        if (folder / "config.json").is_file():
            rows[method_order(method), corpus, number] = method_title(method), corpus, number, folder
    columns = ["model", "adapted_to", "adaptation", "folder"]
    return pd.DataFrame([rows[order] for order in sorted(rows)], columns=columns)


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
