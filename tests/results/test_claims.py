"""Verdicts on invented studies whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.results import claims, load_records, paired_combined, write_record
from helpers.results.claims import COLUMNS

TASKS = ("chemprot", "citation_intent", "ag", "imdb")
OVERLAP = pd.DataFrame({
    "a": "generic", "b": ["biomed", "cs", "news", "reviews"], "definition": "paper", "percent": [30.0, 20.0, 55.0, 40.0]
})  # fmt: skip


def rows_of(table, claim, scope):
    return table[(table["claim"] == claim) & (table["scope"] == scope)]


def cells(**accuracy):
    return {(task, method): value for task in TASKS for method, value in accuracy.items()}


def test_a_clear_gain_is_reproduced_everywhere(study):
    records = study(cells(base=0.5, dapt=0.75, shuffled_dapt=0.5, not_dapt=0.5), seeds=5)
    table = claims(records)
    assert list(table.columns) == list(COLUMNS)
    found = rows_of(table, "dapt_beats_base", "all").iloc[0]
    assert found["verdict"] == "reproduced" and found["low"] > 0 and found["n"] == 5
    assert found["effect"] == pytest.approx(25, abs=5) and abs(found["control_effect"]) < 5
    assert found["paper_effect"] == pytest.approx(84.0 - 81.25)
    assert set(rows_of(table, "dapt_beats_base", "domain")["domain"]) == {"biomed", "cs", "news", "reviews"}
    assert (rows_of(table, "not_dapt_below_dapt", "task")["verdict"] == "reproduced").all()
    assert (rows_of(table, "dapt_beats_shuffled_words", "all")["verdict"] == "reproduced").all()


def test_a_clear_loss_is_not_reproduced(study):
    table = claims(study(cells(base=0.75, tapt=0.5), seeds=5))
    found = rows_of(table, "tapt_beats_base", "all").iloc[0]
    assert found["verdict"] == "not" and found["high"] < 0 and found["paper_effect"] == pytest.approx(1.99, abs=0.01)


def test_no_difference_is_undecided_and_tells_its_power(study):
    found = rows_of(claims(study(cells(base=0.6, tapt=0.6))), "tapt_beats_base", "all").iloc[0]
    assert found["verdict"] == "undecided" and found["low"] < 0 < found["high"]
    assert found["detectable_effect"] > 1.99 and "the paper's +1.99 is too small to see here" in found["why"]


def test_every_domain_must_gain_for_the_claim_on_domains(study):
    accuracy = cells(base=0.5, dapt=0.8) | {("imdb", "dapt"): 0.5}
    found = rows_of(claims(study(accuracy, seeds=5)), "dapt_beats_base", "all").iloc[0]
    assert found["low"] > 0 and found["verdict"] == "undecided"
    assert "undecided on reviews" in found["why"] and "reproduced on biomed, cs, news" in found["why"]
    accuracy |= {("imdb", "dapt"): 0.35}
    assert rows_of(claims(study(accuracy, seeds=5)), "dapt_beats_base", "all")["verdict"].item() == "not"


def test_an_effect_is_the_combined_comparison_of_its_records(study):
    records = study(cells(base=0.6, dapt=0.7), seeds=4)
    table = claims(records, draws=300, seed=5)
    cell = {m: records[(records["task"] == "ag") & (records["method"] == m)] for m in ("dapt", "base")}
    stacked = [np.stack(list(cell[m]["test_predictions"])) for m in ("dapt", "base")]
    expected = paired_combined(cell["base"]["test_gold"].iloc[0], *stacked, 3, "macro_f1", draws=300, seed=5)
    found = rows_of(table, "dapt_beats_base", "task").set_index("task").loc["ag"]
    assert found[["effect", "low", "high", "p"]].tolist() == pytest.approx(
        [expected.effect, expected.low, expected.high, expected.p]
    )
    tasks = rows_of(table, "dapt_beats_base", "task")
    assert (tasks["p_holm"] >= tasks["p"]).all() and tasks["p_holm"].min() == pytest.approx(4 * tasks["p"].min())
    assert rows_of(table, "dapt_beats_base", "all")["effect"].item() == pytest.approx(tasks["effect"].mean())


def test_best_means_better_than_every_rival(study):
    table = claims(study(cells(base=0.5, dapt=0.8, tapt=0.6, dapt_tapt=0.8), seeds=5))
    found = rows_of(table, "dapt_tapt_best", "all").iloc[0]
    assert found["comparison"] == "dapt_tapt - dapt" and found["verdict"] == "undecided"
    # Table 5: DAPT+TAPT beats its best rival by 0.2 0.1 0.2 0.5 -0.4 0.1 0.2 0.1.
    assert found["paper_effect"] == pytest.approx(1.0 / 8)


def test_transfer_is_judged_on_partners_of_the_same_domain_only(study, record, tmp_path):
    study(cells(tapt=0.75))
    partners = {"citation_intent": "sciie", "chemprot": "citation_intent", "ag": "unheard", "imdb": "helpfulness"}
    for task, partner in partners.items():
        for seed in range(3):
            adapted = {"corpus": partner}
            write_record(tmp_path / "records", record(task, "transfer_tapt", seed, 0.5, adaptation=adapted))
    table = claims(load_records(tmp_path / "records"), task_domains={"helpfulness": "reviews", "sciie": "cs"})
    tasks = rows_of(table, "transfer_hurts", "task").set_index("task")
    assert tasks["verdict"].to_dict() == {
        "chemprot": "undecided", "citation_intent": "reproduced", "ag": "undecided", "imdb": "reproduced"
    }  # fmt: skip
    assert tasks.loc["chemprot", "why"] == "chemprot: its partner citation_intent is a task of cs, not of biomed"
    assert "an unknown domain" in tasks.loc["ag", "why"] and tasks.loc["chemprot", "effect"] > 0
    assert set(rows_of(table, "transfer_hurts", "domain")["domain"]) == {"cs", "reviews"}
    judged = tasks.loc[["citation_intent", "imdb"], "effect"].mean()
    assert rows_of(table, "transfer_hurts", "all")["effect"].item() == pytest.approx(judged)
    # Only the four pairs legible in the paper: 0.6, 2.2, 3.3 and 0.2 points.
    assert rows_of(table, "transfer_hurts", "all")["paper_effect"].item() == pytest.approx(6.3 / 4)


def test_transfer_without_any_same_domain_partner_says_so(study, record, tmp_path):
    study({("ag", "tapt"): 0.8})
    write_record(tmp_path / "records", record("ag", "transfer_tapt", 0, 0.5, adaptation={"corpus": "imdb"}))
    table = claims(load_records(tmp_path / "records"), task_domains={"imdb": "reviews"})
    found = rows_of(table, "transfer_hurts", "all").iloc[0]
    assert found["verdict"] == "undecided" and "imdb is a task of reviews, not of news" in found["why"]


def test_selection_claims_compare_equal_and_extreme_sizes(study):
    accuracy = {"vampire_50_tapt": 0.7, "vampire_500_tapt": 0.8, "random_50_tapt": 0.5}
    table = claims(study({("chemprot", name): value for name, value in accuracy.items()}, seeds=5))
    near = rows_of(table, "neighbours_beat_random", "task").iloc[0]
    more = rows_of(table, "more_neighbours_help", "task").iloc[0]
    assert near["comparison"] == "vampire_50_tapt - random_50_tapt" and near["verdict"] == "reproduced"
    assert near["paper_effect"] == pytest.approx(83.3 - 81.9)
    assert more["comparison"] == "vampire_500_tapt - vampire_50_tapt" and more["paper_effect"] == pytest.approx(0.0)


@pytest.mark.parametrize(("far", "near", "verdict"), [(0.85, 0.55, "reproduced"), (0.55, 0.85, "not")])
def test_distance_is_judged_by_the_slope_over_domains(study, far, near, verdict):
    gains = {"citation_intent": far, "chemprot": (far * 2 + near) / 3, "imdb": (far + near * 2) / 3, "ag": near}
    records = study(cells(base=0.5) | {(task, "dapt"): value for task, value in gains.items()}, seeds=5)
    found = rows_of(claims(records, OVERLAP), "farther_domains_gain_more", "all").iloc[0]
    tasks = rows_of(claims(records), "dapt_beats_base", "task").set_index("task")["effect"]
    gain = [tasks[name] for name in ("chemprot", "citation_intent", "ag", "imdb")]
    assert found["effect"] == pytest.approx(np.polyfit((100 - OVERLAP["percent"]) / 10, gain, 1)[0])
    assert found["verdict"] == verdict and "these 4 domains only" in found["why"]
    assert found["paper_effect"] > 0


def test_distance_without_overlaps_is_undecided(study):
    found = rows_of(claims(study(cells(base=0.5, dapt=0.7))), "farther_domains_gain_more", "all").iloc[0]
    assert found["verdict"] == "undecided" and "no overlap of the domains" in found["why"]


def test_one_seed_decides_nothing(study):
    found = rows_of(claims(study(cells(base=0.3, dapt=0.9), seeds=1)), "dapt_beats_base", "all").iloc[0]
    assert found["verdict"] == "undecided" and found["effect"] > 40 and np.isnan(found["p"])


def test_missing_methods_are_said(study):
    table = claims(study(cells(base=0.5)))
    assert (table["verdict"] == "undecided").all() and (table["n"] == 0).all()
    assert len(table) == 9 and "no task has records of every method" in table["why"].iloc[0]
    assert claims(load_records("nowhere")).empty


def test_only_seeds_that_both_methods_have_are_paired(study, record, tmp_path):
    study({("ag", "base"): 0.5}, seeds=5)
    records = study({("ag", "dapt"): 0.8}, seeds=3)
    assert rows_of(claims(records), "dapt_beats_base", "task")["n"].item() == 3


def test_degenerate_seeds_and_recipes_are_shown(study, record, tmp_path):
    study(cells(base=0.5, dapt=0.7))
    write_record(tmp_path / "records", record("ag", "base", 1, 0.5, degenerate=True))
    for seed in range(3):
        for method in ("base", "dapt"):
            write_record(tmp_path / "records", record("ag", method, seed, 0.8, recipe="strong"))
    table = claims(load_records(tmp_path / "records"))
    why = rows_of(table, "dapt_beats_base", "domain").query("recipe == 'paper'").set_index("domain")["why"]
    assert "one class only in: ag base seed 1" in why["news"] and "one class only" not in why["cs"]
    strong = table[(table["recipe"] == "strong") & (table["claim"] == "dapt_beats_base")]
    assert len(strong) == 3 and strong["paper_effect"].isna().all()


def test_other_test_rows_are_refused(study, record, tmp_path):
    study({("ag", "base"): 0.5})
    for seed in range(3):
        write_record(tmp_path / "records", record("ag", "dapt", seed, 0.5, rows=300))
    with pytest.raises(UserError, match="ag: dapt and base have different test rows"):
        claims(load_records(tmp_path / "records"))
