"""One look for every figure: sizes, colours with a meaning, and the preset named on each."""

import functools
import textwrap
import weakref

import matplotlib
import numpy as np
import pandas as pd

from helpers.data.registry import DOMAINS
from helpers.figures.fonts import give_glyphs
from helpers.methods import METHODS, SELECTORS

STYLE = {
    "figure.dpi": 110, "savefig.dpi": 200, "figure.constrained_layout.use": True, "font.size": 9,
    "axes.titlesize": 10, "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.labelsize": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#e4e4e4", "grid.linewidth": 0.7, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5,
    "legend.fontsize": 8, "legend.frameon": False, "lines.linewidth": 1.6, "pdf.fonttype": 42,
}  # fmt: skip
DOMAIN_COLOURS = {name: domain.colour for name, domain in DOMAINS.items()}
METHOD_COLOURS = {name: method.colour for name, method in METHODS.items()}
SELECTOR_COLOURS = {name: selector.colour for name, selector in SELECTORS.items()}
VERDICT_COLOURS = {"reproduced": "#11a063", "smaller": "#e79e04", "undecided": "#849aad", "reversed": "#b74300"}
PAPER_COLOUR = "#222222"
DRAWN_FROM = weakref.WeakKeyDictionary()  # Figure -> the table it was drawn from, as long as the figure lives
OTHERS = ("#56b4e9", "#e69f00", "#999933", "#882255", "#44aa99", "#332288", "#aa4499", "#117733")


def styled(plot):
    """Decorator: draw with STYLE and a font for every letter, leaving the caller's own settings as they were."""

    @functools.wraps(plot)
    def inside(*args, **kwargs):
        with matplotlib.rc_context(STYLE):
            axes = plot(*args, **kwargs)
            give_glyphs(np.ravel(np.asarray(axes, dtype=object))[0].figure)
            interactive = matplotlib.is_interactive()
        # A notebook's backend turns this on at the first figure; without it later figures would not be shown.
        matplotlib.interactive(interactive)
        return axes

    return inside


def new_axes(ax=None, size: tuple[float, float] = (6, 4)):
    """The given Axes, or those of a new figure of `size` inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size)[1]


def new_grid(rows: int, columns: int, size: tuple[float, float], **how):
    """Axes [rows, columns] of a new figure of `size` inches."""
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=size, squeeze=False, **how)[1]


def mark_beyond(ax, row, at: float, colour: str, upright: bool = False) -> None:
    """An arrow where row.low .. row.high leaves an axis of scores, which ends at 0 and 100. at: place on the other."""
    for beyond, end, marker in (
        (row.low < 0, 0, "v" if upright else "<"),
        (row.high > 100, 100, "^" if upright else ">"),
    ):
        if beyond:
            x, y = (at, end) if upright else (end, at)
            ax.scatter(x, y, s=18, marker=marker, color=colour, clip_on=False, zorder=3)


def score_limits(axis) -> None:
    """Keep an axis of scores in percent, `ax.xaxis` or `ax.yaxis`, within 0 and 100."""
    low, high = axis.get_view_interval()
    axis.axes.set(**{f"{axis.axis_name}lim": (max(low, 0), min(high, 100))})


def heat_map(ax, grid: pd.DataFrame, cells: pd.DataFrame, **colours) -> None:
    """Colours by the numbers of `grid`, the texts of `cells` on them; rows and columns are named by their index."""
    import seaborn

    seaborn.heatmap(grid.astype(float), annot=cells, fmt="", annot_kws={"fontsize": 8.5}, cbar=False, ax=ax,
                    xticklabels=False, yticklabels=False, **colours)  # fmt: skip
    # names may hold a $, which is a dollar here and no formula
    ax.set_xticks(np.arange(grid.shape[1]) + 0.5, grid.columns, rotation=0, parse_math=False)
    ax.set_yticks(np.arange(grid.shape[0]) + 0.5, grid.index, rotation=0, parse_math=False)
    ax.set(xlabel="", ylabel="")
    ax.grid(visible=False)
    ax.tick_params(length=0)


def wide_title(ax, text: str) -> None:
    """The title of a figure's only Axes, in as many lines as it takes."""
    ax.set_title(_in_lines(text, ax.figure, letter=0.085))  # bold, 10 points


def finish(ax, table: pd.DataFrame, note: str = "", preset: str | None = None) -> None:
    """Name the preset at the figure's foot and keep the table it was drawn from for `save_figure`.

    preset: for a table without a preset column. note: what the marks mean, after the preset.
    """
    presets = [preset] if preset else _named(table, "preset")
    foot = [f"preset {' and '.join(presets)}" if presets else "", " and ".join(_named(table, "base_model")), note]
    lines = _in_lines(" · ".join(part for part in foot if part), ax.figure, letter=0.055)  # 7 points
    ax.figure.supxlabel(lines, x=0.99, ha="right", fontsize=7, color="#777777")
    DRAWN_FROM[ax.figure] = table


def where_known(table: pd.DataFrame, intervals: str, of: str = "seed") -> str:
    """A note on the intervals that are drawn, or that there are none: each score of `table` is `of` one."""
    return intervals if (table["n"] > 1).any() else f"one {of} each, so no intervals"


def _in_lines(text: str, figure, letter: float) -> str:
    """`text` in as many lines as the figure's width asks for. letter: inches that one takes."""
    return textwrap.fill(text, int(figure.get_figwidth() / letter))


def colour_of(name: str, known: dict[str, str], among=()) -> str:
    """The colour that `name` always has, else one of OTHERS by its place `among` the unknown names."""
    if name in known:
        return known[name]
    unknown = [other for other in dict.fromkeys(among) if other not in known]
    return OTHERS[(unknown.index(name) if name in unknown else 0) % len(OTHERS)]


def domain_title(name: str) -> str:
    """A domain or model as a reader knows it: 'PT', 'BioMed', 'DAPT BioMed', 'base'."""
    if name.startswith("dapt_"):
        return f"DAPT {domain_title(name[5:])}"
    return DOMAINS[name].title if name in DOMAINS else name


def _named(table: pd.DataFrame, column: str) -> list[str]:
    return sorted(map(str, table[column].dropna().unique())) if column in table else []
