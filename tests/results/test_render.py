"""Tables as text: escaped, aligned and readable."""

import re

import numpy as np
import pandas as pd

from helpers.methods import TABLE_3, TABLE_6
from helpers.results import beside_paper, markdown, score_table
from helpers.results.numbers import interval
from helpers.results.render import score, show

NASTY = pd.DataFrame({"a|b": ['<b>&"x"</b>', "50% of $5_000 ±1\n{~^\\}"], "n": [1.256, np.nan]})


def test_scores_are_written_as_the_paper_writes_them():
    assert score(63.0, 5.8) == "63.0 ±5.8" and score(63.0) == "63.0" and score(np.nan, 1) == "" and score(None) == ""
    assert interval(2.345, -0.4, 5) == "+2.3 [-0.4, +5.0]" and interval(-1, np.nan, np.nan) == "-1.0"
    assert interval(-0.04, -0.02, 0.01) == "+0.0 [-0.0, +0.0]", "no minus before a zero that is no bound"
    assert interval(-2.3, -4.5, -0.003) == "-2.3 [-4.5, -0.0]" and interval(1, -0.0, 2) == "+1.0 [+0.0, +2.0]"


def test_markdown_keeps_one_row_a_line():
    lines = markdown(NASTY).splitlines()
    assert len(lines) == 4 and lines[0] == r"| a\|b | n |" and lines[1] == "| --- | ---: |"
    assert lines[2] == '| <b>&"x"</b> | 1.26 |' and lines[3].endswith("|  |")
    ends = markdown(pd.DataFrame({"n": [-0.001], "high": [-0.001]}))
    assert ends.endswith("| 0.00 | -0.00 |\n"), "no minus before a zero, but of a bound"


def test_beside_paper_puts_ours_and_theirs_next_to_each_other(study):
    table = beside_paper(score_table(study({("ag", "base"): 0.6, ("ag", "dapt"): 0.7, ("ag", "tfidf"): 0.6}), TABLE_3))
    assert table.columns.tolist() == ["task", "recipe", "TF-IDF", "base", "base (paper)", "DAPT", "DAPT (paper)"]
    assert table["DAPT (paper)"].item() == "93.9 ±0.2" and " ±" in table["base"].item()


def test_beside_paper_reads_a_saved_table_as_the_one_in_memory(study, tmp_path):
    table = score_table(study({("ag", "tfidf"): 0.6, ("ag", "base"): 0.6, ("ag", "dapt"): 0.7}), TABLE_3)
    table.to_csv(tmp_path / "dapt.csv", index=False)
    pd.testing.assert_frame_equal(beside_paper(pd.read_csv(tmp_path / "dapt.csv")), beside_paper(table))


def test_beside_paper_shows_a_doubtful_number_as_its_grade(study):
    table = beside_paper(score_table(study({("imdb", "transfer_tapt"): 0.6}), TABLE_6))
    assert table["Transfer-TAPT (paper)"].item() == "(grade D)"


def test_a_shown_table_has_plain_headers_whole_sentences_and_nothing_of_its_making():
    why = "a sentence that is far longer than the fifty characters at which pandas cuts"
    table = pd.DataFrame({
        "method": ["dapt_tapt", "vampire_2_tapt"], "tokens": [1_234_567.0, np.nan], "p_holm": [0.25, np.nan],
        "why": [why, "<b>"], "paper_grade": ["A", ""], "records": ["x", "y"], "paper_mean": [np.nan, np.nan],
    })  # fmt: skip
    page = show(table, 2).to_html()
    assert re.findall(r"<th [^>]*>([^<&]+)<", page) == ["method", "tokens", "p (Holm)", "why"]
    cells = re.findall(r"<td [^>]*>([^<]*)<", page)
    assert cells == ["DAPT+TAPT", "1,234,567", "0.25", why, "2NN-TAPT", "", "", "&lt;b&gt;"]
    assert page == show(table, 2).to_html()  # no random names in it: an executed notebook is the same again


def test_a_shown_number_that_rounds_to_zero_has_no_minus():
    table = pd.DataFrame({"gain": [-0.04, -0.06, 1234.56, np.nan], "nats": [-0.0, 0.5, np.inf, -np.inf]})
    cells = re.findall(r"<td [^>]*>([^<]*)<", show(table).to_html())
    assert cells == ["0.0", "0.0", "-0.1", "0.5", "1,234.6", "inf", "", "-inf"]
    assert re.findall(r"<td [^>]*>([^<]*)<", show(table.head(1), 2).to_html()) == ["-0.04", "0"]


def test_a_shown_bound_is_on_the_side_of_zero_where_it_is():
    table = pd.DataFrame({"effect": [-2.3, 0.5], "low": [-4.5, 0.001], "high": [-0.003, 1.0]})
    cells = re.findall(r"<td [^>]*>([^<]*)<", show(table, 2).to_html())
    assert cells == ["-2.30", "-4.50", "-0.00", "0.50", "0.00", "1.00"]


def test_a_shown_table_keeps_an_index_that_names_its_rows():
    named = pd.DataFrame({"loss": [2.5]}, index=pd.Index(["base"], name="model"))
    assert ">base</th>" in show(named).to_html() and ">0</th>" not in show(named.reset_index()).to_html()


def test_a_sentence_under_a_table_is_computed_and_escaped():
    table = pd.DataFrame({"task": ["<b>t</b>"], "method": ["tapt"], "effect": [1.0]})
    page = show(table, told=table).to_html()
    assert "Effect: highest: 1.0 (&lt;b&gt;t&lt;/b&gt;, TAPT)" in page and "<b>t" not in page
    assert "<caption" not in show(table).to_html()
