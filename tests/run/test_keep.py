"""A kept run holds what people look at and nothing of the machine."""

import json

import pytest

from helpers import paths
from helpers.errors import UserError
from helpers.run.keep import keep_run
from helpers.run.report import results_markdown


def ended(status, **parameters):
    """What the log keeps of a notebook."""
    more = {"parameters": {"PRESET": "demo", **parameters}} if parameters else {}
    return {"status": status, "seconds": 1.0, "message": "", "cell": None, **more}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of one notebook, one table and one picture, with this machine's paths in its texts."""
    monkeypatch.setenv("DSP_CACHE", str(tmp_path / "cache"))
    made = tmp_path / "outputs" / "demo"
    model = tmp_path / "cache" / "store" / "model" / "abc"
    texts = {
        "config.json": json.dumps({"preset": "demo"}),
        "report.html": f'<a href="notebooks/03_tapt.html">03</a> <code>{model}</code> {tmp_path}/cachet',
        "tables/tapt.csv": "task,score\nbbc,70\n",
        "notebooks/03_tapt.ipynb": json.dumps({"out": f"{made}/figures {model} {paths.project_root()}/notebooks"}),
        "logs/03_tapt.log": str(model), "logs/03_tapt.json": json.dumps(ended("done")),
        "records/bbc/base/seed-0.json": "{}",
    }  # fmt: skip
    for name, text in texts.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (made / "figures").mkdir()
    (made / "figures" / "tapt.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return made


def test_paths_are_named_and_links_lead_to_the_notebooks(run, tmp_path):
    kept = keep_run(run, tmp_path / "kept")
    files = sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file())
    assert files == ["README.md", "config.json", "figures/tapt.png", "notebooks/03_tapt.ipynb", "report.html",
                     "tables/tapt.csv"]  # fmt: skip
    report = (kept / "report.html").read_text()
    # a folder that only begins like the cache is another one
    assert report == (f'<a href="notebooks/03_tapt.ipynb">03</a> <code>$DSP_CACHE/store/model/abc</code> '
                      f"{_temporary(tmp_path)}/cachet")  # fmt: skip
    said = json.loads((kept / "notebooks" / "03_tapt.ipynb").read_text())["out"]
    assert said == "$PROJECT/outputs/demo/figures $DSP_CACHE/store/model/abc $PROJECT/notebooks"
    assert "bbc" in (kept / "README.md").read_text()


def test_a_run_of_another_store_than_the_keepers_is_kept_without_its_path(run, tmp_path):
    key = "efc4655180ed8c19c723063b"
    (run / "notebooks" / "03_tapt.ipynb").write_text(json.dumps({"out": f'("/mine/cache/store/model/{key}")'}))
    (run / "report.html").write_text(f"<code>/mine/store/vectors/{key}</code> <code>/mine/store/model/abc</code>")
    kept = keep_run(run, tmp_path / "kept")
    said = json.loads((kept / "notebooks" / "03_tapt.ipynb").read_text())["out"]
    assert said == f'("$DSP_CACHE/store/model/{key}")'
    # what is no folder of a store is left as it is
    assert (kept / "report.html").read_text() == (
        f"<code>$DSP_CACHE/store/vectors/{key}</code> <code>/mine/store/model/abc</code>"
    )


def _temporary(path):
    import tempfile

    return str(path).replace(tempfile.gettempdir(), "$TMPDIR")


def test_paths_that_parameters_gave_become_their_names(run, tmp_path):
    given = {"base_model": "/models/tiny", "data_dir": "/d/", "task_file": "/d/own/notes.csv",
             "domain_file": "/mine/law.jsonl, /mine/sea.txt"}  # fmt: skip
    (run / "config.json").write_text(json.dumps({"preset": "demo", **given}))
    (run / "run.toml").write_text('TASK_FILE = "/d/own/notes.csv"\nDATA_DIR = "/d/"\n')
    # in a picture's data are slashes and letters that are no path
    (run / "report.html").write_text(
        '<img src="data:image/png;base64,A//d/4="> /d/tasks /d/own/notes.csv file:///d/x /dd'
    )
    (run / "notebooks" / "03_tapt.ipynb").write_text(
        json.dumps({"out": "/mine/law.jsonl, /mine/sea.txt by /models/tiny"})
    )
    kept = keep_run(run, tmp_path / "kept")
    config = json.loads((kept / "config.json").read_text())
    assert {name: config[name] for name in given} == {
        "base_model": "$BASE_MODEL", "data_dir": "$DATA_DIR/", "task_file": "$TASK_FILE",
        "domain_file": "$DOMAIN_FILE_1, $DOMAIN_FILE_2",
    }  # fmt: skip
    assert (kept / "run.toml").read_text() == 'TASK_FILE = "$TASK_FILE"\nDATA_DIR = "$DATA_DIR/"\n'
    assert (kept / "report.html").read_text() == (
        '<img src="data:image/png;base64,A//d/4="> $DATA_DIR/tasks $TASK_FILE file://$DATA_DIR/x /dd'
    )
    said = json.loads((kept / "notebooks" / "03_tapt.ipynb").read_text())["out"]
    assert said == "$DOMAIN_FILE_1, $DOMAIN_FILE_2 by $BASE_MODEL"
    readme = (kept / "README.md").read_text()
    assert "Base model $BASE_MODEL," in readme and "/models" not in readme and "/mine" not in readme


def test_names_of_the_hub_and_places_of_the_machine_keep_theirs(run, tmp_path):
    given = {"preset": "demo", "base_model": "roberta-base", "data_dir": str(paths.project_root())}
    (run / "config.json").write_text(json.dumps(given))
    config = json.loads((keep_run(run, tmp_path / "kept") / "config.json").read_text())
    assert config["base_model"] == "roberta-base" and config["data_dir"] == "$PROJECT"


def test_what_an_earlier_run_left_is_replaced_and_the_readme_kept(run, tmp_path):
    kept = tmp_path / "kept"
    (kept / "tables").mkdir(parents=True)
    (kept / "tables" / "old.csv").write_text("a\n")
    (kept / "README.md").write_text("# Mine\n<!-- results:start -->\nold\n<!-- results:end -->\nend")
    keep_run(run, kept)
    assert not (kept / "tables" / "old.csv").exists()
    text = (kept / "README.md").read_text()
    assert text.startswith("# Mine\n") and text.endswith("end") and "old" not in text


def test_an_unfinished_run_is_not_kept(run, tmp_path):
    (run / "notebooks" / "04_transfer.failed.ipynb").write_text("{}")
    with pytest.raises(UserError, match="04_transfer.failed.ipynb: a notebook of the run failed"):
        keep_run(run, tmp_path / "kept")
    (run / "report.html").unlink()
    with pytest.raises(UserError, match="there is no report.html in it; finish the run first"):
        keep_run(run, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_notebooks_of_several_runs_are_not_kept_as_one(run, tmp_path):
    (run / "config.json").write_text(json.dumps({"preset": "demo", "seeds": 2}))
    for name, settings in {"02_dapt": {"SEEDS": 2, "WORKERS": 1}, "03_tapt": {"SEEDS": 2, "WORKERS": 2}}.items():
        (run / "logs" / f"{name}.json").write_text(json.dumps(ended("done", **settings)))
    keep_run(run, tmp_path / "kept")
    (run / "logs" / "03_tapt.json").write_text(json.dumps(ended("done", SEEDS=1)))
    mixed = "These numbers are not of one run: SEEDS is 2 in 02_dapt; 1 in 03_tapt. To run all notebooks alike: "
    with pytest.raises(UserError, match=mixed):
        keep_run(run, tmp_path / "kept")
    assert mixed in results_markdown(run)
    # as Ctrl-C leaves it: a log, but not how it ended
    (run / "logs" / "03_tapt.json").unlink()
    with pytest.raises(UserError, match="not of one run: 03_tapt stopped"):
        keep_run(run, tmp_path / "kept")


def test_a_run_is_not_kept_in_itself(run):
    before = sorted(run.rglob("*"))
    with pytest.raises(UserError, match="this is the run itself"):
        keep_run(run, run.parent / "demo")
    assert sorted(run.rglob("*")) == before


def test_a_folder_of_ones_own_is_left_as_it_is(run, tmp_path):
    mine = tmp_path / "paper"
    (mine / "figures").mkdir(parents=True)
    (mine / "figures" / "fig1.png").write_bytes(b"mine")
    for way_out in ("fig1.png: it would be replaced, and .* is no kept run", "README.md: expected the markers"):
        with pytest.raises(UserError, match=way_out):
            keep_run(run, mine)
        assert [path.name for path in mine.rglob("*") if path.is_file() and path.name != "README.md"] == ["fig1.png"]
        (mine / "README.md").write_text("# My paper\n")


def test_a_home_that_is_the_root_changes_no_picture(run, tmp_path, monkeypatch):
    picture = '<img src="data:image/png;base64,WrMC//5rtG/+/4A/=">'
    (run / "report.html").write_text(picture)
    monkeypatch.setenv("HOME", "/")
    assert (keep_run(run, tmp_path / "kept") / "report.html").read_text() == picture
