"""All six notebooks under the design of preset laptop, at toy size: several adaptations, selectors and recipes."""

import pandas as pd
import pytest

from helpers.results import load_records
from helpers.run import run_notebooks
from helpers.select import SELECTORS
from tests.tiny_base import make_base

pytestmark = pytest.mark.slow
SMALL = {
    "TASKS": "toy_biomed,toy_cs", "DATA_DIR": "toy", "SELECTION_TASKS": "toy_biomed", "NEIGHBOURS": "1,2",
    "MAX_TRAIN": 64, "MAX_DEV": 32, "MAX_TEST": 32, "MAX_LENGTH": 64, "LABELS": 16, "LABEL_BUDGETS": "8,16,0",
    "READ_OUTS": 4, "SEEDS": 3, "STRONG_SEEDS": 1, "EPOCHS": 1, "TOP_WORDS": 200, "OVERLAP_DOCUMENTS": 100,
    "HELDOUT_DOCUMENTS": 24, "DAPT_STEPS": 4, "TAPT_TOKENS": 5000, "POOL_SENTENCES": 300, "VAMPIRE_EPOCHS": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the finished run. Its base learns nothing: what is asked here is what is made of what."""
    folder = tmp_path_factory.mktemp("laptop") / "run"
    base = make_base(tmp_path_factory.mktemp("base") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSP_CACHE", str(tmp_path_factory.mktemp("laptop-cache")))
        patch.delenv("DSP_DATA", raising=False)
        patch.delenv("MPLBACKEND", raising=False)  # kernels draw into the notebook
        places = {"BASE_MODEL": str(base), "OUTPUT_DIR": str(folder)}
        outcomes = run_notebooks(preset="laptop", parameters=SMALL | places)
    assert [outcome.status for outcome in outcomes] == ["done"] * 6, [outcome.message for outcome in outcomes]
    return folder


def test_draws_take_turns_on_two_adaptations(folder):
    records = load_records(folder / "records")
    dapt = records[(records["method"] == "dapt") & (records["recipe"] == "paper")]
    assert dapt.groupby("seed")["adaptation_seed"].unique().map(list).to_dict() == {0: [0], 1: [1], 2: [0]}
    curves = pd.read_csv(folder / "figures" / "mlm_loss_curves.csv")
    assert set(curves.groupby("corpus")["seed"].nunique()) == {2}


def test_the_table_of_selection_has_every_selector(folder):
    methods = set(pd.read_csv(folder / "tables" / "selection.csv")["method"])
    assert {f"{selector}_1_tapt" for selector in SELECTORS} <= methods
    assert {"vampire_2_tapt", "random_2_tapt"} <= methods


def test_claims_are_judged_by_three_recipes(folder):
    claims = pd.read_csv(folder / "tables" / "claims.csv")
    assert {"paper", "strong", "frozen"} <= set(claims["recipe"].dropna())
    assert (folder / "report.html").stat().st_size > 100_000
