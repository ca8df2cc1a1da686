import numpy as np
import pytest

from helpers.pretrain.batches import Vocabulary
from helpers.pretrain.masking import mask_tokens, uniform

SPECIAL = (0, 1, 2, 3, 4)
SETTINGS = dict(probability=0.15, mask_id=4, vocabulary=1000, special=SPECIAL)


def masked_million(seed=1, epoch=0):
    n = 1_000_000
    tokens = np.random.default_rng(0).integers(0, 1000, n)
    window, position = np.arange(n) // 100, np.arange(n) % 100
    return tokens, *mask_tokens(tokens, epoch, window, position, seed=seed, **SETTINGS)


def test_a_million_tokens_are_masked_at_the_papers_rates():
    tokens, masked, chosen = masked_million()
    ordinary = ~np.isin(tokens, SPECIAL)
    assert not np.isin(tokens[chosen], SPECIAL).any()
    # four standard errors of a share of 15 % over the ordinary tokens
    assert abs(len(chosen) / ordinary.sum() - 0.15) < 4 * (0.15 * 0.85 / ordinary.sum()) ** 0.5
    before, after = tokens[chosen], masked[chosen]
    n, to_mask = len(chosen), (after == 4).mean()
    assert abs(to_mask - 0.8) < 4 * (0.8 * 0.2 / n) ** 0.5
    changed = ((after != 4) & (after != before)).mean()
    # a random draw hits the token itself once in 995
    assert abs(changed - 0.1 * (1 - 1 / 995)) < 4 * (0.1 * 0.9 / n) ** 0.5
    untouched = np.setdiff1d(np.arange(len(tokens)), chosen)
    assert (masked[untouched] == tokens[untouched]).all()


def test_random_replacements_are_ordinary_tokens_spread_evenly():
    tokens, masked, chosen = masked_million()
    drawn = masked[chosen][(masked[chosen] != 4) & (masked[chosen] != tokens[chosen])]
    assert not np.isin(drawn, SPECIAL).any()
    counts = np.bincount(drawn, minlength=1000)[5:]
    chi_square = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert chi_square < 995 + 5 * (2 * 995) ** 0.5


def test_masks_repeat_for_a_seed_and_change_with_epoch_and_seed():
    _, first, chosen = masked_million()
    _, again, _ = masked_million()
    assert (first == again).all()
    for other in (masked_million(epoch=1)[2], masked_million(seed=2)[2]):
        # independent choices share 15 % of 15 %
        shared = len(np.intersect1d(chosen, other)) / len(chosen)
        assert shared == pytest.approx(0.15, abs=0.01)


def test_a_tokens_mask_depends_on_its_own_place_only():
    tokens = np.arange(10, 60)
    _, whole = mask_tokens(tokens, 3, np.full(50, 7), np.arange(50), seed=0, **SETTINGS)
    _, tail = mask_tokens(tokens[20:], 3, np.full(30, 7), np.arange(20, 50), seed=0, **SETTINGS)
    assert set(tail + 20) == {i for i in whole if i >= 20}


def test_uniform_is_flat_and_streams_are_uncorrelated():
    a, b = (uniform(0, 0, np.arange(200_000), 5, stream) for stream in (0, 1))
    assert 0 <= a.min() and a.max() < 1
    assert np.abs(np.histogram(a, 20, (0, 1))[0] / 10_000 - 1).max() < 0.05
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.01


def test_ids_without_a_token_are_neither_masked_nor_drawn():
    """Ordinary tokens are 4 to 9, the mask token is 90: of the ids between none is drawn."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    ids = {
        **{token: number for number, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdef"])},
        "[MASK]": 90,
    }
    named = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(ids, unk_token="[UNK]")), **named)
    known = Vocabulary.of(tokenizer, 0)
    assert known.size == 91 and known.mask_id == 90
    tokens = np.random.default_rng(0).integers(4, 10, 20_000)
    masked, chosen = mask_tokens(
        tokens, 0, np.arange(20_000) // 100, np.arange(20_000) % 100, seed=0, probability=0.5, mask_id=known.mask_id,
        vocabulary=known.size, special=known.special,
    )  # fmt: skip
    assert set(masked[chosen]) == {*range(4, 10), 90}
