"""Records of fine-tunings, and the tables, statistics and verdicts made from them and from nothing else."""

from helpers.results.records import load_records, read_record, record_path, split_selection, write_record
from helpers.results.stats import (
    detectable_effect,
    holm,
    mean_interval,
    paired_combined,
    paired_examples,
    paired_seeds,
)

__all__ = [
    "detectable_effect", "holm", "load_records", "mean_interval", "paired_combined", "paired_examples",
    "paired_seeds", "read_record", "record_path", "split_selection", "write_record",
]  # fmt: skip
