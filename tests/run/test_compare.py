"""Two runs side by side: numbers by the keys of their tables, and verdicts."""

import pytest
from typer.testing import CliRunner

from helpers.errors import UserError
from helpers.paths import project_root
from helpers.run import cli, compare
from tests.run.conftest import write_table

invoke = CliRunner().invoke


def test_two_runs_are_compared_by_the_keys_of_their_tables(tmp_path):
    def scores(*rows):
        return [dict(zip(("task", "method", "mean", "low", "high"), row, strict=True)) for row in rows]

    first, second = tmp_path / "a", tmp_path / "b"
    rows = [("t", "base", 50.0, 48.0, 52.0), ("t", "dapt", 51.0, 49.0, 53.0), ("u", "tfidf", 60.0, None, None)]
    write_table(first, "dapt", scores(*rows, ("only", "base", 1.0, 1.0, 1.0)))
    rows = [("u", "tfidf", 61.0, None, None), ("t", "dapt", 51.5, 51.0, 52.0), ("t", "base", 55.0, 53.0, 57.0)]
    write_table(second, "dapt", scores(*rows))
    found = compare.compare(first, second)
    assert found.astype(object).where(found.notna(), None).values.tolist() == [
        ["dapt", "t, base", 50.0, 55.0, 5.0, True],
        ["dapt", "t, dapt", 51.0, 51.5, 0.5, False],
        ["dapt", "u, tfidf", 60.0, 61.0, 1.0, None],
    ]
    text = invoke(cli.app, ["compare", str(first), str(second)]).output
    assert "1 of 2 numbers differ beyond noise" in text and "5.00" in text
    write_table(tmp_path / "b", "dapt", scores(("t", "base", 55.0, 53.0, 57.0)) * 2)
    with pytest.raises(UserError, match="tables/dapt.csv, row 3: the same task, method as a row before it"):
        compare.compare(first, second)


def test_runs_that_share_nothing_are_one_line(tmp_path):
    first = write_table(tmp_path / "a", "dapt", [{"task": "t", "method": "base", "mean": 50.0}])
    others = {"b": ("tapt", "t"), "c": ("dapt", "u")}  # another table; the table of another task
    for run, (table, task) in others.items():
        second = write_table(tmp_path / run, table, [{"task": task, "method": "base", "mean": 50.0}])
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
        write_table(tmp_path / run, "claims", [*rows, rows[0] | {"measure": "log_loss"}, alone, lower])
    found = compare.verdicts(tmp_path / "a", tmp_path / "b")
    assert found[["claim", "measure", "change"]].values.tolist() == [
        ["w", "f1", "one undecided"], ["x", "f1", "differ"], ["y", "f1", "same"], ["z", "f1", "one undecided"],
        ["w", "log_loss", "one undecided"],
    ]  # fmt: skip
    said = invoke(cli.app, ["compare", str(tmp_path / "a"), str(tmp_path / "b")]).output
    assert "of 5 verdicts over all tasks 1 are the same, 3 undecided in one run, 1 differ" in said


def test_a_table_of_claims_without_its_columns_is_one_line(tmp_path):
    run = write_table(tmp_path / "a", "claims", [{"claim": "w", "effect": 1.0}])
    with pytest.raises(UserError, match="tables/claims.csv: there is no column measure, recipe, scope, verdict"):
        compare.verdicts(run, run)
