"""What the committed notebooks promise: stripped, parameterised, thin, runnable anywhere."""

import ast
import json
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest

from helpers import methods
from helpers.config import PRESETS, Config, make_config
from helpers.results import changed_rows
from helpers.run.notebooks import declared, strip

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = ("01_overlap", "02_dapt", "03_tapt", "04_transfer", "05_augment", "06_report")
every = pytest.mark.parametrize("name", NAMES)


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(name):
    return [cell for cell in read(name).cells if cell.cell_type == "code"]


def parameters_cell(name):
    (cell,) = [cell for cell in code_cells(name) if "parameters" in cell.metadata.get("tags", ())]
    return cell


def code_lines(source):
    return [line for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]


def shown_by(name, cell, **known):
    """The tables that a cell shows when run with these names."""
    shown = []
    results = SimpleNamespace(changed_rows=changed_rows, show=lambda table, *_, **__: shown.append(table))
    (source,) = [one.source for one in code_cells(name) if one.id == cell]
    exec(source, vars(methods) | {"results": results} | known)
    return shown


def test_there_are_the_six_and_no_others():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)


@every
def test_valid_stripped_and_for_kernel_python3(name):
    text = (FOLDER / f"{name}.ipynb").read_text("utf-8")
    notebook = read(name)
    nbformat.validate(notebook)
    strip(notebook)
    assert text == nbformat.writes(notebook).rstrip("\n") + "\n", "run: dsp strip"
    raw = json.loads(text)
    assert raw["nbformat"] == 4 and raw["nbformat_minor"] == 5
    assert raw["metadata"]["kernelspec"]["name"] == "python3"
    assert len({cell["id"] for cell in raw["cells"]}) == len(raw["cells"])


@every
def test_one_parameters_cell_of_commented_literals_that_are_config_fields(name):
    cell = parameters_cell(name)
    for line in code_lines(cell.source):
        assert re.fullmatch(r"[A-Z_]+: \w+ = [^=#]+  # \S.*", line), line
    values = declared(read(name), name)
    assert "PRESET" in values and "OUTPUT_DIR" in values
    assert {parameter.lower() for parameter in values} <= set(Config.model_fields)
    assert values["PRESET"] == "demo"
    for preset in PRESETS:
        # Left alone, a parameter keeps the preset's value, whichever preset that is.
        config = make_config(preset, {key: value for key, value in values.items() if key != "PRESET"})
        assert config == make_config(preset)


@every
def test_every_declared_parameter_is_read(name):
    cell = parameters_cell(name)
    later = "\n".join(other.source for other in code_cells(name) if other.id != cell.id)
    used = {node.id for node in ast.walk(ast.parse(later)) if isinstance(node, ast.Name)}
    assert "parameters(globals())" in later or set(declared(read(name), name)) <= used


@every
def test_papermill_sees_the_same_parameters_and_their_types(name):
    from papermill import inspect_notebook

    fields = {field.upper(): Config.model_fields[field].annotation for field in Config.model_fields}
    types = {one: kind.__name__ if kind in (int, float) else "str" for one, kind in fields.items()}  # lists: "a,b"
    seen = inspect_notebook(FOLDER / f"{name}.ipynb")
    assert set(seen) == set(declared(read(name), name))
    assert {one: found["inferred_type_name"] for one, found in seen.items()} == {one: types[one] for one in seen}


@every
def test_thin_no_definitions_no_magics_no_paths(name):
    cells = code_cells(name)
    assert sum(len(code_lines(cell.source)) for cell in cells) <= 100
    for cell in cells:
        tree = ast.parse(cell.source)  # also refuses ! and %
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        assert not [node for node in ast.walk(tree) if isinstance(node, kinds)], cell.source
        assert len(code_lines(cell.source)) <= 15 or "parameters" in cell.metadata.get("tags", ()), cell.source
        assert not re.search(r"sys\.path|os\.environ|filterwarnings|get_ipython", cell.source), cell.source
        assert not re.search(r"""["'](/\w|~/|[A-Za-z]:\\)""", cell.source), cell.source
        for node in ast.walk(tree):
            if isinstance(node, ast.If):
                assert "PRESET" not in ast.unparse(node.test), "a preset sets how much, never what"
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_"), f"{node.attr} is not public"


@every
def test_opens_with_what_the_paper_asks_and_how_long_it_takes(name):
    first = read(name).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    assert "paper" in first.source and all(f"| {preset} |" in first.source for preset in PRESETS)


@pytest.mark.parametrize("name, cell", [("02_dapt", "02-08"), ("03_tapt", "03-11"), ("04_transfer", "04-10")])
def test_two_adaptations_to_one_text_are_told_apart_by_their_seed(name, cell):
    row = dict.fromkeys(("selector", "k", "documents", "steps", "epochs", "tokens", "seconds"), 1)
    row |= {"method": "dapt", "corpus": "cs", "mlm_loss_before": 3.0, "mlm_loss_after": 2.0}
    study = SimpleNamespace(adapt=lambda methods: pd.DataFrame([row | {"seed": 0}, row | {"seed": 1}]))
    (shown,) = shown_by(name, cell, study=study)
    assert shown["seed"].tolist() == [0, 1] and not shown.duplicated().any()


@pytest.mark.parametrize("after, gained", [([0, 1, 1, 0], ["second", "third"]), ([0, 0, 0, 1], [])])
def test_the_rows_shown_as_gained_are_those_that_tapt_gets_right_more_often(after, gained):
    run = {"task": "t", "recipe": "paper", "seed": 0, "labels": ("no", "yes"), "test_gold": [0, 1, 1, 0]}
    guesses = {"base": [0, 0, 0, 0], "tapt": after}
    records = pd.DataFrame([run | {"method": name, "test_predictions": guess} for name, guess in guesses.items()])
    texts = pd.DataFrame({"text": ["first", "second", "third", "fourth"]})
    study = SimpleNamespace(task=lambda name: SimpleNamespace(test=texts))
    (table,) = shown_by("03_tapt", "changed", records=records, task="t", shown=("base", "tapt"), study=study)
    assert table["text"].tolist() == gained and (table["change"] > 0).all()


def test_adaptations_to_domains_are_listed_in_the_papers_order():
    made = [("news", 0), ("cs", 0), ("reviews", 0), ("biomed", 0), ("biomed", 1), ("cs", 1)]
    rows = [dict(corpus=corpus, seed=seed, selector=None, k=None, tokens=1, seconds=1) for corpus, seed in made]
    (table,) = shown_by("02_dapt", "02-08", study=SimpleNamespace(adapt=lambda methods: pd.DataFrame(rows)))
    listed = [("biomed", 0), ("biomed", 1), ("cs", 0), ("cs", 1), ("news", 0), ("reviews", 0)]
    assert list(zip(table.corpus, table.seed, strict=True)) == listed and list(table.index) == list(range(6))
