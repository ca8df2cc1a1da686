"""A notebook's first cells: its parameters out of the cell that papermill fills, and what it runs on."""

from collections.abc import Mapping

import pandas as pd


def parameters(names: Mapping) -> dict:
    """The UPPER_CASE names among a notebook's `globals()`, those that papermill injected included.

    `Study.open` refuses the ones that are no parameter, so a misspelt `-p` stops a run instead of being ignored.
    """
    return {name: value for name, value in names.items() if name.isupper() and not name.startswith("_")}


def environment() -> pd.Series:
    """Versions that results depend on, the code's commit and the cores this process may use."""
    from helpers import __version__, compute

    found = {"helpers": __version__, "commit": compute.git_commit(), **compute.versions(), "cores": compute.cores()}
    return pd.Series(found, name="version")
