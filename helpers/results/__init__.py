"""Records of fine-tunings, and the tables, statistics and verdicts made from them and from nothing else."""

from helpers.results.advice import advise
from helpers.results.calibration import calibration, hit_rates
from helpers.results.captions import caption
from helpers.results.chance import adaptation_chance, claims_with_chance
from helpers.results.claims import claims, paper_verdicts
from helpers.results.label_worth import label_worth
from helpers.results.loss_claims import loss_changes, loss_claims
from helpers.results.predictions import changed_rows, confusion
from helpers.results.records import load_records, read_record, record_path, write_record
from helpers.results.render import beside_paper, markdown, show
from helpers.results.stats import detectable_effect, holm, mean_interval, paired_combined
from helpers.results.tables import (
    cost_table,
    mlm_loss_table,
    overlap_table,
    score_table,
    selection_table,
)

__all__ = [
    "adaptation_chance", "advise", "beside_paper", "calibration", "caption", "changed_rows", "claims",
    "claims_with_chance", "confusion", "cost_table", "detectable_effect", "hit_rates", "holm", "label_worth",
    "load_records", "loss_changes", "loss_claims", "markdown", "mean_interval", "mlm_loss_table", "overlap_table",
    "paired_combined", "paper_verdicts", "read_record", "record_path", "score_table", "selection_table", "show",
    "write_record",
]  # fmt: skip
