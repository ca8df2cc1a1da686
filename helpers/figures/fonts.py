"""A font for every letter of a figure, from those that are installed."""

import functools
import importlib.util
import warnings
from pathlib import Path

from matplotlib import font_manager, ft2font
from matplotlib.text import Text

JAPANESE = ("matplotlib_fontja", "fonts/ipaexg.ttf")  # a font that comes with a package, of the extra `languages`


def give_glyphs(figure) -> None:
    """Let every text of a figure fall back on installed fonts that have the letters its own font lacks.

    Warns in one line where none has them, and of what would; the figure is then drawn with boxes.
    """
    lacking = {text: found for text in figure.findobj(Text) if (found := _lacking(text))}
    if not lacking:
        return
    letters, fonts = set().union(*lacking.values()), []
    while letters and (found := _best(letters)):
        fonts.append(found[0])
        letters -= found[1]
    for text in lacking:
        text.set_fontfamily([*text.get_fontfamily(), *fonts])
    if letters:
        some = "".join(sorted(letters)[:5])
        warnings.warn(f"no installed font has {some}: boxes are drawn instead. pip install matplotlib-fontja brings "
                      "Japanese, a system package such as fonts-noto-cjk most of the rest", stacklevel=3)  # fmt: skip


def _lacking(text: Text) -> set[str]:
    letters = {letter for letter in text.get_text() if letter.isprintable() and not letter.isspace()}
    if all(map(str.isascii, letters)):
        return set()
    return letters - _letters(font_manager.findfont(text.get_fontproperties()))


@functools.cache
def _letters(path: str) -> frozenset[str]:
    return frozenset(map(chr, ft2font.FT2Font(path).get_charmap()))


@functools.cache
def _installed() -> dict[str, str]:
    """Family -> file, by name. The one of last resort has every letter, as a box."""
    found = importlib.util.find_spec(JAPANESE[0])
    if found and found.origin:
        font_manager.fontManager.addfont(Path(found.origin).parent / JAPANESE[1])
    entries = sorted(font_manager.fontManager.ttflist, key=lambda font: (font.name, font.fname))
    return {font.name: font.fname for font in entries if not font.name.startswith("Last Resort")}


def _best(letters: set[str]) -> tuple[str, frozenset[str]] | None:
    """The family that has most of the letters, the first by name where several do, and its own; None without any."""
    have = {family: letters & _letters(path) for family, path in _installed().items()}
    most = max(have, key=lambda family: len(have[family]), default=None)
    return (most, have[most]) if most and have[most] else None
