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
    for name, values in _by_value(given).items():
        if len(values) > 1:
            said += [f"{name.upper()} is {'; '.join(f'{value} in {_named(at)}' for value, at in values.items())}"]
    return "; ".join(said)


def made_by(run: Path) -> dict[str, str]:
    """Commit and versions that the run's notebooks were made by, {} where no log says it.

    Where they are not alike, each value with its notebooks.
    """
    told = {
        name: {"commit": state["commit"], **state["versions"]}
        for name, state in states(run).items()
        if isinstance(state.get("commit"), str) and isinstance(state.get("versions"), dict)
    }
    return {
        part: ", ".join(value if len(values) == 1 else f"{value} ({_named(at)})" for value, at in values.items())
        for part, values in _by_value(told).items()
    }


def _by_value(told: Mapping[str, Mapping]) -> dict[str, dict[str, list[str]]]:
    """What is told -> each value that it has -> where."""
    found: dict[str, dict[str, list[str]]] = {}
    for where, parts in told.items():
        for name, value in parts.items():
            found.setdefault(name, {}).setdefault(shown_value(value, ","), []).append(where)
    return found


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


def shown_value(value, between: str = ", ") -> str:
    """A parameter's value in one line."""
    return between.join(map(str, value)) if isinstance(value, list | tuple) else str(value)
