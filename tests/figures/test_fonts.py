"""Letters of any script are drawn where an installed font has them; where none has, one line says so."""

import warnings

import matplotlib.pyplot as plt
import pytest

from helpers import figures
from helpers.figures import fonts


def titled(text):
    figure, axes = plt.subplots()
    axes.set_title(text)
    axes.set_yticks([0, 1], [text, "plain"])
    return figure


def drawn(figure):
    """Warnings while a figure is drawn."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        figure.canvas.draw()
    return [str(one.message) for one in found]


def a_letter_of_another_font():
    own = fonts._letters(fonts.font_manager.findfont("DejaVu Sans"))
    others = set().union(*(fonts._letters(path) for path in fonts._installed().values())) - own
    return sorted(letter for letter in others if letter.isprintable() and not "\ue000" <= letter <= "\uf8ff")[0]


def test_a_letter_that_another_installed_font_has_is_drawn_with_it():
    letter = a_letter_of_another_font()
    assert any("Glyph" in line for line in drawn(titled(letter)))
    figure = titled(letter)
    fonts.give_glyphs(figure)
    assert not drawn(figure)


def test_letters_that_no_font_has_are_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(fonts, "_installed", lambda: {"DejaVu Sans": fonts.font_manager.findfont("DejaVu Sans")})
    figure = titled("鍋と塩")
    with pytest.warns(UserWarning, match="no installed font has .*: boxes are drawn.*matplotlib-fontja") as told:
        fonts.give_glyphs(figure)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.save_figure(figure, tmp_path, "boxes")


def test_latin_text_keeps_its_font():
    figure = titled("a naïve café, ±2 → 3")
    before = figure.axes[0].title.get_fontfamily()
    fonts.give_glyphs(figure)
    assert figure.axes[0].title.get_fontfamily() == before
