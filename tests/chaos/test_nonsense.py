"""Malformed input of every kind ends in one clear line or is read rightly; the command ends with status 2 then."""

import gzip
import json
import random
import shutil

import pytest

from helpers.config import Config, check_places, make_config
from helpers.data import load_domain, load_task, read_task_file
from helpers.errors import UserError
from helpers.run import cli
from helpers.run.description import read_run
from tests.chaos.tiny_study import make_root

pytestmark = pytest.mark.inputs
ROWS = [{"text": f"row {n} of a text, with some words", "label": "ab"[n % 2]} for n in range(24)]
GOOD = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
WRONG = [
    "", " ", "0", "-1", "-5", "1.5", "1e400", "inf", "-inf", "nan", "None", "true", "vampir", "10**20", "9" * 5000,
    "a,a",
    ",", ",,,", "a\x00b", "\x1b[31m", "\u202e", "\ud800", "x" * 100_000, "../..", "/", "~nobody/x", "[1, 2]", "{}", "'",
    "$(ls)", "%s{0}", "\n",
]  # fmt: skip
VALUES = [
    *WRONG,
    None,
    True,
    -1,
    10**20,
    10**400,
    0.5,
    float("inf"),
    float("nan"),
    [],
    [[]],
    {},
    ["a", "a"],
    b"x",
    (1, 2),
]


@pytest.fixture(scope="module")
def tally(counts):
    return counts["inputs refused or read rightly"]


@pytest.fixture
def holds(tally):
    """Try many inputs: an answer is `right`, or the one line of a UserError; all faults are told together."""

    def tried(cases, call, right=lambda case, answer: True):
        amiss = []
        for name, case in cases:
            tally[1] += 1
            try:
                fault = "" if right(case, call(case)) else "was read wrongly"
            except UserError as error:
                fault = "" if _one_line(str(error)) else f"said {str(error)[:300]!r}"
            except RecursionError:
                fault = "ended in a RecursionError"
            except Exception as error:
                fault = f"ended in {type(error).__name__}: {str(error)[:200]!r}"
            tally[0] += not fault
            amiss += [f"{name} {fault}"] if fault else []
        assert not amiss, f"{len(amiss)} amiss:\n" + "\n".join(amiss[:20])

    return tried


def _one_line(text: str) -> bool:
    return 0 < len(text) < 1500 and "\n" not in text and "Traceback" not in text and "\x1b" not in text


# Data ----------------------------------------------------------------------------------------------------

ODD_LINES = [
    b"", b"{", b"[]", b"null", b"1", b'"text"', b"{}", b'{"text": null, "label": "a"}', b'{"text": 1, "label": "a"}',
    b'{"text": "", "label": "a"}', b'{"text": "x"}', b'{"label": "a"}', b'{"text": ["x"], "label": "a"}',
    b'{"text": "x", "label": null}', b'{"text": "x", "label": {}}', b'{"text": "x", "label": NaN}',
    b'{"text": "x", "label": [[[]]]}', b'{"text": "\\ud800", "label": "a"}', b'{"text": "\\u0000", "label": "a"}',
    b'{"text": "\x1b]0;x\x07", "label": "a"}', b"\xff\xfe{", b"\x00" * 50, b"[" * 100_000, b'{"a":' * 50_000,
    b'{"text": "' + b"x" * 2_000_000 + b'", "label": "a"}', b'{"text": "x", "label": "' + b"l" * 5000 + b'"}',
    b'{"text": "\xe2\x82", "label": "a"}', b'{"text": "x", "text": "y", "label": "a"}', b"9" * 6000,
    b'{"text": "x", "label": ' + b"9" * 6000 + b"}", b"\xef\xbb\xbf{}", b'{"text": "x" "label"}', b"<html>",
    b"text,label",
]  # fmt: skip


def _damaged(draw: random.Random) -> bytes:
    data = bytearray(GOOD)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(data))
        match draw.randrange(5):
            case 0:
                data[place] = draw.randrange(256)
            case 1:
                del data[place : place + draw.randint(1, 60)]
            case 2:
                data[place:place] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 20)))
            case 3:
                data[place:place] = draw.choice([b"\n", b"\r", b"\x00", b"{", b"]", b'"', b"\\", b"\xe2\x80\xa8"])
            case 4:
                del data[place:]
                data += b"\n" if not data else b""
    return bytes(data)


def data_cases(folder):
    folder.mkdir()
    draw, bytes_of = random.Random(0), {}
    for number, line in enumerate(ODD_LINES):
        lines = GOOD.splitlines(keepends=True)
        lines[draw.randrange(len(lines))] = line + b"\n"
        bytes_of[f"odd line {number}.jsonl"] = b"".join(lines)
        bytes_of[f"odd line {number}.jsonl.gz"] = gzip.compress(b"".join(lines))
        bytes_of[f"odd alone {number}.jsonl"] = line
        bytes_of[f"odd alone {number}.csv"] = line
        bytes_of[f"odd alone {number}.json"] = line
        bytes_of[f"not packed {number}.jsonl.gz"] = line
    for number in range(300):
        bytes_of[f"random {number}.jsonl"] = _damaged(draw)
    packed = gzip.compress(GOOD)
    for number in range(60):
        place = draw.randrange(len(packed))
        bytes_of[f"flipped {number}.jsonl.gz"] = packed[:place] + bytes([packed[place] ^ 255]) + packed[place + 1 :]
        bytes_of[f"cut {number}.jsonl.gz"] = packed[:place]
    for encoding in ("utf-16", "utf-32", "cp037", "utf-7"):
        bytes_of[f"{encoding}.jsonl"] = GOOD.decode().encode(encoding)
    for ending in ("parquet", "jsonl.zip", "jsonl.zst", "txt", "exe", "tsv", "json"):
        bytes_of[f"random bytes.{ending}"] = draw.randbytes(500)
        bytes_of[f"nothing.{ending}"] = b""
    for name, data in bytes_of.items():
        (folder / name).write_bytes(data)
        yield name, folder / name


def test_data_files(holds, tmp_path):
    def whole(path, task):
        rows = [row for split in (task.train, task.dev, task.test) for row in split.itertuples()]
        return all(isinstance(row.text, str) and row.text.strip() and row.label in task.labels for row in rows)

    cases = list(data_cases(tmp_path / "in"))
    before = sorted(tmp_path.rglob("*"))
    holds(cases, load_task, whole)
    holds(cases[::3], lambda path: list(load_domain("own", domain_file=str(path))), lambda path, texts: all(texts))
    assert sorted(tmp_path.rglob("*")) == before


def test_task_files(holds, tmp_path):
    entries = [{"train": "x.jsonl"}, {"domain": "nowhere"}, {"metric": "f9"}, {"folder": 3}, {"folder": "../.."}, [], 1]
    texts = [json.dumps({name: entry}) for name in ("a", "", "x" * 300, "../a", "a\x1b[0m", "a/b") for entry in entries]
    texts += ["", "{", "[]", "1", "[" * 100_000, '{"a":' * 50_000, "\x00", '{"a": {}, "a": {}}', "[tasks", "a = "]
    cases = []
    for number, text in enumerate(texts):
        for ending in ("json", "toml"):
            path = tmp_path / f"{number}.{ending}"
            path.write_text(text, "utf-8")
            cases.append((f"{ending} {text[:60]!r}", path))
    holds(cases, read_task_file)


# Parameters ----------------------------------------------------------------------------------------------


def test_parameters(holds):
    cases = [(f"{name}={value!r:.60}", {name: value}) for name in Config.model_fields for value in VALUES]
    cases += [(f"name {name!r:.60}", {name: "1"}) for name in WRONG]

    def call(given):
        config = make_config("smoke", given)
        check_places(config)
        return config

    holds(cases, call, lambda given, config: config == Config.model_validate(config.model_dump()))
    holds([(f"preset {name!r:.60}", name) for name in VALUES if isinstance(name, str)], make_config)


@pytest.mark.parametrize("name", ["DSP_DEVICE", "DSP_PRECISION", "DSP_DATA", "DSP_CACHE"])
def test_environment(holds, monkeypatch, name):
    def call(value):
        monkeypatch.setenv(name, value)
        check_places(make_config("smoke"))

    usable = [(f"{name}={value!r:.60}", value) for value in WRONG if "\x00" not in value and "\ud800" not in value]
    holds(usable, call)


def test_descriptions_of_runs(holds, tmp_path):
    values = [
        *WRONG,
        '"x"',
        "3",
        "1.5",
        "[[]]",
        "true",
        "2020-01-01",
        '"../.."',
        "{a = 1}",
        "0x10",
        '"\\u0000"',
        "[" * 9999,
    ]
    names = ("preset", "parameters", "other", "[parameters]\nSEEDS")
    texts = [f"{name} = {value}\n" for name in names for value in values]
    cases = []
    for number, text in enumerate([*texts, "[preset]", "[[parameters]]", "preset = 'smoke'\npreset = 'demo'"]):
        path = tmp_path / f"{number}.toml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        cases.append((repr(text[:60]), path))
    holds([*cases, ("a folder", tmp_path), ("nothing", tmp_path / "no.toml")], read_run)


# Models --------------------------------------------------------------------------------------------------


def test_model_folders(holds, tmp_path):
    from helpers.encoder.load import load_masked_lm

    whole, draw, cases = make_root(tmp_path) / "base", random.Random(0), []
    for number, file in enumerate(sorted(file.name for file in whole.iterdir())):
        data = (whole / file).read_bytes()
        place = draw.randrange(len(data))
        harms = {"empty": b"", "cut": data[:place], "noise": draw.randbytes(200), "a list": b"[]", "null": b"null",
                 "deep": b"[" * 100_000, "gone": None}  # fmt: skip
        for name, harm in harms.items():
            folder = tmp_path / f"{number} {name}"
            shutil.copytree(whole, folder)
            (folder / file).unlink() if harm is None else (folder / file).write_bytes(harm)
            cases.append((f"{file} {name}", folder))
    config = json.loads((whole / "config.json").read_text())
    wrong = {
        "hidden_size": [0, -1, 7, "8", None, 10**9],
        "vocab_size": [0, -1, 3],
        "model_type": ["", "gpt2", 1, "no"],
        "num_attention_heads": [0, 3],
        "num_hidden_layers": [-1, 4, "x"],
        "max_position_embeddings": [0, 5],
    }
    for name, values in wrong.items():
        for value in values:
            folder = tmp_path / f"config {name} {value}"
            shutil.copytree(whole, folder)
            (folder / "config.json").write_text(json.dumps(config | {name: value}))
            cases.append((f"{name}={value}", folder))
    holds(cases, load_masked_lm, lambda folder, loaded: hasattr(loaded[0], "get_input_embeddings"))


# The command ---------------------------------------------------------------------------------------------

TABLE = (
    b"task,recipe,method,mean,sd,n,low,high,paper_mean,paper_sd,paper_grade,preset\na,paper,dapt,1,1,1,0,2,,,,smoke\n"
)


@pytest.fixture
def refuses(tally, monkeypatch, capsys):
    """`dsp` with arguments ends with status 2 and one line on standard error."""

    def tried(cases, statuses=(2,)):
        amiss = []
        for arguments in cases:
            tally[1] += 1
            monkeypatch.setattr("sys.argv", ["dsp", *arguments])
            try:
                cli.main()
                status = 0
            except SystemExit as end:
                status = end.code
            except Exception as error:
                status = f"{type(error).__name__}: {str(error)[:150]}"
            said = capsys.readouterr().err
            usage = said.startswith("Usage:")  # typer's own words
            good = status in statuses and "Traceback" not in said and (not status or usage or said.count("\n") == 1)
            tally[0] += good
            amiss += [] if good else [f"dsp {' '.join(arguments)[:200]}: status {status}, said {said[:200]!r}"]
        assert not amiss, f"{len(amiss)} amiss:\n" + "\n".join(amiss[:20])

    return tried


def test_commands(refuses, tmp_path):
    (tmp_path / "run.toml").write_text("preset = ")
    words = ["../..", ".", "", "*", "no", "x" * 300, "a\x1b[0m"]
    refuses([
        *(["store", "prune", "--older-than", "0", "--kind", word] for word in words if word),
        *(["store", "prune", "--older-than", age] for age in ("nan", "inf", "-1", "x", "1e300")),
        *(["data", "get", word] for word in words),
        *(["data", "check", str(tmp_path / word)] for word in words[3:]),
        *(["report", word] for word in ("no", "../../no", "x" * 300)),
        *(["status", word] for word in ("no", "../../no", "x" * 300)),
        *(["compare", word, word] for word in ("no", "../../no", "x" * 300)),
        *(["strip", str(tmp_path / word)] for word in ("no.ipynb", "run.toml")),
        *(["run", word] for word in words if word), *(["run", "--preset", word] for word in words),
        *(["run", "-p", word] for word in ("", "=", "x", "SEEDS", "=1", "SEEDS=x", "PRESET=paper", "SEED=1")),
        *(["run", "--from", word] for word in words if word), ["run", "--time-limit", "-1"], ["run", "--workers", "x"],
        ["run", "--file", str(tmp_path / "run.toml")], ["run", "--file", str(tmp_path)],
        *(["run", "--cluster", word] for word in words if word),
    ])  # fmt: skip


def test_notebooks(refuses, tmp_path, monkeypatch):
    import nbformat

    from helpers.run import notebooks

    valid = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    sources = ["def f(:", "x = (", "\x00", "(" * 5000, "'", "x = 1\n  y = 2"]
    texts = [nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one)])) for one in sources]
    texts += ["", "{", "[]", "null", "[" * 100_000, '{"cells": 1}', '{"nbformat": 9}', nbformat.writes(valid)[:-40]]
    monkeypatch.setattr(notebooks, "notebooks_dir", lambda: tmp_path, raising=False)
    for number, text in enumerate(texts):
        (tmp_path / "01_own.ipynb").write_text(text, "utf-8")
        refuses([["strip", str(tmp_path / "01_own.ipynb")]], statuses=(0, 2))
        with pytest.raises(UserError) as caught:
            notebooks.check([tmp_path / "01_own.ipynb"], "smoke", {"SEEDS": 1})
        assert _one_line(str(caught.value)), (number, text[:60])


def test_reports_of_damaged_runs(refuses, tmp_path):
    draw, cases = random.Random(0), []
    tables = [b"", b"\n", b"\x00" * 40, b"a,b\n1\n1,2,3,4\n", b"\xff\xfe", TABLE[:60], TABLE + TABLE, b"mean\nx\n"]
    tables += [bytes(byte if draw.random() > 0.05 else draw.randrange(256) for byte in TABLE) for _ in range(30)]
    for number, table in enumerate(tables):
        for name in ("dapt", "claims"):
            run = tmp_path / f"{number}-{name}"
            (run / "tables").mkdir(parents=True)
            (run / "tables" / f"{name}.csv").write_bytes(table)
            cases += [["report", str(run)], ["compare", str(run), str(run)]]
    for number, text in enumerate(("", "{", "[]", "null", "[" * 100_000, '{"preset": 1}')):
        run = tmp_path / f"config-{number}"
        for file, data in (("tables/dapt.csv", TABLE.decode()), ("config.json", text), ("logs/01_overlap.json", text)):
            (run / file).parent.mkdir(parents=True, exist_ok=True)
            (run / file).write_text(data)
        cases += [["report", str(run)], ["status", str(run)]]
    refuses(cases, statuses=(0, 2))
