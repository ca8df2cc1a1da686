"""What goes into keys, and what each parameter may change; a plan computes nothing."""

import pytest

from helpers.config import Config
from helpers.errors import UserError
from helpers.methods import BASELINES, METHODS
from helpers.paths import MINI
from helpers.study import Study, makers, views
from helpers.study.outlook import outlook
from helpers.study.steps import make_one
from helpers.study.texts import Lines
from tests.study.conftest import write_jsonl

MINI_MEGABYTES = (MINI / "model.safetensors").stat().st_size / 1e6


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
        ({"TAPT_TOKENS": 5000}, {"tapt", "dapt_tapt"}),
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
    "adaptation_processes": (2, set()),  # in the summary instead
    "seeds": (1, set()), "strong_seeds": (2, set()),  # more of the same kind, none changed
    "first_seed": (7, {"vampire", "selection", "quality"} | ADAPTATION),
    "max_train": (30, {"held", *DOMAIN}), "max_dev": (9, {"held", *DOMAIN}), "max_test": (9, {"held", *DOMAIN}),
    "max_length": (32, ADAPTATION), "top_words": (77, {"overlap"}), "overlap_documents": (55, {"overlap"}),
    "heldout_documents": (7, {"losses"}), "dapt_steps": (30, {"model", "losses", "record"}),
    "dapt_batch": (8, ADAPTATION), "dapt_learning_rate": (1e-4, ADAPTATION), "tapt_epochs": (9, ADAPTATION),
    "tapt_tokens": (5000, ADAPTATION),
    "tapt_batch": (7, ADAPTATION), "tapt_learning_rate": (1e-5, ADAPTATION), "epochs": (1, {"record"}),
    "learning_rate": (1e-5, {"record"}), "warmup": (0.2, {"record"}), "batch_size": (4, {"record"}),
    "labels": (20, {"record"}), "tested_weights": ("last", {"record"}),
    "read_outs": (3, set()), "label_budgets": ((8, 0), set()), "adaptation_seeds": (2, set()),  # more, none changed
    "patience": (5, {"record"}), "pool_sentences": (60, {"pool", "vampire", "selection", "quality"} | ADAPTATION),
    "vampire_epochs": (2, {"vampire", "selection", "quality"} | ADAPTATION),
}  # fmt: skip


# All but those that need a task with unlabeled text, which the tasks here lack; TF-IDF has no seeds and comes first.
OFFERED = [name for name, method in METHODS.items() if "unlabeled" not in method.texts]


def every_step(study):
    """Name -> step, of all that a study of every method computes."""
    steps = {"overlap": study.plan.overlap(), "audit": study.plan.audit("chemprot")}
    for method in (*OFFERED, "vampire_2_tapt", "random_2_tapt"):
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


def test_a_chosen_precision_is_part_of_the_key_of_what_runs_a_model(open_study, monkeypatch):
    monkeypatch.delenv("DSP_PRECISION", raising=False)
    plain = every_step(open_study())
    assert not any("precision" in step.recipe for step in plain.values()), "the device's own is in no key"
    chosen = []
    for precision in ("fp32", "bf16"):
        monkeypatch.setenv("DSP_PRECISION", precision)
        chosen.append({name: (step.kind, step.key) for name, step in every_step(open_study()).items()})
    for one, other in ((chosen[0], chosen[1]), (chosen[0], {name: (s.kind, s.key) for name, s in plain.items()})):
        assert {one[name][0] for name in one if one[name] != other[name]} == {"model", "losses", "record"}
        assert one["record tfidf"] == other["record tfidf"]


def test_no_process_computes_in_another_precision_than_its_key_says(open_study, monkeypatch, tmp_path):
    monkeypatch.setenv("DSP_PRECISION", "fp32")
    step = open_study().plan.vectors(None, "chemprot")
    assert step.recipe["precision"] == "fp32"
    monkeypatch.delenv("DSP_PRECISION")
    with pytest.raises(UserError, match="vectors chemprot by base: DSP_PRECISION is another in this process"):
        make_one(str(tmp_path), step)


def test_the_length_of_dapt_changes_neither_figure_2_nor_the_pool(open_study):
    short, long = open_study(DAPT_STEPS=1, DAPT_BATCH=8), open_study(DAPT_STEPS=30, DAPT_BATCH=8)
    assert short.plan.overlap().key == long.plan.overlap().key
    assert short.plan.pool("biomed").key == long.plan.pool("biomed").key
    assert short.plan.dapt("biomed").key != long.plan.dapt("biomed").key


def test_a_plan_computes_nothing(open_study, tmp_path):
    study = open_study(BASE_MODEL="mini")
    every_step(study)
    assert not (tmp_path / "cache" / "store").exists()
    found = outlook(study)
    # 2 tasks x every method and one task's 2 selections, 2 seeds each, and each baseline once a task; DAPT again is
    # read out alone
    tuned = [name for name in OFFERED if name not in (*BASELINES, "dapt_again")]
    records = 2 * (2 * len(tuned) + 2) + 2 * len(BASELINES)
    assert found.loc["record", ["planned", "in_store", "to_make"]].tolist() == [records, 0, records]
    assert found.loc["domain", "planned"] == 5 and found.loc["vampire", "to_make"] == 1
    assert not (tmp_path / "cache" / "store").exists()


def test_what_a_run_takes_is_reckoned_from_its_plan(open_study, monkeypatch):
    monkeypatch.setattr("helpers.compute.matrix_rate", lambda: 1e9)

    def model(**changes):
        return outlook(open_study(BASE_MODEL="mini", **changes)).loc["model"]

    once, twice = model(DAPT_STEPS=50), model(DAPT_STEPS=100)
    assert once["megabytes"] == pytest.approx(once["to_make"] * MINI_MEGABYTES)
    # the DAPTs take twice as long, the TAPTs as long as before or, where DAPT's tokens bound them, longer
    assert once["minutes"] < twice["minutes"] <= 2 * once["minutes"] and once["to_make"] == twice["to_make"]


def test_a_base_whose_weights_cannot_be_read_is_named_before_anything_is_made(open_study):
    with pytest.raises(UserError, match=r"model.safetensors: cannot be read as weights"):
        outlook(open_study())


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


def test_a_partner_beside_the_study_is_not_trained_on_what_its_loss_is_told_on(open_study, tmp_path):
    """Its dev and test texts are held out of its own text alone: all else keeps its keys."""
    rows = [
        {"text": f"note {n} of the court on case {n * n} and claim {n + 7}", "label": "ab"[n % 2]} for n in range(60)
    ]
    for task in ("pleas", "notes"):
        for split, some in (("train", rows), ("dev", rows[:9]), ("test", rows[9:15])):
            texts = [{**row, "text": f"{task} {row['text']}"} for row in some]
            write_jsonl(tmp_path / task / f"{split}.jsonl", texts)
    (tmp_path / "tasks.toml").write_text("".join(
        f'[[task]]\nname = "{name}"\ndomain = "cs"\npath = "{name}"\npartner = "{partner}"\n'
        for name, partner in (("pleas", "notes"), ("notes", "pleas"))
    ))  # fmt: skip
    own = dict(TASK_FILE=str(tmp_path / "tasks.toml"), SELECTION_TASKS=None)
    alone, both = open_study(**own, TASKS="pleas"), open_study(**own, TASKS="pleas,notes")
    for study in (alone, both):
        assert study.plan.partner("pleas") == "notes"
        text, dev = study.plan.task_text("notes"), study.plan.sample("transfer_tapt", "pleas")
        study.make([text, dev])
        kept, told = (set(Lines(study.folder(step) / makers.TEXTS)) for step in (text, dev))
        assert len(kept) == 45 and len(told) == 9 and not kept & told
    assert alone.plan.held.here["names"] == ["pleas"] and alone.plan.task_text("pleas").reads["held"] is alone.plan.held


def test_not_dapt_is_dapt_on_the_papers_unrelated_domain(open_study):
    study = Study.open(PRESET="smoke", BASE_MODEL=open_study().config.base_model)
    pairs = {"toy_biomed": "reviews", "toy_cs": "news", "toy_news": "cs", "toy_reviews": "biomed"}
    assert {task: study.plan.unrelated_domain(task) for task in pairs} == pairs
