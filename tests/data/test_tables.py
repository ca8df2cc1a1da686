"""CSV and TSV: headers, the numbers of rows, and quotation marks that swallow rows."""

import csv

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.data.records import _closed_rows, labelled, records
from helpers.errors import UserError
from tests.data.test_any_file import FRAME


@pytest.mark.parametrize("name, text, said", [
    ("rows.csv", "text;year\nthe dog barks;2010\n", "parted by semicolons; save it with commas"),
    ("rows.csv", "text\tyear\nthe dog barks\t2010\n", "parted by tabs; name it .tsv"),
    ("rows.tsv", "text,label\nthe dog barks,a\n", "parted by commas; name it .csv"),
    ("rows.csv", "text,label,label\na,b,c\n", "column 'label' is there twice; rename one of them"),
])  # fmt: skip
def test_a_header_that_would_be_misread_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=said):
        list(records(tmp_path / name))


def test_a_single_column_may_have_its_own_mark_in_its_name(tmp_path):
    (tmp_path / "rows.csv").write_text('"What, if anything"\n"yes, it is"\n')
    assert [value for *_, value in records(tmp_path / "rows.csv")] == [{"What, if anything": "yes, it is"}]


def test_rows_are_counted_as_the_file_counts_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\nx,a\n,b\n")
    with pytest.raises(UserError, match="a.csv, row 3: text is empty"):
        labelled(path)
    assert [row for _, row, _ in records(FRAME[:2])] == [1, 2]


def test_a_quote_that_swallows_rows_of_a_tsv_is_named(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"Hello there\ta\nfine\tb\nbye" he said\ta\nnext\tb\n')
    with pytest.raises(UserError, match="a.tsv, row 2: text holds tabs and line breaks, so it has swallowed rows"):
        labelled(path)
    path.write_text('text\tlabel\n"two\nlines, ""x"" quoted"\ta\nnext\tb\n')
    assert labelled(path)[0]["text"].tolist() == ['two\nlines, "x" quoted', "next"]


def test_a_quote_that_swallows_rows_of_a_csv_is_named_and_cells_of_several_lines_are_read(tmp_path):
    path = tmp_path / "a.csv"
    head = 'text,label\n"two\nlines, ""x"" quoted",a\n\n"Crash" foo,bug\n5" disk,bug\n"blank after\nit" ,b\n'
    path.write_text(head)
    texts = ['two\nlines, "x" quoted', "Crash foo", '5" disk', "blank after\nit "]
    assert labelled(path)[0]["text"].tolist() == texts
    for stray in ('"Hello there,a\nfine,b\n"Bye" he said,a\n', '"Hello there,a\n\nfine,"b" or c\n'):
        path.write_text(head + stray + "next,b\n")
        with pytest.raises(UserError, match="a.csv, row 6: a cell of several lines goes on after its closing"):
            labelled(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(st.tuples(*[st.text('",;\t\r\n aé')] * 2), max_size=6),
    how=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    mark=st.sampled_from([(".csv", ","), (".tsv", "\t")]),
)
def test_no_table_that_is_quoted_well_is_refused(tmp_path, cells, how, mark):
    rows = [("text", "label"), *cells]
    with open(tmp_path / f"rows{mark[0]}", "w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=mark[1], quoting=how).writerows(rows)
    assert list(_closed_rows(tmp_path / f"rows{mark[0]}", mark[1]))[-1] == len(rows)
