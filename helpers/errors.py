"""The one error a user is meant to read, and what looks at a number or a word before it is used."""

import difflib
import math
import numbers


class UserError(Exception):
    """Bad input, said in one line: what was found where, what was expected, the way out.

    The command line prints it without a traceback and exits with status 2; notebooks show the line alone.
    """

    def _render_traceback_(self) -> list[str]:
        # IPython calls this hook in place of its traceback; the message already says what to do.
        return [f"{type(self).__name__}: {self}"]


def nearest(word: str, valid) -> str:
    """' Did you mean X?' for the valid word closest to `word`, or an empty string.

    >>> nearest("vampir", ["vampire", "random"])
    ' Did you mean vampire?'
    """
    close = difflib.get_close_matches(str(word), list(valid), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def whole(number, what: str, least: int = 1, most: int = 2**63 - 1) -> int:
    """`number` if it is a whole number from `least` to `most`; raises UserError for all else, True and 2.0 included.

    >>> whole(3, "k")
    3
    """
    if isinstance(number, bool) or not isinstance(number, numbers.Integral) or number < least:
        raise UserError(f"{what}={number!r}: expected a whole number of at least {least}.")
    if number > most:
        raise UserError(f"{what}={number!r}: expected a whole number of at most {most}.")
    return int(number)


def real(number, what: str, least: float = -math.inf, most: float = math.inf) -> float:
    """`number` if it is a finite number from `least` to `most`; raises UserError for all else, True and "1" included.

    >>> real(0.5, "b", 0, 1)
    0.5
    """
    if isinstance(number, bool) or not isinstance(number, numbers.Real) or not math.isfinite(number):
        raise UserError(f"{what}={number!r}: expected a finite number.")
    if not least <= number <= most:
        upper = f" and at most {most:g}" if most < math.inf else ""
        raise UserError(f"{what}={number!r}: expected a number of at least {least:g}{upper}.")
    return float(number)


def counted(number: int, noun: str) -> str:
    """'1 task', '3 tasks'."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
