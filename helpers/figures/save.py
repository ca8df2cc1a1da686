"""Figures on disk: PNG and PDF to look at, CSV to draw them again from."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.figures.style import DRAWN_FROM


def save_figure(axes, folder, name: str, table: pd.DataFrame | None = None) -> list[Path]:
    """Write <name>.png, .pdf and the .csv it was drawn from, each whole or not at all.

    axes: Axes, an array of them, or a Figure. table: for the CSV; by default the one that the plot of this room drew.
    A figure drawn elsewhere has none, and without `table` no CSV is written.
    Returns the paths written. Files are the same for the same figure: they carry no date.
    """
    if not name or "/" in name or name.startswith("."):
        raise UserError(f"save_figure: {name!r} cannot be a file name")
    first = np.ravel(axes)[0] if not hasattr(axes, "savefig") else axes
    figure = first if hasattr(first, "savefig") else first.figure
    table = DRAWN_FROM.get(figure) if table is None else table
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    writers = {
        "png": lambda path: figure.savefig(path, format="png", dpi=200, metadata={"Software": None}),
        "pdf": lambda path: figure.savefig(path, format="pdf", metadata={"CreationDate": None}),
    }
    if table is not None:
        writers["csv"] = lambda path: table.to_csv(path, index=False)
    written = []
    for kind, write in writers.items():
        path = folder / f"{name}.{kind}"
        aside = folder / f".{name}.{os.getpid()}.{kind}"
        try:
            with warnings.catch_warnings():  # of letters that no font has, style.styled has told
                warnings.filterwarnings("ignore", "Glyph .* missing from font")
                write(aside)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
        written.append(path)
    return written
