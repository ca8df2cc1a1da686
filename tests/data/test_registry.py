"""Registries agree with Table 2 and Table 3 of the paper; users' files are checked line by line."""

import json

import pytest

from helpers.data import DOMAINS, TASKS, domain_spec, read_task_file, task_spec
from helpers.errors import UserError

TABLE_2 = {
    "chemprot": ("biomed", (4169, 2427, 3469), 13), "rct": ("biomed", (180040, 30212, 30135), 5),
    "citation_intent": ("cs", (1688, 114, 139), 6), "sciie": ("cs", (3219, 455, 974), 7),
    "hyperpartisan_news": ("news", (515, 65, 65), 2), "ag": ("news", (115000, 5000, 7600), 4),
    "helpfulness": ("reviews", (115251, 5000, 25000), 2), "imdb": ("reviews", (20000, 5000, 25000), 2),
}  # fmt: skip


def test_the_papers_tasks_have_the_papers_sizes():
    for name, (domain, sizes, classes) in TABLE_2.items():
        spec = TASKS[name]
        assert (spec.domain, spec.paper_sizes, spec.classes) == (domain, sizes, classes)
        assert spec.labels is None or len(spec.labels) == classes


def test_micro_f1_belongs_to_chemprot_and_rct_alone():
    micro = {name for name, spec in TASKS.items() if spec.metric == "micro_f1" and spec.kind == "paper"}
    assert micro == {"chemprot", "rct", "rct-sample"}


def test_partners_of_the_papers_tasks_are_the_other_task_of_the_domain():
    for name in TABLE_2:
        partner = TASKS[TASKS[name].partner]
        assert partner.name != name and partner.domain == TASKS[name].domain and partner.partner == name


def test_sample_partners_across_domains_show_in_their_domain_names():
    crossing = {name for name, spec in TASKS.items() if spec.domain != TASKS[spec.partner].domain}
    assert {"rct_nlm", "arxiv_cs", "bbc"} <= crossing
    assert not {"imdb_sample", "rotten_tomatoes"} & crossing


def test_unrelated_domains_are_those_of_table_3():
    pairs = {name: spec.not_dapt for name, spec in DOMAINS.items()}
    papers = {"news": "cs", "reviews": "biomed", "cs": "news", "biomed": "reviews", "generic": None}
    assert {name: pairs[name] for name in papers} == papers


@pytest.mark.parametrize(("ask", "typo", "meant"), [(task_spec, "chemport", "chemprot"), (domain_spec, "new", "news")])
def test_unknown_names_point_to_the_nearest(ask, typo, meant):
    with pytest.raises(UserError, match=f"Did you mean {meant}"):
        ask(typo)


def test_a_task_file_in_json_and_in_toml_says_the_same(tmp_path):
    entry = {"name": "wines", "domain": "reviews", "metric": "micro_f1", "path": "here", "partner": "imdb"}
    as_json, as_toml = tmp_path / "t.json", tmp_path / "t.toml"
    as_json.write_text(json.dumps([entry]))
    as_toml.write_text("[[task]]\n" + "\n".join(f'{key} = "{value}"' for key, value in entry.items()))
    tasks = read_task_file(as_json)
    assert tasks == read_task_file(as_toml)
    assert tasks["wines"].folder == str(tmp_path / "here") and tasks["wines"].kind == "user"
    assert task_spec("wines", as_json).metric == "micro_f1" and task_spec("imdb", as_json).kind == "paper"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": "x"}, "domain is missing"),
        ({"name": "imdb", "domain": "news"}, "is taken"),
        ({"name": "x", "domain": "news", "metric": "f1"}, "expected one of micro_f1, macro_f1"),
        ({"name": "x", "domain": "news", "pathh": "y"}, "Did you mean path"),
        ({"name": "x", "domain": "news", "partner": "imbd"}, "Did you mean imdb"),
        ({"name": "../x", "domain": "news"}, "letters, digits"),
        ("x", "expected an object"),
    ],
)
def test_a_bad_task_file_is_refused_in_one_line(tmp_path, entry, said):
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([entry]))
    with pytest.raises(UserError, match=said) as caught:
        read_task_file(path)
    assert "tasks.json" in str(caught.value) and "\n" not in str(caught.value)


def test_a_domain_file_is_named_by_its_stem(tmp_path):
    spec = domain_spec("law", tmp_path / "law.jsonl.gz")
    assert spec.name == "law" and spec.not_dapt is None
    assert domain_spec("cs", tmp_path / "law.jsonl.gz").path is None
