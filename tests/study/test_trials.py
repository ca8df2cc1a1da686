"""The trial: as many passes as planned, no dev or test text, no test row looked at, advice that follows its numbers."""

import math

import pytest

from helpers.config import make_config
from helpers.data import load_task
from helpers.errors import UserError
from helpers.files import read_json
from helpers.results.advice import OUTCOMES
from helpers.results.stats import t_comparison
from helpers.study import Study, makers, trials
from helpers.study.texts import Lines, Thinned
from helpers.study.trials import advice, extrapolated, sizes, trial

# 120 updates of 32 sequences read some 380 documents about ten times
PLANNED = dict(TASKS="toy_cs", DAPT_STEPS=120, TAPT_EPOCHS=2, WORKERS=1, MAX_TRAIN=64, MAX_DEV=48, MAX_TEST=48,
               MAX_LENGTH=64)  # fmt: skip
SEQUENCES = 640


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """A trial of PLANNED, its study, and every text whose vectors it took."""
    folder, seen = tmp_path_factory.mktemp("trial"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSP_CACHE", str(folder / "cache"))
        patch.setenv("DSP_PRECISION", "fp32")
        from helpers.classify import baselines

        vectors = baselines.mean_pooled

        def taken(texts, *rest, **more):
            seen.append(texts)
            return vectors(texts, *rest, **more)

        patch.setattr(baselines, "mean_pooled", taken)
        table = trial("smoke", sequences=SEQUENCES, draws=20, OUTPUT_DIR=str(folder / "out"), **PLANNED)
        yield table.set_index("question"), Study.open("smoke", OUTPUT_DIR=str(folder / "out"), **PLANNED), seen


def trained(study, size):
    """The artifact of a trial's DAPT: what adaptation said of it, and its texts."""
    step = study.plan.dapt("cs", size=size)
    summary = read_json(study.folder(step) / "summary.json")
    texts = Thinned(Lines(study.folder(step.reads["texts"]) / makers.TRAIN), step.settings["documents"])
    return summary, list(texts)


def test_text_is_repeated_as_often_as_planned(tried):
    table, study, _ = tried
    texts = list(study.domain_texts("cs"))
    small, whole = sizes(study.config, len(texts), SEQUENCES)
    from helpers.encoder.load import load_masked_lm
    from helpers.encoder.packing import tokenize

    windows = len(tokenize(texts, load_masked_lm("mini")[1], study.config.max_length))
    planned = 120 * 32 / windows
    assert planned > 4
    for size in (small, whole):
        summary, used = trained(study, size)
        assert summary["epochs"] == pytest.approx(planned, rel=0.1)  # documents are one window or two or three
        assert summary["documents"] == len(used) == size[2] and set(used) <= set(texts)
    assert set(trained(study, small)[1]) < set(trained(study, whole)[1])
    assert table.loc["passes", "value"] == pytest.approx(planned, rel=0.1)
    assert small[0] * small[1] * 2 == whole[0] * whole[1] == SEQUENCES


def test_a_plan_that_reads_each_document_less_than_once_is_tried_so():
    config = make_config("demo")  # 25,600 sequences, a document each
    assert [size[2] for size in sizes(config, 10**6)] == [3200, 6400]


def test_too_few_documents_to_repeat_are_refused_with_the_way_out():
    config = make_config("demo", {"dapt_steps": 4000})  # 128,000 sequences of 400 documents: 320 passes
    with pytest.raises(
        UserError, match=r"the 400 documents .* give it 6400 sequences or more, or plan fewer DAPT_STEPS$"
    ):
        sizes(config, 400, sequences=1000)
    # of 500 updates, 16,000 sequences, the 400 documents are a fortieth: half of 1000 sequences reads 12
    assert sizes(make_config("demo", {"dapt_steps": 500}), 400, sequences=1000)[0][2] == 12
    assert sizes(config, 400, sequences=6400)[0][2] == 10
    with pytest.raises(UserError, match="make the planned run itself"):
        sizes(config, 15)


def test_dev_and_test_texts_are_in_no_corpus_and_test_rows_are_not_looked_at(tried):
    table, study, seen = tried
    task = load_task("toy_cs", data_dir="toy", max_train=64, max_dev=48, max_test=48)
    held = [*task.dev["text"], *task.test["text"]]
    _, texts = trained(study, sizes(study.config, len(list(study.domain_texts("cs"))), SEQUENCES)[1])
    own = study.task_texts("toy_cs")
    assert not any(text in document for text in held for document in [*texts, *own])
    looked = {text for texts in seen for text in texts}
    assert set(task.dev["text"]) < looked and not set(task.test["text"]) & looked
    assert "48 dev rows, 20 draws of 32 labels" in table.loc["gain", "said"]


def test_numbers_fit_each_other(tried):
    table, study, _ = tried
    value = table["value"]
    assert value["half"] + value["doubling"] == pytest.approx(value["gain"])
    doublings = math.log2(120 * 32 / SEQUENCES)
    assert value["planned"] == pytest.approx(value["gain"] + doublings * value["doubling"])
    assert value["fall"] > 0.5 and table.loc["fall", "low"] > 0  # toy text is nothing like the base's
    summary, _ = trained(study, sizes(study.config, len(list(study.domain_texts("cs"))), SEQUENCES)[1])
    assert value["speed"] == pytest.approx(summary["tokens"] / summary["seconds"])
    assert value["hours"] * 3600 == pytest.approx(summary["seconds"] * 6)
    intervals = table.loc[["gain", "half", "doubling", "planned", "tapt", "fall", "labels", "words"]]
    assert ((intervals["low"] < intervals["value"]) & (intervals["value"] < intervals["high"])).all()


def test_tapt_is_tried_whole_or_on_a_part_of_its_text_as_often(tried):
    table, study, _ = tried
    texts = study.task_texts("toy_cs")
    assert trials._tapt_size(study.plan, "toy_cs", texts, SEQUENCES) == (len(texts), 2, 32)
    assert f"2 passes as planned, over {len(texts)} of {len(texts)} texts" in table.loc["tapt", "said"]
    # 50 passes over 64 texts of a window are 3,200 sequences; 640 of them are a fifth
    long = Study.open("smoke", OUTPUT_DIR=str(study.output), **PLANNED | {"TAPT_EPOCHS": 50})
    some, passes, batch = trials._tapt_size(long.plan, "toy_cs", texts, SEQUENCES)
    assert (some, passes, batch) == (round(len(texts) / 5), 50, 8)
    quick = study.plan.tapt("toy_cs", size=(some, 7, batch))
    summary = read_json(study.folder(quick) / "summary.json")
    assert summary["documents"] == some and summary["epochs"] == pytest.approx(7, rel=0.1)  # of whole updates
    assert quick.key != study.plan.tapt("toy_cs").key and "documents" not in study.plan.tapt("toy_cs").settings


def found(effect, error=0.3):
    return t_comparison(effect, error, 30, 40)


@pytest.mark.parametrize("outcome, gains, slope, doublings", [
    ("dapt", dict(dapt=2.0), 1.0, 2),
    ("tapt", dict(tapt=2.0, dapt=0.1), 0.0, 0),
    ("tapt", dict(tapt=2.0, dapt=1.9), 0.1, 2),  # DAPT costs more and is not surely better
    ("dapt", dict(tapt=2.0, dapt=1.9), 1.0, 4),  # it surely is
    ("dapt", dict(dapt=0.5), 1.0, 4),  # not yet
    ("none", dict(tapt=0.1, dapt=-0.2), 0.0, 0),
    ("untold", dict(dapt=0.5), 0.1, 2),
    ("untold", dict(dapt=-0.2), 0.6, 2),
])  # fmt: skip
def test_the_sentence_follows_the_numbers(outcome, gains, slope, doublings):
    given = {key: found(value) for key, value in gains.items()}
    planned = extrapolated(given["dapt"], found(slope), doublings)
    said = advice(given, found(slope), planned, found(1.0), "2h07m", found(-3.0), found(-4.0))
    assert said.lower().startswith(OUTCOMES[outcome].lower())
    assert "2h07m" in said and f"{gains['dapt']:+.1f} [" in said and "twice the labels bring +1.0 [" in said
    assert ("TAPT brings" in said) == ("tapt" in gains) and "label first" not in said


def test_labels_that_surely_bring_more_come_first():
    said = advice({"dapt": found(1.0)}, found(0.1), found(1.2), found(6.0), "3m05s", found(-3.0), found(-4.0))
    assert said.endswith("surely more than any of these: label first.")


@pytest.mark.parametrize("outcome, words, over_best, planned", [
    ("words", 5.0, 4.0, 1.2),
    ("dapt", 5.0, 0.3, 1.2),  # not surely above the best model
    ("dapt", 5.0, 4.0, 8.0),  # the planned DAPT is foretold to be above it
])  # fmt: skip
def test_counting_words_is_named_where_it_surely_beats_every_model(outcome, words, over_best, planned):
    given = dict(words=found(words), over_best=found(over_best))
    said = advice({"dapt": found(1.0)}, found(0.1), found(planned), found(1.0), "3m05s", **given)
    assert said.lower().startswith(OUTCOMES[outcome].lower())
    assert "TF-IDF on the same labels +5.0 [" in said


def test_what_is_foretold_is_less_sure_than_the_trial():
    gain, slope = found(1.0, 0.2), found(0.5, 0.1)
    ahead = extrapolated(gain, slope, 3)
    assert ahead.effect == pytest.approx(2.5) and ahead.standard_error == pytest.approx(0.5)
    assert extrapolated(gain, slope, 0) == gain


def test_few_draws_are_refused():
    with pytest.raises(UserError, match="5 draws are too few"):
        trial("smoke", draws=5)
