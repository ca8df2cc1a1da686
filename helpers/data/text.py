"""Texts looked at where they come in, and cut into sentences: not every full stop ends one."""

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike

import regex

from helpers.errors import UserError
from helpers.words import length, normalised

# A stop, its closing quotes or brackets, white space, and then what may open a sentence: a capital, a number or a
# letter of a script that has no capitals. Greek asks with a semicolon.
_OPENING = r"""(?=["'“‘(\[«„¿¡]?[\p{Lu}\p{Lt}\p{Lo}0-9])"""
_BREAK = regex.compile(
    rf"""([.!?…؟]["'”’)\]»“]*)\s+{_OPENING}"""
    # these marks end a sentence whatever follows, with a space after them or without
    r"""|([。｡！？।॥។။።։۔]+["'”’)\]»」』】》〉）]*)\s*(?=\S)"""
    r"""|((?<=\p{Greek})[;\u037E][»”"]*)\s+(?=["«“]?\p{Greek})"""
)
_PARAGRAPH = regex.compile(r"\n\s*\n")
_INITIALS = regex.compile(r"(?:\p{Lu}\.)*\p{Lu}")

# Words whose full stop is part of them whatever follows.
_ALWAYS = set(
    "mr mrs ms dr prof rev hon st mt gen col capt lt sgt sen rep gov messrs vs v al e.g i.e cf viz resp approx "
    "ca fig figs eq eqs ref refs sec sect ch vol vols ed eds pp dept univ assn bros jan feb mar apr jun jul aug "
    "sep sept oct nov dec spp subsp var".split()
)
# Words that are abbreviations only in front of a number: "no. 5" against "He said no. 5 men left" is rare.
_BEFORE_NUMBER = set("no nos p art par st nr op".split())
_BEFORE_NAME = set("by and of with from for to or".split())


def checked(texts: Iterable[str], where: str = "texts", *, unit: str = "item", empty: bool = True) -> Iterator[str]:
    """The texts, one at a time, each looked at.

    where, unit: how an error begins, "reviews.jsonl, row 3: ...". empty: whether empty texts may pass.
    Raises UserError at once for one string, a path, a table or a mapping in place of texts; when it is reached, for
    an item that is no text, or holds half a character (a lone surrogate).

    >>> list(checked(["one", "two"]))
    ['one', 'two']
    """
    if isinstance(texts, str | bytes | PathLike):
        raise UserError(f"{where}: expected a list of texts, got one string; give [text], or load_domain(path) a path")
    if isinstance(texts, Mapping) or hasattr(texts, "columns") or not hasattr(texts, "__iter__"):
        raise UserError(f"{where}: expected a list of texts, got {type(texts).__name__}")
    return _checked(texts, where, unit, empty)


def _checked(texts, where: str, unit: str, empty: bool) -> Iterator[str]:
    for row, text in enumerate(texts, 1):
        if (found := fault(text)) and not (empty and found == EMPTY):
            raise UserError(f"{where}, {unit} {row}: text is {found}; give it a text or leave it out")
        yield text


EMPTY = "empty"


def fault(text) -> str:
    """What keeps a value from being used as a text, in words; "" for a usable one.

    >>> fault("fine"), fault(" "), fault(None), fault(float("nan"))
    ('', 'empty', 'missing (None)', 'missing (NaN)')
    """
    if isinstance(text, str):
        if not text or text.isspace():
            return EMPTY
        if text.isascii():
            return ""
        try:
            text.encode()
            return ""
        except UnicodeEncodeError as error:
            return f"damaged at character {error.start + 1} (half a character, \\u{ord(text[error.start]):04x})"
    if text is None or type(text).__name__ in ("NAType", "NaTType"):
        return "missing (None)"
    if isinstance(text, float) and text != text:
        return "missing (NaN)"
    return f"not a string but {type(text).__name__}"


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, white space collapsed; no character is lost.

    Full stops count in any alphabet, and so do 。！？ । ؟ and their like.

    >>> sentences("Dr. Smith came. He left."), sentences("雨だ。帰ろう。")
    (['Dr. Smith came.', 'He left.'], ['雨だ。', '帰ろう。'])
    """
    found = []
    for paragraph in _PARAGRAPH.split(text):
        start = 0
        paragraph = " ".join(paragraph.split())
        for match in _BREAK.finditer(paragraph):
            stop = next(group for group in match.groups() if group)
            if stop[0] == "." and _is_abbreviation(paragraph[start : match.start()], paragraph[match.end()]):
                continue
            found.append(paragraph[start : match.start() + len(stop)])
            start = match.end()
        if start < len(paragraph):
            found.append(paragraph[start:])
    return found


def _is_abbreviation(before: str, after: str) -> bool:
    words = [word.lstrip("([\"'“‘") for word in before[-60:].split()]
    if not words:
        return False
    last = words[-1]
    if last.lower() in _ALWAYS or (after.isdigit() and last.lower() in _BEFORE_NUMBER):
        return True
    if not _INITIALS.fullmatch(last):
        return False
    # "U.S. Senate" and "J. Smith" go on, "vitamin C. The" ends: a lone capital is an initial only where a
    # name can stand, at the start or after another capital or a word that leads to a name.
    return "." in last or len(words) == 1 or words[-2][:1].isupper() or words[-2].lower() in _BEFORE_NAME


def unique_sentences(texts: Iterable[str], min_words: int = 5) -> list[str]:
    """Every distinct sentence of at least min_words words, in order of first appearance.

    Sentences that differ only in case or punctuation count as one. The pool of Paper: section 5.2, where the
    authors' script removes only identical lines.
    """
    seen: set[str] = set()
    kept = []
    for text in checked(texts):
        for sentence in sentences(text):
            key = normalised(sentence)
            if length(key) >= min_words and key not in seen:
                seen.add(key)
                kept.append(sentence)
    return kept
