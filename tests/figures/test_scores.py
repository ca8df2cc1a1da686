"""Figures of F1: what their axes show."""

import pytest

from helpers import figures


@pytest.mark.parametrize("base, dapt, ticks", [(87.2, 87.8, ["87.2", "87.8"]), (63.0, 75.4, ["65", "75"])])
def test_the_papers_narrow_panel_has_two_ticks_that_do_not_touch(scores, base, dapt, ticks):
    table = scores(("ag", "news", "base", 60.0, "paper", base), ("ag", "news", "dapt", 70.0, "paper", dapt))
    panel = figures.method_scores(table.assign(paper_sd=0.1))[0].figure.axes[1]
    panel.figure.canvas.draw()
    assert [label.get_text() for label in panel.get_xticklabels()] == ticks
    first, second = (label.get_window_extent() for label in panel.get_xticklabels())
    assert first.x1 + 5 < second.x0


@pytest.mark.parametrize("seeds, foot", [(1, "one seed each, so no intervals"), (3, "95% interval over seeds")])
def test_no_interval_is_named_where_each_score_is_of_one_seed(scores, texts, seeds, foot):
    cells = [dict(task="ag", domain="news", method=method, mean=60.0, n=seeds) for method in ("tapt", "transfer_tapt")]
    table = scores(*cells)
    assert foot in " ".join(texts(figures.method_scores(table)[0])).replace("\n", " ")
    assert ("no intervals" in " ".join(texts(figures.transfer_dumbbell(table)))) == (seeds == 1)
