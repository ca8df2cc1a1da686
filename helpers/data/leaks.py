"""Duplicates between train, dev, test and corpora."""

import re

_GAP = re.compile(r"[\W_]+")


def normalised(text: str) -> str:
    """Lower-case words and numbers, one space between: texts that differ in no more count as the same."""
    return _GAP.sub(" ", text.lower()).strip()
