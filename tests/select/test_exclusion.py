"""Dev and test text never passes into the pool."""

import numpy as np
import pytest

from helpers.select.exclusion import holds_any

HELD = ["The quick brown fox jumps over the lazy dog near the river bank.", "Too short", "aaa bbb ccc ddd eee fff"]


@pytest.mark.parametrize(
    "text, repeats",
    [
        ("the QUICK brown fox, jumps over the lazy dog near the river bank", True),  # case and punctuation
        ("Once, the quick brown fox jumps over the lazy dog near the river bank; it did.", True),  # contains it
        ("fox jumps over the lazy dog", True),  # is inside it
        ("fox jumps over the lazy cat", False),
        ("the lazy dog", False),  # too short to tell, unless equal
        ("Too short!", True),
        ("Much too short", False),
        ("the quick brown fox jumps over the lazy dog near the sea", False),  # neither holds the other
        ("bbb ccc ddd eee fff", True),
        ("x aaa bbb ccc ddd aaa bbb ccc ddd eee fff y", True),  # the second start is the real one
        ("", False),
    ],
)
def test_by_hand(text, repeats):
    assert holds_any([text], HELD).tolist() == [repeats]


def test_against_plain_containment_on_random_texts():
    draw = np.random.default_rng(0)
    held = [" ".join(draw.choice(list("abc"), size=draw.integers(5, 9))) for _ in range(6)]
    texts = [" ".join(draw.choice(list("abc"), size=draw.integers(5, 14))) for _ in range(400)]
    contained = np.array([any(f" {h} " in f" {t} " or f" {t} " in f" {h} " for h in held) for t in texts])
    found = holds_any(texts, held)
    assert contained.any() and not contained.all()
    assert found[contained].all()  # nothing slips through


def test_nothing_held_excludes_nothing():
    assert not holds_any(["one text of many words here"], []).any()
    assert holds_any([], HELD).shape == (0,)
