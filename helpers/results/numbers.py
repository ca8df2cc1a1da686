"""Effects and intervals as text: an effect has no minus before a zero, a bound tells which side of zero it is on."""

import numpy as np
import pandas as pd

from helpers.errors import counted
from helpers.results.stats import Comparison


def signed(effect: float, digits: int = 1) -> str:
    """'+2.3', and '+0.0' for what rounds to it from either side."""
    return f"{effect:+z.{digits}f}"


def bounds(low: float, high: float, digits: int = 1) -> str:
    """'[-0.4, +5.0]', and '[-0.4, -0.0]' where the interval ends below zero.

    >>> bounds(-0.036, -0.003, digits=2)
    '[-0.04, -0.00]'
    """
    return f"[{low + 0.0:+.{digits}f}, {high + 0.0:+.{digits}f}]"  # + 0.0: zero itself has no minus


def interval(effect, low, high, digits: int = 1) -> str:
    """'+2.3 [-0.4, +5.0]', '+2.3' without an interval, '' without an effect."""
    if effect is None or pd.isna(effect):
        return ""
    return signed(effect, digits) + ("" if pd.isna(low) else f" {bounds(low, high, digits)}")


def of_zero(column: str) -> str:
    """What a number's format says of a zero's minus: 'z' for none, '' in a column of bounds, as change_low.

    >>> f"{-0.001:{of_zero('effect')}.2f}", f"{-0.001:{of_zero('high_with_chance')}.2f}"
    ('0.00', '-0.00')
    """
    return "z" if {"low", "high"}.isdisjoint(column.split("_")) else ""


def said_gain(found: Comparison) -> str:
    """'+1.2 [-0.3, +2.7]', or the effect alone where its interval says nothing."""
    if tells(found):
        return interval(found.effect, found.low, found.high)
    few = found.n < 2 or np.isfinite(found.high)
    why = f"of {counted(found.n, 'draw')}, too few for an interval" if few else "its interval cannot be told"
    return f"{signed(found.effect)} ({why})"


def tells(found: Comparison) -> bool:
    """Whether the interval says anything: from two or three draws it can be wider than the scale."""
    return found.high - found.low < 100
