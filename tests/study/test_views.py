"""What notebooks look at, by values worked out by hand: texts are written out, training and selecting replaced."""

import json

import numpy as np
import pandas as pd
import pytest

from helpers.config import make_config
from helpers.study import Study, makers, views
from helpers.study.makers import TEXTS
from helpers.study.steps import makes
from helpers.study.texts import Lines, write_lines

ANIMALS = "heron lynx crab otter raven".split()
VERBS = "sleeps sings walks waits hunts swims calls hides".split()
TASKS = {
    # name: train, dev, test
    "chemprot": (
        ["one heron", "two lynxes", "three crabs", "four otters", "five ravens"],
        ["heron sleeps today", "otter sings"], ["six owls", "seven hares"],
    ),
    "sciie": (["red", "green", "blue"], ["pink", "grey"], ["white", "black", "brown", "orange"]),
    "citation_intent": (["spring", "summer"], ["autumn", "winter"], ["monday", "sunday"]),
}  # fmt: skip
SELECTED = ["The heron sleeps by now.", "The otter sleeps by now."]


def write(path, texts, **labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"text": text} | {name: values[i] for name, values in labels.items()} for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def open_study(tmp_path):
    for task, splits in TASKS.items():
        for split, texts in zip(("train", "dev", "test"), splits, strict=True):
            write(tmp_path / "data" / "tasks" / task / f"{split}.jsonl", texts, label="ABABA")
    write(tmp_path / "data" / "tasks" / "sciie" / "unlabeled.jsonl", ["cyan", "violet"])
    for domain in ("biomed", "cs", "generic", "news", "reviews"):
        sentences = [f"The {animal} {verb} by now." for animal in ANIMALS for verb in VERBS]
        write(tmp_path / "data" / "domains" / f"{domain}.jsonl", sentences)

    def opened(tasks="chemprot,sciie,citation_intent", **parameters):
        return Study.open(
            PRESET="smoke", TASKS=tasks, DOMAINS="biomed,cs", SELECTION_TASKS="chemprot", SELECTORS="vampire,random",
            NEIGHBOURS="2", DATA_DIR=str(tmp_path / "data"), OUTPUT_DIR=str(tmp_path / "out"), WORKERS=1,
            **parameters,
        )  # fmt: skip

    return opened


@pytest.fixture
def adapted(monkeypatch):
    """Adaptations that take 3 updates; held-out loss 3 nats, divided by 1 + the adaptations behind a model."""

    @makes(version=1)
    def model(folder, parent=None, **rest):
        """Adaptation: replaced."""
        before = json.loads((parent / "summary.json").read_text())["behind"] if parent else 0
        summary = {"steps": 3, "epochs": 1.0, "documents": 5, "tokens": 50, "bytes": 300, "seconds": 1.0}
        (folder / "summary.json").write_text(json.dumps(summary | {"behind": before + 1}))
        pd.DataFrame({"step": [1, 3], "loss": [9.0, 8.0]}).to_csv(folder / "history.csv", index=False)

    @makes(version=1)
    def losses(folder, model=None, **rest):
        """Held-out loss: replaced."""
        behind = json.loads((model / "summary.json").read_text())["behind"] if model else 0
        loss = 3 / (1 + behind)
        table = pd.DataFrame({"document": [0, 1], "loss": [loss - 0.5, loss + 0.5], "masked_tokens": [3, 4]})
        table.to_csv(folder / "losses.csv", index=False)

    for fake in (model, losses):
        monkeypatch.setattr(makers, fake.__name__, fake)


@pytest.fixture
def selected(monkeypatch):
    """VAMPIRE selects SELECTED, and finds the pool's sentences i and i+1 for text i; random selects the whole pool."""

    @makes(version=1)
    def vampire(folder, **rest):
        """VAMPIRE: replaced."""
        (folder / "summary.json").write_text(json.dumps({"seconds": 5.0, "peak_memory_mb": 100.0}))

    @makes(version=1)
    def selection(folder, selector, pool, **rest):
        """Selection: replaced."""
        texts = list(Lines(pool / TEXTS))
        chosen = SELECTED if selector == "vampire" else texts
        write_lines(folder / TEXTS, chosen)
        arrays = {"indices": [texts.index(text) for text in chosen], "similarities": np.ones(len(chosen))}
        if selector == "vampire":
            near = np.array([[i, i + 1] for i in range(5)])
            near[4, 1] = -1  # one text has a single neighbour
            arrays |= {"neighbour_indices": near, "neighbour_similarities": np.tile([0.75, 0.5], (5, 1))}
        np.savez(folder / "arrays.npz", **arrays)
        summary = {"selected": len(chosen), "words": 5 * len(chosen), "bytes": 34, "seconds": 2.0, "selector": selector}
        (folder / "summary.json").write_text(json.dumps(summary | {"peak_memory_mb": 70.0}))

    for fake in (vampire, selection):
        monkeypatch.setattr(makers, fake.__name__, fake)


def test_task_sizes(open_study):
    table = views.task_sizes(open_study())
    assert table.drop(columns="source").to_dict("index") == {
        "chemprot": dict(domain="biomed", metric="micro_f1", train=5, dev=2, test=2, unlabeled=0, classes=2),
        "sciie": dict(domain="cs", metric="macro_f1", train=3, dev=2, test=4, unlabeled=2, classes=2),
        "citation_intent": dict(domain="cs", metric="macro_f1", train=2, dev=2, test=2, unlabeled=0, classes=2),
    }
    assert table["source"].unique().tolist() == ["data root data"]


def test_transfer_pairs(open_study):
    # chemprot's own partner, RCT, cannot be had, and no other task is of its domain: the next task
    assert views.transfer_pairs(open_study()).to_dict("index") == {
        "chemprot": dict(domain="biomed", partner="sciie", partner_domain="cs", pair="cross"),
        "sciie": dict(domain="cs", partner="citation_intent", partner_domain="cs", pair="same"),
        "citation_intent": dict(domain="cs", partner="sciie", partner_domain="cs", pair="same"),
    }


def test_a_task_alone_has_no_pair(open_study):
    table = views.transfer_pairs(open_study("chemprot"))
    assert len(table) == 0 and list(table.columns) == ["domain", "partner", "partner_domain", "pair"]


def test_histories_have_the_curve_and_the_held_out_loss_at_both_ends(open_study, adapted):
    table = views.histories(open_study(), ["base", "dapt", "dapt_tapt"], ["chemprot"])
    assert set(table["method"]) == {"dapt", "dapt_tapt"} and set(table["preset"]) == {"smoke"}
    for method, corpus, before, after in (("dapt", "biomed", 3.0, 1.5), ("dapt_tapt", "chemprot", 1.5, 1.0)):
        rows = table[table["method"] == method]
        assert set(rows["corpus"]) == {corpus}
        assert rows.dropna(subset=["loss"])[["step", "loss"]].values.tolist() == [[1, 9.0], [3, 8.0]]
        ends = rows.dropna(subset=["heldout_loss"])
        assert ends[["step", "heldout_loss"]].values.tolist() == [[0, before], [3, after]]
        assert len(rows) == 4


def test_histories_have_every_adaptation_of_a_text(open_study, adapted):
    table = views.histories(open_study(ADAPTATION_SEEDS=2, SEEDS=3), ["dapt"], ["chemprot"])
    assert table.groupby("seed").size().to_dict() == {0: 4, 1: 4} and set(table["corpus"]) == {"biomed"}


def test_neighbour_table_takes_texts_from_the_whole_task(open_study, selected):
    study = open_study()
    pool = views.pool_texts(study, "chemprot")
    assert views.neighbour_table(study, "chemprot", queries=3, k=2).values.tolist() == [
        ["one heron", 1, 0.75, pool[0]], ["one heron", 2, 0.5, pool[1]],
        ["three crabs", 1, 0.75, pool[2]], ["three crabs", 2, 0.5, pool[3]],
        ["five ravens", 1, 0.75, pool[4]],
    ]  # fmt: skip


def test_compare_selections_by_the_dev_text(open_study, selected):
    table = views.compare_selections(open_study(), "chemprot", 2).set_index("name")
    # dev text: heron sleeps today, otter sings; VAMPIRE's two hold heron, sleeps, otter; the pool sings too
    assert table["word_cover"].to_dict() == {"vampire": pytest.approx(3 / 5), "random": pytest.approx(4 / 5)}
    # the whole pool is as near as the whole pool
    assert table.loc["random", "kl_reduction"] == pytest.approx(0, abs=1e-12) and table.loc["vampire", "words"] == 10
    # VAMPIRE's own 2 seconds and the 5 of its training; the larger of the two memories
    assert table.loc["vampire", ["seconds", "peak_memory_mb"]].tolist() == [7, 100]
    assert table.loc["random", ["seconds", "peak_memory_mb"]].tolist() == [2, 70]


def test_text_map_lays_each_kind_of_text_in_one_plane(open_study, selected, monkeypatch):
    class Herons:
        """All texts of herons in one direction, all others in another."""

        def embed(self, texts):
            return np.array([[5.0, 0.0] if "heron" in text else [0.0, 2.0] for text in texts])

    study = open_study()
    monkeypatch.setattr(study, "vampire", lambda task: Herons())
    pool = views.pool_texts(study, "chemprot")
    table = views.text_map(study, "chemprot", 2)
    texts = {kind: rows["text"].tolist() for kind, rows in table.groupby("kind")}
    assert texts == {"domain": pool, "random": pool, "selected": SELECTED, "task": TASKS["chemprot"][0]}
    # unit vectors at a right angle lie the square root of 2 apart, all of it on the first axis
    places = table.groupby(table["text"].str.contains("heron"))[["x", "y"]].agg(["min", "max"])
    assert abs(places.loc[True, ("x", "min")] - places.loc[False, ("x", "max")]) == pytest.approx(2**0.5)
    assert np.ptp(table["y"]) == pytest.approx(0, abs=1e-12) and table["x"].round(9).nunique() == 2
    assert table["x"].mean() == pytest.approx(0)
    few = views.text_map(study, "chemprot", 2, most=3)
    assert few["kind"].value_counts().to_dict() == {"domain": 3, "random": 3, "selected": 2, "task": 3}
    assert set(few["text"]) <= set(table["text"])


def test_the_label_curve_takes_the_draws_of_tf_idf_that_the_read_outs_have():
    config = make_config("demo", {"SEEDS": 3, "READ_OUTS": 40, "LABELS": 100, "LABEL_BUDGETS": "32,100,0"})
    draws = {(name, rows): n for names, rows, n in views.curve_points(config, ["tfidf", "base"]) for name in names}
    assert draws == {
        ("tfidf", 32): 3,
        ("base", 32): 40,
        ("tfidf", 100): 40,
        ("base", 100): 40,
        ("tfidf", 0): 3,
        ("base", 0): 3,
    }
    # where LABELS means all, the read-outs are of the smallest budget
    config = make_config("demo", {"SEEDS": 3, "READ_OUTS": 40, "LABELS": 0, "LABEL_BUDGETS": "32,100"})
    draws = {(name, rows): n for names, rows, n in views.curve_points(config, ["tfidf"]) for name in names}
    assert draws == {("tfidf", 32): 40, ("tfidf", 100): 3}
