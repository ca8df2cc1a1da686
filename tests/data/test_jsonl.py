"""Reading: what is right comes back unchanged, what is wrong is named by file and row."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.data import jsonl
from helpers.data.records import Texts, labelled
from helpers.errors import UserError

texts = st.text(st.characters(exclude_categories=("Cs",))).map(lambda text: "x" + text)

labels = st.sampled_from(["a", "b/c d", "5"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    rows=st.lists(st.tuples(texts, st.sampled_from(["a", "b/c d", "5"])), min_size=1, max_size=5),
    suffix=st.sampled_from([".jsonl", ".jsonl.gz"]),
)
def test_written_rows_are_read_back(tmp_path, rows, suffix):
    path = tmp_path / f"rows{suffix}"
    assert jsonl.write(path, ({"text": text, "label": label} for text, label in rows)) == len(rows)
    assert list(labelled(path)[0].itertuples(index=False, name=None)) == rows
    assert list(Texts(path)) == [text for text, _ in rows]


def test_equal_rows_give_equal_bytes_and_nothing_is_left_aside(tmp_path):
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        jsonl.write(tmp_path / name, [{"text": "same"}])
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.jsonl"
    jsonl.write(path, [{"text": "old"}])
    with pytest.raises(TypeError):
        jsonl.write(path, [{"text": "new"}, {"text": object()}])
    assert list(Texts(path)) == ["old"] and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{text: 1}", "row 2: malformed JSON"),
        ("[1]", "row 2: expected a JSON object"),
        ('{"label": "a"}', "row 2: text is missing"),
        ('{"text": "  ", "label": "a"}', "row 2: text is empty"),
        ('{"text": 3, "label": "a"}', "row 2: text is not a string"),
        ('{"text": "x"}', "row 2: label is missing"),
        ('{"text": "x", "label": null}', "row 2: label has no value"),
        ('{"text": "x", "label": ""}', "row 2: label is empty"),
        ('{"text": "x", "label": 1.5}', "row 2: label is a float"),
        ('{"text": "x", "label": ["a"]}', "row 2: label is a list"),
    ],
)
def test_a_bad_row_is_named(tmp_path, line, said):
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "fine", "label": "a"}\n' + line + "\n")
    with pytest.raises(UserError, match=said) as caught:
        labelled(path)[0]
    assert "train.jsonl" in str(caught.value) and "\n" not in str(caught.value)


def test_numbers_and_booleans_serve_as_labels_by_their_spelling(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"text": "x", "label": label}) for label in (0, 12, True, False, "true")))
    assert list(labelled(path)[0]["label"]) == ["0", "12", "true", "false", "true"]


def test_blank_lines_count_as_rows_but_are_passed_over(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('\n{"text": "x"}\n\n')
    assert list(jsonl.read_rows(path)) == [(2, {"text": "x"})]


def test_files_that_cannot_be_read_are_refused(tmp_path):
    whole = gzip.compress(b'{"text": "x", "label": "a"}\n' * 2000)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "plain.jsonl.gz").write_bytes(b'{"text": "x"}')
    (tmp_path / "latin.jsonl").write_bytes('{"text": "é", "label": "a"}'.encode("latin-1"))
    (tmp_path / "empty.jsonl").write_bytes(b"")
    for name, said in (
        ("cut.jsonl.gz", "damaged gzip"),
        ("plain.jsonl.gz", "damaged gzip"),
        ("latin.jsonl", "not UTF-8"),
        ("empty.jsonl", "no rows"),
        ("gone.jsonl", "no such file"),
    ):
        with pytest.raises(UserError, match=said):
            labelled(tmp_path / name)[0]
