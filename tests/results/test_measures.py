"""The same claims by the log loss of the right label and by the masked-LM loss of the tasks' text."""

import numpy as np
import pytest
from scipy import stats

from helpers.results import claims, load_records, write_record
from helpers.results.stats import paired_combined, paired_mean
from helpers.results.verdicts import mean_effect
from tests.results.conftest import invent_losses


def test_paired_mean_of_one_pair_of_cells_by_hand():
    # rows differ by seed only: the interval is Student's over seeds
    first = np.array([[3.0] * 4, [2.0] * 4, [4.0] * 4])
    found = paired_mean(first, np.ones((3, 4)))
    by_hand = stats.t.interval(0.95, 2, loc=2, scale=1 / np.sqrt(3))
    assert (found.effect, found.low, found.high) == pytest.approx((2.0, *by_hand))
    # and by example only: over examples
    found = paired_mean(np.tile([1.0, 2.0, 3.0, 6.0], (3, 1)), np.zeros((3, 4)))
    assert found.standard_error == pytest.approx(np.std([1, 2, 3, 6], ddof=1) / 2)
    assert np.isnan(paired_mean(first[:1], np.ones((1, 4))).p)


def test_rows_of_one_group_count_as_one_in_a_mean_and_records_say_which_belong_together(tmp_path, record):
    random = np.random.default_rng(7)
    rows = random.normal(0, 1, (5, 60)) + random.normal(0.3, 1, 60)
    four, groups = np.repeat(rows, 4, axis=1), np.repeat(np.arange(60), 4)  # each row four times adds nothing known
    alone, together = paired_mean(rows, 0 * rows), paired_mean(four, 0 * four, groups=groups)
    assert together.standard_error == pytest.approx(alone.standard_error) and together.degrees == alone.degrees
    assert paired_mean(four, 0 * four).standard_error < 0.7 * alone.standard_error
    assert np.isnan(paired_mean(rows, 0 * rows, groups=np.zeros(60)).p)  # one group says nothing

    def errors(folder, **fields):
        for seed in range(3):
            for method, skill in (("base", 0.5), ("dapt", 0.6)):
                one = record("chemprot", method, seed, skill)
                losses = np.where(np.equal(one["test_gold"], one["test_predictions"]), 0.2, 2.0).tolist()
                write_record(folder, one | {"test_log_loss": losses} | fields)
        found = claims(load_records(folder)).query("claim == 'dapt_beats_base' and scope == 'all'")
        return (found["high"] - found["low"]).to_numpy()

    plain, grouped = errors(tmp_path / "plain"), errors(tmp_path / "grouped", test_groups=[i // 40 for i in range(400)])
    assert len(plain) == 2 and (plain != grouped).all()  # by F1 and by log loss


@pytest.mark.parametrize(("adaptations", "spread"), [(1, 0.0), (2, 0.5), (3, 0.5)])
def test_intervals_hold_the_truth_with_the_chance_of_adaptations(adaptations, spread):
    random, held = np.random.default_rng(4), 0
    for _ in range(400):
        number = np.arange(10) % adaptations
        rows = random.normal(0, spread, adaptations)[number][:, None] + random.normal(0, 1, (10, 1))
        rows = rows + random.normal(0, 3, 80) + random.normal(0, 3, (10, 80))
        found = paired_mean(rows, np.zeros_like(rows), adaptations=number)
        held += found.low <= 0 <= found.high
    assert (0.92 if adaptations != 2 else 0.88) <= held / 400 <= 0.99  # two say little of how adaptations vary


def test_adaptations_that_differ_widen_the_interval_of_f1():
    gold = np.array([0, 1] * 50)
    first = np.tile(gold, (10, 1))
    first[1::2, :30] = 1 - first[1::2, :30]  # every second adaptation loses thirty rows
    second = np.tile(gold, (10, 1))
    second[:, :10] = 1 - second[:, :10]
    one, two = None, np.arange(10) % 2
    plain, told = (paired_combined(gold, first, second, 2, "micro_f1", adaptations=numbers) for numbers in (one, two))
    assert told.effect == plain.effect and told.high - told.low > 3 * (plain.high - plain.low)


def test_text_loss_is_paired_by_document(tmp_path):
    base = np.linspace(2, 4, 30)
    noise = np.random.default_rng(0).normal(0, 0.05, 30)
    given = invent_losses(base=base, dapt=base - 0.5 + noise, not_dapt=base + 0.3, tapt=base + noise)
    found = claims(load_records(tmp_path / "none"), task_losses=given)
    found = found[(found["scope"] == "all") & (found["measure"] == "text_loss")].set_index("claim")
    row = found.loc["dapt_beats_base"]
    assert row["effect"] == pytest.approx(0.5 - noise.mean()) and row["verdict"] == "reproduced"
    by_hand = stats.ttest_1samp(0.5 - noise, 0).confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx(tuple(by_hand))
    assert row["comparison"] == "base - dapt" and row["unit"] == "nats" and np.isnan(row["paper_effect"])
    assert found.loc["tapt_beats_base", "verdict"] == "undecided"
    assert found.loc["transfer_hurts", "why"].startswith("No task has records")


def test_text_loss_of_several_adaptations_holds_their_chance(tmp_path):
    random = np.random.default_rng(1)
    base, documents = random.normal(3, 0.3, 50), random.normal(0, 0.05, 50)
    dapt = base - 0.2 + documents + np.array([[-0.1], [0.0], [0.1]]) + random.normal(0, 0.02, (3, 50))
    tapt = base - 0.1 + random.normal(0, 0.05, (3, 50))
    given = invent_losses(base=base, dapt=dapt, tapt=tapt, dapt_tapt=tapt - 0.3)
    found = claims(load_records(tmp_path / "none"), task_losses=given)
    found = found[(found["scope"] == "all") & (found["measure"] == "text_loss")].set_index("claim")
    # the base is one model, each of the three adaptations is beside it
    by_hand = paired_mean(np.tile(base, (3, 1)), dapt)
    row = found.loc["dapt_beats_base"]
    assert (row["effect"], row["low"], row["high"]) == pytest.approx((by_hand.effect, by_hand.low, by_hand.high))
    assert row["n"] == 50 and row["low"] < 0 < row["effect"] == pytest.approx(0.2, abs=0.03)
    # the same means of documents from one adaptation would have been sure
    alone = claims(load_records(tmp_path / "none"), task_losses=invent_losses(base=base, dapt=dapt.mean(axis=0)))
    assert alone.query("claim == 'dapt_beats_base' and scope == 'all'")["low"].item() > 0.1
    # two adapted sides are paired by the number of the adaptation
    beside = paired_mean(dapt, tapt - 0.3)
    assert found.loc["dapt_tapt_best", ["low", "high"]].tolist() == pytest.approx([beside.low, beside.high])


@pytest.mark.parametrize("adaptations", [2, 3])
def test_intervals_of_a_mean_over_tasks_hold_the_truth_with_as_few_adaptations(adaptations):
    """Invented losses of four tasks; an adaptation moves a task's mean as much as the chance of its 100 texts does."""
    random, held = np.random.default_rng(6), 0
    for _ in range(200):
        each = []
        for _ in range(4):
            text, both = random.normal(0, 8, 100), random.normal(0, 5, (adaptations, 100))
            losses = random.normal(0, 1, (adaptations, 1)) + text + both
            each.append(paired_mean(losses, 0 * losses))
        found = mean_effect(each)
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / 200 <= 0.99


def test_log_loss_is_judged_beside_f1_where_every_record_has_it(record, tmp_path):
    folder = tmp_path / "records"
    for method, right in (("base", 0.9), ("dapt", 0.3)):
        for seed in range(3):
            one = record("ag", method, seed, 0.7)
            size = len(one["test_gold"])
            write_record(folder, one | {"test_log_loss": [right + 0.01 * (seed + i % 3) for i in range(size)]})
    found = claims(load_records(folder)).query("scope == 'all' and claim == 'dapt_beats_base'").set_index("measure")
    assert found.loc["log_loss", "effect"] == pytest.approx(0.6) and found.loc["log_loss", "unit"] == "nats"
    assert found.loc["log_loss", "verdict"] == "reproduced" and found.loc["f1", "unit"] == "points"
    write_record(folder, record("ag", "tapt", 0, 0.7))  # a record of an older version has no losses
    assert set(claims(load_records(folder))["measure"]) == {"f1"}
