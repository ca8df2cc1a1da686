"""What is measured on texts and checkpoints: vocabulary overlap, masked-LM loss, leaks."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from helpers.study.steps import VERSIONS

GENERIC = "generic"  # the sample of the base model's own pretraining sources, "PT" in the paper


def cached_frame(study, kind: str, parts: dict, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A table from the store, or computed and put there."""

    def make(folder: Path) -> None:
        compute().to_csv(folder / "table.csv", index=False)

    return pd.read_csv(study.store.get_or_make(kind, {"version": VERSIONS[kind], **parts}, make) / "table.csv")


def overlap(study) -> pd.DataFrame:
    """Vocabulary overlap of PT and every domain. Paper: section 3.1, Figure 2."""
    from helpers.overlap import overlap_matrix

    names, config = (GENERIC, *study.domains), study.config
    study.prepare_domains(names)
    fingerprints = {name: study.corpora.domain_meta(name)["train"]["fingerprint"] for name in names}
    parts = {"texts": fingerprints, "documents": config.overlap_documents, "top": config.top_words}
    texts = {name: study.corpora.train_texts(name, config.overlap_documents) for name in names}
    frame = cached_frame(study, "overlap", parts, lambda: overlap_matrix(texts, top=config.top_words))
    study.write("records/overlap.json", _json({**parts, "percent": frame.to_dict("records")}))
    return frame


def audit(study) -> pd.DataFrame:
    """Texts that train, dev, test and the corpora share, all tasks under each other."""
    from helpers.data import audit as audit_task

    names = (GENERIC, *study.domains)
    study.prepare_domains(names)
    frames = []
    for task in study.corpora.audited:
        domains = {"general text": GENERIC, "domain text": study.models.domain_of(task)}
        corpora = {title: study.corpora.train_texts(name) for title, name in domains.items()}
        corpora["tapt text"] = study.corpora.tapt_texts(task)
        parts = {
            "task": study.corpora.task_fingerprint(task), "held": study.corpora.held_fingerprint,
            "corpora": [study.corpora.domain_meta(name)["train"]["fingerprint"] for name in domains.values()],
        }  # fmt: skip
        loaded = study.task(task)
        found = cached_frame(study, "audit", parts, lambda: audit_task(loaded, corpora))  # noqa: B023
        frames.append(found.assign(task=task, preset=study.config.preset))
    return pd.concat(frames, ignore_index=True)


def losses(study) -> pd.DataFrame:
    """Masked-LM loss of the base and every DAPT model on PT and every domain. Paper: Table 12.

    Returns model ('base', 'dapt_<domain>'), sample, loss (mean over documents, nats a token), sd, low, high (95 %
    bootstrap over documents), token_loss (every masked token counts once), n (documents).
    """
    from helpers.adapt import loss_interval

    names = (GENERIC, *study.domains)
    study.prepare_domains(names)
    models = {"base": study.models.start, **{f"dapt_{name}": study.models.dapt(name) for name in study.domains}}
    study.make_models(list(models.values()))
    pairs = [(model, ("domain", sample)) for model in models.values() for sample in names]
    study.make_losses(pairs)
    rows = []
    for name, model in models.items():
        for sample in names:
            documents = study.document_losses(model, ("domain", sample))
            rows.append({"model": name, "sample": sample} | loss_interval(documents))
    frame = pd.DataFrame(rows)
    keys = {name: model.key for name, model in models.items()}
    study.write("records/mlm_loss.json", _json({"checkpoints": keys, "losses": frame.to_dict("records")}))
    return frame


def _json(value) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
