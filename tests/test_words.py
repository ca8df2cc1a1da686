"""Words, sentences and leaks in scripts other than Latin; English stays as it was."""

import importlib.util
import re
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import words
from helpers.data import exclude, leaked_rows, repeats, sentences, unchecked, unique_sentences
from helpers.data.shingles import Shingles, contained, holding
from helpers.data.toy import domain_texts
from helpers.errors import UserError
from helpers.overlap import count_words, overlap_matrix
from helpers.select.words import content_words
from helpers.words import Words, any_words, normalised

_path = Path(__file__).parent / "data" / "japanese.py"
_spec = importlib.util.spec_from_file_location("japanese", _path)
japanese = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(japanese)
COOKING, TRAINS = japanese.COOKING, japanese.TRAINS


@pytest.fixture(autouse=True)
def no_segmenter(monkeypatch):
    monkeypatch.setattr(words, "_segmenter", lambda language: None)


def old_normalised(text):
    return re.sub(r"[\W_]+", " ", text.lower()).strip()


LATIN = st.text(st.characters(max_codepoint=0x17F, categories=("Lu", "Ll", "Nd", "Po", "Zs", "Pd", "Ps", "Pe")))


@given(st.text(st.characters(max_codepoint=127)) | LATIN.map(lambda text: re.sub("[ŉĿŀĲĳſǄ-ǌµªºİ]", "", text)))
def test_ascii_and_usual_latin_text_is_normalised_as_ever(text):
    assert normalised(text) == old_normalised(text)


def test_english_words_are_scikit_learns():
    for text in [*domain_texts("biomed")[:50], "TGF-α and café il_2 naïve “x” – 20 µg"]:
        assert Words()(text) == re.findall(r"\b\w\w+\b", text.lower())


def test_combining_marks_stay_in_words_and_what_cannot_be_seen_goes():
    assert normalised("हिन्दी की किताब") == "हिन्दी की किताब"
    assert Words()("हिन्दी की किताब") == ["हिन्दी", "की", "किताब"]
    for text in ("cafe\u0301 co\u00adoperate", "caf\u00e9 co\u200boperate", "ｃａｆé cooperate"):
        assert normalised(text) == "café cooperate"
        assert Words()(text) == ["café", "cooperate"]


def test_one_letter_words_count_where_they_are_words():
    assert Words()("Я и ты, a b c") == ["я", "и", "ты"]
    assert Words()("물 을 마신다") == ["물", "을", "마신다"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("İstanbul'da İYİ bir gün", ["istanbul", "iyi", "bir", "gün"]),  # "İ".lower() is an i and a mark of its own
        ("co\u00adoperate", ["cooperate"]),
        ("می\u200cخواهم کتاب", ["میخواهم", "کتاب"]),
        ("zero\u200bwidth space \u200bhere\ufeff", ["zerowidth", "space", "here"]),
    ],
)
def test_what_is_not_seen_cuts_no_word_in_selection_and_counting(text, expected):
    assert content_words(text) == expected
    assert [word for word in any_words(text) if len(word) > 2] == expected
    assert any_words("İ 5 a") == ["i", "5", "a"]


def test_short_words_and_numbers_count_in_any_script_and_encoding():
    assert any_words("東京 C 5") == ["東京", "c", "5"]
    accented = "café 5 C mg"
    for form in ("NFC", "NFD"):
        assert any_words(unicodedata.normalize(form, accented)) == ["café", "5", "c", "mg"]


def test_without_a_segmenter_pairs_of_characters_stand_for_words_and_it_is_said():
    split = Words()
    assert split("雪が降る。AI です") == ["雪が", "が降", "降る", "ai", "です"]
    assert split("ภาษาไทย")[:2] == ["ภา", "าษ"]
    assert split.unit == "character pairs"
    english = Words()
    [english(text) for text in ["plain words " * 20, "颜狗"]]
    assert english.unit == "words"
    with pytest.raises(UserError, match=r"sudachipy.*languages"):
        Words("ja")


def test_a_segmenter_is_used_where_there_is_one(monkeypatch):
    monkeypatch.setattr(words, "_segmenter", lambda language: lambda run: [run[:2], run[2:]])
    split = Words("ja")
    assert split("東京駅") == ["東京", "駅"] and split.unit == "words"


def test_scripts_are_told():
    assert [words.script(text) for text in ("雪が降る", "下雪了", "Hello", "Привет", "", "مرحبا", "ภาษา")] == [
        "Japanese", "Han", "Latin", "Cyrillic", "", "Arabic", "Thai"]  # fmt: skip


@pytest.mark.parametrize(
    "expected",
    [
        ["Шёл дождь.", "Мы ушли!", "Куда?", "А. С. Пушкин знал."],
        ["Έβρεχε.", "Πού πας;", "Φύγαμε."],
        ["Łódź jest duża.", "Świeci słońce.", "Żaba skacze."],
        ["Yağmur yağdı.", "İstanbul uzak.", "Şimdi gidelim."],
        ["هل تسمعني؟", "نعم.", "ذهبنا إلى البيت."],
        ["वह आया।", "क्या हुआ?", "सब ठीक है।"],
    ],
)
def test_sentences_of_other_alphabets(expected):
    assert sentences(" ".join(expected)) == expected


@pytest.mark.parametrize("expected", [COOKING, ["行くの？", "行く！", "「帰ろう。」", "はい。"], ["你好。", "再见！"]])
def test_sentences_without_spaces(expected):
    assert sentences("".join(expected)) == expected


def test_unique_sentences_count_two_characters_as_a_word():
    assert unique_sentences(["雪だ。", "雪のため、北へ向かう特急が運休になった。"]) == [TRAINS[1]]


def test_planted_japanese_test_texts_are_found_and_no_others():
    held = COOKING[:10]
    planted = [f"{TRAINS[n]}{held[n % 10]}{TRAINS[-n]}" for n in range(20)]
    clean = ["".join(TRAINS[n : n + 5]) for n in range(15)] + COOKING[10:]
    assert list(exclude(planted + clean, held)) == clean
    assert repeats(planted + clean, held).tolist() == [True] * 20 + [False] * len(clean)
    assert {row for row, _ in holding(Shingles(held), Shingles(planted))} == set(range(10))
    assert contained(Shingles([held[0]]), Shingles([f"{held[0][:-3]}ます。"]), 0.5).tolist() == [True]


def test_copies_in_another_form_are_found():
    texts = ["Crème brûlée is never served at the café here.", "ガラスの皿に料理をきれいに盛りつける。"]
    for text in texts:
        shy = text[:4] + "\u00ad" + text[4:]
        for form in (unicodedata.normalize("NFD", text), shy, f"Before. {unicodedata.normalize('NFD', shy)} After."):
            assert list(exclude([form], [text])) == []


@pytest.mark.parametrize(
    ("held", "copy"),
    [
        ("Die Straße ist heute sehr voll und laut", "DIE STRASSE IST HEUTE SEHR VOLL UND LAUT"),
        ("İstanbul en kalabalık şehirdir bugün de", "istanbul en kalabalık şehirdir bugün de"),
        ("Ο δρόμος είναι σήμερα πολύ γεμάτος κόσμος", "Ο ΔΡΌΜΟΣ ΕΊΝΑΙ ΣΉΜΕΡΑ ΠΟΛΎ ΓΕΜΆΤΟΣ ΚΌΣΜΟΣ"),
    ],
)
def test_copies_in_capitals_are_found(held, copy):
    assert list(exclude([copy, f"Before. {copy} After.", f"{copy[:-4]} xyz"], [held])) == [f"{copy[:-4]} xyz"]
    train, dev, test = (pd.DataFrame({"text": [text], "label": ["a"]}) for text in (held, "x", copy))
    task = SimpleNamespace(train=train, dev=dev, test=test)
    assert leaked_rows(task)["test"].tolist() == [0]


def test_a_common_short_word_does_not_take_a_domain_along():
    assert list(exclude(["この映画はおもしろいと思った。"], ["おもしろい"])) == ["この映画はおもしろいと思った。"]
    assert list(exclude(["おもしろい！"], ["おもしろい"])) == []
    assert unchecked(["おもしろい", COOKING[0], "👍👍", "Methods."]).tolist() == [True, False, True, True]
    assert list(exclude(["👍👍", "👍", "..."], ["👍 👍"])) == ["👍", "..."]


def test_overlap_of_japanese_is_larger_within_a_subject_than_across():
    table = overlap_matrix({"one": COOKING[::2], "two": COOKING[1::2], "other": TRAINS[::2]}, "text", top=300)
    share = table.set_index(["a", "b"])["percent"]
    assert share["one", "two"] > share["one", "other"] > 0
    assert set(table["unit"]) == {"character pairs"}


def test_overlap_takes_a_tokenizer_and_refuses_text_without_words():
    assert count_words(["a-b", "b-c"], tokenize=lambda text: text.split("-")).words.tolist() == ["b", "c"]
    with pytest.raises(UserError, match="no words to compare"):
        count_words(["。。。", "!!!"])
    for bad, said in ((["fine", None], "item 2: text is missing"), ("one", "one string"), ([b"x"], "bytes")):
        with pytest.raises(UserError, match=said):
            count_words(bad)
