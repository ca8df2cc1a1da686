"""From what a user gave to a configuration: all that can be known before anything is computed is checked here."""

from collections.abc import Mapping

from helpers.config import Config, check_places, make_config
from helpers.data import Task, TaskSpec, domain_names, domain_spec, read_task_file, task_spec
from helpers.errors import UserError


def open_config(preset: str, overrides: Mapping) -> Config:
    """The preset's configuration with overrides, checked: names, values, places, tasks and domains.

    overrides: parameter in any case -> value, None for the preset's own. A TASK_FILE without TASKS is a study of its
    tasks. Raises UserError, in one line, for the first thing amiss.
    """
    given = {name.upper(): value for name, value in overrides.items() if value is not None}
    if given.get("TASK_FILE") and not given.get("TASKS"):
        given["TASKS"] = list(read_task_file(given["TASK_FILE"]))
    config = make_config(preset, given)
    check_places(config)
    for task in (*config.tasks, *config.selection_tasks):
        spec_of(task, config)
    for domain in config.domains:
        domain_spec(domain, config.domain_file, config.data_dir)
    return config


def foreign_rates(config: Config) -> str:
    """A line where learning rates that a preset has for its own base model are left to another base, else ''."""
    preset = make_config(config.preset)
    rates = ("learning_rate", "dapt_learning_rate", "tapt_learning_rate")
    left = [name for name in rates if getattr(config, name) == getattr(preset, name)]
    if config.base_model == preset.base_model or not left:
        return ""
    given = [f"{name.upper()}={getattr(config, name):g}" for name in left]
    given = ", ".join(f"{one} (the paper's)" if one == "TAPT_LEARNING_RATE=0" else one for one in given)
    were, other = ("was", "another rate") if len(left) == 1 else ("were", "other rates")
    elsewhere = "" if config.preset == "paper" else " (preset paper has those for roberta-base)"
    return (
        f"BASE_MODEL={config.base_model}: {given} of preset {config.preset} {were} chosen for {preset.base_model}; "
        f"another base may want {other}{elsewhere}"
    )


def with_draws(task: Task, config: Config) -> Task:
    """The task, if every number of labels that the study draws holds a row of each of its labels; else UserError."""
    known = len(task.labels)
    numbers = {"LABELS": (config.labels,), "LABEL_BUDGETS": config.label_budgets}
    for name, few in numbers.items():
        if any(0 < number < known for number in few):
            enough = ",".join(str(number) for number in few if not 0 < number < known) or "0"
            raise UserError(
                f"task {task.name}: {name}={','.join(map(str, few))} draws fewer rows than its {known} labels; "
                f"give {name}={enough} (0: all rows), or {known} and more"
            )
    return task


def spec_of(task: str, config: Config) -> TaskSpec:
    """What is known of a task of this configuration before its text is read. Raises UserError for an unknown one."""
    return task_spec(task, config.task_file, config.data_dir, own_domain(config))


def own_domain(config: Config) -> str:
    """The domain of a task of the user's that names none: DOMAIN_FILE's first, else DOMAINS' first, else ''."""
    return next(iter((*domain_names(config.domain_file), *config.domains)), "")
