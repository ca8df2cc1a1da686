"""Whether there is room on the disks for what a run will make, asked before anything is computed."""

import os
import shutil
from pathlib import Path

from helpers.config import Config
from helpers.encoder.named import base_files
from helpers.errors import UserError
from helpers.files import read_json
from helpers.methods import CHANCE, METHODS, TABLE_3, TABLE_5, TABLE_6, TABLE_7, together
from helpers.paths import cache_dir, outputs_dir

RESULTS = 100.0  # megabytes of notebooks, tables, figures and report; 40 at the demo
TEXTS = 500.0  # megabytes of what else is in the store, beside checkpoints and vectors; 150 at the demo
ROBERTA_BASE = 500.0, 768  # megabytes and width of a model that is still on the hub
MOST_ROWS = 250_000  # of a task where all are taken: the paper's largest, RCT, has 240,000


def check_disk(config: Config) -> None:
    """Refuse a run that would fill a disk: the store's (DSP_CACHE) or that of its results (OUTPUT_DIR).

    Where there is more room than any run of this configuration takes, that is all that is asked, in milliseconds; else
    what is still to make is reckoned from the plan, as `helpers.study.outlook` does. Raises UserError.
    """
    if not _lacking(config, _most(config)):
        return
    from helpers.study import Study
    from helpers.study.outlook import outlook

    if line := _lacking(config, float(outlook(Study(config))["megabytes"].sum())):
        raise UserError(line)


def _lacking(config: Config, megabytes: float) -> str:
    """A line on the first disk without room for so much in the store and the results beside it; '' where there is."""
    store, results = cache_dir() / "store", outputs_dir(config.preset, config.output_dir)
    wanted = [(store, megabytes, "set DSP_CACHE to a larger disk, or dsp store prune --older-than 30"),
              (results, RESULTS, "give another OUTPUT_DIR")]  # fmt: skip
    if _there(store).stat().st_dev == _there(results).stat().st_dev:
        wanted[0] = (store, megabytes + RESULTS, wanted[0][2])
    for place, much, way_out in wanted:
        free = shutil.disk_usage(_there(place)).free / 1e6
        if free < much:
            return f"{place}: the run wants about {much:,.0f} MB there and {free:,.0f} are free; {way_out}"
    return ""


def _there(place: Path) -> Path:
    """The place, or the folder it will be made in."""
    place = place.absolute()
    return next(one for one in (place, *place.parents) if os.path.exists(one))


def _most(config: Config) -> float:
    """More megabytes than a run of this configuration leaves in the store: every method adapts for every task anew."""
    adapted = [len(METHODS[name].texts) for name in together(TABLE_3, TABLE_5, TABLE_6, TABLE_7, CHANCE)]
    selections = len(config.selectors) * len(config.neighbours)
    models = 1 + config.adaptation_seeds * (
        len(config.domains) + sum(adapted) * len(config.tasks) + selections * len(config.selection_tasks)
    )
    size, width = _base(config.base_model)
    given = (config.max_train, config.max_dev, config.max_test)
    rows = sum(given) if all(given) else MOST_ROWS
    vectors = (len(config.tasks) + models) * rows * width * 4e-6
    return models * size + vectors + TEXTS


def _base(name: str) -> tuple[float, int]:
    """Megabytes and width of a base model that lies here; of RoBERTa-base for one still to be fetched."""
    if name != "mini" and not os.path.isdir(os.path.expanduser(name)):
        return ROBERTA_BASE
    folder, files = base_files(name)
    try:
        width = int(read_json(folder / "config.json")["hidden_size"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):  # loading says what is wrong with it
        width = ROBERTA_BASE[1]
    return sum(file.stat().st_size for file in files) / 1e6, width
