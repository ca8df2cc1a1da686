"""Every word of the study, walked from its one entry through title, colour, record, table and claim."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from helpers import figures, methods, paper
from helpers.data import DOMAINS, TASKS
from helpers.errors import UserError
from helpers.figures.style import METHOD_COLOURS, SELECTOR_COLOURS, VERDICT_COLOURS, domain_title
from helpers.methods import CLAIMS, EXPERIMENTS, METHODS, SELECTORS, split_selection
from helpers.results import claims, load_records, score_table, write_record
from helpers.select import SELECTORS as MAKERS

# Machado, Oliveira and Fernandes 2009, Table 1: linear RGB as seen without the middle-wave cones (severity 1.0).
DEUTERANOPIA = np.array([
    [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]
])  # fmt: skip
TO_XYZ = np.array([
    [0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]
])  # fmt: skip
WHITE = np.array([0.95047, 1.0, 1.08883])
EVERY = [*METHODS, *(f"{name}_5_tapt" for name in SELECTORS)]


def linear(colours):
    rgb = np.array([to_rgb(colour) for colour in colours])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE L*a*b* (D65) of linear sRGB [colours, 3]."""
    xyz = np.clip(rgb, 0, 1) @ TO_XYZ.T / WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize(
    "colours",
    [METHOD_COLOURS, SELECTOR_COLOURS, {name: one.colour for name, one in DOMAINS.items()}, VERDICT_COLOURS],
    ids=["methods", "selectors", "domains", "verdicts"],
)
def test_colours_stay_apart_with_and_without_colour_vision(colours):
    rgb = linear(colours.values())
    for seen in (rgb, rgb @ DEUTERANOPIA.T):
        apart = np.linalg.norm(lab(seen)[:, None] - lab(seen)[None], axis=-1)[np.triu_indices(len(colours), 1)]
        assert apart.min() > 19, "about eight just noticeable differences"
    contrast = 1.05 / (rgb @ TO_XYZ[1] + 0.05)  # WCAG 2, on white
    assert contrast.min() > 1.7


def test_the_measures_of_colour_by_known_values():
    assert lab(linear(["white", "black"])) == pytest.approx(np.array([[100, 0, 0], [0, 0, 0]]), abs=0.01)
    assert lab(linear(["red"]))[0] == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert DEUTERANOPIA.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5), "grey stays grey"


@pytest.mark.parametrize("method", EVERY)
def test_every_method_has_title_colour_record_table_and_claim(method, record, tmp_path):
    methods.check(method)
    assert methods.method_title(method) != method or method == "base"
    folder = tmp_path / "records"
    against = "dapt" if method == "base" else "base"
    for name in (method, against):
        for seed in range(2):
            adapted = {"corpus": "news"} if name != "base" and name not in methods.BASELINES else None
            write_record(folder, record("ag", name, seed, 0.7, adaptation=adapted))
    records = load_records(folder)
    tables = [one for one in EXPERIMENTS.values() if one.holds(method)]
    assert tables, "no table of the paper holds it"
    for experiment in tables:
        assert method in set(score_table(records, experiment)["method"])
    assert len(claims(records)) >= len(CLAIMS)
    axes = figures.method_scores(score_table(records))
    assert methods.method_title(method) in [label.get_text() for label in axes[0].get_yticklabels()]
    if not split_selection(method):
        assert METHOD_COLOURS[method] == METHODS[method].colour


def test_every_selector_can_be_made_and_no_other():
    assert list(SELECTORS) == list(MAKERS)
    assert {methods.selector_title(name) for name in SELECTORS} == {one.title for one in SELECTORS.values()}
    assert set(SELECTOR_COLOURS) == set(SELECTORS)


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_domain_has_title_colour_table_and_claim(domain, record, tmp_path):
    assert domain_title(domain) == DOMAINS[domain].title != domain and DOMAINS[domain].colour
    for method in ("base", "dapt"):
        for seed in range(2):
            write_record(tmp_path / "records", record("mine", method, seed, 0.7, domain=domain))
    records = load_records(tmp_path / "records")
    assert set(score_table(records, methods.TABLE_3)["domain"]) == {domain}
    table = claims(records)
    assert domain in set(table[(table["claim"] == "dapt_beats_base") & (table["scope"] == "domain")]["domain"])


def test_tables_come_in_the_order_of_the_domains(study):
    found = score_table(study({(task, "base"): 0.7 for task in ("imdb", "ag", "citation_intent", "chemprot")}))
    assert found["domain"].tolist() == ["biomed", "cs", "news", "reviews"]


def test_experiments_and_claims_use_known_words_only():
    for experiment in EXPERIMENTS.values():
        assert set(experiment.methods) <= set(METHODS) and set(experiment.published) <= set(paper.TABLES)
        assert experiment.tasks in ("all", "selection", "unlabeled")
    for claim in CLAIMS.values():
        printed = paper.table(claim.published)
        for name in (claim.better, *claim.worse):
            methods.check(name.format(k=50, most=500))
        if "not in the paper" not in claim.section:
            assert claim.pairs(set(printed["method"])), f"{claim.name}: {claim.published} cannot judge it"
    assert {TASKS[task].domain for task in paper.TASK_TITLES} <= set(DOMAINS)


def test_each_printed_table_is_beside_an_experiment_of_its_methods():
    own = (methods.TABLE_3, methods.TABLE_5, methods.TABLE_6, methods.TABLE_7, methods.TABLE_8)
    printed = {name: set(paper.table(name)["method"]) for name in ("table3", "table5", "table6", "table7", "table8")}
    anywhere = set().union(*printed.values())
    for (name, there), experiment in zip(printed.items(), own, strict=True):
        assert name in experiment.published and any(map(experiment.holds, there))
        # what the paper prints for a method anywhere is found in the tables that the experiment names
        beside = set().union(*(printed[one] for one in experiment.published))
        assert set(experiment.methods) & anywhere <= beside


def test_pairs_of_fixed_methods_and_of_selections():
    pairs = CLAIMS["dapt_tapt_best"].pairs
    assert pairs({"dapt_tapt", "dapt", "tapt", "base", "x"}) == [("dapt_tapt", one) for one in ("dapt", "tapt", "base")]
    assert pairs({"dapt_tapt", "dapt", "tapt"}) == []
    near = CLAIMS["neighbours_beat_random"].pairs
    found = near({"vampire_5_tapt", "vampire_15_tapt", "random_15_tapt", "random_500_tapt"})
    assert found == [("vampire_15_tapt", "random_15_tapt")] and near({"vampire_5_tapt"}) == []
    assert CLAIMS["more_neighbours_help"].pairs({"vampire_5_tapt", "random_5_tapt"}) == []


def test_selection_names():
    assert split_selection("vampire_50_tapt") == ("vampire", 50)
    assert split_selection("moore_lewis_150_tapt") == ("moore_lewis", 150)
    assert split_selection("dapt_tapt") is None and split_selection("curated_tapt") is None


def test_titles_are_the_papers():
    names = ("dapt_tapt", "vampire_50_tapt", "random_50_tapt", "my_method")
    assert [methods.method_title(name) for name in names] == ["DAPT+TAPT", "50NN-TAPT", "random-50-TAPT", "my_method"]
    assert methods.method_title("base", "strong") == "base, strong"
    assert sorted(METHODS, key=methods.method_order) == list(METHODS)


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"method 'dabt': .*Did you mean dapt\?"):
        methods.check("dabt")
    with pytest.raises(UserError, match=r"method 'vampir_5_tapt': .*Did you mean vampire\?"):
        methods.check("vampir_5_tapt")
