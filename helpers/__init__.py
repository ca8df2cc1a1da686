"""Domain- and task-adaptive pretraining, step by step: the logic behind the six notebooks.

    from helpers import DAPT, adapt, fine_tune, load_domain, load_task, masked_lm_loss

Every name below is loaded when first used, so that looking at tables and figures never loads torch. The rooms, from
the bottom up (a room reads from those before it, never from one after it):

errors files hashing paths compute words progress     what everything stands on; how text becomes words
methods config                                       the study's words; presets and parameters
paper        the paper's numbers                     data         tasks, domains, sources, the leak filter
overlap      vocabularies and what they share        encoder      all that touches a Hugging Face encoder
pretrain     DAPT and TAPT: one masked-LM loop       classify     fine-tuning, scores, the TF-IDF line
select       VAMPIRE, neighbours, rivals
store jobs   artifacts on disk; work side by side    results      records -> tables -> statistics -> claims
figures      plots from tables                       mini         the bundled base model
study        the paper's steps, laid out and cached  run          the notebooks in order, the report, `dsp`
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "overlap_matrix": "overlap", "typical_words": "overlap", "load_task": "data", "load_domain": "data",
    "fill_mask": "encoder.blanks", "adapt": "pretrain", "DAPT": "pretrain", "TAPT": "pretrain",
    "masked_lm_loss": "pretrain", "fine_tune": "classify", "predict": "classify", "select_text": "select",
    "load_records": "results", "claims": "results", "advise": "results", "Study": "study",
    "trial": "study.trials",
}  # fmt: skip
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'helpers' has no attribute {name!r}; public names: {', '.join(__all__)}")
    return getattr(import_module(f"helpers.{_HOME[name]}"), name)
