"""What a caller gave, looked at where it comes in."""

import numbers

from helpers.errors import UserError


def whole(number, what: str, least: int = 1) -> int:
    """`number` if it is a whole number of at least `least`; raises UserError for all else, True and 2.0 included."""
    if isinstance(number, bool) or not isinstance(number, numbers.Integral) or number < least:
        raise UserError(f"{what}={number!r}: expected a whole number of at least {least}.")
    return int(number)
