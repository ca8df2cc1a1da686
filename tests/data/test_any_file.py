"""The same rows in every form people keep them in; columns, labels, splits and names by one rule each."""

import gzip
import json
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from helpers.data import (
    Corpus,
    available,
    domain_name,
    domain_names,
    domain_spec,
    load_domain,
    load_task,
    read_task_file,
    task_spec,
)
from helpers.data.records import labelled, records
from helpers.errors import UserError

ROWS = [{"text": f"text “{n}”, with a comma", "label": "pos" if n % 2 else "neg"} for n in range(60)]
FRAME = pd.DataFrame(ROWS)


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch):
    monkeypatch.setenv("DSP_OFFLINE", "1")


def write_jsonl(path, rows=ROWS):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def as_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rows.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))


FORMS = {
    "rows.jsonl": write_jsonl,
    "ROWS.JSONL": write_jsonl,
    "rows.jsonl.gz": lambda path: path.write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode())),
    "rows.jsonl.zip": as_zip,
    "rows.json": lambda path: path.write_text(json.dumps(ROWS, indent=1)),
    "lines.json": write_jsonl,
    "rows.csv": lambda path: FRAME.to_csv(path, index=False),
    "excel.csv": lambda path: FRAME.to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\r\n"),
    "rows.csv.gz": lambda path: FRAME.to_csv(path, index=False),
    "rows.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "rows.parquet": lambda path: FRAME.to_parquet(path),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_rows(tmp_path, name):
    FORMS[name](tmp_path / name)
    frame, note = labelled(tmp_path / name)
    assert frame.to_dict("records") == ROWS and note == ""
    assert list(load_domain(tmp_path / name)) == FRAME["text"].tolist()


def test_a_frame_a_dataset_and_a_saved_folder_give_the_same_rows(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    rows = Dataset.from_dict({"text": FRAME["text"].tolist(), "label": [int(x == "pos") for x in FRAME["label"]]},
                             features=features)  # fmt: skip
    rows.save_to_disk(tmp_path / "saved")
    for source in (FRAME, rows, tmp_path / "saved"):
        assert labelled(source)[0].to_dict("records") == ROWS
    splits = DatasetDict({"train": rows, "validation": rows.select(range(5)), "test": rows.select(range(9))})
    splits.save_to_disk(tmp_path / "splits")
    for source in (splits, tmp_path / "splits"):
        task = load_task(source)
        assert (len(task.train), len(task.dev), len(task.test)) == (60, 5, 9) and task.labels == ("neg", "pos")
    assert list(load_domain(rows)) == list(load_domain(tmp_path / "splits" / "train")) == FRAME["text"].tolist()
    with pytest.raises(UserError, match="splits: a DatasetDict of train, validation, test; .* such as .*/splits/train"):
        load_domain(tmp_path / "splits")
    with pytest.raises(UserError, match="data: a DatasetDict of train, validation, test; give one of its splits"):
        list(load_domain(splits))
    assert load_task({"train": FRAME, "dev": FRAME[:4], "test": FRAME[:4]}, name="mine").spec.name == "mine"


def test_plain_text_is_a_document_a_line_and_in_a_folder_a_document_a_file(tmp_path):
    (tmp_path / "law.txt").write_text("one\n\ntwo\r\nthree")
    assert list(load_domain(tmp_path / "law.txt")) == ["one", "two", "three"]
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "a.txt").write_text("first\nletter")
    (folder / "b.TXT").write_text("second")
    write_jsonl(folder / "c.jsonl", [{"text": "third"}])
    assert list(load_domain(folder)) == ["first\nletter", "second", "third"]


def test_columns_of_other_names_are_found_and_said_or_named(tmp_path):
    path = tmp_path / "mails.csv"
    FRAME.rename(columns={"text": "Body", "label": "category"}).assign(id=1).to_csv(path, index=False)
    task = load_task(path)
    assert "text from 'Body', label from 'category'" in task.source and task.name == "mails"
    assert "text from 'Body'" in load_domain(path).source
    FRAME.rename(columns={"text": "q", "label": "kind"}).to_csv(path, index=False)
    assert sorted(load_task(path, text_column="q", label_column="kind").labels) == ["neg", "pos"]
    with pytest.raises(UserError, match=r"row 2: text is missing; found the keys 'q', 'kind'; .*text_column"):
        load_task(path)
    with pytest.raises(UserError, match="no column 'kinds'. Did you mean kind"):
        load_task(path, text_column="q", label_column="kinds")
    with pytest.raises(UserError, match=r"label is missing; found the keys 'q', 'kind'"):
        load_task(path, text_column="q")


@pytest.mark.parametrize("none", [None, float("nan"), pd.NA, "", " "])
def test_a_row_without_its_group_stands_alone(none):
    groups = [1, 1, *[none] * (len(FRAME) - 2)]
    found = labelled(FRAME.assign(group_id=pd.Series(groups, dtype=object, index=FRAME.index)))[0]["group_id"]
    assert found.nunique() == len(FRAME) - 1 and found.iloc[0] == found.iloc[1] == "1"


def test_rows_without_a_group_stand_alone_whatever_their_numbers_in_their_files(tmp_path):
    names = [str(tmp_path / name) for name in ("train-0-of-2.csv", "train-1-of-2.csv")]
    groups = [["row 3", "", "", "g "], ["", "", "g", "row 3"]]  # row 3 is also what the second row's number would say
    for name, own in zip(names, groups, strict=True):
        FRAME[:4].assign(group_id=own).to_csv(name, index=False)
    found = labelled(names)[0]["group_id"].tolist()
    together = [{place for place, one in enumerate(found) if one == group} for group in dict.fromkeys(found)]
    assert together == [{0, 7}, {1}, {2}, {3, 6}, {4}, {5}]


def test_groups_are_found_by_the_rule_of_text_and_label(tmp_path):
    path = tmp_path / "rows.csv"
    numbers = [str(n // 3) for n in range(len(FRAME))]
    for spelling in ("group_id", " group_id", "Group_ID"):
        FRAME.assign(**{spelling: numbers}).to_csv(path, index=False)
        assert labelled(path)[0]["group_id"].tolist() == numbers
    rows = [ROWS[0], {**ROWS[1], "GROUP_ID": "a"}, {**ROWS[2], "group_id": "a"}]
    assert labelled(write_jsonl(tmp_path / "rows.jsonl", rows))[0]["group_id"].tolist()[1:] == ["a", "a"]


@pytest.mark.parametrize("one, other", [
    ("caf\u00e9", "cafe\u0301"), ("bug", "\u200bbug"), ("bug", "\uff42ug"), ("a b", "a\u00a0b"),
    ("co-op", "co-\u00adop"),
])  # fmt: skip
def test_labels_that_look_alike_are_refused_and_kept_as_they_are_spelt(one, other):
    rows = [{"text": "x", "label": label} for label in (one, "else", one, other)]
    with pytest.raises(UserError, match=r"\(row 1\) and .* \(row 4\) differ by case, spacing or signs"):
        labelled(pd.DataFrame(rows))
    assert labelled(pd.DataFrame(rows[1:3]))[0]["label"].tolist() == ["else", one]
    assert labelled(pd.DataFrame(rows[3:]))[0]["label"].tolist() == [other]
    with pytest.raises(UserError, match="first row 1: .*; it and 'pos' differ by"):
        load_task({"train": FRAME, "dev": FRAME[:1].replace("neg", "p\u200bos"), "test": FRAME[:1]})


def test_labels_lose_spaces_and_those_that_differ_by_case_alone_are_named(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "x", "label": label} for label in ("pos", "pos ", "neg")])
    assert labelled(path)[0]["label"].tolist() == ["pos", "pos", "neg"]
    write_jsonl(path, [{"text": "x", "label": label} for label in ("pos", "neg", "Pos")])
    with pytest.raises(UserError, match=r"labels 'pos' \(row 1\) and 'Pos' \(row 3\) differ by case, spacing"):
        labelled(path)
    with pytest.raises(UserError, match="dev: 1 rows have labels .* first row 1: 'POS'; it and 'pos' differ"):
        load_task({"train": FRAME, "dev": FRAME[:1].replace("neg", "POS"), "test": FRAME[:1]})
    assert labelled(pd.DataFrame({"text": ["x", "y"], "label": np.array([0, 3])}))[0]["label"].tolist() == ["0", "3"]
    many = pd.DataFrame({"text": [f"t {n}" for n in range(40)], "label": [f"a/b {n}" for n in range(40)]})
    assert labelled(many)[0]["label"].nunique() == 40


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", gzip.compress(b'{"text": "x"}', mtime=0), "gzip-compressed; name it a.jsonl.gz"),
        ("a.csv", b"PK\x03\x04rest", "a zip archive"),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("a.jsonl", b"<!DOCTYPE html><p>404", "a web page"),
        ("a.csv", "text,label\nx,a\n".encode("utf-16"), "UTF-16"),
        ("a.jsonl", b"PAR1xxxx", "Parquet; name it a.parquet"),
        ("a.parquet", b"not parquet at all", "no Parquet file"),
        ("a.jsonl", '{"text": "x"}\n{"text": "é"}'.encode("cp1252"), "row 2: not UTF-8 .*cp1252"),
        ("a.csv", "text,label\nx,a\né,b\n".encode("cp1252"), "row 3: not UTF-8"),
        ("a.txt", "one\né".encode("latin-1"), "row 2: not UTF-8"),
        ("a.jsonl", b'[\n {"text": "x"}\n]', "looks like a JSON array: name it .json"),
        ("a.jsonl", b'{"text": ' + b"[" * 200_000, "row 1: nested too deeply|row 1: malformed"),
        ("a.json", b"[" * 200_000, "nested too deeply|malformed"),
        ("a.jsonl", b'{"text": "a\x01b"}', "row 1: malformed JSON .*control character"),
        ("a.csv", b'text,label\n"open,a\n', "malformed table"),
        ("a.csv", b"text,label\na,b,c,d\n", "row 2: more fields than the header"),
        ("a.csv", b"", "no rows"),
        ("a.json", b'{"rows": 1}', "expected a list of objects"),
        ("a.json", b"[1]", "row 1: expected an object"),
        ("a.zst", b"", "zstandard|unknown kind"),
        ("a.docx", b"x", "unknown kind of file"),
    ],
)
def test_what_a_file_is_or_lacks_is_said_in_one_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        list(records(tmp_path / name))
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "missing"),
        (float("nan"), "missing"),
        ({"a": 1}, "dict"),
        (b"x", "bytes"),
        ("half \ud83d", "half"),
    ],
)
def test_what_is_no_text_is_named_by_its_row_wherever_it_comes_in(tmp_path, text, said):
    for rows in (["fine", text], pd.DataFrame({"text": ["fine", text]}, dtype=object)):
        with pytest.raises(UserError, match=f"row 2: text is .*({said})") as caught:
            list(Corpus("own", "given", texts=rows))
        assert "\n" not in str(caught.value)
    if not isinstance(text, bytes):
        path = write_jsonl(tmp_path / "bad.jsonl", [{"text": "fine", "label": "a"}, {"text": text, "label": "a"}])
        for read in (labelled, lambda path: list(load_domain(path))):
            with pytest.raises(UserError, match="bad.jsonl, row 2: text is"):
                read(path)


def test_one_string_is_no_list_of_texts():
    for bad in ("one text", b"one", {"a": 1}):
        with pytest.raises(UserError, match="expected a list of texts"):
            Corpus("own", "given", texts=bad)


def test_empty_documents_are_left_out_counted_and_told_once(tmp_path):
    corpus = load_domain(write_jsonl(tmp_path / "law.jsonl", [{"text": text} for text in ("one", " ", "", "two")]))
    with pytest.warns(UserWarning, match=r"law: 2 of 4 documents are empty \(first: .*law.jsonl, row 2\)"):
        assert list(corpus) == ["one", "two"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(corpus) == ["one", "two"]
    assert len(corpus) == 2 and corpus.left_out == 2
    with pytest.raises(UserError, match="no texts"), pytest.warns(UserWarning):
        list(load_domain(write_jsonl(tmp_path / "none.jsonl", [{"text": ""}])))


def test_one_rule_for_names():
    names = ["law.jsonl", "LAW.JSONL", "law.v2.jsonl", "law.txt", "a/law.csv.gz", "law", "law.v2"]
    assert [domain_name(name) for name in names] == ["law", "LAW", "law.v2", "law", "law", "law", "law.v2"]
    assert domain_names("a/law.txt, b/wine.v2.jsonl") == ("law", "wine.v2") and domain_names("") == ()
    for files, said in (
        ("a/law.txt,a/law.txt", "give it once"),
        ("a/law.txt,b/law.jsonl", "rename one"),
        ("generic.jsonl", "not a domain of its own"),
        ("my law.txt", "cannot name a domain"),
    ):
        with pytest.raises(UserError, match=said):
            domain_names(files)
    assert domain_spec("cs", "cs.jsonl").not_dapt == "news" and domain_spec("cs", "cs.jsonl").path == "cs.jsonl"


def test_several_own_domains(tmp_path):
    write_jsonl(tmp_path / "law.v2.jsonl", [{"text": "statute"}])
    (tmp_path / "wine.txt").write_text("grape\n")
    both = f"{tmp_path / 'law.v2.jsonl'},{tmp_path / 'wine.txt'}"
    assert list(load_domain("law.v2", domain_file=both)) == ["statute"]
    assert list(load_domain("wine", domain_file=both)) == ["grape"]


def test_a_task_file_may_be_the_rows_themselves(tmp_path):
    path = tmp_path / "wines.csv"
    FRAME.to_csv(path, index=False)
    assert (
        read_task_file(path)["wines"].domain == "wines" and read_task_file(path, "reviews")["wines"].domain == "reviews"
    )
    assert len(load_task("wines", task_file=path).train) == 42
    (tmp_path / "wines.json").write_text(json.dumps(ROWS))
    assert load_task("wines", task_file=tmp_path / "wines.json").labels == ("neg", "pos")
    listed = tmp_path / "tasks.json"
    listed.write_text('[{"name": "reds", "domain": "reviews", "path": "wines.csv"}]')
    assert len(load_task("reds", task_file=listed).train) == 42
    with pytest.raises(UserError, match="no such file or folder"):
        read_task_file(tmp_path / "gone.csv")
    FRAME.to_csv(tmp_path / "imdb.csv", index=False)
    with pytest.raises(UserError, match="'imdb' is taken"):
        read_task_file(tmp_path / "imdb.csv")


def test_what_lies_in_a_data_root_is_registered_and_listed(tmp_path, monkeypatch):
    root = tmp_path / "root"
    for split in ("train", "dev", "test"):
        write_jsonl(root / "tasks" / "mytask" / f"{split}.jsonl")
    (root / "tasks" / "wines.csv").write_text(FRAME.to_csv(index=False))
    write_jsonl(root / "domains" / "law.jsonl", [{"text": "statute"}])
    monkeypatch.setenv("DSP_DATA", str(root))
    assert len(load_task("mytask").train) == 60 and load_task("mytask").source == "data root root"
    assert load_task("wines").labels == ("neg", "pos")
    assert list(load_domain("law")) == ["statute"]
    assert task_spec("mytask").domain == "law"  # the root's only own domain
    table = available().set_index("what")
    assert table.loc["mytask", ["domain", "rows", "source"]].tolist() == ["law", "60/60/60", "data root root"]
    assert table.loc["law", ["kind", "rows"]].tolist() == ["domain", "1"] and table.loc["wines", "rows"] == "60"
    (root / "tasks" / "mytask" / "task.toml").write_text('domain = "reviews"\nmetric = "micro_f1"\n')
    assert (task_spec("mytask").domain, task_spec("mytask").metric) == ("reviews", "micro_f1")
    (root / "tasks.toml").write_text('[[task]]\nname = "wines"\ndomain = "cs"\npath = "tasks/wines.csv"\n')
    assert task_spec("wines").domain == "cs"
    write_jsonl(root / "domains" / "tax.jsonl", [{"text": "duty"}])
    (root / "tasks" / "mytask" / "task.toml").unlink()
    assert task_spec("mytask").domain == "mytask"  # two domains: none can be guessed


def test_toy_means_generated_text_for_tasks_and_domains_alike(tmp_path, monkeypatch):
    root = tmp_path / "root"
    write_jsonl(root / "domains" / "news.jsonl", [{"text": "from the root"}])
    for split in ("train", "dev", "test"):
        write_jsonl(root / "tasks" / "imdb" / f"{split}.jsonl")
    monkeypatch.setenv("DSP_DATA", str(root))
    assert list(load_domain("news")) == ["from the root"] and load_task("imdb").source == "data root root"
    assert load_domain("news", data_dir="toy").source == "generated"
    with pytest.raises(UserError, match="cannot be had"):
        load_task("imdb", data_dir="toy")


def test_a_folder_beside_does_not_stand_in_for_a_domain_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "law").mkdir()
    (tmp_path / "law" / "raw.txt").write_text("raw page\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "law.txt").write_text("a statute\n")
    monkeypatch.chdir(tmp_path)
    assert list(load_domain("law", domain_file="src/law.txt")) == ["a statute"]
    assert list(load_domain("law")) == ["raw page\n"]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: load_task(""), "task '': there is none"),
        (lambda: load_task("~nosuchuser/a.csv"), "there is no such user"),
        (lambda: load_domain("~nosuchuser/a.txt"), "there is no such user"),
        (
            lambda: labelled(pd.DataFrame({"text": ["x"], "label": pd.array([pd.NA], "Int64")})),
            "row 1: label has no value; give it a label",
        ),
        (lambda: load_domain(""), "domain '': there is none"),
        (lambda: load_task("gone.csv"), "gone.csv is no folder or file"),
        (lambda: load_domain("gone/"), "gone: no such file or folder"),
        (lambda: load_task(42), "got int"),
        (lambda: load_domain(42), "got int"),
        (lambda: load_domain(None), "got None"),
        (lambda: load_task({"a": FRAME}), "found the splits a"),
        (lambda: load_task(FRAME[:0]), "DataFrame: no rows"),
        (lambda: list(load_domain(FRAME.rename(columns={"text": "q"}))), "found the keys 'q', 'label'"),
    ],
)
def test_what_cannot_be_a_task_or_a_domain_is_refused_in_one_line(ask, said):
    with pytest.raises(UserError, match=said) as caught:
        ask()
    assert "\n" not in str(caught.value)


def test_a_folder_is_read_once_and_without_what_editors_leave(tmp_path):
    parts = tmp_path / "corpus" / "law.parquet"
    parts.mkdir(parents=True)
    pd.DataFrame({"text": ["one", "two"]}).to_parquet(parts / "part-0.parquet")
    old = tmp_path / "corpus" / ".ipynb_checkpoints" / "a-checkpoint.txt"
    old.parent.mkdir()
    old.write_text("an older copy")
    assert [value["text"] for _, _, value in records(tmp_path / "corpus")] == ["one", "two"]
    (tmp_path / "corpus" / "more").symlink_to(parts)
    with pytest.raises(UserError, match="more: a link to a folder, which would be passed over"):
        list(records(tmp_path / "corpus"))


def test_a_column_that_is_there_twice_is_refused_in_a_frame():
    with pytest.raises(UserError, match="DataFrame: column 'label' is there twice"):
        list(records(pd.DataFrame([["a", "x", "y"]], columns=["text", "label", "label"])))


def test_rows_in_json_are_a_task_however_they_are_laid_out(tmp_path):
    (tmp_path / "lines.json").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "named.json").write_text(json.dumps([{"name": f"n{n}", **row} for n, row in enumerate(ROWS)]))
    (tmp_path / "spoken.json").write_text(json.dumps([{"utter": row["text"], "label": row["label"]} for row in ROWS]))
    for name in ("lines", "named", "spoken"):
        assert list(read_task_file(tmp_path / f"{name}.json")) == [name]
    (tmp_path / "tasks.json").write_text('[{"name": "x"}]')
    with pytest.raises(UserError, match="task 1: domain is missing"):
        read_task_file(tmp_path / "tasks.json")
