"""Small tables by hand, and figures closed after each test."""

import matplotlib
import pandas as pd
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture
def scores():
    """A score table: two tasks, the first one of the paper's, with the columns that plots read."""

    def row(task, domain, method, mean, recipe="paper", paper_mean=float("nan"), corpus="", leaked=0, **other):
        return {
            "task": task, "domain": domain, "method": method, "recipe": recipe, "corpus": corpus, "metric": "macro_f1",
            "mean": mean, "sd": 1.0, "n": 3, "low": mean - 2, "high": mean + 2, "leaked": leaked,
            "mean_without_leaked": mean - (1.5 if leaked else 0), "paper_mean": paper_mean, "paper_sd": 0.5,
            "paper_grade": "A", "base_model": "mini", "preset": "demo",
        } | other  # fmt: skip

    def table(*rows):
        return pd.DataFrame([row(*one) if isinstance(one, tuple) else row(**one) for one in rows])

    return table


@pytest.fixture
def texts():
    """A function: every text of a figure, in one list."""

    def found(axes):
        import matplotlib.text

        return [one.get_text() for one in axes.figure.findobj(matplotlib.text.Text) if one.get_text()]

    return found
