"""Confusion matrices: which labels are drawn, and what their caption counts."""

import numpy as np
import pandas as pd

from helpers import figures
from helpers.figures.style import DRAWN_FROM
from helpers.results import caption


def test_confusion_matrices_share_labels_and_print_whole_percents():
    names = pd.Index(["no", "yes"])
    tables = {"base": pd.DataFrame([[75.0, 25.0], [np.nan, np.nan]], names, names),
              "tapt": pd.DataFrame([[100.0, 0.0], [40.0, 60.0]], names, names)}  # fmt: skip
    left, right = figures.confusion_matrices(tables, "task")
    assert [text.get_text() for text in left.texts] == ["75", "25"]  # no test text of label 'yes' there
    assert [text.get_text() for text in right.texts] == ["100", "0", "40", "60"]
    assert left.get_title(loc="left") == "task · base" and right.get_title(loc="left") == "task · TAPT"
    assert [label.get_text() for label in left.get_xticklabels()] == ["no", "yes"]


def test_of_many_labels_those_least_often_right_are_drawn(texts):
    names = pd.Index([f"label {n}" for n in range(77)])
    table = pd.DataFrame(np.diag(np.arange(77) * 1.0), names.rename("true"), names.rename("predicted"))
    (ax,) = figures.confusion_matrices({"base": table})
    assert [label.get_text() for label in ax.get_yticklabels()] == names[:30].tolist()
    assert any("the 30 of 77 labels that are least often right" in said for said in texts(ax))
    assert caption(DRAWN_FROM[ax.figure]) == "Right, mean over the labels: base 38 %."  # of all 77, not of the worst
    table.loc[names[:60]] = np.nan  # without a test row nothing was right or wrong
    (ax,) = figures.confusion_matrices({"base": table})
    assert [label.get_text() for label in ax.get_yticklabels()] == names[60:].tolist()
    assert any("the 17 of 77 labels that have test rows" in said for said in texts(ax))
    assert caption(DRAWN_FROM[ax.figure]) == "Right, mean over the labels: base 68 %."
