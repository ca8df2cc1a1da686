"""The table of what was decided, in the README, is what the kept runs' claims.csv say."""

import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent
RUNS = ("reference", "reference_laptop")
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
    printed = f"{float(row['paper_effect']):+.1f}" if row["paper_effect"] else ""
    return f"{effect:+.1f} [{low:.1f}, {high:.1f}] {row['verdict']}", printed


def test_the_answer_is_that_of_the_kept_runs():
    text = (ROOT / "README.md").read_text("utf-8")
    lines = dict(re.findall(r"^\| ([^|(]+?)(?: \([^|]*\))? \|(.*)\|$", text, re.M))
    for words, claim in CLAIMS.items():
        demo, laptop = (told(run, claim) for run in RUNS)
        assert [cell.strip() for cell in lines[words].split("|")] == [demo[0], laptop[0], laptop[1]], claim
