"""A classifier in a folder: saved as transformers saves one of its own, loaded again, predicting labels of new text."""

import copy
import os
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from helpers import compute
from helpers.classify.batches import batches_for_scoring
from helpers.classify.inputs import text_windows, tokenless
from helpers.classify.model import Classifier, score_windows
from helpers.data.text import checked
from helpers.encoder.load import save_tokenizer, without_pooler
from helpers.encoder.trial import packs_windows
from helpers.errors import UserError
from helpers.files import read_json, write_json

_FILE = "classifier.json"
# Where transformers' own sequence classifiers keep the dense layer before the tanh and the one after it. Others cannot
# hold the paper's head: DistilBERT's has ReLU, ELECTRA's, RoFormer's and BigBird's GELU, ModernBERT's a norm.
_ROBERTA = ("classifier.dense", "classifier.out_proj")
_POOLER = ("{encoder}.pooler.dense", "classifier")
HEADS = {
    **dict.fromkeys(("camembert", "data2vec-text", "esm", "ibert", "jina_embeddings_v3", "mpnet", "roberta",
                     "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"), _ROBERTA),
    **dict.fromkeys(("bert", "ernie", "megatron-bert", "nomic_bert", "rembert", "squeezebert"), _POOLER),
    "albert": ("{encoder}.pooler", "classifier"),
    **dict.fromkeys(("deberta", "deberta-v2"), ("pooler.dense", "classifier")),
}  # fmt: skip


def save_classifier(model: Classifier, folder: str | Path) -> Path:
    """Write the classifier as a Hugging Face folder and return its path; an older one there is replaced.

    An architecture of HEADS becomes an ordinary sequence classifier of transformers, so that
    `transformers.pipeline("text-classification", folder)` gives the same scores without this package, of texts longer
    than the classifier's max_length with truncation=True. The head of any other cannot hold the paper's:
    `load_classifier` and `predict` alone read the folder then, and a warning says so.
    """
    from safetensors.torch import save_file
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

    folder = Path(folder)
    if folder.exists() and not (folder / _FILE).exists():
        raise UserError(f"{folder}: there is a folder that holds no classifier; choose another name.")
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    config = copy.deepcopy(model.encoder.config)
    config.id2label = dict(enumerate(model.labels))
    config.label2id = {label: number for number, label in enumerate(model.labels)}
    config.problem_type, config.architectures = "single_label_classification", None
    if config.model_type in HEADS:
        config.architectures = [MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)].__name__]
        config.classifier_dropout = model.dropout.p
        if hasattr(config, "pooler_hidden_act"):
            config.pooler_hidden_act = "tanh"
    else:
        warnings.warn(f"{folder}: transformers' own classifier of {config.model_type} cannot hold the paper's head, so "
                      "load_classifier and predict alone read this folder; those it can read itself are "
                      f"{', '.join(sorted(HEADS))}", stacklevel=2)  # fmt: skip
    config.save_pretrained(aside)
    save_tokenizer(model.tokenizer, aside, model.max_length)
    weights = {_saved_name(key, model): value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, aside / "model.safetensors", metadata={"format": "pt"})
    write_json(aside / _FILE, {"labels": model.labels, "max_length": model.max_length, "dropout": model.dropout.p})
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(aside, folder)
    return folder


def _saved_name(key: str, model: Classifier) -> str:
    """The name of a weight in a sequence classifier of transformers."""
    part, rest = key.split(".", 1)
    prefix = model.encoder.base_model_prefix
    if part == "encoder":
        return f"{prefix}.{rest}"
    head = HEADS.get(model.encoder.config.model_type, _ROBERTA)
    return f"{dict(zip(('dense', 'out_proj'), head, strict=True))[part].format(encoder=prefix)}.{rest}"


def load_classifier(folder: str | Path) -> Classifier:
    """The classifier that `save_classifier` wrote.

    Raises UserError where there is none, a damaged one, or one whose scores of a text its neighbours change.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    folder = Path(folder)
    if not (folder / _FILE).exists():
        raise UserError(f"{folder}: no classifier here; expected a folder written by save_classifier.")
    try:
        card = read_json(folder / _FILE)
        config = AutoConfig.from_pretrained(folder)
        encoder = AutoModel.from_config(config, **without_pooler(config))
        model = Classifier(encoder, AutoTokenizer.from_pretrained(folder), **card, packs=False)  # tried below
        saved = load_file(folder / "model.safetensors")
        model.load_state_dict({key: saved[_saved_name(key, model)] for key in model.state_dict()})
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: the classifier there is damaged ({_first_line(error)}); save it again") from None
    # by its own weights: small random ones would hide what neighbours do
    model.packs = packs_windows(model.encoder, folder)
    return model.eval()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def predict(model: Classifier | str | Path, texts: Iterable[str]) -> pd.DataFrame:
    """Predicted label of each text, in their order.

    model: a classifier or the folder of a saved one. Returns one row a text with the columns text, label and
    probability (of that label, 1 / classes .. 1). Raises UserError for an empty text and one
    without any token of the model.

    >>> from helpers.classify import new_classifier
    >>> found = predict(new_classifier("mini", ["law", "film"]), ["the court heard the claim"])
    >>> found["label"].item() in ("law", "film"), 0.5 <= found["probability"].item() <= 1
    (True, True)
    """
    model = model if isinstance(model, Classifier) else load_classifier(model).to(compute.device())
    texts = list(checked([texts] if isinstance(texts, str) else texts, empty=False))
    windows = text_windows(texts, model.tokenizer, model.max_length)
    if (row := tokenless(windows, len(texts))) is not None:
        raise UserError(f"texts, item {row + 1}: the tokenizer finds no token in {texts[row]!r}; leave it out")
    probabilities = torch.softmax(score_windows(model, batches_for_scoring(windows, model)), dim=1).numpy()
    best = probabilities.argmax(axis=1)
    return pd.DataFrame(
        {
            "text": texts,
            "label": [model.labels[number] for number in best],
            "probability": probabilities[np.arange(len(texts)), best],
        }
    )
