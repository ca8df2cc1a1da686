"""From what a user gave to a configuration: all that can be known before anything is computed is checked here."""

from collections.abc import Mapping

from helpers.config import Config, check_places, make_config
from helpers.data import TaskSpec, domain_names, domain_spec, read_task_file, task_spec


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


def spec_of(task: str, config: Config) -> TaskSpec:
    """What is known of a task of this configuration before its text is read. Raises UserError for an unknown one."""
    return task_spec(task, config.task_file, config.data_dir, own_domain(config))


def own_domain(config: Config) -> str:
    """The domain of a task of the user's that names none: DOMAIN_FILE's first, else DOMAINS' first, else ''."""
    return next(iter((*domain_names(config.domain_file), *config.domains)), "")
