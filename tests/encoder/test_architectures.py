"""Architectures of transformers' masked-LM mapping, tiny: the loss a text has alone, or one line.

The table in helpers/encoder/README.md is read here and must be true: every name in it is tried.
"""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import helpers.encoder
from helpers.classify import new_classifier
from helpers.encoder.load import load_masked_lm
from helpers.encoder.masked_lm import shares_rows
from helpers.encoder.packing import position_offset, tokenize
from helpers.encoder.pooled import mean_pooled
from helpers.errors import UserError
from helpers.paths import MINI
from helpers.pretrain import Recipe, masked_lm_loss
from helpers.pretrain.batches import Vocabulary, mask_rows
from helpers.pretrain.loss import MASK_SEED

LENGTH = 120  # tokens; more than any local attention below
WORDS = "the a of house street people saw small green table paper river morning walked slowly they gene cell".split()
TEXTS = [" ".join(np.random.default_rng(n).choice(WORDS, n)) for n in (100, 60, 7, 90, 30)]
TABLE = (Path(helpers.encoder.__file__).parent / "README.md").read_text(encoding="utf-8")
OUTCOMES = {
    name: outcome
    for names, outcome in re.findall(r"^\| (.+) \| (packed|alone|refused) \|$", TABLE, re.MULTILINE)
    for name in names.split(", ")
}
SIZES = dict(
    vocab_size=8192, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=160, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2, cls_token_id=0,
    sep_token_id=2, mask_token_id=4,
)  # fmt: skip
OWN = {
    "Albert": dict(embedding_size=8),
    "BigBird": dict(attention_type="block_sparse", block_size=8, num_random_blocks=1),
    "ConvBert": dict(embedding_size=16, conv_kernel_size=3),
    "Deberta": dict(relative_attention=True, pos_att_type=["c2p", "p2c"]),
    "DebertaV2": dict(relative_attention=True, pos_att_type=["c2p", "p2c"]),
    "DistilBert": dict(dim=16, n_layers=3, n_heads=2, hidden_dim=32),
    "Electra": dict(embedding_size=8),
    "Esm": dict(position_embedding_type="rotary"),
    "Flaubert": dict(emb_dim=16, n_layers=2, n_heads=2, pad_index=1, mask_index=4),
    "Longformer": dict(attention_window=8),
    "MobileBert": dict(embedding_size=8, true_hidden_size=16, intra_bottleneck_size=16),
    "ModernBert": dict(local_attention=16, global_attn_every_n_layers=3),
    "Nystromformer": dict(num_landmarks=8, segment_means_seq_len=160),
    "RoFormer": dict(embedding_size=16),
    "SqueezeBert": dict(embedding_size=16, q_groups=1, k_groups=1, v_groups=1, post_attention_groups=1,
                        intermediate_groups=1, output_groups=1),
    "XLM": dict(emb_dim=16, n_layers=2, n_heads=2, pad_index=1, mask_index=4),
    "Xmod": dict(languages=["en_XX"], default_language="en_XX", adapter_reduction_factor=2),
}  # fmt: skip
FUNNEL = dict(vocab_size=8192, block_sizes=[1, 1], num_decoder_layers=1, d_model=16, n_head=2, d_head=8, d_inner=32,
              pad_token_id=1)  # fmt: skip


def save(name: str, folder: Path) -> None:
    """A checkpoint whose weights are large enough for a neighbour that is seen to show in the loss."""
    config = getattr(transformers, f"{name}Config")
    config = config(**FUNNEL) if name == "Funnel" else config(**SIZES | OWN.get(name, {}))
    torch.manual_seed(0)
    net = transformers.AutoModelForMaskedLM.from_config(config)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    net.save_pretrained(folder)
    for file in MINI.glob("tokenizer*"):
        shutil.copy(file, folder)


def losses_alone(folder: Path) -> dict[int, float]:
    """Each document's loss by transformers' own forward, the document by itself, at the same masks."""
    net, tokenizer, _ = load_masked_lm(folder)
    net.eval()
    windows = tokenize(TEXTS, tokenizer, LENGTH, overflow="truncate")
    assert windows.lengths.max() > 100
    vocabulary = Vocabulary.of(tokenizer, position_offset(net))
    recipe = Recipe("loss", 1.0, 1, epochs=1, max_length=LENGTH)
    found = {}
    for window in range(len(windows)):
        one, _ = mask_rows(windows, [window], [0], recipe, vocabulary, MASK_SEED)
        ids = torch.from_numpy(one.input_ids[:, : windows.lengths[window]])
        with torch.inference_mode():
            logits = net(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, one.chosen]
        found[window] = torch.nn.functional.cross_entropy(logits, torch.from_numpy(one.targets)).item()
    return found


def test_the_table_is_read():
    assert len(OUTCOMES) > 30 and set(OUTCOMES.values()) == {"packed", "alone", "refused"}


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_architecture_does_as_the_table_says(name, tmp_path, monkeypatch):
    monkeypatch.setenv("DSP_DEVICE", "cpu")
    save(name, tmp_path)
    if OUTCOMES[name] == "refused":
        with pytest.raises(UserError, match="give another base model") as caught:
            masked_lm_loss(tmp_path, TEXTS, max_length=LENGTH)
        assert "\n" not in str(caught.value)
        return
    assert shares_rows(load_masked_lm(tmp_path)[0], tmp_path) == (OUTCOMES[name] == "packed")
    ours = masked_lm_loss(tmp_path, TEXTS, max_length=LENGTH).set_index("document")["loss"]
    assert ours.to_dict() == pytest.approx(losses_alone(tmp_path), abs=1e-4)


@pytest.mark.parametrize("name", ["DebertaV2", *(name for name, outcome in OUTCOMES.items() if outcome == "refused")])
def test_a_text_is_scored_and_read_out_as_alone_or_not_at_all(name, tmp_path, monkeypatch):
    monkeypatch.setenv("DSP_DEVICE", "cpu")
    monkeypatch.setenv("DSP_PRECISION", "fp32")
    save(name, tmp_path)
    if name in ("DebertaV2", "Longformer"):
        alone = np.concatenate([mean_pooled([text], str(tmp_path), LENGTH) for text in TEXTS])
        np.testing.assert_allclose(mean_pooled(TEXTS, str(tmp_path), LENGTH), alone, atol=1e-4)
        assert not new_classifier(tmp_path, ["law", "film"]).packs
        return
    for attempt in (lambda: mean_pooled(TEXTS, str(tmp_path), LENGTH), lambda: new_classifier(tmp_path, ["a", "b"])):
        with pytest.raises(UserError, match="other vectors in a batch than alone.*give another base model") as caught:
            attempt()
        assert "\n" not in str(caught.value)
