"""The report stands alone, shows every table and figure once and escapes what it shows."""

import base64
import json
from html.parser import HTMLParser

import pandas as pd
import pytest

from helpers.config import make_config
from helpers.errors import UserError
from helpers.results.render import markdown
from helpers.run import report
from helpers.run.report import MATCH_ORDER, SECTIONS, results_markdown, write_report, write_results_markdown

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
    for name in ("fig2_overlap", "dapt_curves"):
        (run / "figures" / f"{name}.png").write_bytes(PIXEL)
    (run / "notebooks" / "02_dapt.ipynb").write_text("{}")
    (run / "notebooks" / "03_tapt.failed.ipynb").write_text("{}")
    (run / "config.json").write_text(make_config("demo").model_dump_json())
    return run


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.images, self.headings, self.open, self.tags = [], [], [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        if tag == "a":
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append(attributes)
        if tag == "h2":
            self.headings.append("")
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings[-1] += data


def test_the_report_stands_alone_and_shows_everything_once(run):
    path = write_report(run)
    text = path.read_text("utf-8")
    page = Page(text)
    assert path == run / "report.html" and page.open == []
    assert page.headings == [
        "1. Verdicts", "2. How far apart are the domains?", "3. Domain-adaptive pretraining",
        "4. Further results", "Settings and versions",
    ]  # fmt: skip
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in page.images)
    assert len(page.images) == 2 and base64.b64decode(page.images[0]["src"].partition(",")[2]) == PIXEL
    assert not page.tags & {"script", "link", "iframe"} and "http" not in text
    assert set(page.links) == {"notebooks/02_dapt.ipynb"}
    for name in ("dapt", "overlap", "claims", "anything"):
        assert text.count(f"tables/{name}.csv") == 1
    assert "preset demo" in text and "mini" in text and "not the paper's own" in text.replace("&#x27;", "'")


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
    shown = report._readable(audit)
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
    assert markdown(report._readable(cost)).splitlines()[2:] == [
        "| acl | base |  | 58.3 ±1.2 |  |  |",
        "| acl | DAPT+TAPT | acl | 60.0 ±1.2 | 225 | 56 |",
    ]


def test_a_run_without_results_or_of_no_such_name_is_said(tmp_path):
    with pytest.raises(UserError, match="there is no such run"):
        write_report(tmp_path / "none")
    with pytest.raises(UserError, match="run the notebooks first"):
        write_report(tmp_path)


def test_every_word_has_one_section():
    words = [word for section in SECTIONS for word in section.names]
    assert sorted(words) == sorted(MATCH_ORDER) and len(set(words)) == len(words)
    titles = {name: report._home(name).title for name in ("selection", "transfer", "dapt", "tapt", "table9_cost")}
    assert titles["table9_cost"] == "What it costs" and len(set(titles.values())) == 5
    assert report._home("selection_tapt").names[0] == "selection" and report._home("other") is None


def test_markdown_goes_between_the_markers_and_nowhere_else(run, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# Top\n<!-- results:start -->\nold\n<!-- results:end -->\nbelow\n")
    write_results_markdown(run, readme)
    text = readme.read_text()
    assert text.startswith("# Top\n<!-- results:start -->\nPreset `demo`")
    assert text.endswith("\n<!-- results:end -->\nbelow\n") and "old" not in text
    assert "| chemprot | paper | 81.9 ±1.3 | 81.9 ±0.4 |" in text and r"a\|b" in text
    write_results_markdown(run, readme)
    assert readme.read_text() == text
    readme.write_text("no markers")
    with pytest.raises(UserError, match="expected the markers"):
        write_results_markdown(run, readme)


def test_the_command_names_what_differs_from_the_preset(run):
    assert "made by `dsp run --preset demo`." in results_markdown(run)
    config = make_config("laptop", {"SEEDS": 2, "TASKS": "chemprot,imdb", "SELECTION_TASKS": "chemprot"})
    (run / "config.json").write_text(config.model_dump_json())
    command = "dsp run --preset laptop -p TASKS=chemprot,imdb -p SEEDS=2 -p SELECTION_TASKS=chemprot"
    assert f"made by `{command}`." in results_markdown(run)


def test_without_a_config_the_folder_names_the_run(run):
    (run / "config.json").unlink()
    assert "Preset `demo`" in results_markdown(run) and "preset demo" in write_report(run).read_text()


def test_the_papers_preset_carries_no_warning(run):
    config = json.loads(make_config("paper").model_dump_json())
    (run / "config.json").write_text(json.dumps(config))
    assert "at this scale" not in write_report(run).read_text()


def test_matrices_show_the_papers_number_in_brackets_and_claims_the_overall_verdict():
    losses = pd.DataFrame(
        [("dapt_cs", "generic", 4.126, 1.4), ("dapt_cs", "cs", 3.5, 1.34), ("base", "generic", 4.0, None)],
        columns=["model", "sample", "mean", "paper_mean"],
    )
    assert report._readable(losses).to_dict("records") == [
        {"model": "dapt_cs", "generic": "4.13 (1.40)", "cs": "3.50 (1.34)"},
        {"model": "base", "generic": "4.00", "cs": ""},
    ]
    claims = pd.DataFrame({"claim": ["c", "c"], "scope": ["all", "task"], "verdict": ["not", "x"], "p": [0.1, 0.2]})
    assert report._readable(claims).to_dict("records") == [{"claim": "c", "verdict": "not"}]
