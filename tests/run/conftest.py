"""Folders of invented runs."""

import pandas as pd


def write_table(run, name, rows):
    """Write rows as tables/<name>.csv of a run's folder, made where it is not there, and return the folder."""
    (run / "tables").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(run / "tables" / f"{name}.csv", index=False)
    return run
