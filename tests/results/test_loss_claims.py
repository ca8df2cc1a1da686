"""Verdicts on masked-LM losses whose truth is set by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers import paper
from helpers.errors import UserError
from helpers.figures.scores import CLAIM_TITLES
from helpers.results import claims, load_records, loss_changes, loss_claims, mlm_loss_table
from helpers.results.loss_claims import paired
from helpers.results.overlap_claims import ORDER
from helpers.results.verdicts import COLUMNS

DOMAINS = ("biomed", "cs", "news", "reviews")
TASK_SAMPLES = ("task_sciie", "task_bbc", "task_mine")
N = 60


def losses(shift, models=("base", *(f"dapt_{name}" for name in DOMAINS)), samples=("generic", *DOMAINS)):
    """Losses of documents of their own difficulty; a model moves them by shift(model, sample), a little unevenly."""
    random = np.random.default_rng(0)
    rows = []
    for sample in samples:
        difficulty = random.normal(3, 1, size=N)
        for model in models:
            loss = difficulty + shift(model, sample) + random.normal(0, 0.05, size=N)
            rows.append(pd.DataFrame({"model": model, "sample": sample, "document": range(N), "loss": loss}))
    return pd.concat(rows, ignore_index=True)


def as_in_the_paper(model, sample):
    number = paper.value("table12", sample, model)
    return number.mean - paper.value("table12", sample, "base").mean


def at_home(model, sample):
    """DAPT lowers its own domain, News too, and raises all else."""
    return 0.0 if model == "base" else -0.5 if model == f"dapt_{sample}" else 0.3


def whole(table):
    return table[table["scope"] == "all"].set_index("claim")


def test_the_papers_own_losses_are_reproduced_with_its_effects():
    table = loss_claims(losses(as_in_the_paper))
    assert list(table.columns) == list(COLUMNS) and set(table["unit"]) == {"nats"}
    told = table[table["claim"] != "tapt_lowers_task_loss_more"]
    assert (told["verdict"] == "reproduced").all() and told["why"].str.endswith(".").all()
    assert told["effect"].tolist() == pytest.approx(told["paper_effect"].tolist(), abs=0.03)
    assert whole(table).loc["loss_falls_at_home", "paper_effect"] == pytest.approx((0.33 + 0.29 - 0.08 + 0.17) / 4)
    assert whole(table).loc["loss_rises_on_general_text", "paper_effect"] == pytest.approx(2.09 / 4)
    assert whole(table).loc["own_dapt_has_lowest_loss", "paper_effect"] == pytest.approx(2.16 - 1.93)


def test_news_counts_the_other_way_round_for_its_loss_rose_in_the_paper():
    table = loss_claims(losses(at_home))
    rows = table[(table["claim"] == "loss_falls_at_home") & (table["scope"] == "domain")].set_index("domain")
    assert rows["verdict"].to_dict() == {
        "biomed": "reproduced", "cs": "reproduced", "news": "reversed", "reviews": "reproduced"
    }  # fmt: skip
    assert rows.loc["news", "comparison"] == "dapt_news - base" and rows.loc["news", "effect"] < 0
    assert whole(table).loc["loss_falls_at_home", "verdict"] == "reproduced"


def test_effects_are_paired_by_document():
    documents = losses(at_home)
    row = loss_claims(documents).query("claim == 'loss_falls_at_home' and domain == 'cs'").iloc[0]
    wide = documents[documents["sample"] == "cs"].pivot(index="document", columns="model", values="loss")
    expected = stats.ttest_rel(wide["base"], wide["dapt_cs"])
    interval = expected.confidence_interval(0.95)
    assert (row["p"], row["low"], row["high"], row["n"]) == pytest.approx(
        (expected.pvalue, interval.low, interval.high, N)
    )
    rises = loss_claims(documents).query("claim == 'loss_rises_on_general_text' and scope == 'all'").iloc[0]
    wide = documents[documents["sample"] == "generic"].pivot(index="document", columns="model", values="loss")
    expected = stats.ttest_1samp(wide.drop(columns="base").mean(axis=1) - wide["base"], 0)
    assert rises["p"] == pytest.approx(expected.pvalue), "one sample under every model is no four samples"


def test_own_dapt_must_beat_every_other():
    def tied(model, sample):
        return -0.5 if model == "dapt_biomed" and sample == "cs" else at_home(model, sample)

    table = loss_claims(losses(tied))
    found = whole(table).loc["own_dapt_has_lowest_loss"]
    assert found["verdict"] in ("undecided", "smaller") and "dapt_biomed - dapt_cs" in found["comparison"]
    rows = table[(table["claim"] == "own_dapt_has_lowest_loss") & (table["scope"] == "domain")].set_index("domain")
    assert rows["verdict"].drop("cs").eq("reproduced").all()


def test_tapt_against_dapt_on_the_tasks_text():
    models, samples = ("base", "dapt_cs", "dapt_news", "tapt_sciie", "tapt_bbc", "tapt_mine"), TASK_SAMPLES

    def shift(model, sample):
        return -0.5 if sample == model.replace("tapt", "task") else -0.2 if model.startswith("dapt") else 0.0

    documents = losses(shift, models, samples)
    rows = loss_claims(documents).query("claim == 'tapt_lowers_task_loss_more'")
    assert set(rows["task"]) == {"sciie", "bbc", ""} and (rows["verdict"] == "reproduced").all()
    assert rows["effect"].tolist() == pytest.approx([0.3] * 3, abs=0.03) and rows["paper_effect"].isna().all()
    mine = loss_claims(documents, task_domains={"mine": "cs"}).query("task == 'mine'").iloc[0]
    assert mine["comparison"] == "dapt_cs - tapt_mine"
    tokens = {"dapt_cs": 3e6, "dapt_news": 1e6, "tapt_sciie": 1.5e6, "tapt_bbc": 1.05e6}
    said = loss_claims(documents, tokens=tokens).query("claim == 'tapt_lowers_task_loss_more'").set_index("task")["why"]
    assert said["sciie"].endswith(" DAPT read 2.0 times the tokens that TAPT did.") and "times" not in said["bbc"]
    assert "DAPT read 1.5 times" in said[""] and "surely in the claim's direction" in said[""]
    nothing = whole(loss_claims(losses(shift, ("base",), ("task_bbc",))))
    assert (nothing["verdict"] == "undecided").all() and len(nothing) == 4
    assert "under TAPT and under its domain's DAPT" in nothing.loc["tapt_lowers_task_loss_more", "why"]


def test_tasks_with_the_same_dev_rows_are_one_in_the_mean():
    documents = losses(
        lambda model, sample: -0.5 if (model, sample) == ("tapt_rct", "task_rct") else 0.0,
        ("dapt_biomed", "tapt_rct", "tapt_rct-sample"), ("task_rct", "task_rct-sample"),
    )  # fmt: skip
    rows = loss_claims(documents).query("claim == 'tapt_lowers_task_loss_more'").set_index("task")
    assert rows.loc["", "effect"] == rows.loc["rct", "effect"] and "rct-sample" in rows.index


def test_a_task_of_your_own_is_judged_by_the_domain_its_records_name(study):
    records = study({("law", "base"): 0.6}, domain="law")
    documents = losses(lambda model, sample: -0.3 * model.startswith("tapt"), ("base", "dapt_law", "tapt_law"),
                       ("law", "task_law"))  # fmt: skip
    table = claims(records, losses=documents)
    task = table.query("claim == 'tapt_lowers_task_loss_more' and scope == 'task'").iloc[0]
    assert task["task"] == "law" and task["verdict"] == "reproduced" and task["effect"] == pytest.approx(0.3, abs=0.03)
    home = table.query("claim == 'loss_falls_at_home' and scope == 'all'")  # by the domain's own sample
    assert home["effect"].item() == pytest.approx(0, abs=0.05)


def test_losses_that_do_not_fit_are_refused():
    documents = losses(at_home)
    with pytest.raises(UserError, match="no column 'document'"):
        loss_claims(documents.drop(columns="document"))
    with pytest.raises(UserError, match="document 0 of base on generic is there twice"):
        loss_claims(pd.concat([documents, documents.head(1)]))


def test_the_loss_table_carries_the_interval_of_its_changes():
    documents = losses(at_home)
    means = documents.groupby(["model", "sample"], sort=False)["loss"].mean().reset_index()
    table = mlm_loss_table(means, "demo", documents=documents).set_index(["model", "sample"])
    cell = table.loc["dapt_cs", "cs"]
    assert cell["change_low"] < cell["change"] < cell["change_high"] < -0.4
    assert table.loc["base", ["change_low", "change_high"]].isna().all(axis=None)
    changes = loss_changes(documents).set_index(["model", "sample"])
    assert changes.loc["dapt_cs", "cs"].tolist() == pytest.approx(
        [cell["change"], cell["change_low"], cell["change_high"]]
    )
    assert mlm_loss_table(means, "demo")["change_low"].isna().all()


def overlaps(biomed, cs, news, reviews, half_width=1.0):
    shares = {"biomed": biomed, "cs": cs, "news": news, "reviews": reviews}
    frame = pd.DataFrame({"a": "generic", "b": list(shares), "percent": list(shares.values()), "definition": "text"})
    return frame.assign(low=frame["percent"] - half_width, high=frame["percent"] + half_width, documents_b=500)


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        ((27, 19, 54, 34), "reproduced"), ((27, 27, 54, 34), "smaller"), ((19, 27, 54, 34), "reversed"),
        ((54, 60, 20, 40), "reversed"),
    ],
)  # fmt: skip
def test_the_order_of_the_overlaps_is_judged_by_its_least_sure_step(shares, verdict):
    table = claims(load_records("nowhere"), overlaps(*map(float, shares)))
    row = table[table["claim"] == ORDER].iloc[0]
    assert row["verdict"] == verdict and row["paper_effect"] == pytest.approx(34.5 - 27.3)
    wide = claims(load_records("nowhere"), overlaps(*map(float, shares), half_width=100.0)).iloc[0]
    assert wide["verdict"] == "undecided"


def test_claims_take_losses_and_every_claim_has_a_title(study):
    table = claims(study({("ag", "base"): 0.6, ("ag", "dapt"): 0.7}), overlaps(27, 19, 54, 34), losses(at_home))
    assert set(table["claim"]) == set(CLAIM_TITLES)
    assert table.groupby("claim")["scope"].apply(lambda scopes: (scopes == "all").sum()).eq(1).all()
    assert not [name for name in table if name.startswith("_")] and table["why"].ne("").all()
    assert set(table["preset"]) == {"smoke"} and set(table["base_model"]) == {"mini"}


def test_documents_of_one_group_count_as_one_draw():
    """Sentences of one abstract: as wide as the t-test of the abstracts' means, for abstracts of one size."""
    random = np.random.default_rng(0)
    abstract = np.repeat(np.arange(20), 10)
    differences = pd.Series(random.normal(0, 1, 20)[abstract] + random.normal(0, 0.3, 200))
    found = paired(differences, abstract)
    means = differences.groupby(abstract).mean()
    oracle = stats.ttest_1samp(means, 0)
    assert found.effect == pytest.approx(differences.mean()) and found.degrees == 19
    assert found.standard_error == pytest.approx(means.sem()) and found.p == pytest.approx(oracle.pvalue)
    assert found.standard_error > 2 * paired(differences).standard_error
    frame = losses(lambda model, sample: 0.0, models=("base", "dapt_cs"), samples=("cs",))
    grouped = loss_changes(frame.assign(group=frame["document"] // 10))
    assert (grouped["change_high"] - grouped["change_low"]).item() != pytest.approx(
        (loss_changes(frame)["change_high"] - loss_changes(frame)["change_low"]).item(), rel=1e-3
    )
