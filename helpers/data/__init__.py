"""Tasks, domains and their sources; see `load_task`, `load_domain` and `available`."""

from importlib import import_module

_HOMES = {
    "registry": ("TaskSpec", "DomainSpec", "TASKS", "DOMAINS", "task_spec", "domain_spec", "known_tasks",
                 "read_task_file", "domain_names", "own_domains"),
    "sources": ("domain_name",),
    "tasks": ("Task", "load_task", "load_domain", "subsample", "drawn_rows"),
    "corpus": ("Corpus", "Filtered", "split_heldout"),
    "text": ("checked", "sentences", "unique_sentences"),
    "leaks": ("audit", "leaked_rows", "exclude", "repeats", "unchecked"),
    "sample": ("get_sample",),
    "cards": ("available", "card"),
    "check": ("check_report", "describe"),
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    # Loaded on first use, so that naming one thing does not import pandas and scikit-learn for all.
    if name in _HOME_OF:
        value = getattr(import_module(f"helpers.data.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'helpers.data' has no attribute {name!r}")
