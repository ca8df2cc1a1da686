"""The stored numbers agree with each other wherever the paper states one fact twice."""

import pytest

from helpers import paper
from helpers.errors import UserError


def f1(name):
    return paper.table(name).pivot(index="task", columns="method", values="mean")


def test_means_over_the_eight_tasks():
    third, fifth = f1("table3"), f1("table5")
    assert third[["base", "dapt", "not_dapt"]].mean().round(2).tolist() == [81.25, 84.00, 80.12]
    assert fifth[["tapt", "dapt_tapt"]].mean().tolist() == pytest.approx([83.24, 84.75], abs=0.006)
    assert (third["base"] == fifth["base"]).all() and (third["dapt"] == fifth["dapt"]).all()


def test_the_scatter_repeats_tables_1_and_3():
    scatter = paper.table("scatter").pivot(index="task", columns="quantity", values="value")
    third = f1("table3").loc[scatter.index]
    assert scatter["gain"].to_numpy() == pytest.approx((third["dapt"] - third["base"]).to_numpy(), abs=1e-9)
    losses = paper.table("table1").pivot(index="domain", columns="quantity", values="value").drop("generic")
    falls = sorted((losses["loss_base"] - losses["loss_dapt"]).round(2))
    assert falls == sorted(set(scatter["loss_change"])) == [-0.08, 0.17, 0.29, 0.33]


def test_table_12_repeats_table_1():
    for row in paper.table("table1").itertuples():
        if row.quantity == "loss_base":
            assert paper.value("table12", row.domain, "base").mean == row.value
        if row.quantity == "loss_dapt":
            assert paper.value("table12", row.domain, f"dapt_{row.domain}").mean == row.value


def test_tables_6_to_9_repeat_their_anchors():
    eighth, ninth = f1("table8"), f1("table9").loc["rct-sample"]
    shared = ["base", "tapt", "vampire_50_tapt", "vampire_150_tapt", "vampire_500_tapt", "dapt"]
    assert eighth.loc["rct-sample", shared].tolist() == ninth[shared].tolist()
    for task in ("chemprot", "citation_intent"):
        assert eighth.loc[task, ["base", "dapt"]].tolist() == f1("table3").loc[task, ["base", "dapt"]].tolist()
        assert eighth.loc[task, "tapt"] == f1("table5").loc[task, "tapt"] == f1("table6").loc[task, "tapt"]


def test_steps_of_table_9_follow_from_its_documents():
    rows = paper.table("table9").dropna(subset=["steps"]).set_index("method")
    assert rows.loc["tapt", "documents"] * 100 / 256 == pytest.approx(rows.loc["tapt", "steps"], rel=0.05)
    for method in ("vampire_50_tapt", "vampire_150_tapt", "vampire_500_tapt", "curated_tapt"):
        assert rows.loc[method, "documents"] * 100 / 2048 == pytest.approx(rows.loc[method, "steps"], rel=0.07)


def test_figure_2_is_whole_and_symmetric():
    names = ("generic", "biomed", "cs", "news", "reviews")
    for a in names:
        for b in names:
            assert paper.value("figure2", a, b) == paper.value("figure2", b, a) is not None
    assert paper.value("figure2", "news", "reviews").grade == "A"
    assert paper.value("figure2", "biomed", "cs").mean == 21.4


def test_reruns_have_the_means_their_authors_print():
    runs = paper.table("reruns").groupby(["run", "method"])["mean"].mean()
    assert runs["S2_paper_recipe", "base"] == pytest.approx(82.24, abs=0.01)
    assert runs["S2_longer_recipe", "base"] == pytest.approx(84.12, abs=0.01)
    assert runs["S2_longer_recipe", "dapt_tapt"] == pytest.approx(85.57, abs=0.01)
    assert runs["S7", "base"] == pytest.approx(82.7, abs=0.05) and runs["S7", "tapt"] == pytest.approx(83.65, abs=0.01)


def test_doubtful_numbers_are_marked():
    doubtful = paper.value("table6", "imdb", "transfer_tapt")
    assert doubtful.grade == "D" and not doubtful.asserted
    assert paper.value("table6", "chemprot", "transfer_tapt").asserted
    for name in paper.TABLES:
        table = paper.table(name)
        if "grade" in table:
            assert set(table["grade"]) <= {"A", "A-", "B", "C", "D"}
            assert (table["asserted"] == table["grade"].isin(["A", "A-", "B"])).all()
            assert table["source"].ne("").all()
            assert not table.duplicated(list(table.columns[:2])).any()
    assert {"C", "D"} == set(paper.table("table6").query("not asserted")["grade"])


def test_the_two_sds_of_dapt_on_imdb_are_kept_apart():
    assert paper.value("table3", "imdb", "dapt").sd == 0.2
    assert paper.value("table5", "imdb", "dapt").sd == 0.1


def test_a_table_is_the_readers_own_copy():
    mine = paper.table("table3")
    mine["mean"] = 0
    assert paper.value("table3", "rct", "base").mean == 87.2 and paper.table("table3")["mean"].min() > 60


def test_unknown_names():
    assert paper.value("table3", "bbc", "dapt") is None
    with pytest.raises(UserError, match="'table4': expected one of table1"):
        paper.table("table4")
    with pytest.raises(UserError, match="re-runs by others"):
        paper.value("reruns", "ag", "base")
