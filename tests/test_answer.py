"""The tables of what was decided, in the READMEs, are what the kept claims say."""

import re
from pathlib import Path

import pandas as pd

from helpers.results import hit_rates

ROOT = Path(__file__).parent.parent
RUNS = ("reference", "reference_laptop")
KEPT = (*RUNS, "reference_again")
# the README's words for a claim -> its name
CLAIMS = {
    "DAPT over the base": "dapt_beats_base",
    "DAPT over DAPT on a wrong domain": "not_dapt_below_dapt",
    "DAPT over as many updates of general text": "dapt_beats_general_text",
    "DAPT over its domain's words in shuffled order": "dapt_beats_shuffled_words",
    "TAPT over the base": "tapt_beats_base",
    "DAPT+TAPT over the better of the two": "dapt_tapt_best",
    "TAPT on own text over another task's of the domain": "transfer_hurts",
    "TAPT with neighbours over TAPT with random text": "neighbours_beat_random",
    "TAPT with many neighbours over TAPT with few": "more_neighbours_help",
    "DAPT in the domain least sure to gain": "dapt_beats_base_in_every_domain",
    "DAPT's further gain for a tenth fewer shared words": "farther_domains_gain_more",
}


def told(run, claim):
    """What a kept run says of a claim, as the README prints it, and the paper's effect."""
    table = pd.read_csv(ROOT / "outputs" / run / "tables" / "claims.csv", keep_default_na=False)
    table = table[(table["measure"] == "f1") & (table["recipe"] == "frozen") & (table["scope"] == "all")]
    (row,) = table[table["claim"] == claim].to_dict("records")
    effect, low, high = (float(row[name]) for name in ("effect", "low", "high"))
    # a mean of printed hundredths, as 0.75, may lie a hair below itself
    printed = f"{float(row['paper_effect']) + 1e-9:+.1f}" if row["paper_effect"] else ""
    return f"{effect:+.1f} [{low:.1f}, {high:.1f}] {row['verdict']}", printed


def lines(readme):
    """The rows of a README's tables: the first cell, without what stands in brackets -> the other cells."""
    rows = re.findall(r"^\| ([^|(]+?)(?: \([^|]*\))? \|(.*)\|$", (ROOT / readme).read_text("utf-8"), re.M)
    return {words: [cell.strip() for cell in cells.split("|")] for words, cells in reversed(rows)}  # the first counts


def test_the_answer_is_that_of_the_kept_runs():
    found = lines("README.md")
    for words, claim in CLAIMS.items():
        demo, laptop = (told(run, claim) for run in RUNS)
        assert found[words] == [demo[0], laptop[0], laptop[1]], claim


def test_the_losses_of_four_runs_are_those_of_their_claims():
    found, again = lines("outputs/reference_again/README.md"), ROOT / "outputs" / "reference_again" / "h200"
    runs = [pd.read_csv(file) for file in (again / "claims_text_loss.csv",
                                           ROOT / "outputs" / "reference" / "tables" / "claims.csv")]  # fmt: skip
    four, one = (
        run[(run["measure"] == "text_loss") & (run["scope"] == "all")].set_index("claim")[["effect", "low", "high"]]
        for run in runs
    )
    printed = {claim: found[words] for words, claim in CLAIMS.items() if claim in four.index}
    assert len(printed) == 9
    for claim, (together, _, alone) in printed.items():
        expected = ["{:+.3f} [{:.3f}, {:.3f}]".format(*run.loc[claim]) for run in (four, one)]
        assert [together, alone] == expected, claim


def test_how_often_cheaper_looks_were_right_is_what_the_kept_runs_gains_say():
    found = pd.concat(hit_rates(pd.read_csv(ROOT / "outputs" / run / "tables" / "calibration.csv")) for run in KEPT)
    found = found.assign(hits=found["decided"] * found["right"]).groupby(["recipe", "predictor"])[["decided", "hits"]]
    sums = found.sum().round().astype(int)
    few, tuned = sums.loc[("frozen", "few")], sums.loc[("paper", "frozen")]
    assert few["hits"] == few["decided"]
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert (
        f"called the sign of {few['decided']} gains of the same models that more labels made sure, all rightly, and of "
        f"{tuned['decided']} sure gains of fine-tuning the frozen read-out {tuned['hits']}"
    ) in text
