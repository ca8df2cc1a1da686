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

from helpers.config import PRESETS
from helpers.errors import UserError
from helpers.methods import split_selection
from helpers.paths import MINI
from helpers.study import Study, environment, parameters
from helpers.study import steps as steps_module
from helpers.study.corpora import thin
from helpers.study.models import resolve_base
from helpers.study.steps import Lines, shuffled_words, write_lines

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

    def model(folder, model, texts, limit, shuffle, recipe, seed):
        log.append(("model", model, tuple(Lines(texts, limit)), shuffle))
        (folder / "config.json").write_text("{}")
        summary = dict(steps=3, epochs=1.0, documents=5, tokens=50, bytes=300, seconds=1.0)
        (folder / "summary.json").write_text(json.dumps(summary))
        pd.DataFrame({"step": [1, 3], "loss": [3.0, 2.0]}).to_csv(folder / "history.csv", index=False)

    def losses(folder, model, texts, max_length):
        log.append(("losses", model, tuple(Lines(texts))))
        table = pd.DataFrame({"document": [0, 1], "loss": [1.0, 2.0], "masked_tokens": [3, 4]})
        table.to_csv(folder / "losses.csv", index=False)

    def record(folder, task, source, model, recipe, seed):
        log.append(("record", task, model, seed))
        scores = {"macro_f1": 1.0, "micro_f1": 1.0, "accuracy": 1.0, "per_class": {}}
        gold = [0, 1, 2] * 4
        found = {
            "dev": scores, "test": scores, "labels": ["L0", "L1", "L2"], "test_gold": gold,
            "test_predictions": gold, "sizes": {"train": 40, "dev": 12, "test": 12}, "best_epoch": 1,
            "epochs_run": 1, "seconds": 0.1, "degenerate": False,
        }  # fmt: skip
        (folder / "record.json").write_text(json.dumps(found))

    for name, fake in (("make_model", model), ("make_losses", losses), ("make_record", record)):
        monkeypatch.setattr(steps_module, name, fake)
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
    study.prepare_domains(["generic", "biomed", "cs"])
    return {method: study.models.model(method, "chemprot").key for method in ("base", "dapt", "tapt", "dapt_tapt")}


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
        ({"DAPT_STEPS": 13}, {"dapt", "dapt_tapt"}),
        ({"TAPT_EPOCHS": 5}, {"tapt", "dapt_tapt"}),
        ({"MAX_LENGTH": 32}, {"dapt", "tapt", "dapt_tapt"}),
        ({"SEEDS": 1}, set()),
        ({"EPOCHS": 1}, set()),
    ],
)
def test_keys_follow_what_is_computed(open_study, change, changed):
    before, after = keys(open_study()), keys(open_study(**change))
    assert {method for method in before if before[method] != after[method]} == changed


def test_the_base_models_weights_are_in_every_key(open_study, base):
    before = keys(open_study())
    (base / "README.md").write_text("no part of the model")
    assert keys(open_study()) == before
    (base / "model.safetensors").write_text("other weights")
    assert not set(keys(open_study()).values()) & set(before.values())


def test_transfer_is_the_partners_own_tapt(open_study):
    study = open_study(TASKS="chemprot,sciie")
    assert study.models.partner("chemprot") == "sciie"  # the paper's pair, RCT, cannot be had here
    study.prepare_domains(["generic", "biomed", "cs"])
    toy = Study.open(PRESET="smoke", BASE_MODEL=study.config.base_model, OUTPUT_DIR=study.config.output_dir)
    toy.prepare_domains(["generic"])
    assert toy.models.model("transfer_tapt", "toy_biomed").key == toy.models.model("tapt", "toy_cs").key
    assert toy.transfer_pairs().loc["toy_biomed", ["partner", "pair"]].tolist() == ["toy_cs", "cross"]


def test_not_dapt_is_dapt_on_the_papers_unrelated_domain(open_study):
    study = Study.open(PRESET="smoke", BASE_MODEL=open_study().config.base_model)
    pairs = {"toy_biomed": "reviews", "toy_cs": "news", "toy_news": "cs", "toy_reviews": "biomed"}
    assert {task: study.models.unrelated_domain(task) for task in pairs} == pairs


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
    assert study.models.model("base", "chemprot").path == str(base)  # fine-tuning starts from the encoder as it came


def test_tapt_reads_no_more_tokens_than_dapt(open_study):
    study = open_study(TAPT_EPOCHS=1000, DAPT_STEPS=40, DAPT_BATCH=32, MAX_LENGTH=64)
    recipe = study.models.model("tapt", "chemprot").step.inputs["recipe"]
    tokens = sum(len(ids) for ids in AutoTokenizer.from_pretrained(MINI)(
        study.corpora.tapt_texts("chemprot")).input_ids)  # fmt: skip
    assert recipe["epochs"] * tokens <= 40 * 32 * 64 < (recipe["epochs"] + 1) * tokens


def test_shuffled_control_reads_the_same_text_by_the_same_recipe(open_study):
    study = open_study()
    study.prepare_domains(["generic", "biomed"])
    real, shuffled = (study.models.model(method, "chemprot").step for method in ("dapt", "shuffled_dapt"))
    assert {name for name in real.key if real.key[name] != shuffled.key[name]} == {"shuffle"}


def test_a_failed_adaptation_does_not_stop_the_others(open_study, made, monkeypatch):
    works = steps_module.make_model

    def fails_when_shuffled(folder, **inputs):
        if inputs["shuffle"]:
            raise RuntimeError("out of memory")
        works(folder, **inputs)

    monkeypatch.setattr(steps_module, "make_model", fails_when_shuffled)
    study = open_study()
    with pytest.raises(UserError, match="shuffled_dapt on biomed shuffled: RuntimeError: out of memory"):
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


def test_thin_keeps_a_random_share_by_content():
    texts = [f"text {number}" for number in range(5000)]
    kept = list(thin(texts, 500))
    assert len(kept) == 500 and set(kept) < set(texts)
    assert kept == sorted(kept, key=texts.index)
    assert sum(map(texts.index, kept)) / 500 == pytest.approx(2500, abs=200)  # 3 standard errors
    assert set(thin(texts[::-1], 500)) == set(kept)
    assert list(thin(texts, 6000)) == texts == list(thin(texts, 5000))


def test_write_lines_counts_and_reads_back(tmp_path):
    texts = ["two words", "Ünïcode\nwith a line break", "two words"]
    meta = write_lines(tmp_path / "x.jsonl", texts)
    assert list(Lines(tmp_path / "x.jsonl")) == texts and list(Lines(tmp_path / "x.jsonl", 2)) == texts[:2]
    assert meta["documents"] == 3 and meta["words"] == 9 and meta["bytes"] == len("".join(texts).encode())
    assert meta["fingerprint"] != write_lines(tmp_path / "y.jsonl", texts[:2])["fingerprint"]


def test_every_selector_of_every_preset_names_a_method():
    for preset in PRESETS.values():
        for selector in preset["selectors"]:
            assert split_selection(f"{selector}_50_tapt") == (selector, 50)


def test_resolve_base_takes_a_folder(base):
    assert resolve_base(str(base)) == base
