"""All six notebooks through the runner at preset smoke, and a look at what came out."""

import json
import os
import re

import nbformat
import numpy as np
import pandas as pd
import pytest

from helpers.methods import BASELINES, TABLE_3
from helpers.paths import project_root
from helpers.results import load_records
from helpers.results.verdicts import MEASURES
from helpers.run import run_notebooks
from helpers.study import Study, views
from tests import lab

pytestmark = pytest.mark.slow
SCORE_TABLES = ("dapt", "tapt", "transfer", "selection", "cost")
SHARED = {"mean", "sd", "n", "low", "high", "preset", "paper_mean", "paper_sd", "paper_grade", "records"}
KEYS = {
    "overlap": ["a", "b", "definition"], "mlm_loss": ["model", "sample"], "dapt": ["task", "method", "recipe"],
    "tapt": ["task", "method", "recipe"], "transfer": ["task", "method", "recipe"],
    "selection": ["task", "method", "recipe"], "cost": ["task", "method", "recipe"],
}  # fmt: skip
TASKS = {"toy_biomed", "toy_cs", "toy_news", "toy_reviews"}
DOMAINS = ("biomed", "cs", "news", "reviews")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("smoke-cache")


@pytest.fixture(autouse=True)
def own_cache(cache, monkeypatch):
    """One store for the whole file: the notebooks ran into it."""
    monkeypatch.setenv("DSP_CACHE", str(cache))
    monkeypatch.delenv("DSP_DATA", raising=False)


@pytest.fixture(scope="module")
def folder(cache, tmp_path_factory):
    """The folder of a finished smoke run."""
    folder = tmp_path_factory.mktemp("smoke") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSP_CACHE", str(cache))
        patch.delenv("DSP_DATA", raising=False)
        patch.delenv("MPLBACKEND", raising=False)  # kernels draw into the notebook
        outcomes = run_notebooks(preset="smoke", parameters={"OUTPUT_DIR": str(folder)})
    assert [outcome.status for outcome in outcomes] == ["done"] * 6, [outcome.message for outcome in outcomes]
    return folder


@pytest.fixture
def study(folder, tmp_path):
    """The same study again, writing elsewhere: everything it asks for is in the store."""
    return Study.open(PRESET="smoke", OUTPUT_DIR=str(tmp_path / "again"))


def table(folder, name):
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def readable(text):
    return re.sub(r"[\W_]+", " ", text.lower()).strip()


# Tables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KEYS)
def test_every_table_has_its_columns_and_one_row_a_cell(folder, name):
    found = table(folder, name)
    assert SHARED | set(KEYS[name]) <= set(found.columns) and len(found)
    assert not found.duplicated(KEYS[name]).any()
    assert set(found["preset"]) == {"smoke"}


@pytest.mark.parametrize("name", KEYS)
def test_means_lie_in_range_and_inside_their_interval(folder, name):
    found = table(folder, name)
    most = 100 if name != "mlm_loss" else 20
    assert found["mean"].between(0, most).all() and (found["n"] >= 1).all()
    told = found.dropna(subset=["low", "high"])
    assert ((told["low"] <= told["mean"] + 1e-9) & (told["mean"] <= told["high"] + 1e-9)).all()


@pytest.mark.parametrize("name", SCORE_TABLES)
def test_every_score_is_the_mean_of_the_records_it_names(folder, name):
    for row in table(folder, name).itertuples():
        records = [json.loads((folder / path).read_text()) for path in row.records.split(";")]
        assert len(records) == row.n == (1 if row.method in BASELINES else 2)
        scores = [100 * record["test"][record["metric"]] for record in records]
        assert row.mean == pytest.approx(np.mean(scores), abs=1e-6)
        assert {(record["task"], record["method"]) for record in records} == {(row.task, row.method)}
        assert {record["preset"] for record in records} == {"smoke"}


@pytest.mark.parametrize("name", ["overlap", "mlm_loss"])
def test_measured_tables_name_their_record(folder, name):
    found = table(folder, name)
    (path,) = set(found["records"])
    record = json.loads((folder / path).read_text())
    if name == "overlap":
        told = {(one["a"], one["b"], one["definition"]): one["percent"] for one in record["percent"]}
    else:
        told = {(one["model"], one["sample"]): one["loss"] for one in record["losses"]}
    ours = {tuple(row[key] for key in KEYS[name]): row["mean"] for row in found.to_dict("records")}
    assert told == pytest.approx(ours, abs=1e-6)


def test_the_grid_is_whole(folder):
    assert set(table(folder, "dapt")["method"]) == set(TABLE_3.methods)
    assert {"tapt", "dapt_tapt"} <= set(table(folder, "tapt")["method"])
    assert "transfer_tapt" in set(table(folder, "transfer")["method"])
    assert {"vampire_2_tapt", "random_2_tapt"} <= set(table(folder, "selection")["method"])
    for name in ("dapt", "tapt", "transfer"):
        assert set(table(folder, name)["task"]) == TASKS
    losses = table(folder, "mlm_loss")
    assert len(losses) == 5 * 5 and set(losses["sample"]) == {"generic", *DOMAINS}


def test_no_number_is_shown_as_the_papers_for_a_task_it_does_not_have(folder):
    for name in SCORE_TABLES:
        assert table(folder, name)["paper_mean"].isna().all()
    overlap = table(folder, "overlap")
    assert overlap.loc[overlap["definition"] == "script", "paper_mean"].isna().all()


def test_every_claim_has_a_verdict(folder):
    claims = table(folder, "claims")
    assert set(MEASURES) == set(claims["measure"])
    for measure, least in {"f1": 8, "log_loss": 8, "text_loss": 1, "domain_loss": 1}.items():
        overall = claims[(claims["scope"] == "all") & (claims["measure"] == measure)]
        for recipe, whole in overall.groupby(overall["recipe"].fillna("")):
            assert len(whole) == whole["claim"].nunique() >= least, (measure, recipe)
    assert set(claims["verdict"]) <= {"reproduced", "smaller", "undecided", "reversed"} and claims["why"].notna().all()


def test_records_load_and_carry_what_was_done(folder):
    records = load_records(folder / "records")
    assert set(records["task"]) == TASKS and records["score"].between(0, 100).all()
    raw = json.loads((folder / "records/toy_cs/dapt_tapt/seed-1.json").read_text())
    assert {"config", "versions", "git_commit", "created", "sizes", "seconds", "best_epoch"} <= set(raw)
    assert raw["adaptation"]["steps"] > 0 and raw["adaptation"]["tokens"] > 0
    # what no key has and the last digits depend on
    assert raw["device"] == raw["adaptation"]["device"] and raw["precision"] == raw["adaptation"]["precision"]
    assert raw["config"]["seeds"] == 2 and raw["seed"] == 1


# What was learned ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", DOMAINS)
def test_dapt_lowers_the_loss_on_its_own_domain(folder, domain):
    losses = table(folder, "mlm_loss").set_index(["model", "sample"])
    assert losses.loc[(f"dapt_{domain}", domain), "change"] < 0
    # and more than DAPT on any other domain does
    others = [losses.loc[(f"dapt_{other}", domain), "mean"] for other in DOMAINS if other != domain]
    assert losses.loc[(f"dapt_{domain}", domain), "mean"] < min(others)


def test_tapt_lowers_the_loss_on_dev_text_it_never_read(folder):
    records = load_records(folder / "records").query("method == 'tapt'")
    assert (records["adaptation_mlm_loss_after"] < records["adaptation_mlm_loss_before"]).all()


def test_what_vampire_picks_is_nearer_than_random(study):
    near = views.closeness(study, "toy_biomed", 2)
    assert np.mean(near["vampire"]) > np.mean(near["random"])
    chosen, random = (study.select("toy_biomed", selector, 2) for selector in ("vampire", "random"))
    longest = max(len(text.split()) for text in random.texts)
    assert chosen.summary["words"] <= random.summary["words"] < chosen.summary["words"] + longest


def test_no_dev_or_test_text_in_anything_that_was_trained_on(study, cache):
    held = {
        readable(text) for task in TASKS for split in ("dev", "test") for text in getattr(study.task(task), split).text
    }
    assert len(held) == len(TASKS) * 2 * 32
    corpora = {path: [json.loads(line)["text"] for line in path.open()] for kind in ("domain", "pool", "selection")
               for path in (cache / "store" / kind).glob("*/*.jsonl")}  # fmt: skip
    assert len(corpora) >= 5 * 2 + 1 + 2
    corpora |= {task: study.task_texts(task) for task in TASKS}
    for name, texts in corpora.items():
        whole = " \n ".join(f" {readable(text)} " for text in texts)
        assert not [one for one in held if f" {one} " in whole], name


# Files ---------------------------------------------------------------------------------------------------


def test_figures_are_saved_and_shown(folder):
    saved = {path.stem for path in (folder / "figures").glob("*.png")}
    assert len(saved) >= 8 and all((folder / "figures" / f"{name}.pdf").exists() for name in saved)
    shown = 0
    for path in (folder / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
        shown += sum("image/png" in output.get("data", {}) for output in outputs)
        drawn = sum("save_figure" in cell.source for cell in cells)
        assert sum("image/png" in output.get("data", {}) for output in outputs) == drawn, path.name
    assert shown == len(saved)


def test_the_report_stands_alone(folder):
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64") >= 8 and "smoke" in page
    assert not re.search(r"""(src|href)=["']https?://[^"']+\.(png|css|js)""", page)


def test_executed_notebooks_are_whole_and_the_sources_untouched(folder):
    names = sorted(path.stem for path in (folder / "notebooks").glob("*.ipynb"))
    assert names == ["01_overlap", "02_dapt", "03_tapt", "04_transfer", "05_augment", "06_report"]
    for name in names:
        executed = nbformat.read(folder / "notebooks" / f"{name}.ipynb", as_version=4)
        assert all(cell.execution_count for cell in executed.cells if cell.cell_type == "code")


# Again ---------------------------------------------------------------------------------------------------


def written(folder):
    """File -> when it was last written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def made(cache):
    """Artifacts in the store -> when each was made."""
    return {path: path.stat().st_mtime_ns for path in (cache / "store").rglob("manifest.json")}


def test_a_second_run_finds_every_notebook(folder, cache):
    before = written(folder / "notebooks"), made(cache)
    outcomes = run_notebooks(preset="smoke", parameters={"OUTPUT_DIR": str(folder)})
    assert [outcome.status for outcome in outcomes] == ["found"] * 6
    assert (written(folder / "notebooks"), made(cache)) == before


def test_a_notebook_run_again_computes_nothing_anew(folder, cache):
    before = made(cache)
    records = {path: path.read_bytes() for path in (folder / "records").rglob("*.json")}
    (outcome,) = run_notebooks(["03"], preset="smoke", parameters={"OUTPUT_DIR": str(folder)}, force=True)
    assert outcome.status == "done" and made(cache) == before
    assert {path: path.read_bytes() for path in (folder / "records").rglob("*.json")} == records


# In JupyterLab -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(lab.BROWSER is None, reason="needs Chromium")
def test_two_notebooks_are_walked_through_in_jupyterlab(folder, cache, tmp_path):
    for name in ("01_overlap", "02_dapt"):
        notebook = (project_root() / "notebooks" / f"{name}.ipynb").read_text("utf-8")
        for was, now in (('PRESET: str = \\"demo\\"', 'PRESET: str = \\"smoke\\"'),
                         ("OUTPUT_DIR: str = None", f"OUTPUT_DIR: str = '{tmp_path / 'again'}'")):  # fmt: skip
            assert notebook.count(was) == 1
            notebook = notebook.replace(was, now)
        (tmp_path / f"{name}.ipynb").write_text(notebook, "utf-8")
    environment = os.environ | {"PYTHONPATH": str(project_root()), "DSP_CACHE": str(cache)}
    del environment["MPLBACKEND"]  # kernels draw into the notebook
    with lab.running(tmp_path, environment) as address:
        for name in ("01_overlap", "02_dapt"):
            cells = lab.run_all(address, f"{name}.ipynb", tmp_path / f"profile-{name}")
            code = [cell for cell in cells if cell["cell_type"] == "code"]
            assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
            outputs = [output for cell in code for output in cell["outputs"]]
            assert not [output for output in outputs if output["output_type"] == "error"]
            assert any("image/png" in output.get("data", ()) for output in outputs)
    assert (tmp_path / "again" / "tables" / "dapt.csv").read_bytes() == (folder / "tables" / "dapt.csv").read_bytes()
