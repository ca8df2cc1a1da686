"""What a key says of how words are cut, where a text's script has a say in it; {} for text like English."""

from collections.abc import Iterable

from helpers.compute import segmenters
from helpers.words import has_hidden, has_unspaced, needs_script

_WHOLE = "whole where a character in them is hidden"


def of_rows(texts: Iterable[str]) -> dict[str, str]:
    """For a baseline that counts the words of these texts."""
    cut = list(filter(needs_script, texts))
    return _said("by script, of any length", _hidden(cut), segmenters()) if cut else {}


def of_sample(texts: Iterable[str], selects: bool = True) -> dict[str, str]:
    """For what counts words of texts like these: the segmenters at hand, where a script is one that they cut.

    selects: by them, as selectors do, to which hidden characters did not always belong to their word.
    """
    cut = list(filter(needs_script, texts))
    return _said(_hidden(cut) if selects else "", segmenters() if any(map(has_unspaced, cut)) else "")


def _hidden(texts: list[str]) -> str:
    return _WHOLE if any(map(has_hidden, texts)) else ""


def _said(*parts: str) -> dict[str, str]:
    words = ", ".join(filter(None, parts))
    return {"words": words} if words else {}
