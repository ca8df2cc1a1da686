"""The cached study: what goes into keys, what is left out of training text, what is computed only once."""

import json
import random
import re
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from transformers import AutoTokenizer

from helpers.config import PRESETS, Config
from helpers.errors import UserError
from helpers.methods import split_selection
from helpers.paths import MINI
from helpers.study import Study, environment, makers, parameters, views
from helpers.study.steps import makes
from helpers.study.texts import Lines, Thinned, distinct_sentences, shuffled_words, write_lines

WORDS = {
    "biomed": "cells protein dose trial tumour kinase serum assay mice lesion".split(),
    "cs": "graph parser kernel cache query lattice thread token grammar proof".split(),
    "generic": "river train village market winter bridge letter garden harbour road".split(),
    "news": "minister vote strike budget reporter tariff poll senate union mayor".split(),
    "reviews": "plot battery camera acting screen boring refund lovely sequel charger".split(),
}


def sentence(draw, domain, words=9):
    return " ".join(draw.choice(WORDS[domain]) for _ in range(words)) + f" {draw.randrange(10**9)}."


def write_jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data root of two tasks and five domains, with test text planted in domains and in train."""
    monkeypatch.setenv("DSP_CACHE", str(tmp_path / "cache"))
    draw, root = random.Random(0), tmp_path / "data"
    splits = {}
    for task, domain in (("chemprot", "biomed"), ("sciie", "cs")):
        for split, size in (("train", 40), ("dev", 12), ("test", 12)):
            splits[task, split] = [{"text": sentence(draw, domain), "label": f"L{i % 3}"} for i in range(size)]
    splits["chemprot", "train"][5]["text"] = splits["chemprot", "test"][2]["text"].upper()
    splits["chemprot", "train"][6]["text"] = "First, " + splits["sciie", "dev"][1]["text"]
    for (task, split), rows in splits.items():
        write_jsonl(root / "tasks" / task / f"{split}.jsonl", rows)
    for domain in WORDS:
        texts = [" ".join(sentence(draw, domain) for _ in range(3)) for _ in range(300)]
        texts[10] += " " + splits["chemprot", "test"][0]["text"]
        texts[20] = splits["sciie", "dev"][3]["text"].replace(" ", "  ") + " " + texts[20]
        write_jsonl(root / "domains" / f"{domain}.jsonl", [{"text": text} for text in texts])
    return root


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text("weights")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(MINI / name, folder)
    return folder


@pytest.fixture
def open_study(root, base, tmp_path):
    def opened(**overrides):
        given = {
            "TASKS": "chemprot,sciie", "DOMAINS": "biomed,cs", "SELECTION_TASKS": "chemprot", "DATA_DIR": str(root),
            "BASE_MODEL": str(base), "OUTPUT_DIR": str(tmp_path / "out"), "WORKERS": 1, "SEEDS": 2, "MAX_TRAIN": 0,
            "MAX_DEV": 0, "MAX_TEST": 0,
        }  # fmt: skip
        return Study.open(PRESET="smoke", **{**given, **overrides})

    return opened


@pytest.fixture
def made(monkeypatch):
    """Training replaced by files: a list of what was made, in order."""
    log = []

    @makes(version=1)
    def model(folder, recipe, base_path, texts, documents=0, shuffle=False, selected=None, parent=None, **rest):
        """Adaptation: replaced."""
        whole = texts / "train.jsonl"
        source = list(makers.Thinned(Lines(whole if whole.exists() else texts / "texts.jsonl"), documents))
        source += list(Lines(selected / "texts.jsonl")) if selected else []
        log.append(("model", str(parent or base_path), tuple(source), shuffle))
        (folder / "config.json").write_text("{}")
        summary = dict(steps=3, epochs=1.0, documents=5, tokens=50, bytes=300, seconds=1.0)
        (folder / "summary.json").write_text(json.dumps(summary))
        pd.DataFrame({"step": [1, 3], "loss": [3.0, 2.0]}).to_csv(folder / "history.csv", index=False)

    @makes(version=1)
    def losses(folder, sample, base_path, model=None, **rest):
        """Held-out loss: replaced."""
        log.append(("losses", str(model or base_path), sample))
        table = pd.DataFrame({"document": [0, 1], "loss": [1.0, 2.0], "masked_tokens": [3, 4]})
        table.to_csv(folder / "losses.csv", index=False)

    @makes(version=1)
    def record(folder, name, seed, base_path, model=None, **rest):
        """Fine-tuning: replaced."""
        log.append(("record", name, str(model or base_path), seed))
        scores = {"macro_f1": 1.0, "micro_f1": 1.0, "accuracy": 1.0, "per_class": {}}
        gold = [0, 1, 2] * 4
        found = {
            "dev": scores, "test": scores, "labels": ["L0", "L1", "L2"], "test_gold": gold,
            "test_predictions": gold, "sizes": {"train": 40, "dev": 12, "test": 12}, "best_epoch": 1,
            "epochs_run": 1, "seconds": 0.1, "degenerate": False,
        }  # fmt: skip
        (folder / "record.json").write_text(json.dumps(found))

    for fake in (model, losses, record):
        monkeypatch.setattr(makers, fake.__name__, fake)
    return log


def words_of(text):
    return re.sub(r"[\W_]+", " ", text.lower()).strip()


def holds(texts, held):
    padded = [f" {words_of(text)} " for text in texts]
    return [one for one in held if any(f" {words_of(one)} " in text for text in padded)]


def held_texts(study):
    return [text for name in ("chemprot", "sciie") for split in ("dev", "test")
            for text in getattr(study.task(name), split).text]  # fmt: skip


# Dev and test text stays out -----------------------------------------------------------------------------


def test_the_planted_leaks_are_there_before_exclusion(open_study):
    study = open_study()
    assert len(holds(study.task("chemprot").train.text, held_texts(study))) == 2


@pytest.mark.parametrize("domain", ["biomed", "cs", "generic"])
def test_no_dev_or_test_text_in_either_side_of_a_domain(open_study, domain):
    study = open_study()
    assert study.prepare_domains([domain]).loc[domain, "held_text_left_out"] == 2
    for texts in (study.domain_texts(domain), study.heldout(domain)):
        assert not holds(texts, held_texts(study))


def test_held_out_documents_are_not_trained_on(open_study):
    study = open_study()
    train, heldout = set(study.domain_texts("cs")), set(study.heldout("cs"))
    assert heldout and not train & heldout and len(train | heldout) == 298


def test_no_dev_or_test_text_reaches_an_adaptation_or_a_selection(open_study, made):
    study = open_study()
    study.adapt(["dapt", "tapt", "dapt_tapt", "transfer_tapt", "random_2_tapt", "vampire_2_tapt"], ["chemprot"])
    trained = [texts for kind, _, texts, *_ in made if kind == "model"]
    assert len(trained) == 6 and not any(holds(texts, held_texts(study)) for texts in trained)
    tapt = next(texts for texts in trained if len(texts) == 38)  # 40 rows less the two that repeat held text
    assert set(tapt) < set(study.task("chemprot").train.text)


# Keys ----------------------------------------------------------------------------------------------------


def keys(study):
    found = {method: study.plan.model(method, "chemprot").key for method in ("dapt", "tapt", "dapt_tapt")}
    return found | {"base": study.plan.base["base"]}


def test_keys_leave_out_workers_paths_and_preset_names(open_study, base, root, tmp_path):
    copy, moved = tmp_path / "copy", tmp_path / "moved"
    copy.mkdir()
    for file in base.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    root.rename(moved)
    elsewhere = open_study(WORKERS=2, OUTPUT_DIR=str(tmp_path / "b"), BASE_MODEL=str(copy), DATA_DIR=str(moved))
    moved.rename(root)
    again = keys(open_study())
    root.rename(moved)
    assert keys(elsewhere) == again


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"DAPT_STEPS": 13}, {"dapt", "tapt", "dapt_tapt"}),  # TAPT reads DAPT's tokens at most
        ({"TAPT_EPOCHS": 5}, {"tapt", "dapt_tapt"}),
        ({"MAX_LENGTH": 32}, {"dapt", "tapt", "dapt_tapt"}),
        ({"SEEDS": 1}, set()),
        ({"EPOCHS": 1}, set()),
    ],
)
def test_keys_follow_what_is_computed(open_study, change, changed):
    before, after = keys(open_study()), keys(open_study(**change))
    assert {method for method in before if before[method] != after[method]} == changed


ADAPTATION = {"model", "losses", "record"}  # what hangs on a checkpoint
DOMAIN = {"domain", "task_text", "pool", "vampire", "selection", "quality", "overlap", "audit"} | ADAPTATION
# Parameter -> another value, and the kinds of artifacts that may change with it; no other does.
MAY_CHANGE = {
    "preset": None, "tasks": None, "domains": None, "selection_tasks": None, "selectors": None, "neighbours": None,
    "data_dir": None, "task_file": None, "domain_file": None,
    "text_column": None, "label_column": None,  # they name other steps; see the tests of their own
    "base_model": None,
    "output_dir": (".", set()), "workers": (2, set()), "cluster": ("local", set()),
    "seeds": (1, set()), "strong_seeds": (2, set()),  # more of the same kind, none changed
    "max_train": (30, {"held", *DOMAIN}), "max_dev": (9, {"held", *DOMAIN}), "max_test": (9, {"held", *DOMAIN}),
    "max_length": (32, ADAPTATION), "top_words": (77, {"overlap"}), "overlap_documents": (55, {"overlap"}),
    "heldout_documents": (7, {"losses"}), "dapt_steps": (30, {"model", "losses", "record"}),
    "dapt_batch": (8, ADAPTATION), "dapt_learning_rate": (1e-4, ADAPTATION), "tapt_epochs": (9, ADAPTATION),
    "tapt_batch": (7, ADAPTATION), "tapt_learning_rate": (1e-5, ADAPTATION), "epochs": (1, {"record"}),
    "learning_rate": (1e-5, {"record"}), "warmup": (0.2, {"record"}), "batch_size": (4, {"record"}),
    "patience": (5, {"record"}), "pool_sentences": (60, {"pool", "vampire", "selection", "quality"} | ADAPTATION),
    "vampire_epochs": (2, {"vampire", "selection", "quality"} | ADAPTATION),
}  # fmt: skip


def every_step(study):
    """Name -> step, of all that a study of every method computes."""
    steps = {"overlap": study.plan.overlap(), "audit": study.plan.audit("chemprot")}
    methods = ("tfidf", "base", "dapt", "not_dapt", "shuffled_dapt", "tapt", "dapt_tapt", "transfer_tapt",
               "vampire_2_tapt", "random_2_tapt")  # fmt: skip
    for method in methods:
        steps[f"record {method}"] = study.plan.record("chemprot", method, 0)
        for number, step in enumerate(study._measured(method, "chemprot")):
            steps[f"measured {method} {number}"] = step
    named = dict(steps)
    while steps:
        name, step = steps.popitem()
        reads = {f"{name} < {role}": read for role, read in step.reads.items()}
        named |= reads
        steps |= reads
    return named


@pytest.mark.parametrize("name", Config.model_fields)
def test_what_each_parameter_may_change(open_study, name, tmp_path, monkeypatch):
    assert name in MAY_CHANGE, f"say in MAY_CHANGE which artifacts {name} may change"
    if MAY_CHANGE[name] is None:
        return
    value, kinds = MAY_CHANGE[name]
    monkeypatch.chdir(tmp_path)
    before, after = every_step(open_study()), every_step(open_study(**{name.upper(): value}))
    assert before.keys() == after.keys()
    changed = {before[one].kind for one in before if before[one].key != after[one].key}
    assert changed <= kinds and bool(changed) == bool(kinds)


def test_the_length_of_dapt_changes_neither_figure_2_nor_the_pool(open_study):
    short, long = open_study(DAPT_STEPS=1, DAPT_BATCH=8), open_study(DAPT_STEPS=30, DAPT_BATCH=8)
    assert short.plan.overlap().key == long.plan.overlap().key
    assert short.plan.pool("biomed").key == long.plan.pool("biomed").key
    assert short.plan.dapt("biomed").key != long.plan.dapt("biomed").key


def test_a_plan_computes_nothing(open_study, tmp_path):
    study = open_study()
    every_step(study)
    assert not (tmp_path / "cache" / "store").exists()
    outlook = views.outlook(study)
    # 2 tasks x 7 methods and 2 selections, 2 seeds each, and one TF-IDF line a task
    assert outlook.loc["record"].tolist() == [2 * (2 * 7 + 2) + 2, 0, 34]
    assert outlook.loc["domain", "planned"] == 5 and outlook.loc["vampire", "to_make"] == 1
    assert not (tmp_path / "cache" / "store").exists()


def test_the_base_models_weights_are_in_every_key(open_study, base):
    before = keys(open_study())
    (base / "README.md").write_text("no part of the model")
    assert keys(open_study()) == before
    (base / "model.safetensors").write_text("other weights")
    assert not set(keys(open_study()).values()) & set(before.values())


def test_transfer_is_the_partners_own_tapt(open_study):
    study = open_study(TASKS="chemprot,sciie")
    assert study.plan.partner("chemprot") == "sciie"  # the paper's pair, RCT, cannot be had here
    toy = Study.open(PRESET="smoke", BASE_MODEL=study.config.base_model, OUTPUT_DIR=study.config.output_dir)
    assert toy.plan.model("transfer_tapt", "toy_biomed").key == toy.plan.model("tapt", "toy_cs").key
    assert views.transfer_pairs(toy).loc["toy_biomed", ["partner", "pair"]].tolist() == ["toy_cs", "cross"]


def test_not_dapt_is_dapt_on_the_papers_unrelated_domain(open_study):
    study = Study.open(PRESET="smoke", BASE_MODEL=open_study().config.base_model)
    pairs = {"toy_biomed": "reviews", "toy_cs": "news", "toy_news": "cs", "toy_reviews": "biomed"}
    assert {task: study.plan.unrelated_domain(task) for task in pairs} == pairs


# Computed once -------------------------------------------------------------------------------------------


def test_a_second_study_finds_everything(open_study, made, tmp_path):
    methods = ["tfidf", "base", "dapt", "dapt_tapt", "shuffled_dapt"]
    first = open_study().fine_tune(methods)
    assert len(first) == 2 * (1 + 4 * 2)  # the TF-IDF line has one seed
    done = len(made)
    second = open_study(OUTPUT_DIR=str(tmp_path / "elsewhere")).fine_tune(methods)
    assert len(made) == done
    assert first["path"].tolist() == second["path"].tolist()


def test_parents_come_first_and_nothing_is_made_twice(open_study, made):
    open_study().fine_tune(["dapt_tapt", "dapt", "base"], ["chemprot"])
    models = [entry for entry in made if entry[0] == "model"]
    assert len(models) == 2 and "store" not in models[0][1] and "store" in models[1][1]


def test_a_base_without_a_head_gets_one_fitted_once_for_all(open_study, base, made):
    (base / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    study = open_study()
    rows = study.adapt(["dapt", "tapt"], ["chemprot"])
    trained = [(Path(model).name, texts) for kind, model, texts, *_ in made if kind == "model"]
    assert [name == base.name for name, _ in trained] == [True, False, False]  # the head, then both on top of it
    assert set(trained[0][1]) <= set(study.domain_texts("generic")) and rows["head_fitted"].all()
    assert study.adapted("base", "chemprot") == base  # fine-tuning starts from the encoder as it came


def test_tapt_reads_no_more_tokens_than_dapt(open_study):
    texts = open_study().task_texts("chemprot")
    given = {"name": "tapt", "epochs": 1000, "batch_size": 32, "learning_rate": 0.0, "max_length": 64}
    recipe = makers.tapt_recipe_within(given, texts, str(MINI), 40 * 32 * 64)
    tokens = sum(len(ids) for ids in AutoTokenizer.from_pretrained(MINI)(texts).input_ids)
    assert recipe.epochs * tokens <= 40 * 32 * 64 < (recipe.epochs + 1) * tokens
    assert recipe.learning_rate == 1e-4 and recipe.batch_size == 32  # 0 keeps the paper's


def test_shuffled_control_reads_the_same_text_by_the_same_recipe(open_study):
    study = open_study()
    real, shuffled = (study.plan.model(method, "chemprot").recipe for method in ("dapt", "shuffled_dapt"))
    assert shuffled == real | {"shuffle": True}


def test_a_failed_adaptation_does_not_stop_the_others(open_study, made, monkeypatch):
    works = makers.model

    @makes(version=1)
    def model(folder, **inputs):
        """Adaptation: fails when shuffled."""
        if inputs.get("shuffle"):
            raise RuntimeError("out of memory")
        works(folder, **inputs)

    monkeypatch.setattr(makers, "model", model)
    study = open_study()
    with pytest.raises(UserError, match="shuffled DAPT on biomed: RuntimeError: out of memory"):
        study.fine_tune(["shuffled_dapt", "dapt", "dapt_tapt"], ["chemprot"])
    written = sorted(path.parent.name for path in (study.output / "records").rglob("seed-0.json"))
    assert written == ["dapt", "dapt_tapt"]


def test_records_say_what_was_adapted_and_where_they_came_from(open_study, made):
    study = open_study()
    study.fine_tune(["base", "not_dapt", "random_2_tapt"], ["chemprot"])
    folder = study.output / "records" / "chemprot"
    base, unrelated, drawn = (
        json.loads((folder / name / "seed-1.json").read_text()) for name in ("base", "not_dapt", "random_2_tapt")
    )
    assert base["adaptation"] is None and base["domain"] == "biomed" and base["metric"] == "micro_f1"
    assert unrelated["adaptation"]["corpus"] == "reviews"
    assert drawn["adaptation"]["selector"] == "random" and drawn["adaptation"]["k"] == 2
    assert drawn["adaptation"]["selected_words"] > 0 and drawn["adaptation"]["mlm_loss_before"] == 1.5
    assert base["test_leaked"] == [2]  # planted: train row 5 is test row 2 in capitals
    assert not any("/" in str(value) for value in base["config"].values())


def test_rivals_get_as_many_sentences_as_vampire(open_study):
    study = open_study()
    chosen = {selector: study.select("chemprot", selector, 2) for selector in ("random", "vampire")}
    assert len(chosen["random"]) == len(chosen["vampire"]) > 0


def test_files_lists_what_this_study_wrote(open_study):
    study = open_study()
    study.save_table("dapt", pd.DataFrame({"mean": [1.0]}))
    files = study.files().set_index("file")["bytes"]
    assert list(files.index) == ["config.json", "tables/dapt.csv"] and (files > 0).all()


# Bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"TASKS": "chemprto"}, "chemprto.*Did you mean chemprot"),
        ({"DOMAINS": "biomd"}, "biomd.*Did you mean biomed"),
        ({"DAPT_STEP": 5}, "DAPT_STEP.*Did you mean DAPT_STEPS"),
        ({"SELECTORS": "vampyre"}, "vampyre.*Did you mean vampire"),
        ({"BASE_MODEL": "./nowhere"}, "BASE_MODEL=./nowhere: there is no such folder"),
        ({"PRESET": "demoo"}, "demoo.*Did you mean demo"),
    ],
)
def test_opening_refuses_bad_parameters_in_one_line(root, given, message):
    with pytest.raises(UserError, match=message) as error:
        Study.open(**{"PRESET": "smoke", **given})
    assert "\n" not in str(error.value)


def test_an_unknown_method_is_named(open_study):
    with pytest.raises(UserError, match="dapt_tap.*Did you mean dapt_tapt"):
        open_study().fine_tune(["dapt_tap"], ["chemprot"])


def test_curated_tapt_needs_unlabelled_text(open_study):
    with pytest.raises(UserError, match="curated_tapt: task chemprot has no unlabelled text"):
        open_study().adapt(["curated_tapt"], ["chemprot"])


def test_a_folder_without_a_model_is_refused(open_study, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no config.json"):
        open_study(BASE_MODEL=str(tmp_path / "empty"))


# Small parts ---------------------------------------------------------------------------------------------


def test_parameters_are_the_upper_case_names():
    names = {"PRESET": "smoke", "TASKS": None, "study": 1, "__name__": "x", "_X": 2, "pd": pd, "DAPT_STEPZ": 3}
    assert parameters(names) == {"PRESET": "smoke", "TASKS": None, "DAPT_STEPZ": 3}
    assert "torch" in environment().index


def test_shuffled_words_keep_each_texts_words():
    texts = ["a b c d e f g h", "the dose was low and the tumour was small"]
    shuffled = list(shuffled_words(texts, 0))
    assert [Counter(text.split()) for text in shuffled] == [Counter(text.split()) for text in texts]
    assert shuffled != texts and shuffled == list(shuffled_words(texts, 0)) != list(shuffled_words(texts, 1))


def test_a_sample_is_spread_over_the_text_and_part_of_a_larger_one():
    texts = [f"text {number}" for number in range(5000)]
    kept = list(Thinned(texts, 500))
    assert len(kept) == 500 and set(kept) < set(texts)
    assert kept == sorted(kept, key=texts.index)
    assert sum(map(texts.index, kept)) / 500 == pytest.approx(2500, abs=200)  # 3 standard errors
    assert set(Thinned(texts[::-1], 500)) == set(kept) < set(Thinned(texts, 700))
    assert list(Thinned(texts, 6000)) == texts == list(Thinned(texts, 5000)) == list(Thinned(texts, 0))


def test_a_pool_is_distinct_sentences_from_all_over_the_documents():
    documents = [f"The first document number {n} says this. And it says one more thing {n}." for n in range(400)]
    documents += ["THE FIRST document, number 7, says this."]  # a repeat, case and punctuation aside
    every = list(distinct_sentences(documents, 10_000))
    assert len(every) == 800
    some = list(distinct_sentences(documents, 200))
    assert len(some) == 200 and some == [one for one in every if one in set(some)]
    places = [every.index(one) for one in some]
    assert sum(places) / 200 == pytest.approx(400, abs=50) and max(places) > 700
    assert set(distinct_sentences(documents, 50)) < set(some)


def test_write_lines_counts_and_reads_back(tmp_path):
    texts = ["two words", "Ünïcode\nwith a line break", "two words"]
    meta = write_lines(tmp_path / "x.jsonl", texts)
    assert list(Lines(tmp_path / "x.jsonl")) == texts
    assert meta == {"documents": 3, "words": 9, "bytes": len("".join(texts).encode())}


def test_every_selector_of_every_preset_names_a_method():
    for preset in PRESETS.values():
        for selector in preset["selectors"]:
            assert split_selection(f"{selector}_50_tapt") == (selector, 50)
