"""An encoder written for sentence-transformers: its vectors are ours, read by transformers alone and by the library."""

import json

import numpy as np
import pytest
import torch

from helpers.encoder.pooled import mean_pooled, write_sentence_encoder
from helpers.errors import UserError
from tests.encoder.test_architectures import save

TEXTS = ["the court heard the claim", "a dull film, with a worse ending than its beginning"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_sentence_encoder("mini", tmp_path_factory.mktemp("sentences") / "mini", max_length=32)


def test_the_folder_is_an_encoder_with_mean_pooling_told_in_its_files(folder):
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(folder) for kind in (AutoModel, AutoTokenizer))
    told = json.loads((folder / "1_Pooling" / "config.json").read_text())
    assert told["pooling_mode_mean_tokens"] and told["word_embedding_dimension"] == model.config.hidden_size
    assert [one["path"] for one in json.loads((folder / "modules.json").read_text())] == ["", "1_Pooling"]
    for text, ours in zip(TEXTS, mean_pooled(TEXTS, "mini", max_length=32), strict=True):
        with torch.inference_mode():
            hidden = model.eval()(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        assert hidden.mean(dim=0).numpy() == pytest.approx(ours, abs=2e-2)  # ours may run in bf16


def test_sentence_transformers_gives_the_same_vectors(folder):
    library = pytest.importorskip("sentence_transformers")
    theirs = library.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    assert np.asarray(theirs) == pytest.approx(mean_pooled(TEXTS, "mini", max_length=32), abs=2e-2)


def test_texts_longer_than_the_models_positions_are_cut():
    long = "the court heard the claim " * 200
    cut = mean_pooled([long], "mini", max_length=512)
    assert mean_pooled([long], "mini", max_length=1024) == pytest.approx(cut)


def test_one_string_is_no_list_of_texts():
    with pytest.raises(UserError, match="expected a list of texts|one string"):
        mean_pooled("abc", "mini")


def test_the_folder_is_the_same_whatever_was_read_before(tmp_path):
    long = "the court heard the claim " * 20
    mean_pooled([long], "mini", max_length=8)
    file = write_sentence_encoder("mini", tmp_path / "again", max_length=32) / "tokenizer.json"
    assert json.loads(file.read_text())["truncation"] is None and json.loads(file.read_text())["padding"] is None


def test_a_tokenizer_without_a_post_processor_gets_the_tokens_that_adaptation_adds(tmp_path, monkeypatch):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModel, PreTrainedTokenizerFast

    monkeypatch.setenv("DSP_PRECISION", "fp32")
    save("Bert", tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "house", "sea"])}
    inner = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    named = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP")}
    PreTrainedTokenizerFast(tokenizer_object=inner, **named).save_pretrained(tmp_path)
    net = AutoModel.from_pretrained(tmp_path).eval()
    found = mean_pooled(["the house", "", "sea the house"], str(tmp_path), max_length=4)
    for ids, ours in zip([[2, 4, 5, 3], [2, 3], [2, 6, 4, 3]], found, strict=True):
        with torch.inference_mode():
            hidden = net(torch.tensor([ids])).last_hidden_state[0]
        assert hidden.mean(dim=0).numpy() == pytest.approx(ours, abs=1e-4)
