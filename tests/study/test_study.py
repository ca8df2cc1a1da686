"""The cached study: what is left out of training text, what is computed only once, what is refused."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from transformers import AutoTokenizer

from helpers.config import Config
from helpers.errors import UserError
from helpers.jobs import InProcess
from helpers.paths import MINI
from helpers.progress import report, share_in
from helpers.store import Store
from helpers.study import Study, makers, views
from helpers.study.makers import TEXTS
from helpers.study.steps import Step, make, makes, updates_of
from helpers.study.texts import Lines, write_lines


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


def test_a_domain_that_loses_many_documents_to_held_text_says_so(open_study, monkeypatch):
    study, said = open_study(), []
    study.log = said.append
    study.prepare_domains(["cs"])
    assert not [line for line in said if "left out" in line]
    monkeypatch.setattr("helpers.study.makers.MANY_LEFT_OUT", 0.0)
    study.prepare_domains(["cs"])
    (line,) = [line for line in said if "left out" in line]
    assert line.startswith("cs: 2 of ") and "hold a dev or test text" in line


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


def test_sentences_without_spaces_count_towards_the_budget_by_their_words():
    """Documents first and then single sentences, as in kNN-TAPT; between spaces each is one word, however long."""
    sentence = "東京の天気は今日も晴れで、気温は二十度まで上がる見込みです。"
    texts = [sentence * 8] * 300 + [sentence] * 2000
    given = {"name": "tapt", "epochs": 1000, "batch_size": 32, "learning_rate": 0.0, "max_length": 128}
    recipe = makers.tapt_recipe_within(given, texts, str(MINI), 6_000_000)
    tokens = 4400 * len(AutoTokenizer.from_pretrained(MINI)(sentence, add_special_tokens=False).input_ids) + 2 * 2300
    assert recipe.epochs * tokens <= 6_000_000 < (recipe.epochs + 1) * tokens


@pytest.mark.parametrize("selector", ["random", "tfidf"])
def test_a_rival_selects_as_many_words_as_vampire_did(tmp_path, selector):
    long = [f"the court heard case {number} of the appeal at length on monday" for number in range(40)]
    pool = long + [f"appeal {number}" for number in range(40)]
    for name, texts in (("pool", pool), ("task", ["the appeal was heard"]), ("held", []), ("leader", [])):
        (tmp_path / name).mkdir()
        write_lines(tmp_path / name / TEXTS, texts)
    (tmp_path / "leader" / "summary.json").write_text(json.dumps({"selected": 60, "words": 100}))
    (tmp_path / "chosen").mkdir()
    read = {name: tmp_path / name for name in ("pool", "task", "held", "leader")}
    makers.selection(tmp_path / "chosen", selector, 3, 0, **read)
    words = sum(len(text.split()) for text in Lines(tmp_path / "chosen" / TEXTS))
    assert 100 <= words < 100 + len(long[-1].split())


def test_shuffled_control_reads_the_same_text_by_the_same_recipe(open_study):
    study = open_study()
    real, shuffled = (study.plan.model(method, "chemprot").recipe for method in ("dapt", "shuffled_dapt"))
    assert shuffled == real | {"shuffle": True}


@pytest.mark.parametrize("adaptations", [1, 2])
def test_dapt_again_is_dapt_by_a_seed_that_no_other_adaptation_has(open_study, adaptations):
    plan = open_study(ADAPTATION_SEEDS=adaptations).plan
    taken = [plan.model("dapt", "chemprot", number).recipe for number in range(adaptations)]
    again = [plan.model("dapt_again", "chemprot", number).recipe for number in range(adaptations)]
    assert [one | {"seed": 0} for one in again] == [one | {"seed": 0} for one in taken]
    assert [one["seed"] for one in taken] == list(range(adaptations))
    most = next(limit.le for limit in Config.model_fields["adaptation_seeds"].metadata if hasattr(limit, "le"))
    assert [one["seed"] for one in again] == list(range(most, most + adaptations))


@makes(version=1)
def telling(folder, root):
    """Telling: how much of it is done."""
    report(1, 4)
    (folder / "seen").write_text(str([share_in(path) for path in Path(root).glob("telling/.*.share")]))


def test_what_is_done_of_a_step_can_be_asked_while_it_is_made(open_study):
    study = open_study()
    step = Step(telling, {"root": str(study.store.root)})
    assert (study.folder(step) / "seen").read_text() == "[0.25]"
    assert not updates_of(study.store, step).exists()


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
        ({"BASE_MODEL": "./nowhere"}, "BASE_MODEL=./nowhere: not readable, there is no such folder"),
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


def test_read_outs_are_records_of_draws_and_a_label_curve(open_study):
    study = open_study(BASE_MODEL=str(MINI), LABELS=9, READ_OUTS=3, LABEL_BUDGETS="6,0", SEEDS=2, ADAPTATION_SEEDS=2)
    found = study.read_out(["tfidf", "static", "base"], ["chemprot"])
    assert set(found["recipe"]) == {"frozen"} and set(found["train_size"]) == {9}
    seeds = found.groupby("method")["seed"].agg(list).to_dict()
    assert seeds == {"tfidf": [0, 1, 2], "base": [0, 1, 2]}  # TF-IDF stands beside the models, on their draws
    paths = set(found.loc[found["seed"] == 0, "path"])
    assert paths == {f"records/chemprot/{method}+frozen/seed-0.json" for method in seeds}
    curve = views.label_curve(views.curve_records(study, ["tfidf", "base"], ["chemprot"]))
    assert sorted(set(zip(curve["method"], curve["labels"], strict=True))) == [
        ("base", 6), ("base", 40), ("tfidf", 6), ("tfidf", 40)
    ]  # fmt: skip
    # a model's read-out is quick; a baseline fits anew, and of all rows there is no draw
    drawn = curve.groupby(["method", "labels"])["seed"].nunique().to_dict()
    assert drawn == {("base", 6): 3, ("base", 40): 2, ("tfidf", 6): 2, ("tfidf", 40): 2}
    assert open_study(READ_OUTS=0).read_out(["base"]).empty


def test_seeds_take_turns_on_the_adaptations(open_study, made):
    study = open_study(ADAPTATION_SEEDS=2, SEEDS=3)
    records = study.fine_tune(["base", "dapt"], ["chemprot"])
    assert records.loc[records["method"] == "dapt", "adaptation_seed"].tolist() == [0, 1, 0]
    assert sum(kind == "model" for kind, *_ in made) == 2
    models = [study.plan.model("dapt", "chemprot", seed).key for seed in range(3)]
    assert models[0] == models[2] != models[1] and models[0] == open_study().plan.model("dapt", "chemprot").key
    losses = views.task_losses(study, ["base", "dapt"], ["chemprot"])
    assert losses.groupby("method")["adaptation"].nunique().to_dict() == {"base": 1, "dapt": 2}
    assert set(losses["corpus"]) == {"", "biomed"}


def test_by_other_chance_each_draw_has_an_adaptation_however_few_they_are(open_study):
    study = open_study(ADAPTATION_SEEDS=2, FIRST_SEED=7, SEEDS=1)
    (draws,) = (step.settings["seeds"] for step in study.plan.read_outs("chemprot", "dapt", 8, 1))
    record = study.plan.record("chemprot", "dapt", 7)
    assert draws == [7] and record.reads["model"].key == study.plan.model("dapt", "chemprot").key
    assert record.reads["model"].settings["seed"] == 7 and record.settings["seed"] == 7


@makes(version="1")
def _number(folder, *, number):
    """A number: told."""
    (folder / "number").write_text(str(number))


def test_a_job_left_over_is_divided_from_as_many_cores_as_beside_the_others(tmp_path):
    """After a run was killed the last of three jobs is alone; its threads, and so its digits, must not change."""
    store, asked = Store(tmp_path, log=lambda line: None), []

    def executor(jobs):
        asked.append(jobs)
        return InProcess()

    steps = [Step(_number, {"number": number}) for number in range(3)]
    make(steps[:2], store, executor=executor, log=tmp_path / "logs", say=lambda line: None)
    make(steps, store, executor=executor, log=tmp_path / "logs", say=lambda line: None)
    make(steps[:1], store, executor=executor, log=tmp_path / "logs", say=lambda line: None)
    assert asked == [2, 3]
