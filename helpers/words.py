"""How text becomes words, chosen from its script: spaces where a script has them, characters where it has none."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
import regex

from helpers.errors import UserError

# Scripts without a space between words. Two of their characters count as one word: a Japanese or Chinese word has
# 1.6 to 2 on average.
_UNSPACED = "".join(rf"\p{{scx={script}}}" for script in "Hani Hira Kana Bopo Thai Laoo Khmr Mymr".split())
_CHARACTER = rf"[[{_UNSPACED}]&&\p{{L}}]"
_LETTER = rf"[[\p{{L}}\p{{N}}]--{_CHARACTER}]"
_IN_WORD = rf"[[\p{{L}}\p{{M}}\p{{N}}]--{_CHARACTER}]"
_ANY = regex.compile(rf"(?V1){_CHARACTER}")
_PIECE = regex.compile(rf"(?V1)(?:{_CHARACTER}\p{{M}}*){{1,2}}|(?:(?!{_CHARACTER}).)+")
_ONE = regex.compile(rf"(?V1){_CHARACTER}\p{{M}}*")
_UNIT = regex.compile(rf"(?V1){_CHARACTER}\p{{M}}*|{_LETTER}{_IN_WORD}*")
# A run without spaces, a word of two letters or more, or one letter of a script in which that can be a word.
_RUN = regex.compile(
    rf"(?V1)(?P<run>(?:{_CHARACTER}\p{{M}}*)+)|[{_LETTER}_][{_IN_WORD}_]+|[\p{{L}}--[\p{{Latin}}\p{{Greek}}\p{{Common}}]]"
)
_SHORT_RUN = regex.compile(rf"(?V1)(?P<run>(?:{_CHARACTER}\p{{M}}*)+)|[{_LETTER}_][{_IN_WORD}_]*")
_PLAIN = re.compile(r"\b\w\w+\b")  # scikit-learn's own
_ANY_WORD = re.compile(r"\w+")
_MARK = regex.compile(r"\p{M}")  # vowel signs and accents of their own, at which `re` would cut
# Within a word, or a capital that `lower` takes apart: `re` would cut there, and the reader sees nothing.
_HIDDEN = regex.compile(r"(?<=[\p{L}\p{M}\p{N}_])[\p{Cf}\p{DI}]+(?=[\p{L}\p{M}\p{N}_])|İ")
_GAP = re.compile(r"[\W_]+")
_IGNORED = regex.compile(r"[\p{Cf}\p{DI}]")
_MARKED = regex.compile(rf"(?V1)[\p{{Cf}}\p{{DI}}\p{{M}}\uFF00-\uFFEF{_UNSPACED}]")
_KANA = regex.compile(r"[\p{Hira}\p{Kana}]")
_LONGEST = 5000  # characters given to a segmenter at once; SudachiPy takes 49,149 bytes
WORDS, PAIRS = "words", "character pairs"


def clean(text: str) -> str:
    """Lower case, NFKC, without format characters: what a reader cannot tell apart becomes equal.

    >>> clean("Co\u00adoperate with ﬁre, cafe\u0301")
    'cooperate with fire, café'
    """
    if text.isascii():
        return text.lower()
    return _IGNORED.sub("", unicodedata.normalize("NFKC", text)).lower()


def one_case(text: str) -> str:
    """Lower-case text with what capitals cannot tell apart made equal, and Turkish İ as its i.

    >>> one_case("straße"), one_case(clean("İZMİR"))
    ('strasse', 'izmir')
    """
    return text if text.isascii() else text.casefold().replace("i\u0307", "i")


def normalised(text: str) -> str:
    """Lower-case words and numbers, one space between: texts that differ in no more count as the same.

    In scripts without spaces every character stands alone. A text without any letter or digit gives "".

    >>> normalised(" The  <<Dose>>, of IL_2!"), normalised("東京へ行く。")
    ('the dose of il 2', '東 京 へ 行 く')
    """
    if text.isascii():
        return _GAP.sub(" ", text.lower()).strip()
    return " ".join(_UNIT.findall(clean(text)))


def has_unspaced(text: str) -> bool:
    """Whether a text has characters of a script without spaces between words."""
    return not text.isascii() and _ANY.search(text) is not None


def loose_words(text: str) -> list[str]:
    """What stands between spaces; in a script without them, pieces of two characters, since a word has about as many.

    >>> loose_words("the dose, of IL-2!"), loose_words("BERTは東京へ行く。")
    (['the', 'dose,', 'of', 'IL-2!'], ['BERT', 'は東', '京へ', '行く', '。'])
    """
    if not has_unspaced(text):
        return text.split()
    return [piece for token in text.split() for piece in _PIECE.findall(token)]


def joined(words: Iterable[str]) -> str:
    """Words to one text: a space between, but none beside a script without spaces.

    >>> joined(["京へ", "BERT", "model", "は東"])
    '京へBERT modelは東'
    """
    text, before = "", True
    for word in words:
        unspaced = has_unspaced(word)
        text += word if unspaced or before else f" {word}"
        before = unspaced
    return text


def length(text: str) -> int:
    """Words in a normalised text, two characters of a script without spaces counted as one.

    >>> length("the dose of il 2"), length(normalised("東京へ行く。"))
    (5, 3)
    """
    units = text.count(" ") + 1 if text else 0
    return units if text.isascii() else units - len(_ANY.findall(text)) // 2


def is_unspaced(codes: np.ndarray) -> np.ndarray:
    """Which code points belong to a script without spaces between words, as booleans."""
    return _code_table()[codes]


@lru_cache(maxsize=1)
def _code_table() -> np.ndarray:
    table = np.zeros(0x110000, bool)
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x40000)]))  # beyond lie no letters
    table[[ord(character) for character in _ANY.findall(every)]] = True
    return table


def word_count(text: str) -> int:
    """Words between white space; in scripts without it two characters count as one."""
    return length(normalised(text)) if has_unspaced(text) else len(text.split())


def needs_script(text: str) -> bool:
    """Whether a text has words that Python's \\w+ would not find whole: by its script, or see `has_hidden`."""
    return not text.isascii() and (_says_how(text) or _HIDDEN.search(text) is not None)


def has_hidden(text: str) -> bool:
    """Whether nothing but format characters, as a soft hyphen, or an İ keeps Python's \\w+ from finding words whole."""
    return not text.isascii() and _HIDDEN.search(text) is not None and not _says_how(text)


def _says_how(text: str) -> bool:
    """Whether a text is of a script without spaces, or with marks."""
    return has_unspaced(text) or _MARK.search(text) is not None


def any_words(text: str) -> list[str]:
    """Lower-cased words and numbers of any length.

    >>> any_words("A 2nd DOSE"), any_words("न्यायालय का फैसला"), any_words("東京 C 5"), any_words("İzmir co\u00adop")
    (['a', '2nd', 'dose'], ['न्यायालय', 'का', 'फैसला'], ['東京', 'c', '5'], ['izmir', 'coop'])
    """
    return Words(short=True)(text.replace("İ", "i")) if needs_script(text) else _ANY_WORD.findall(text.lower())


class Words:
    """Splits a text into the words that corpora are compared by: call it with a text, get a list of words.

    language: "" (told from each text's script) or an ISO code, which makes a missing segmenter an error instead of
    a fall-back. Latin and Greek words have two letters or more, or one where `short`, those of other scripts one or
    more. Japanese is cut
    by SudachiPy, Chinese by jieba (the extra `languages`); without them, and in Thai, Lao, Khmer and Burmese,
    overlapping pairs of characters stand for words. unit: "words", or "character pairs" where these are a tenth or
    more of what was found so far: say it beside the numbers, and compare only corpora counted alike.
    Raises UserError for a language whose segmenter is not installed.

    >>> Words()("The U.S. Senate voted; Я тут")
    ['the', 'senate', 'voted', 'я', 'тут']
    """

    def __init__(self, language: str = "", short: bool = False):
        self.language, self._words, self._pairs = language, 0, 0
        self._run, self._plain = (_SHORT_RUN, _ANY_WORD) if short else (_RUN, _PLAIN)
        if language in _SEGMENTERS and _segmenter(language) is None:
            package = _SEGMENTERS[language][0]
            raise UserError(
                f"LANGUAGE {language!r}: {package} is not installed; pip install 'dsp-notebooks[languages]', or leave "
                "LANGUAGE empty to compare pairs of characters"
            )

    @property
    def unit(self) -> str:
        return PAIRS if self._pairs and self._pairs * 10 >= self._words else WORDS

    def __call__(self, text: str) -> list[str]:
        found = self._found(text)
        self._words += len(found)
        return found

    def _found(self, text: str) -> list[str]:
        if text.isascii():
            return self._plain.findall(text.lower())
        # Compatibility forms stay apart where nothing else asks for cleaning: published overlaps counted them so.
        text = clean(text) if _MARKED.search(text) else text.lower()
        found = []
        for match in self._run.finditer(text):
            run = match["run"]
            found += self._cut(run, text) if run else [match[0]]
        return found

    def _cut(self, run: str, text: str) -> list[str]:
        language = self.language if self.language in _SEGMENTERS else _language(run, text)
        segment = _segmenter(language)
        if segment:
            return [word for at in range(0, len(run), _LONGEST) for word in segment(run[at : at + _LONGEST])]
        characters = _ONE.findall(run)
        pairs = [a + b for a, b in zip(characters, characters[1:], strict=False)] or characters
        self._pairs += len(pairs)
        return pairs


def _language(run: str, text: str) -> str:
    return "ja" if _KANA.search(text) else "zh" if regex.search(r"\p{Han}", run) else ""


def _japanese() -> Callable[[str], list[str]]:
    from sudachipy import Dictionary

    tokenizer = Dictionary().create()
    return lambda run: [word.surface() for word in tokenizer.tokenize(run)]


def _chinese() -> Callable[[str], list[str]]:
    import jieba

    jieba.setLogLevel("WARNING")
    return jieba.lcut


_SEGMENTERS = {"ja": ("sudachipy with sudachidict_core", _japanese), "zh": ("jieba", _chinese)}


@lru_cache
def _segmenter(language: str) -> Callable[[str], list[str]] | None:
    if language not in _SEGMENTERS:
        return None
    try:
        return _SEGMENTERS[language][1]()
    except ImportError:
        return None


_SCRIPTS = ("Latin", "Greek", "Cyrillic", "Arabic", "Hebrew", "Devanagari", "Bengali", "Tamil", "Hangul", "Hiragana",
            "Katakana", "Han", "Thai", "Lao", "Khmer", "Myanmar", "Armenian", "Georgian", "Ethiopic")  # fmt: skip


def script(text: str) -> str:
    """The script most letters of a text belong to: "Latin", "Cyrillic", "Japanese" ...; "" where it has no letters.

    >>> script("東京へ行く。"), script("Москва"), script("3.14")
    ('Japanese', 'Cyrillic', '')
    """
    counts = {name: len(regex.findall(rf"\p{{{name}}}", text)) for name in _SCRIPTS}
    kana = counts.pop("Hiragana") + counts.pop("Katakana")
    counts["Japanese"] = kana + counts["Han"] if kana else 0
    best = max(counts, key=lambda name: (counts[name], name == "Japanese"))
    return best if counts[best] else ""
