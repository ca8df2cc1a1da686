"""What the figures show, read back from their artists."""

import gc
import io
import weakref

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from helpers import figures, paper
from helpers.errors import UserError
from helpers.figures.labels import name_points
from helpers.figures.style import DOMAIN_COLOURS, DRAWN_FROM, METHOD_COLOURS, VERDICT_COLOURS


def offsets(ax):
    """Every scattered point as (x, y, filled)."""
    found = []
    for one in ax.collections:
        if hasattr(one, "get_sizes"):
            faces = one.get_facecolors()
            filled = len(faces) > 0 and to_hex(faces[0]) != "#ffffff"
            found += [(round(float(x), 6), round(float(y), 6), filled) for x, y in one.get_offsets()]
    return found


def overlap():
    pairs = {("generic", "cs"): 19.0, ("generic", "news"): 55.5, ("cs", "news"): 16.0}
    rows = [(a, b, v) for (x, y), v in pairs.items() for a, b in ((x, y), (y, x))]
    rows += [(name, name, 100.0) for name in ("generic", "cs", "news")]
    frame = pd.DataFrame(rows, columns=["a", "b", "mean"]).assign(definition="text", preset="demo")
    frame["paper_mean"] = [paper.value("figure2", a, b).mean for a, b in zip(frame["a"], frame["b"], strict=True)]
    return frame


def test_overlap_heatmap_prints_both_numbers_and_the_preset(texts):
    ax = figures.overlap_heatmap(overlap())
    assert "55.5\n(54.1)" in texts(ax) and texts(ax).count("19.0\n(19.2)") == 2 and "100.0" in texts(ax)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["PT", "News", "CS"]
    assert any("preset demo" in one for one in texts(ax))
    assert np.allclose(ax.collections[0].get_array().diagonal(), 100)
    pairs = figures.overlap_heatmap(overlap().assign(unit="character pairs"))
    assert "% of top character pairs shared" in pairs.get_title(loc="left").replace("\n", " ")


def test_loss_matrix_colours_the_change_from_the_base(texts):
    table = pd.DataFrame({
        "model": ["base", "base", "dapt_cs", "dapt_cs"], "sample": ["generic", "cs"] * 2, "mean": [2.0, 3.0, 2.5, 2.25],
        "change": [0, 0, 0.5, -0.75], "paper_mean": [1.19, 1.63, 1.82, 1.34], "preset": "demo",
    })  # fmt: skip
    ax = figures.loss_matrix_heatmap(table)
    assert ax.collections[0].get_array().tolist() == [[0, 0], [0.5, -0.75]]
    assert ax.collections[0].get_clim() == (-0.75, 0.75), "white must mean no change"
    assert "2.25\n(1.34)" in texts(ax) and len(ax.patches) == 1
    assert (ax.patches[0].get_x() + 0.48, ax.patches[0].get_y() + 0.48) == pytest.approx((1.5, 1.5))


def test_loss_curves_draw_one_colour_a_domain():
    runs = [pd.DataFrame({"step": [1, 2], "loss": [5.0, 4.0], "corpus": d, "method": "dapt"}) for d in ("cs", "news")]
    ax = figures.loss_curves(pd.concat(runs), preset="demo")
    assert [to_hex(line.get_color()) for line in ax.lines] == [DOMAIN_COLOURS["cs"], DOMAIN_COLOURS["news"]]
    assert ax.lines[1].get_ydata().tolist() == [5.0, 4.0]
    alone = figures.loss_curves(runs[0][["step", "loss"]].assign(heldout_loss=[np.nan, 4.5]))
    assert [line.get_ydata().tolist() for line in alone.lines] == [[5.0, 4.0], [4.5]]


def test_loss_curves_of_several_adaptations_are_a_line_each_under_one_name():
    curve = pd.DataFrame({"step": [1, 2], "loss": [5.0, 4.0], "corpus": "cs", "method": "dapt"})
    ax = figures.loss_curves(pd.concat([curve.assign(seed=0), curve.assign(seed=1, loss=[6.0, 3.0])]))
    assert [line.get_ydata().tolist() for line in ax.lines] == [[5.0, 4.0], [6.0, 3.0]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["DAPT CS"]
    tapt = curve.assign(method="tapt", corpus="imdb")
    ax = figures.loss_curves(pd.concat([curve.assign(corpus="news"), tapt]))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["DAPT News", "TAPT IMDB"]


def test_method_scores_show_every_seed_and_cross_degenerate_ones(scores, texts):
    cells = [("ag", "news", "base", 60.0, "paper", 93.9), ("ag", "news", "dapt", 70.0), ("bbc", "news", "base", 50.0)]
    table = scores(*cells)
    records = pd.DataFrame({
        "task": "ag", "method": "base", "recipe": "paper", "score": [59.0, 60.0, 61.0], "preset": "demo",
        "base_model": "mini", "degenerate": [False, False, True],
    })  # fmt: skip
    axes = figures.method_scores(table, records)
    assert len(axes) == 2 and axes[0].get_title("left") == "AGNews (macro-F1)"
    seeds = {x for x, y, _ in offsets(axes[0]) if y == 0}
    assert seeds == {59.0, 60.0, 61.0}
    crossed = [one for one in axes[0].collections if len(one.get_offsets()) and one.get_offsets()[0, 0] == 61.0]
    assert len(crossed[0].get_paths()[0].vertices) == 4, "a degenerate seed is an x, not a dot"
    beside = axes[0].figure.axes
    assert (93.9, 0.0, False) in [point for ax in beside if ax not in list(axes) for point in offsets(ax)]
    assert 93.9 > axes[0].get_xlim()[1], "the paper's score keeps an axis of its own"
    assert "no numbers" in texts(axes[0])


def test_method_scores_without_paper_numbers_have_one_column(scores):
    axes = figures.method_scores(scores(("bbc", "news", "base", 60.0), ("bbc", "news", "dapt", 64.0, "strong")))
    assert len(axes[0].figure.axes) == 1
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["base", "DAPT, strong"]
    with pytest.raises(UserError, match="no rows"):
        figures.method_scores(scores(("bbc", "news", "base", 60.0)).head(0))


def test_transfer_dumbbell_joins_both_scores_and_prints_the_change(scores, texts):
    ax = figures.transfer_dumbbell(scores(
        ("chemprot", "biomed", "tapt", 70.0, "paper", 82.6),
        ("chemprot", "biomed", "transfer_tapt", 66.5, "paper", 80.4, "rct"),
    ))  # fmt: skip
    assert ax.lines[0].get_xdata().tolist() == [70.0, 66.5]
    assert "-3.5   paper -2.2" in texts(ax) and "ChemProt\non RCT" in texts(ax)


def test_a_partner_of_another_domain_is_hollow_and_names_it(scores, texts):
    ax = figures.transfer_dumbbell(scores(
        ("chemprot", "biomed", "tapt", 70.0), ("chemprot", "biomed", "transfer_tapt", 66.5, "paper", np.nan, "ag"),
    ))  # fmt: skip
    assert "ChemProt\non AGNews, News" in texts(ax)
    own, other = (to_hex(points.get_facecolor()[0]) for points in ax.collections)
    assert own == METHOD_COLOURS["tapt"] and other == "#ffffff"


def test_gain_scatters_hold_ours_filled_and_the_papers_hollow(scores):
    news = [("bbc", "news", "base", 60.0), ("bbc", "news", "dapt", 61.25)]
    table = scores(*news, ("x", "cs", "base", 50), ("x", "cs", "dapt", 57))
    points = offsets(figures.gain_vs_overlap(table, overlap()))
    assert {p for p in points if p[2]} == {(55.5, 1.25, True), (19.0, 7.0, True)}
    assert len([p for p in points if not p[2]]) == 8 and (19.2, 12.4, False) in points
    losses = pd.DataFrame({"model": ["dapt_cs", "dapt_news"], "sample": ["cs", "news"], "change": [-0.4, 0.1]})
    points = offsets(figures.gain_vs_loss_change(table, losses))
    assert {p for p in points if p[2]} == {(-0.1, 1.25, True), (0.4, 7.0, True)}
    assert {(0.29, 12.4, False), (-0.08, 0.0, False), (0.33, 2.3, False)} <= set(points)


def test_leak_bars_and_scores(scores, texts):
    audit = pd.DataFrame({
        "held": ["train", "dev", "test", "test"], "against": ["train", "train", "train", "dev"],
        "rows": [1688, 114, 139, 139], "exact": [418, 43, 52, 3], "near": [0, 1, 2, 0],
        "exact_percent": [24.8, 37.7, 37.4, 2.2],
        "near_percent": [0, 0.9, 1.4, 0.0], "task": "citation_intent",
    })  # fmt: skip
    ax = figures.leak_bars(audit, preset="demo")
    assert [bar.get_width() for bar in ax.containers[0]] == [37.7, 37.4] and " 54 of 139" in texts(ax)
    leaky = ("citation_intent", "cs", "base", 60.0, "paper", np.nan, "", 52)
    ax = figures.leak_scores(scores(leaky, ("bbc", "news", "base", 70.0)))
    assert offsets(ax) == [(60.0, 0.0, True), (58.5, 0.0, False)]
    assert "no test text is in train" in texts(figures.leak_scores(scores(("bbc", "news", "base", 70.0))))


def test_claims_plot_colours_by_verdict(texts):
    table = pd.DataFrame({
        "claim": ["dapt_beats_base", "tapt_beats_base", "transfer_hurts"], "scope": "all", "recipe": "paper",
        "task": "", "domain": "", "verdict": ["reproduced", "reversed", "undecided"], "effect": [2.0, -3.0, np.nan],
        "low": [1.0, -4.0, np.nan], "high": [3.0, -2.0, np.nan], "paper_effect": [2.75, 1.99, 1.57],
        "control_effect": [0.1, np.nan, np.nan], "preset": "demo", "base_model": "mini", "measure": "f1",
    })  # fmt: skip
    ax = figures.claims_plot(table)
    drawn = {(x, y): filled for x, y, filled in offsets(ax)}
    assert drawn[2.0, 0.0] and not drawn[2.75, 0.0] and not drawn[1.57, 2.0] and (0.1, 0.0) in drawn
    intervals = [line for line in ax.lines if len(set(line.get_ydata())) == 1 and line.get_linewidth() > 2]
    assert [to_hex(line.get_color()) for line in intervals] == [
        VERDICT_COLOURS["reproduced"],
        VERDICT_COLOURS["reversed"],
    ]
    assert "+2.0 [+1.0, +3.0]  reproduced" in texts(ax) and "undecided" in texts(ax)


def test_claims_plot_shows_loss_claims_in_their_own_unit(texts):
    table = pd.DataFrame({
        "claim": ["dapt_beats_base", "loss_falls_at_home"], "scope": "all", "recipe": ["paper", ""], "task": "",
        "domain": "", "verdict": ["smaller", "reproduced"], "effect": [-0.04, 0.42], "low": [-0.5, 0.4],
        "high": [0.4, 0.44], "paper_effect": [2.75, 0.18], "control_effect": np.nan, "measure": ["f1", "domain_loss"],
    })  # fmt: skip
    ax = figures.claims_plot(table, measure="domain_loss")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["DAPT lowers the loss of its own domain"]
    assert "+0.42 [+0.40, +0.44]  reproduced" in texts(ax) and "nats" in ax.get_xlabel()
    read_back = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    assert len(figures.claims_plot(read_back, measure="domain_loss").get_yticklabels()) == 1
    ax = figures.claims_plot(table)
    assert "+0.0 [-0.5, +0.4]  smaller than the paper's" in texts(ax), "no minus before a zero"
    with pytest.raises(UserError, match="measure='points'; expected one of f1"):
        figures.claims_plot(table, measure="points")


def test_claims_of_another_version_are_refused_in_one_line():
    old = pd.DataFrame({"claim": ["dapt_beats_base"], "scope": "all", "recipe": "paper", "verdict": "reproduced"})
    with pytest.raises(UserError, match="^claims_plot: the table has no column 'measure'.*run notebook 06 again$"):
        figures.claims_plot(old)


def test_score_axes_end_at_0_and_100_with_an_arrow_where_an_interval_goes_on(scores):
    cells = {"base": 97.0, "dapt": 4.0, "tapt": 50.0, "transfer_tapt": 51.0, "vampire_2_tapt": 60.0}
    table = scores(*(("bbc", "news", method, value) for method, value in cells.items()))
    table["low"], table["high"] = table["mean"] - 30, table["mean"] + 30
    (ax,) = figures.method_scores(table)
    assert ax.get_xlim()[0] == 0 and ax.get_xlim()[1] == 100
    order = list(table["method"])
    arrows = {(x, order[int(y)]) for x, y, _ in offsets(ax) if x in (0, 100)}
    assert arrows == {(100, "base"), (0, "dapt")}
    table["low"], table["high"] = table["mean"] - 1, table["mean"] + 1
    (ax,) = figures.method_scores(table)
    assert 0 <= ax.get_xlim()[0] < 3 and 98 < ax.get_xlim()[1] <= 100
    assert not any(x in (0, 100) for x, _, _ in offsets(ax))


def test_seed_spread_shows_distances_from_the_mean():
    records = pd.DataFrame({
        "task": "bbc", "method": ["base"] * 3 + ["vampire_5_tapt"], "recipe": "paper", "seed": [0, 1, 2, 0],
        "score": [60.0, 62.0, 67.0, 50.0], "degenerate": [False, False, True, False], "preset": "demo",
    })  # fmt: skip
    assert sorted(x for x, _, _ in offsets(figures.seed_spread(records))) == [-3.0, -1.0, 4.0]


def test_selection_curve_has_dapt_as_the_line_to_reach(scores):
    cells = {"base": 60.0, "dapt": 68.0, "vampire_50_tapt": 64.0, "vampire_500_tapt": 67.0, "random_50_tapt": 61.0}
    table = scores(*(("chemprot", "biomed", method, f1) for method, f1 in cells.items()))
    table["selector"] = ["", "", "vampire", "vampire", "random"]
    table["k"] = pd.array([None, None, 50, 500, 50], dtype="Int64")
    (ax,) = figures.selection_curve(table)
    assert ax.get_xscale() == "log" and [t.get_text() for t in ax.get_xticklabels()] == ["50", "500"]
    curves = {bars.get_label(): bars.lines[0].get_ydata().tolist() for bars in ax.containers}
    assert curves == {"kNN": [64.0, 67.0], "random": [61.0]}
    lines = {line.get_label(): line.get_ydata()[0] for line in ax.lines if line.get_label() in ("DAPT", "base")}
    assert lines == {"DAPT": 68.0, "base": 60.0}
    (again,) = figures.selection_curve(pd.read_csv(io.StringIO(table.to_csv(index=False))))
    assert [bars.get_label() for bars in again.containers] == ["kNN", "random"]
    with pytest.raises(UserError, match="no task has selected text"):
        figures.selection_curve(table.head(0))


def test_vampire_curves_show_both_terms_of_the_loss(texts):
    history = pd.DataFrame({"epoch": [1, 2], "word_loss": [27.5, 26.2], "kl": [61.8, 77.7], "kl_weight": [0.003, 0.02]})
    words, divergence = figures.vampire_curves(history, preset="demo", task="bbc")
    assert words.lines[0].get_ydata().tolist() == [27.5, 26.2] and divergence.lines[0].get_ydata().tolist() == [
        61.8,
        77.7,
    ]
    assert "the KL term's weight rises to 0.02" in " ".join(texts(words.figure))
    with pytest.raises(UserError, match="no epoch"):
        figures.vampire_curves(history[:0])


def test_similarity_histogram_integrates_to_one_and_ignores_nan(texts):
    ax = figures.similarity_histogram({"vampire": [0.8, 0.9, np.nan, 0.85], "random": [0.1, 0.4]}, preset="demo")
    data = DRAWN_FROM[ax.figure]
    area = (data["density"] * (data["to"] - data["from"])).groupby(data["name"]).sum()
    assert area.to_dict() == pytest.approx({"vampire": 1, "random": 1})
    assert "kNN (3)" in texts(ax) and ax.get_xlabel() == "cosine similarity"
    with pytest.raises(UserError, match="no similarities"):
        figures.similarity_histogram({"random": [np.nan]})


def test_text_map_draws_the_task_above_the_domain():
    points = pd.DataFrame({"x": [0, 1, 2], "y": [0, 1, 2], "kind": ["task", "domain", "selected"]})
    ax = figures.text_map(points, preset="demo")
    assert [one.get_label() for one in ax.collections] == ["domain (1)", "selected (1)", "task (1)"]
    with pytest.raises(UserError, match="no column 'kind'"):
        figures.text_map(points.drop(columns="kind"))


def test_cost_scatter_places_every_method_at_its_cost(scores, texts):
    cells = (("base", 60.0), ("dapt", 68.0), ("tapt", 62.0))
    table = scores(*(("rct-sample", "biomed", method, f1) for method, f1 in cells))
    table["steps"] = [np.nan, 12500, 200]
    ax = figures.cost_scatter(table, "steps")
    assert set(offsets(ax)) == {(200.0, 62.0, True), (12500.0, 68.0, True)} and ax.get_xscale() == "log"
    assert {"DAPT", "TAPT", "base"} <= set(texts(ax))
    with pytest.raises(UserError, match="x='money'; expected one of steps"):
        figures.cost_scatter(table, "money")


def test_typical_words_point_to_their_sides():
    table = pd.DataFrame({"domain": ["biomed", "biomed", "cs"], "side": ["a", "b", "a"],
                          "word": ["cell", "film", "graph"], "z": [4.0, -5.0, 3.0]})  # fmt: skip
    biomed, cs = figures.typical_words_bars(table, "reviews")
    bars = {label.get_text(): bar for label, bar in zip(biomed.get_yticklabels(), biomed.patches, strict=True)}
    assert bars["cell"].get_width() == 4.0 and to_hex(bars["cell"].get_facecolor()) == DOMAIN_COLOURS["biomed"]
    assert bars["film"].get_width() == -5.0 and to_hex(bars["film"].get_facecolor()) == DOMAIN_COLOURS["reviews"]
    assert [label.get_text() for label in cs.get_yticklabels()] == ["graph"]


@pytest.mark.parametrize("label", ["$50_$100", "#$%^$", "$0-$50"])
def test_a_label_with_dollars_is_no_formula(label, tmp_path):
    names = pd.Index([label, "other"])
    axes = figures.confusion_matrices({"base": pd.DataFrame([[75.0, 25.0], [0.0, 100.0]], names, names)})
    axes[0].figure.savefig(tmp_path / "a.svg")
    ticks = [*axes[0].get_xticklabels(), *axes[0].get_yticklabels()]
    assert label in {tick.get_text() for tick in ticks} and not any(tick.get_parse_math() for tick in ticks)


def test_names_of_close_points_do_not_cover_each_other():
    import matplotlib.pyplot as plt

    ax = plt.subplots(figsize=(6, 4))[1]
    names = [f"method {i}" for i in range(8)]
    x, y = np.linspace(0, 0.3, 8), np.linspace(0, 0.2, 8)
    ax.scatter([*x, 5], [*y, 4])
    name_points(ax, x, y, names)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert [text.get_text() for text in ax.texts] == names
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_drawing_on_given_axes_leaves_the_callers_settings_alone(scores):
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    ax = plt.subplots()[1]
    assert figures.overlap_heatmap(overlap(), ax=ax) is ax
    assert dict(matplotlib.rcParams) == before


def test_colours_mean_one_thing():
    assert len(set(DOMAIN_COLOURS.values())) == len(DOMAIN_COLOURS)
    assert len(set(METHOD_COLOURS.values())) == len(METHOD_COLOURS)


def test_saved_figures_are_whole_repeatable_and_come_with_their_data(tmp_path, scores, monkeypatch):
    table = scores(("bbc", "news", "base", 60.0), ("bbc", "news", "dapt", 64.0))
    written = figures.save_figure(figures.method_scores(table), tmp_path / "one", "dapt")
    assert [path.name for path in written] == ["dapt.png", "dapt.pdf", "dapt.csv"]
    assert written[0].read_bytes()[:4] == b"\x89PNG" and written[1].read_bytes()[:4] == b"%PDF"
    assert pd.read_csv(written[2])["mean"].tolist() == [60.0, 64.0]
    again = figures.save_figure(figures.method_scores(table), tmp_path / "two", "dapt")
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(written, again, strict=True))
    assert not [path for path in (tmp_path / "one").iterdir() if path.name.startswith(".")]
    with pytest.raises(UserError, match="cannot be a file name"):
        figures.save_figure(figures.method_scores(table), tmp_path, "../up")


def test_a_figure_drawn_elsewhere_is_saved_with_the_table_given(tmp_path):
    import matplotlib.pyplot as plt

    ax = plt.subplots()[1]
    assert [path.suffix for path in figures.save_figure(ax, tmp_path, "own")] == [".png", ".pdf"]
    figures.save_figure(ax, tmp_path, "own", table=pd.DataFrame({"x": [1, 2]}))
    assert (tmp_path / "own.csv").read_text() == "x\n1\n2\n"


def test_a_table_lives_no_longer_than_its_figure(scores):
    import matplotlib.pyplot as plt

    ax = figures.leak_scores(scores(("bbc", "news", "base", 60.0)))
    table = weakref.ref(DRAWN_FROM[ax.figure])
    plt.close(ax.figure)
    del ax
    gc.collect()
    assert table() is None


def test_a_failed_save_keeps_the_old_file(tmp_path, scores, monkeypatch):
    axes = figures.method_scores(scores(("bbc", "news", "base", 60.0)))
    path = figures.save_figure(axes, tmp_path, "dapt")[0]
    before = path.read_bytes()
    monkeypatch.setattr(type(axes[0].figure), "savefig", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        figures.save_figure(axes, tmp_path, "dapt")
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 3


def test_label_curve_has_a_panel_a_task_and_a_line_a_method():
    rows = [("ag", method, labels, seed, score + seed) for method, score in (("base", 50.0), ("dapt", 60.0))
            for labels in (32, 100) for seed in (0, 2)]  # fmt: skip
    curve = pd.DataFrame(rows, columns=["task", "method", "labels", "seed", "score"])
    (ax,) = figures.label_curve(curve, preset="demo")
    lines = [container.lines[0] for container in ax.containers]
    assert [line.get_ydata().tolist() for line in lines] == [[51.0, 51.0], [61.0, 61.0]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["32", "100"] and ax.get_xscale() == "log"
    with pytest.raises(UserError, match="no rows; set READ_OUTS"):
        figures.label_curve(curve.head(0))
    many = figures.label_curve(pd.concat(curve.assign(task=f"t{number}") for number in range(6)))
    assert len(many) == len(many[0].figure.axes) == 6
    left = [round(ax.get_position().x0, 3) for ax in many]
    assert left[:2] == left[4:] and many[0].get_position().y0 > many[4].get_position().y0, "four a row"
    assert [bool(ax.get_ylabel()) for ax in many] == [True, False, False, False, True, False]


def test_the_line_at_the_foot_of_a_narrow_figure_is_not_cut():
    words = pd.DataFrame({"domain": "law", "word": ["court", "film"], "z": [2.0, -1.0], "side": ["a", "b"]})
    figure = figures.typical_words_bars(words, preset="demo")[0].figure
    figure.canvas.draw()
    (foot,) = [text for text in figure.texts if text.get_text().startswith("preset demo")]
    box = foot.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
