import json

import numpy as np
import pandas as pd
import pytest

from helpers.mini import card as mini_card
from helpers.mini import train as mini
from helpers.mini.train import heldout_losses, read_general_text

SUMMARY = {
    "documents": 98, "corpus_tokens": 1000, "steps": 10, "tokens": 2_000_000, "epochs": 2.0, "seconds": 60.0,
    "precision": "bf16", "device": "cpu",
}  # fmt: skip
HISTORY = pd.DataFrame({"tokens": [500_000, 2_000_000], "loss": [4.0, 3.0]})


def stage(loss):
    row = {"loss": np.float32(loss), "low": loss - 0.1, "high": loss + 0.1, "sd": 1.0, "token_loss": loss}
    return mini_card.stage(
        mini.RECIPE, SUMMARY, HISTORY, [{"source": "book", "n": 3, **row}, {"source": "all", "n": 4, **row}]
    )


@pytest.mark.parametrize("last, verdict", [(2.97, "It has converged"), (2.9, "It has **not converged**")])
def test_convergence_is_the_last_stages_gain_a_pass(last, verdict):
    """Two passes that gain 0.03 nats are 0.015 a pass, below the bound of 0.02; 0.1 nats are 0.05."""
    told = mini_card.convergence([stage(3.0), stage(last)])
    assert told.startswith(verdict)
    assert f"{(3.0 - last) / 2:.3f} a pass" in told
    assert "not known" in mini_card.convergence([stage(3.0)])


def test_the_card_adds_up_the_stages_and_the_figure_shows_both_ends(tmp_path):
    stages = [stage(3.0), stage(2.9)]
    mini_card.write(tmp_path, stages)
    assert mini_card.read_stages(tmp_path) == json.loads(json.dumps(stages))
    assert mini_card.read_stages(tmp_path / "elsewhere") == []
    card = (tmp_path / "README.md").read_text()
    assert "4,000,000 tokens seen, 4.0 passes over the text, 2 minutes" in card
    assert "| book | 2.900 | 2.800 to 3.000 | 3 |" in card
    ends = mini_card.training_stages(stages).lines[-1]
    assert ends.get_xdata().tolist() == [2.0, 4.0] and ends.get_ydata().tolist() == [3.0, 2.9]


def test_held_out_losses_are_told_by_source_and_over_all(tmp_path):
    texts = [f"The house of number {i} stood in a street by the river. " * 3 for i in range(200)]
    rows = [{"text": text, "src": "ab"[i % 100 == 0]} for i, text in enumerate(texts)]
    (tmp_path / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = read_general_text([tmp_path / "text.jsonl"])
    assert text["heldout"].to_numpy().nonzero()[0].tolist() == [0, 50, 100, 150]
    found = {row["source"]: row for row in heldout_losses("mini", text, 32)}
    assert {name: row["n"] for name, row in found.items()} == {"a": 2, "b": 2, "all": 4}
    assert found["all"]["loss"] == pytest.approx((found["a"]["loss"] + found["b"]["loss"]) / 2)
