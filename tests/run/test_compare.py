"""Two runs side by side: numbers by the keys of their tables, verdicts, and the verdicts of both together."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from helpers.errors import UserError
from helpers.paths import project_root
from helpers.results import claims, load_records, write_record
from helpers.run import cli, compare
from tests.results.conftest import invent_record

invoke = CliRunner().invoke


def _write(run, name, rows):
    (run / "tables").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(run / "tables" / f"{name}.csv", index=False)
    return run


def test_two_runs_are_compared_by_the_keys_of_their_tables(tmp_path):
    def scores(*rows):
        return [dict(zip(("task", "method", "mean", "low", "high"), row, strict=True)) for row in rows]

    first, second = tmp_path / "a", tmp_path / "b"
    rows = [("t", "base", 50.0, 48.0, 52.0), ("t", "dapt", 51.0, 49.0, 53.0), ("u", "tfidf", 60.0, None, None)]
    _write(first, "dapt", scores(*rows, ("only", "base", 1.0, 1.0, 1.0)))
    rows = [("u", "tfidf", 61.0, None, None), ("t", "dapt", 51.5, 51.0, 52.0), ("t", "base", 55.0, 53.0, 57.0)]
    _write(second, "dapt", scores(*rows))
    found = compare.compare(first, second)
    assert found.astype(object).where(found.notna(), None).values.tolist() == [
        ["dapt", "t, base", 50.0, 55.0, 5.0, True],
        ["dapt", "t, dapt", 51.0, 51.5, 0.5, False],
        ["dapt", "u, tfidf", 60.0, 61.0, 1.0, None],
    ]
    text = invoke(cli.app, ["compare", str(first), str(second)]).output
    assert "1 of 2 numbers differ beyond noise" in text and "5.00" in text
    _write(tmp_path / "b", "dapt", scores(("t", "base", 55.0, 53.0, 57.0)) * 2)
    with pytest.raises(UserError, match="tables/dapt.csv, row 3: the same task, method as a row before it"):
        compare.compare(first, second)


def test_runs_that_share_nothing_are_one_line(tmp_path):
    first = _write(tmp_path / "a", "dapt", [{"task": "t", "method": "base", "mean": 50.0}])
    others = {"b": ("tapt", "t"), "c": ("dapt", "u")}  # another table; the table of another task
    for run, (table, task) in others.items():
        second = _write(tmp_path / run, table, [{"task": task, "method": "base", "mean": 50.0}])
        said = invoke(cli.app, ["compare", str(first), str(second)])
        assert said.exit_code == 0
        assert said.output == (
            f"{first}, {second}: the runs share no table with a row in common; there is nothing to compare\n"
        )


def test_a_run_differs_from_itself_in_nothing():
    run = project_root() / "outputs" / "reference"
    found = compare.compare(run, run)
    assert set(found["table"]) >= {"claims", "calibration", "label_worth", "claims_with_chance", "mlm_loss"}
    assert not found["difference"].any() and not (found["beyond noise"] == True).any()  # noqa: E712
    assert set(compare.verdicts(run, run)["change"]) == {"same"}


def test_verdicts_say_what_changed_how(tmp_path):
    for run, verdicts in (
        ("a", ("reproduced",) * 3 + ("undecided",)),
        ("b", ("undecided", "reversed") + ("reproduced",) * 2),
    ):
        rows = [
            {"claim": name, "measure": "f1", "recipe": "paper", "scope": "all", "verdict": verdict, "effect": 1.0}
            for name, verdict in zip("wxyz", verdicts, strict=True)
        ]
        alone = {
            "claim": run,
            "measure": "f1",
            "recipe": "paper",
            "scope": "all",
            "verdict": "reproduced",
            "effect": 1.0,
        }
        lower = rows[0] | {"scope": "domain", "verdict": "reversed"}
        _write(tmp_path / run, "claims", [*rows, rows[0] | {"measure": "log_loss"}, alone, lower])
    found = compare.verdicts(tmp_path / "a", tmp_path / "b")
    assert found[["claim", "measure", "change"]].values.tolist() == [
        ["w", "f1", "one undecided"], ["x", "f1", "differ"], ["y", "f1", "same"], ["z", "f1", "one undecided"],
        ["w", "log_loss", "one undecided"],
    ]  # fmt: skip
    said = invoke(cli.app, ["compare", str(tmp_path / "a"), str(tmp_path / "b")]).output
    assert "of 5 verdicts over all tasks 1 are the same, 3 undecided in one run, 1 differ" in said


def test_a_table_of_claims_without_its_columns_is_one_line(tmp_path):
    run = _write(tmp_path / "a", "claims", [{"claim": "w", "effect": 1.0}])
    with pytest.raises(UserError, match="tables/claims.csv: there is no column measure, recipe, scope, verdict"):
        compare.verdicts(run, run)


def test_the_seeds_of_two_runs_are_judged_together_as_if_one_run_had_them(tmp_path):
    accuracies = {("ag", "base"): 0.6, ("ag", "dapt"): 0.7, ("imdb", "base"): 0.6, ("imdb", "dapt"): 0.65}
    for (task, method), accuracy in accuracies.items():
        for run, seeds in (("a", (0, 1, 2)), ("b", (10, 11, 12)), ("both", (0, 1, 2, 10, 11, 12))):
            for seed in seeds:
                write_record(tmp_path / run / "records", invent_record(task, method, seed, accuracy))
    write_record(tmp_path / "a" / "records", invent_record("chemprot", "base", 0, 0.5))  # in one of them alone
    for run in ("a", "b"):
        _write(tmp_path / run, "dapt", [{"task": "ag", "mean": 1.0}])
    found = compare.together(tmp_path / "a", tmp_path / "b")
    pd.testing.assert_frame_equal(found, claims(load_records(tmp_path / "both" / "records")))
    assert found.loc[found["n"] > 0, "n"].iloc[0] == 6
    with pytest.raises(UserError, match="both have seed 0; run one with another FIRST_SEED"):
        compare.together(tmp_path / "a", tmp_path / "a")
    _write(tmp_path / "kept", "dapt", [{"task": "ag", "mean": 1.0}])
    with pytest.raises(UserError, match="there are no records in it"):
        compare.together(tmp_path / "kept", tmp_path / "a")
    said = invoke(cli.app, ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--together"]).output
    assert "dapt_beats_base" in said and "spread_at_most" in said


def test_two_runs_show_the_chance_of_one_adaptation(tmp_path):
    """TAPT gains 10 points in one run and none in the other: by hand, (difference^2 - error^2) / 2 is the square."""
    accuracies = {("a", "base"): 0.6, ("b", "base"): 0.6, ("a", "tapt"): 0.7, ("b", "tapt"): 0.6}
    gains = {}
    for (run, method), accuracy in accuracies.items():
        for seed in range(10):
            write_record(tmp_path / run / "records", invent_record("ag", method, seed + 100 * (run == "b"), accuracy))
    for run in ("a", "b"):
        _write(tmp_path / run, "dapt", [{"task": "ag", "mean": 1.0}])
        scores = load_records(tmp_path / run / "records").pivot(index="seed", columns="method", values="score")
        gains[run] = scores["tapt"] - scores["base"]
    found = compare.adaptation_spread(tmp_path / "a", tmp_path / "b")
    assert found[["recipe", "method", "effects"]].to_numpy().tolist() == [["paper", "tapt", 1], ["paper", "all", 1]]
    error = sum(gain.var() / 10 for gain in gains.values())
    expected = ((gains["a"].mean() - gains["b"].mean()) ** 2 - error) / 2
    assert found["spread"].tolist() == pytest.approx([expected**0.5] * 2)
