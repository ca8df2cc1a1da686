import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.encoder.packing import Windows, attention_mask, fill_rows, pack


def windows_of(lengths):
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Windows(np.arange(10, 10 + starts[-1]), starts, np.arange(len(lengths)))


def test_best_fit_leaves_the_least_room():
    # 6 opens a row; 5 opens another; 4 fits both and leaves less in the first; 3 fits the second only
    assert pack([3, 4, 5, 6], 10) == [[3, 1], [2, 0]]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 32), min_size=1, max_size=60))
def test_every_window_is_laid_once_within_its_row_and_can_be_read_back(lengths):
    rows = pack(lengths, 32)
    assert sorted(w for row in rows for w in row) == list(range(len(lengths)))
    assert all(sum(lengths[w] for w in row) <= 32 for row in rows)
    windows = windows_of(lengths)
    laid = fill_rows(windows, rows, 32, pad_id=1, position_offset=2)
    for window, row, column in zip(laid.window, laid.row, laid.column, strict=True):
        cells = slice(column, column + lengths[window])
        assert (laid.input_ids[row, cells] == windows[window]).all()
        assert (laid.position_ids[row, cells] == np.arange(lengths[window]) + 2).all()
        assert len(set(laid.segments[row, cells])) == 1
    assert (laid.segments > 0).sum() == sum(lengths)
    assert (laid.input_ids[laid.segments == 0] == 1).all()


def test_rows_fill_well_on_lengths_like_a_tasks():
    lengths = np.random.default_rng(0).integers(8, 90, 2000)
    assert lengths.sum() / (len(pack(lengths, 128)) * 128) > 0.97


def test_a_window_longer_than_the_row_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        pack([5, 11], 10)


def test_the_mask_lets_a_token_see_its_own_window_only():
    import torch

    mask = attention_mask(torch.tensor([[1, 1, 2, 0]]), torch.float32)[0, 0]
    seen = (mask == 0).int().tolist()
    assert seen == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert torch.softmax(mask, dim=-1).isfinite().all()


def test_long_documents_become_windows_and_nothing_is_lost(tmp_path):
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizerFast

    from helpers.encoder.packing import tokenize

    bpe = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator(["a b c d"], special_tokens=special, show_progress=False)
    bpe.save_model(str(tmp_path))
    tokenizer = RobertaTokenizerFast(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    texts = ["abcdefghijklmno", "", "xyz"]
    windows = tokenize(texts, tokenizer, 8)
    pieces = [windows[i] for i in range(len(windows))]
    assert all(p[0] == tokenizer.bos_token_id and p[-1] == tokenizer.eos_token_id and len(p) <= 8 for p in pieces)
    assert windows.document.tolist() == [0, 0, 0, 2]
    assert tokenizer.decode(np.concatenate([p[1:-1] for p in pieces[:3]]).tolist()) == texts[0]
    assert tokenize(texts, tokenizer, 8, overflow="truncate").document.tolist() == [0, 2]
    on_disk = tokenize(texts, tokenizer, 8, folder=tmp_path)
    assert (on_disk.tokens == windows.tokens).all() and isinstance(on_disk.tokens, np.memmap)


@pytest.mark.parametrize("name", ["Bert", "Roberta", "MPNet", "IBert", "Esm", "XLM"])
def test_the_longest_sequence_is_read_and_one_token_more_is_not(name):
    import torch
    import transformers

    from helpers.encoder.packing import longest_sequence

    sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    own = {"XLM": dict(emb_dim=16, n_layers=1, n_heads=2), "Esm": dict(position_embedding_type="absolute")}
    config = getattr(transformers, f"{name}Config")(
        vocab_size=50, max_position_embeddings=20, pad_token_id=1, **sizes | own.get(name, {})
    )
    net = transformers.AutoModelForMaskedLM.from_config(config).eval()
    longest = longest_sequence(net)
    with torch.inference_mode():
        assert net(torch.full((1, longest), 7)).logits.shape[1] == longest
        with pytest.raises((IndexError, RuntimeError)):
            net(torch.full((1, longest + 1), 7))
