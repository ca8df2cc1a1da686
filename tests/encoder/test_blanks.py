"""Blanks filled as transformers' own pipeline fills them."""

import pytest

from helpers import fill_mask, paths
from helpers.errors import UserError

SENTENCES = ["The patients were randomly assigned to two ___.", "We saw a ___ at the theatre."]


def test_the_words_and_probabilities_are_the_pipelines():
    from transformers import pipeline

    filled = fill_mask({"base": "mini"}, SENTENCES, top=4)
    theirs = pipeline("fill-mask", model=str(paths.MINI), top_k=4, device="cpu")
    for sentence, rows in filled.groupby("sentence", sort=False):
        expected = theirs(sentence.replace("___", theirs.tokenizer.mask_token))
        assert rows["word"].tolist() == [one["token_str"].strip() for one in expected]
        assert rows["probability"].tolist() == pytest.approx([one["score"] for one in expected], rel=1e-4)
        assert rows["rank"].tolist() == [1, 2, 3, 4] and set(rows["model"]) == {"base"}


@pytest.mark.parametrize("sentence", ["No blank.", "Two ___ in ___."])
def test_a_sentence_has_one_blank(sentence):
    with pytest.raises(UserError, match="expected one blank, written ___, found"):
        fill_mask({"base": "mini"}, [sentence])


def test_a_longer_line_is_the_same_blank():
    few, many = (fill_mask({"base": "mini"}, [f"She went to the {blank} to buy bread."]) for blank in ("___", "_____"))
    assert few["word"].tolist() == many["word"].tolist()


@pytest.mark.parametrize(
    ("sentence", "top", "said"),
    [
        ("The <mask> rose. She went to the ___ to buy bread.", 3, "it holds <mask> itself"),
        ("the court " * 400 + "___ end.", 3, "tokens, of which base reads 512; shorten it"),
        ("One ___.", 0, "top=0: expected 1 or more"),
    ],
)
def test_what_cannot_be_filled_is_named(sentence, top, said):
    with pytest.raises(UserError, match=said):
        fill_mask({"base": "mini"}, [sentence], top=top)
