"""What a run's logs say of how its notebooks came about: whether they are of one run, and by which code."""

from collections.abc import Mapping
from pathlib import Path

from helpers import files
from helpers.config import MACHINE, make_config
from helpers.errors import UserError
from helpers.run.sections import SECTIONS
from helpers.run.status import rows

NOTEBOOKS = sorted({section.notebook for section in SECTIONS})  # that a report is of


def states(run: Path) -> dict[str, dict]:
    """Notebook -> what its log keeps of how it ended; without those that have none, or a damaged one."""
    found = {}
    for name in NOTEBOOKS:
        try:
            state = files.read_json(run / "logs" / f"{name}.json")
        except (OSError, ValueError):
            continue
        if isinstance(state, dict):
            found[name] = state
    return found


def amiss(run: Path, config: Mapping) -> str:
    """What keeps the notebooks of a run from being one, in a clause: '' for nothing.

    A notebook has failed or stopped, or they were run with other parameters. config: the settings that config.json
    holds, of the notebook that was opened last.
    """
    ended = {name: how for name, how, *_ in rows(run, NOTEBOOKS) if how in ("failed", "timed out", "stopped")}
    said = [f"{name} {how}" for name, how in ended.items()]
    given = {name: _settings(state.get("parameters")) for name, state in states(run).items() if name not in ended}
    # the tasks of a TASK_FILE are in no parameter
    unsaid = ("tasks", "selection_tasks") if config.get("task_file") else ()
    given["config.json"] = {name: value for name, value in config.items() if name not in (*MACHINE, *unsaid)}
    for name in dict.fromkeys(name for settings in given.values() for name in settings):
        values: dict[str, list[str]] = {}
        for where, settings in given.items():
            if name in settings:
                values.setdefault(shown(settings[name], ","), []).append(where)
        if len(values) > 1:
            said += [f"{name.upper()} is {'; '.join(f'{value} in {_named(at)}' for value, at in values.items())}"]
    return "; ".join(said)


def _named(notebooks: list[str]) -> str:
    """Where a value is, config.json only where no notebook has it."""
    return ", ".join([name for name in notebooks if name != "config.json"] or notebooks)


def _settings(parameters) -> dict:
    """All settings that a notebook had by its parameters, but those of the machine; {} where that cannot be told."""
    try:
        settings = make_config(parameters["PRESET"], parameters).model_dump(mode="json")
    except (KeyError, TypeError, AttributeError, UserError):
        return {}
    return {name: value for name, value in settings.items() if name not in MACHINE}


def shown(value, between: str = ", ") -> str:
    """A parameter's value in one line."""
    return between.join(map(str, value)) if isinstance(value, list | tuple) else str(value)
