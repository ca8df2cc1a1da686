"""Tables against the records they were made from, and the paper's numbers beside them."""

import numpy as np
import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.methods import TABLE_3, TABLE_5, TABLE_6
from helpers.results import (
    cost_table,
    load_records,
    mlm_loss_table,
    overlap_table,
    score_table,
    selection_table,
    write_record,
)
from helpers.results.tables import SCORE_COLUMNS


def test_every_cell_follows_from_its_records(study, tmp_path):
    records = study({("ag", "base"): 0.6, ("ag", "dapt"): 0.8, ("imdb", "base"): 0.7, ("imdb", "dapt"): 0.7})
    table = score_table(records, TABLE_3)
    assert list(table.columns) == list(SCORE_COLUMNS) and len(table) == 4
    cell = table.query("task == 'ag' and method == 'dapt'").iloc[0]
    paths = cell["records"].split(";")
    scores = records[records["path"].isin(paths)]["score"]
    assert len(paths) == 3 and all((tmp_path / path).exists() for path in paths)
    assert cell["mean"] == pytest.approx(scores.mean()) and cell["sd"] == pytest.approx(scores.std())
    assert cell["low"] < cell["mean"] < cell["high"] and cell["n"] == 3 and cell["preset"] == "smoke"


def test_the_papers_numbers_stand_beside_their_own_task_only(study):
    table = score_table(
        study({("ag", "dapt"): 0.8, ("chemprot", "not_dapt"): 0.6, ("chemprot", "tfidf"): 0.6}), TABLE_3
    )
    cells = table.set_index(["task", "method"])
    assert cells.loc[("ag", "dapt"), ["paper_mean", "paper_sd", "paper_grade"]].tolist() == [93.9, 0.2, "A"]
    assert cells.loc[("chemprot", "not_dapt"), "paper_mean"] == 79.4
    assert np.isnan(cells.loc[("chemprot", "tfidf"), "paper_mean"])
    assert cells.loc[("chemprot", "tfidf"), "paper_grade"] == ""


def test_doubtful_numbers_show_their_grade_and_no_mean(study):
    cells = score_table(
        study({("imdb", "transfer_tapt"): 0.8, ("imdb", "tapt"): 0.8, ("ag", "transfer_tapt"): 0.7}), TABLE_6
    )
    cells = cells.set_index(["task", "method"])
    assert cells["paper_mean"].isna().all() and cells["paper_sd"].isna().all()
    assert cells["paper_grade"].to_dict() == {
        ("ag", "transfer_tapt"): "C", ("imdb", "tapt"): "D", ("imdb", "transfer_tapt"): "D"
    }  # fmt: skip


def test_the_strong_recipe_is_a_row_of_its_own_without_paper_numbers(study, record, tmp_path):
    study({("ag", "base"): 0.6})
    write_record(tmp_path / "records", record("ag", "base", 0, 0.9, recipe="strong"))
    table = score_table(load_records(tmp_path / "records"), TABLE_5)
    assert table["recipe"].tolist() == ["paper", "strong"] and table["n"].tolist() == [3, 1]
    assert table["paper_mean"].tolist()[0] == 93.9 and np.isnan(table["paper_mean"].tolist()[1])
    assert np.isnan(table["sd"].tolist()[1]) and table["mean"].tolist()[1] > table["mean"].tolist()[0]


def test_rows_come_in_the_papers_order(study):
    table = score_table(
        study({(t, m): 0.7 for t in ("imdb", "ag", "chemprot") for m in ("dapt_tapt", "base", "tapt")}), TABLE_5
    )
    assert table["task"].unique().tolist() == ["chemprot", "ag", "imdb"]
    assert table["method"].tolist() == ["base", "tapt", "dapt_tapt"] * 3


def test_degenerate_seeds_are_counted_not_dropped(record, tmp_path):
    for seed in range(3):
        write_record(tmp_path / "records", record("ag", "base", seed, 0.7, degenerate=seed == 1))
    row = score_table(load_records(tmp_path / "records"), TABLE_3).iloc[0]
    assert row["degenerate"] == 1 and row["n"] == 3


def test_leaked_rows_are_left_out_beside_the_full_score(record, tmp_path):
    for seed in range(2):
        one = record("chemprot", "base", seed, 0.5, rows=60)
        right = np.flatnonzero(np.equal(one["test_gold"], one["test_predictions"]))
        write_record(tmp_path / "records", one | {"test_leaked": right[:12].tolist()})
    row = score_table(load_records(tmp_path / "records"), TABLE_3).iloc[0]
    assert row["leaked"] == 12
    assert row["mean_without_leaked"] == pytest.approx((row["mean"] * 60 - 1200) / 48)


def test_presets_and_base_models_are_never_averaged(record, tmp_path):
    write_record(tmp_path / "records", record("ag", "base", 0, 0.6))
    write_record(tmp_path / "records", record("ag", "base", 1, 0.9, preset="paper", base_model="roberta-base"))
    table = score_table(load_records(tmp_path / "records"), TABLE_3)
    assert table["n"].tolist() == [1, 1] and set(table["preset"]) == {"smoke", "paper"}


def test_a_seed_twice_is_refused(study):
    records = study({("ag", "base"): 0.6})
    with pytest.raises(UserError, match="seed 0 of ag/base is there twice"):
        score_table(pd.concat([records, records.head(1)]), TABLE_3)


def test_selection_lists_selectors_and_the_lines_to_reach(study):
    methods = ("base", "dapt", "tapt", "vampire_150_tapt", "vampire_50_tapt", "random_50_tapt")
    cells = {("chemprot", method): 0.7 for method in methods} | {("ag", "base"): 0.7}
    measured = {"selected_words": 900, "word_cover": 0.5, "selection_seconds": 2.5, "corpus": "biomed",
                "mlm_loss_before": 4.0, "mlm_loss_after": 3.5}  # fmt: skip
    table = selection_table(study(cells, adaptation=measured))
    assert set(table["task"]) == {"chemprot"}
    rows = table.set_index("method")
    assert rows.loc["vampire_50_tapt", ["selector", "k", "selected_words"]].tolist() == ["vampire", 50, 900]
    assert rows.loc["vampire_50_tapt", ["word_cover", "selection_seconds", "dev_mlm_loss"]].tolist() == [0.5, 2.5, 3.5]
    assert rows.loc["base", "dev_mlm_loss"] == 4.0 and pd.isna(rows.loc["dapt", "dev_mlm_loss"])
    assert rows.loc["dapt", "selector"] == "" and pd.isna(rows.loc["dapt", "k"])
    assert rows.loc["vampire_150_tapt", "paper_mean"] == 83.2 and rows.loc["random_50_tapt", "paper_mean"] == 81.9
    assert rows.index.tolist()[-3:] == ["random_50_tapt", "vampire_50_tapt", "vampire_150_tapt"]


def test_cost_counts_both_stages_of_dapt_tapt(record, tmp_path):
    spent = {"dapt": 1000, "tapt": 10, "dapt_tapt": 10}
    for method, steps in spent.items():
        spend = {name: steps for name in ("steps", "documents", "tokens", "bytes", "seconds")}
        write_record(tmp_path / "records", record("rct-sample", method, 0, 0.7, domain="biomed", adaptation=spend))
    write_record(tmp_path / "records", record("rct-sample", "base", 0, 0.6, domain="biomed"))
    table = cost_table(load_records(tmp_path / "records")).set_index("method")
    assert table["steps"].drop("base").to_dict() == {"dapt": 1000, "tapt": 10, "dapt_tapt": 1010}
    assert np.isnan(table.loc["base", "steps"])
    assert table.loc["dapt_tapt", ["seconds", "fine_tune_seconds"]].tolist() == [1010, 4.5]
    assert table.loc["dapt", ["paper_steps", "paper_documents", "paper_bytes"]].tolist() == [12500, 25e6, 47e9]
    assert table.loc["tapt", "paper_mean"] == 79.8


def test_no_records_give_empty_tables_with_columns(tmp_path):
    records = load_records(tmp_path)
    for make in (score_table, selection_table, cost_table):
        table = make(records)
        assert table.empty and {"mean", "paper_mean", "records"} <= set(table.columns), make.__name__


def test_overlap_and_loss_tables_carry_the_papers_values():
    overlap = pd.DataFrame(
        [("news", "generic", d, 50.0, 48.0, 52.0, 90, 80) for d in ("text", "script")],
        columns=["a", "b", "definition", "percent", "low", "high", "documents_a", "documents_b"],
    )
    table = overlap_table(overlap, "demo", "records/overlap.json")
    assert table["paper_mean"].tolist()[0] == 54.1 and np.isnan(table["paper_mean"].tolist()[1])
    assert table["n"].tolist() == [80, 80] and set(table["records"]) == {"records/overlap.json"}
    losses = pd.DataFrame({"model": ["base", "dapt_cs"], "sample": ["cs"] * 2, "loss": [3.0, 2.5], "n": [40, 40]})
    table = mlm_loss_table(losses, "demo")
    assert table["change"].tolist() == [0.0, -0.5] and table["paper_mean"].tolist() == [1.63, 1.34]
    with pytest.raises(UserError, match="no column 'sample'"):
        mlm_loss_table(losses.drop(columns="sample"), "demo")
