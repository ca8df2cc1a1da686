"""The report stands alone, shows every table and figure once and escapes what it shows."""

import base64
import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from helpers import paths
from helpers.config import make_config
from helpers.errors import UserError
from helpers.results import sentences
from helpers.results.render import markdown
from helpers.run import readable
from helpers.run.models import adapted_models
from helpers.run.report import results_markdown, write_report, write_results_markdown
from helpers.run.sections import SECTIONS
from tests.lab import BROWSER, in_browser

SCRIPT = "<script>alert(1)</script>"
OURS = (Path(readable.__file__).parent / "report.js").read_text("utf-8")
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def score_row(task, method, mean, paper_mean=None):
    return dict(task=task, recipe="paper", method=method, mean=mean, sd=1.26, n=3, paper_mean=paper_mean,
                paper_sd=0.4 if paper_mean else None, paper_grade="A" if paper_mean else None,
                records="records/a.json;records/b.json")  # fmt: skip


@pytest.fixture
def run(tmp_path):
    run = tmp_path / "demo"
    for folder in ("tables", "figures", "notebooks"):
        (run / folder).mkdir(parents=True)
    scores = [score_row("chemprot", "base", 81.94, 81.9), score_row("<b>own</b>", "dapt", 84.25)]
    pd.DataFrame(scores).to_csv(run / "tables" / "dapt.csv", index=False)
    pd.DataFrame({"corpus": ["a|b"], "percent": [54.123]}).to_csv(run / "tables" / "overlap.csv", index=False)
    pd.DataFrame({"claim": [], "verdict": []}).to_csv(run / "tables" / "claims.csv", index=False)
    pd.DataFrame({"x": [1]}).to_csv(run / "tables" / "anything.csv", index=False)
    for name in ("overlap", "dapt_curves"):
        (run / "figures" / f"{name}.png").write_bytes(PIXEL)
    output = nbformat.v4.new_output("display_data", {"text/html": f"{SCRIPT}<table><tr><td>kept</td></tr></table>"})
    cell = nbformat.v4.new_code_cell("1", outputs=[output])
    for name in ("02_dapt", "06_report"):
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), run / "notebooks" / f"{name}.ipynb")
    (run / "notebooks" / "03_tapt.failed.ipynb").write_text("{}")
    (run / "config.json").write_text(make_config("demo").model_dump_json())
    return run


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.images, self.headings, self.open, self.tags, self.ids = [], [], [], [], set(), []
        self.scripts = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        self.ids.append(attributes.get("id"))
        if tag == "a":
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append(attributes)
        if tag == "h2":
            self.headings.append("")
        if tag not in ("meta", "img", "link", "br", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings[-1] += data
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


def test_the_report_stands_alone_and_shows_everything_once(run):
    path = write_report(run)
    text = path.read_text("utf-8")
    page = Page(text)
    assert path == run / "report.html" and page.open == []
    assert page.headings == [
        "Summary", "Contents", "1. How far apart are the domains?", "2. Domain-adaptive pretraining", "3. Verdicts",
        "4. Further results", "Settings and versions",
    ]  # fmt: skip
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in page.images)
    assert len(page.images) == 2 and base64.b64decode(page.images[0]["src"].partition(",")[2]) == PIXEL
    assert not page.tags & {"link", "iframe"} and "://" not in text and page.scripts == [OURS]
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert len(inside) == 5 and inside <= set(page.ids)
    assert {link for link in page.links if not link.startswith("#")} == {
        "notebooks/02_dapt.html", "notebooks/06_report.html",
    }  # fmt: skip
    assert all((run / link).exists() for link in page.links if not link.startswith("#"))
    for name in ("dapt", "overlap", "claims", "anything"):
        assert text.count(f"tables/{name}.csv") == 1
    for name in ("overlap", "dapt_curves"):
        assert text.count(f"figures/{name}.png") == 1
    assert "preset demo" in text and "mini" in text and "not the paper&#39;s own" in text


def test_notebook_pages_show_outputs_and_run_no_script_of_theirs(run):
    write_report(run)
    page = (run / "notebooks" / "06_report.html").read_text("utf-8")
    assert "<td>kept</td>" in page and SCRIPT not in page
    assert not (run / "notebooks" / "03_tapt.failed.html").exists()


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_tables_sort_figures_enlarge_and_no_other_script_runs(run, tmp_path):
    rows = [("b", 2.0, "second"), ("c", 10.0, "last"), ("a", None, "none")]
    pd.DataFrame(rows, columns=["name", "x", "why"]).to_csv(run / "tables" / "anything.csv", index=False)
    page = write_report(run).read_text("utf-8")
    use = """
    const table = [...document.querySelectorAll("table")].find(one => one.textContent.includes("second"));
    const [name, x] = table.querySelectorAll("thead button"), found = [];
    for (const head of [name, x, x]) {
      head.click();
      found.push([...table.tBodies[0].rows].map(row => row.cells[0].textContent).join(" "));
    }
    document.querySelector("figure button").click();
    document.title = JSON.stringify([found, document.querySelector("dialog[open] img").alt]);
    """
    (tmp_path / "open.html").write_text(page.replace("Content-Security-Policy", "none") + f"<script>{use}</script>")
    (tmp_path / "shut.html").write_text(page + f"<script>{use}</script>")
    shown, console = in_browser((tmp_path / "open.html").as_uri(), tmp_path)
    orders, enlarged = json.loads(html.unescape(re.search("<title>(.*?)</title>", shown)[1]))
    assert orders == ["a none b second c last", "b second c last a none", "c last b second a none"] and not console
    assert enlarged == Page(page).images[0]["alt"]
    refused, console = in_browser((tmp_path / "shut.html").as_uri(), tmp_path)
    assert "<title>Don't Stop Pretraining" in refused and "Content Security Policy" in " ".join(console)


def test_cells_are_escaped_and_stand_beside_the_papers(run):
    text = write_report(run).read_text("utf-8")
    assert "&lt;b&gt;own&lt;/b&gt;" in text and "<b>own" not in text
    assert "81.9 ±1.3" in text and "81.9 ±0.4" in text and "records/a.json" not in text


def test_the_audit_is_shown_by_split_and_the_cost_in_whole_numbers():
    audit = pd.DataFrame(
        [
            ("acl", "dev", 114, "train", 3, 0), ("acl", "test", 139, "train", 52, 5), ("acl", "test", 139, "dev", 0, 1),
        ],
        columns=["task", "held", "rows", "against", "exact", "near"],
    )  # fmt: skip
    shown = readable._arranged(audit)
    assert list(shown.columns) == ["task", "held", "rows", "train", "dev"]
    assert shown.values.tolist() == [
        ["acl", "dev", 114, "3 exact", ""],
        ["acl", "test", 139, "52 exact, 5 near", "1 near"],
    ]
    scores = dict(recipe="paper", sd=1.25, paper_mean=None, paper_sd=None, paper_grade=None)
    cost = pd.DataFrame(
        [
            dict(task="acl", method="base", corpus=None, mean=58.33, steps=None, seconds=None, **scores),
            dict(task="acl", method="dapt_tapt", corpus="acl", mean=60.0, steps=225.0, seconds=56.19, **scores),
        ]
    )
    assert markdown(readable._arranged(cost)).splitlines()[2:] == [
        "| acl | base |  | 58.3 ±1.2 |  |  |",
        "| acl | DAPT+TAPT | acl | 60.0 ±1.2 | 225 | 56 |",
    ]


def test_a_run_without_results_or_of_no_such_name_is_said(tmp_path):
    with pytest.raises(UserError, match="there is no such run"):
        write_report(tmp_path / "none")
    with pytest.raises(UserError, match="run the notebooks first"):
        write_report(tmp_path)


def test_every_file_a_notebook_saves_has_one_section():
    tables = [name for section in SECTIONS for name in section.tables]
    figures = [figure.name for section in SECTIONS for figure in section.figures]
    assert len(set(tables)) == len(tables) and len(set(figures)) == len(figures)
    saved = {"tables": set(), "figures": set()}
    for path in (paths.project_root() / "outputs").glob("reference*/*/*.*"):
        saved.get(path.parent.name, set()).add(path.stem)
    assert saved["tables"] <= set(tables) and saved["figures"] <= set(figures)


def test_the_reference_run_is_told_in_sentences_that_its_tables_bear_out(tmp_path):
    run = shutil.copytree(paths.project_root() / "outputs" / "reference", tmp_path / "reference")
    text = write_report(run).read_text("utf-8")
    # the loss of each dapt_<domain> and of the base on <domain>, read off tables/mlm_loss.csv
    loss = pd.read_csv(run / "tables" / "mlm_loss.csv").set_index(["model", "sample"])["mean"]
    domains = ("biomed", "cs", "news", "reviews")
    fell = {name: loss["base", name] - loss[f"dapt_{name}", name] for name in domains}
    most = max(fell, key=fell.get)
    assert f"own domain in {sum(gain > 0 for gain in fell.values())} of 4 domains, most for {most}" in text
    # one of the four pairs of tables/transfer.csv is of one domain: rotten_tomatoes holds film reviews too
    assert "In 1 of 4 pairs both tasks are of one domain (imdb_sample from rotten_tomatoes)" in text
    assert "otherwise the run is too small" not in text and "-1" not in sentences.leaks(
        pd.read_csv(run / "tables" / "tapt_leaks.csv")
    )
    page = Page(text)
    assert all("highest" in image["alt"].lower() or len(image["alt"]) > 20 for image in page.images)


def test_the_adapted_models_are_named_with_the_lines_that_load_them(run, tmp_path, monkeypatch):
    monkeypatch.setenv("DSP_CACHE", str(tmp_path / "cache"))
    for key, method in (("abc", "dapt"), ("gone", "tapt")):
        record = run / "records" / "bbc" / method / "seed-0.json"
        record.parent.mkdir(parents=True)
        made = {"checkpoint_key": key, "method": method, "corpus": "news", "seed": 0}
        record.write_text(json.dumps({"task": "bbc", "base_model": "mini", "adaptation": made}))
    earlier = run / "records" / "old" / "dapt" / "seed-0.json"  # of an earlier run in this folder, on another task
    earlier.parent.mkdir(parents=True)
    made = {"checkpoint_key": "abc", "method": "dapt", "corpus": "earlier", "seed": 0}
    earlier.write_text(json.dumps({"task": "old", "base_model": "mini", "adaptation": made}))
    (run / "config.json").write_text(make_config("demo").model_dump_json())
    assert adapted_models(run)["adapted_to"].tolist() == []
    shutil.copytree(paths.MINI, tmp_path / "cache/store/model/abc")
    assert adapted_models(run)["adapted_to"].tolist() == ["news"]
    (run / "records/bbc/base").mkdir()
    (run / "records/bbc/base/seed-0.json").write_text(json.dumps({"adaptation": None}))
    folder = tmp_path / "cache/store/model/abc"
    page = write_report(run).read_text("utf-8")
    assert "$DSP_CACHE/store/model/abc" in page and "gone" not in page and str(tmp_path) not in page
    # the lines do what they say
    lines = html.unescape(re.search(r"<pre><code>(.*?)</code>", page, re.DOTALL)[1])
    named = {}
    exec(lines, named)
    assert named["folder"] == str(folder) and named["model"].config.vocab_size == len(named["tokenizer"])


def test_numbers_are_grouped_headers_are_words_and_reasons_stand_below():
    found = readable.cells(pd.DataFrame({"fine_tune_seconds": [12345], "x": [1234.5], "why": ["because"]}))
    assert found.columns == [("fine tune seconds", True), ("x", True)]
    assert found.rows == [(["12,345", "1,234.50"], "because")]
    small = readable.cells(pd.DataFrame({"gain": [-0.004, -0.006, -0.0]}))
    assert [row for row, _ in small.rows] == [["0.00"], ["-0.01"], ["0.00"]], "no minus before a zero"
    ends = readable.cells(pd.DataFrame({"change_high": [-0.004], "low": [0.004]}))
    assert ends.rows[0][0] == ["-0.00", "0.00"], "but a bound is on one side of it"


@pytest.mark.parametrize("place", ["task", "claim", "verdict", "domain", "config", "folder", "file"])
def test_no_text_of_data_or_names_runs_as_script(run, place):
    if place in ("claim", "verdict"):
        row = {"claim": "c", "scope": "all", "verdict": "v", "why": SCRIPT} | {place: SCRIPT}
        pd.DataFrame([row]).to_csv(run / "tables" / "claims.csv", index=False)
    elif place == "domain":
        columns = ["a", "b", "definition", "mean", "paper_mean"]
        rows = [("pt", SCRIPT, "paper", 5.0, None), (SCRIPT, "pt", "paper", 6.0, 1.0)]
        pd.DataFrame(rows, columns=columns).to_csv(run / "tables" / "overlap.csv", index=False)
    elif place == "config":
        config = make_config("demo", {"base_model": SCRIPT, "tasks": SCRIPT})
        (run / "config.json").write_text(config.model_dump_json())
    elif place == "folder":
        run = run.rename(run.with_name("<script>alert(1)<"))
    elif place == "file":
        shutil.copy(run / "tables" / "anything.csv", run / "tables" / "<script>.csv")
    else:
        pd.DataFrame([score_row(SCRIPT, SCRIPT, 1.0)]).to_csv(run / "tables" / "dapt.csv", index=False)
    page = Page(write_report(run).read_text("utf-8"))
    assert page.scripts == [OURS] and page.open == []


def _damage(run, kind):
    table, picture = run / "tables" / "dapt.csv", run / "figures" / "overlap.png"
    record = run / "records" / "t" / "seed-0.json"
    record.parent.mkdir(parents=True)
    data = table.read_bytes()
    writes = {
        "table empty": (table, b""), "table binary": (table, bytes(range(256))), "table cut": (table, b'a,b\n"x'),
        "table ragged": (table, b"a,b\n1,2,3\n1,2\n1,2,3,4\n"),
        "number lost": (table, data.replace(b"81.94", b"8x.94")),
        "rows twice": (run / "tables" / "mlm_loss.csv", b"model,sample,mean,paper_mean\nm,s,1,1\nm,s,2,1\n"),
        "config cut": (run / "config.json", b'{"preset"'), "config list": (run / "config.json", b"[]"),
        "config preset": (run / "config.json", b'{"preset": "dmeo"}'),
        "config seeds": (run / "config.json", b'{"preset": "demo", "seeds": "many"}'),
        "config binary": (run / "config.json", b"\xff\xfe"), "config deep": (run / "config.json", b"[" * 100_000),
        "picture": (picture, b"no picture"), "record cut": (record, b'{"a": '), "record list": (record, b"[1]"),
    }  # fmt: skip
    path, text = writes[kind]
    path.write_bytes(text)
    return path


@pytest.mark.parametrize(
    "kind",
    ["table empty", "table binary", "table cut", "table ragged", "number lost", "rows twice", "config cut",
     "config list", "config preset", "config seeds", "config binary", "config deep", "picture", "record cut",
     "record list"],
)  # fmt: skip
def test_a_damaged_file_of_a_run_is_named_in_one_line(run, kind):
    path = _damage(run, kind)
    with pytest.raises(UserError) as caught:
        write_report(run)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not (run / "report.html").exists()


def test_markdown_goes_between_the_markers_and_nowhere_else(run, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# Top\n<!-- results:start -->\nold\n<!-- results:end -->\nbelow\n")
    write_results_markdown(run, readme)
    text = readme.read_text()
    assert text.startswith("# Top\n<!-- results:start -->\nPreset `demo`")
    assert text.endswith("\n<!-- results:end -->\nbelow\n") and "old" not in text
    assert "| chemprot | fine-tuned | 81.9 ±1.3 | 81.9 ±0.4 |" in text and r"a\|b" in text
    write_results_markdown(run, readme)
    assert readme.read_text() == text
    readme.write_text("no markers")
    with pytest.raises(UserError, match="expected the markers"):
        write_results_markdown(run, readme)


def test_the_command_names_what_differs_from_the_preset(run):
    assert "made by `dsp run --preset demo`." in results_markdown(run)
    changes = {"SEEDS": 2, "TASKS": "chemprot,imdb", "SELECTION_TASKS": "chemprot", "DATA_DIR": "/of/Smith, J"}
    (run / "config.json").write_text(make_config("laptop", changes).model_dump_json())
    command = "dsp run --preset laptop -p TASKS=chemprot,imdb -p SEEDS=2 -p 'DATA_DIR=/of/Smith, J'"
    command += " -p SELECTION_TASKS=chemprot"
    assert f"made by `{command}`." in results_markdown(run)


def test_without_a_config_the_folder_names_the_run(run):
    (run / "config.json").unlink()
    assert "Preset `demo`" in results_markdown(run) and "preset demo" in write_report(run).read_text()


@pytest.mark.parametrize(
    ("preset", "changes", "warned"),
    [
        ("paper", {}, False),
        ("paper", {"TASKS": "chemprot", "WORKERS": 3, "DATA_DIR": "/data", "FIRST_SEED": 7}, False),
        ("paper", {"DAPT_STEPS": 8}, True),
        ("paper", {"BASE_MODEL": "mini"}, True),
        ("paper", {"SEEDS": 2}, True),
        ("demo", {}, True),
    ],
)
def test_all_but_the_papers_own_sizes_carry_a_warning(run, preset, changes, warned):
    (run / "config.json").write_text(make_config(preset, changes).model_dump_json())
    assert ("at this scale" in write_report(run).read_text()) == warned
    assert ("at this scale" in results_markdown(run)) == warned


def test_matrices_show_the_papers_number_in_brackets_and_claims_the_overall_verdict():
    losses = pd.DataFrame(
        [("dapt_cs", "generic", 4.126, 1.4), ("dapt_cs", "cs", 3.5, 1.34), ("base", "generic", 4.0, None)],
        columns=["model", "sample", "mean", "paper_mean"],
    )
    assert readable._arranged(losses).to_dict("records") == [
        {"model": "dapt_cs", "generic": "4.13 (1.40)", "cs": "3.50 (1.34)"},
        {"model": "base", "generic": "4.00", "cs": ""},
    ]
    claims = pd.DataFrame({"claim": ["c", "c"], "scope": ["all", "task"], "verdict": ["not", "x"], "p": [0.1, 0.2]})
    assert readable._arranged(claims).to_dict("records") == [{"claim": "c", "verdict": "not"}]


def test_names_that_look_like_numbers_or_nothing_are_names(run):
    rows = [("2019", "so", "adapt", ""), ("NA", "so", "adapt", "")]
    path = run / "tables" / "advice.csv"
    pd.DataFrame(rows, columns=["task", "question", "answer", "evidence"]).to_csv(path, index=False)
    assert readable.read(path)["task"].tolist() == ["2019", "NA"]
    assert "2019, NA: adapt." in write_report(run).read_text("utf-8")


def test_a_name_of_one_table_may_be_a_number_of_another(run):
    """The audit's 'held' is a split, that of the hit rates a share."""
    path = run / "tables" / "hit_rates.csv"
    path.write_text("recipe,predictor,pairs,called,right,held\nfrozen,few,36,30,0.93,0.4444444444\n")
    assert readable.cells(readable.read(path)).rows[0][0][-1] == "0.44"
