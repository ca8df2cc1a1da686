"""Sentences against hand-made oracles, and properties that hold for any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.data import sentences, unique_sentences
from helpers.words import normalised


@pytest.mark.parametrize(
    "expected",
    [
        ["It works.", "It is fast!", "Is it?", "Yes."],
        ["The dose was 2.5 mg.", "It fell by 0.3 (P = .04).", "No one left."],
        ["Dr. Smith met Mrs. J. K. Rowling in Washington D.C. in May.", "They left."],
        ["As shown by Lee et al. (2019), see Fig. 3 and Eq. 4, e.g. The Times, it holds.", "We agree."],
        ["He said \"Stop.\"", "Then he left."],
        ["The U.S. Senate voted.", "It was close."],
        ["They took vitamin C.", "Then they slept."],
        ["See no. 5 on the list.", "He said no.", "They left."],
        ["Is this it?!", "“Yes.”", "(Maybe.)", "Good."],
        ["one lower case. not a new sentence."],
    ],
)  # fmt: skip
def test_sentences_by_hand(expected):
    assert sentences(" ".join(expected)) == expected


def test_a_blank_line_ends_a_sentence_and_a_line_end_does_not():
    assert sentences("A title\n\nThe first\nline.  And more.") == ["A title", "The first line.", "And more."]


@given(st.text())
def test_no_character_is_lost(text):
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_unique_sentences_ignore_case_and_punctuation_and_keep_the_order():
    texts = ["One two three four five. Too short.", "ONE two, three four five! Six seven eight nine ten."]
    assert unique_sentences(texts) == ["One two three four five.", "Six seven eight nine ten."]
    assert "Too short." in unique_sentences(texts, min_words=1)


def test_normalised_text_keeps_words_and_numbers():
    assert normalised(" The  <<Dose>>, of IL_2 -- was 0.5mg! ") == "the dose of il 2 was 0 5mg"


def test_a_bracket_or_quote_on_its_own_is_no_word():
    assert sentences('Doses of vitamin " C. The rest ( B. It grew.') == [
        'Doses of vitamin " C.',
        "The rest ( B.",
        "It grew.",
    ]
