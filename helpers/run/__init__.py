"""Running things: the notebooks in order, the report, the `dsp` command."""

_HOME = {
    "run_notebooks": "runner",
    "write_report": "report",
    "write_results_markdown": "report",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    """Import a public name from its file when it is first asked for: `dsp --help` stays quick."""
    import importlib

    if name not in _HOME:
        raise AttributeError(f"helpers.run has no {name!r}")
    return getattr(importlib.import_module(f"helpers.run.{_HOME[name]}"), name)
