"""Several runs that differ in their seeds, judged as one, and what they show of one adaptation's chance."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from helpers.config import make_config
from helpers.errors import UserError
from helpers.results import claims, load_records, write_record
from helpers.results.stats import paired_mean
from helpers.run import cli
from helpers.run.together import TASK_LOSSES, adaptation_spread, claims_of, read_runs
from tests.results.conftest import invent_losses, invent_record
from tests.run.conftest import write_table

invoke = CliRunner().invoke


def test_the_seeds_of_two_runs_are_judged_together_as_if_one_run_had_them(tmp_path):
    accuracies = {("ag", "base"): 0.6, ("ag", "dapt"): 0.7, ("imdb", "base"): 0.6, ("imdb", "dapt"): 0.65}
    for (task, method), accuracy in accuracies.items():
        for run, seeds in (("a", (0, 1, 2)), ("b", (10, 11, 12)), ("both", (0, 1, 2, 10, 11, 12))):
            for seed in seeds:
                write_record(tmp_path / run / "records", invent_record(task, method, seed, accuracy))
    write_record(tmp_path / "a" / "records", invent_record("chemprot", "base", 0, 0.5))  # in one of them alone
    for run in ("a", "b"):
        write_table(tmp_path / run, "dapt", [{"task": "ag", "mean": 1.0}])
    found = claims_of(read_runs([tmp_path / "a", tmp_path / "b"]))
    pd.testing.assert_frame_equal(found, claims(load_records(tmp_path / "both" / "records")))
    assert found.loc[found["n"] > 0, "n"].iloc[0] == 6
    with pytest.raises(UserError, match="both have seed 0; run one with another FIRST_SEED"):
        read_runs([tmp_path / "a", tmp_path / "a"])
    write_table(tmp_path / "kept", "dapt", [{"task": "ag", "mean": 1.0}])
    with pytest.raises(UserError, match="there are no records in it"):
        read_runs([tmp_path / "kept", tmp_path / "a"])
    for run, settings in (("a", {}), ("b", {"seeds": 9, "first_seed": 10, "output_dir": "b"})):
        (tmp_path / run / "config.json").write_text(make_config("smoke", settings).model_dump_json())
    said = invoke(cli.app, ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--together"]).output
    assert "dapt_beats_base" in said and "spread_at_most" in said
    (tmp_path / "b" / "config.json").write_text(make_config("smoke", {"labels": 30}).model_dump_json())
    with pytest.raises(UserError, match="LABELS is 0 and 30; only runs that differ in their seeds"):
        read_runs([tmp_path / "a", tmp_path / "b"])


def test_two_runs_show_the_chance_of_one_adaptation(tmp_path):
    """TAPT gains 10 points in one run and none in the other: by hand, (difference^2 - error^2) / 2 is the square."""
    accuracies = {("a", "base"): 0.6, ("b", "base"): 0.6, ("a", "tapt"): 0.7, ("b", "tapt"): 0.6}
    gains = {}
    for (run, method), accuracy in accuracies.items():
        for seed in range(10):
            write_record(tmp_path / run / "records", invent_record("ag", method, seed + 100 * (run == "b"), accuracy))
    for run in ("a", "b"):
        write_table(tmp_path / run, "dapt", [{"task": "ag", "mean": 1.0}])
        scores = load_records(tmp_path / run / "records").pivot(index="seed", columns="method", values="score")
        gains[run] = scores["tapt"] - scores["base"]
    found = adaptation_spread(read_runs([tmp_path / "a", tmp_path / "b"]))
    assert found[["measure", "recipe", "method", "effects", "unit"]].to_numpy().tolist() == [
        ["f1", "paper", "tapt", 1, "points"], ["f1", "paper", "all", 1, "points"],
    ]  # fmt: skip
    error = sum(gain.var() / 10 for gain in gains.values())
    expected = ((gains["a"].mean() - gains["b"].mean()) ** 2 - error) / 2
    assert found["spread"].tolist() == pytest.approx([expected**0.5] * 2)


def test_a_run_of_two_adaptations_shows_the_chance_of_one_by_its_first(tmp_path):
    """Every run's first adaptation of TAPT hits 70 %, its second 60 % in one run: the first ones do not differ."""
    for run, accuracies in (("a", (0.7, 0.7)), ("b", (0.7, 0.2))):
        for seed in range(20):
            number = seed + 100 * (run == "b")
            write_record(tmp_path / run / "records", invent_record("ag", "base", number, 0.6))
            adapted = {"corpus": "ag", "seed": number % 2 + 100 * (run == "b")}
            tapt = invent_record("ag", "tapt", number, accuracies[number % 2], adaptation=adapted)
            write_record(tmp_path / run / "records", tapt)
        write_table(tmp_path / run, "dapt", [{"task": "ag", "mean": 1.0}])
    found = adaptation_spread(read_runs([tmp_path / "a", tmp_path / "b"])).set_index("method")
    assert found.loc["tapt", "spread"] < 2.0  # of both adaptations it would be some 17


def _runs(folder, shifts, documents=300, spread=0.02):
    """Runs of one task whose base reads the same everywhere, whose DAPT and TAPT are shifted by a run's own chance."""
    random = np.random.default_rng(5)
    text, folders, losses = random.normal(3, 0.4, documents), [], {}
    for number, shift in enumerate(shifts):
        run = write_table(folder / f"run{number}", "dapt", [{"task": "ag", "mean": 1.0}])
        write_record(run / "records", invent_record("ag", "base", 100 * number, 0.6))
        means = {"base": text, "dapt": text - 0.3 + shift, "tapt": text - 0.1 - shift}
        losses[number] = {
            method: mean + (method != "base") * random.normal(0, spread, documents) for method, mean in means.items()
        }
        invent_losses(**losses[number]).to_csv(run / TASK_LOSSES, index=False)
        folders.append(run)
    return folders, losses


def test_losses_of_several_runs_hold_the_chance_of_their_adaptations(tmp_path):
    folders, losses = _runs(tmp_path, (0.05, -0.05, 0.0))
    found = claims_of(read_runs(folders))
    row = found.query("measure == 'text_loss' and claim == 'dapt_beats_base' and scope == 'all'").iloc[0]
    base, dapt = (np.stack([one[method] for one in losses.values()]) for method in ("base", "dapt"))
    by_hand = paired_mean(base, dapt)
    assert (row["effect"], row["low"], row["high"]) == pytest.approx((by_hand.effect, by_hand.low, by_hand.high))
    assert row["high"] - row["low"] > 0.2  # the documents of one run would have said 0.005
    said = invoke(cli.app, ["compare", *map(str, folders), "--together"]).output
    assert "text_loss" in said and "nats" in said and "spread_at_most" in said


def test_several_runs_show_the_spread_of_one_adaptation_by_the_loss(tmp_path):
    shifts = np.random.default_rng(2).normal(0, 0.03, 8)
    folders, _ = _runs(tmp_path, shifts)
    found = adaptation_spread(read_runs(folders)).set_index("method")
    assert found.loc[["dapt", "tapt"], "effects"].tolist() == [7, 7] and set(found["unit"]) == {"nats"}
    # orthogonal contrasts of the runs: their squares sum to seven times the variance, less the documents' chance
    assert found.loc["dapt", "spread"] == pytest.approx(np.std(shifts, ddof=1), rel=0.05)
    alike, _ = _runs(tmp_path / "alike", [0.0] * 4)
    assert adaptation_spread(read_runs(alike)).set_index("method").loc["all", "spread"] < 0.003


def test_runs_that_cannot_be_judged_together_are_refused(tmp_path):
    folders, _ = _runs(tmp_path, (0.0, 0.0))
    shorter = pd.read_csv(folders[1] / TASK_LOSSES).query("document < 200")
    shorter.to_csv(folders[1] / TASK_LOSSES, index=False)
    with pytest.raises(UserError, match="other dev texts"):
        read_runs(folders)
    (folders[1] / TASK_LOSSES).unlink()  # a run made before the losses were kept
    assert read_runs(folders).losses == [] and set(claims_of(read_runs(folders))["measure"]) == {"f1"}
    with pytest.raises(UserError, match="one run alone"):
        read_runs(folders[:1])
    many = invoke(cli.app, ["compare", *map(str, folders), str(folders[0])])
    assert isinstance(many.exception, UserError) and "--together" in str(many.exception)
