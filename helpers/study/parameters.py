"""A notebook's first cells: its parameters out of the cell that papermill fills, and what it runs on."""

from collections.abc import Mapping

import pandas as pd

from helpers import __version__, compute


def parameters(names: Mapping) -> dict:
    """The UPPER_CASE names of plain values among a notebook's `globals()`, those that papermill injected included.

    `Study.open` refuses the ones that are no parameter, so a misspelt `-p` stops a run instead of being ignored. What a
    notebook imports, such as a recipe or a table of the paper, is no plain value.

    >>> parameters({"PRESET": "smoke", "x": 1, "_HIDDEN": 2, "DAPT": object()})
    {'PRESET': 'smoke'}
    """
    plain = (type(None), str, bool, int, float, list, tuple)
    return {
        name: value
        for name, value in names.items()
        if name.isupper() and not name.startswith("_") and isinstance(value, plain)
    }


def environment() -> pd.Series:
    """Versions that results depend on, the code's commit and the cores this process may use."""
    found = {"helpers": __version__, "commit": compute.git_commit(), **compute.versions(), "cores": compute.cores()}
    return pd.Series(found, name="version")
