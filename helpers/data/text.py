"""Sentences and normalised words: full stops after abbreviations and initials do not end a sentence."""

import re
from collections.abc import Iterable

# A stop, its closing quotes or brackets, white space, and then what may open a sentence.
_BREAK = re.compile(r"""([.!?…]["'”’)\]]*)\s+(?=["'“‘(\[]?[A-Z0-9À-ÖØ-Þ])""")
_GAP = re.compile(r"[\W_]+")
_PARAGRAPH = re.compile(r"\n\s*\n")
_INITIALS = re.compile(r"(?:[A-Z]\.)*[A-Z]")

# Words whose full stop is part of them whatever follows.
_ALWAYS = set(
    "mr mrs ms dr prof rev hon st mt gen col capt lt sgt sen rep gov messrs vs v al e.g i.e cf viz resp approx "
    "ca fig figs eq eqs ref refs sec sect ch vol vols ed eds pp dept univ assn bros jan feb mar apr jun jul aug "
    "sep sept oct nov dec spp subsp var".split()
)
# Words that are abbreviations only in front of a number: "no. 5" against "He said no. 5 men left" is rare.
_BEFORE_NUMBER = set("no nos p art par st nr op".split())
_BEFORE_NAME = set("by and of with from for to or".split())


def normalised(text: str) -> str:
    """Lower-case words and numbers, one space between: texts that differ in no more count as the same."""
    return _GAP.sub(" ", text.lower()).strip()


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, white space collapsed; joined by spaces they give the text again."""
    found = []
    for paragraph in _PARAGRAPH.split(text):
        start = 0
        paragraph = " ".join(paragraph.split())
        for match in _BREAK.finditer(paragraph):
            if match[1][0] == "." and _is_abbreviation(paragraph[start : match.start()], paragraph[match.end()]):
                continue
            found.append(paragraph[start : match.end(1)])
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
    for text in texts:
        for sentence in sentences(text):
            key = normalised(sentence)
            if key.count(" ") + 1 >= min_words and key not in seen:
                seen.add(key)
                kept.append(sentence)
    return kept
