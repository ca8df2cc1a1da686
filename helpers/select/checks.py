"""What a caller gave, looked at where it comes in."""

import numbers
from collections.abc import Iterable, Iterator, Mapping

from helpers.errors import UserError


def checked(texts: Iterable[str], what: str = "texts") -> Iterator[str]:
    """The texts as they come, each looked at.

    texts: any iterable of strings. what: its name in messages.
    Raises UserError, with the item's number from 1, for what is not a list of strings or cannot be written as UTF-8.

    >>> list(checked(["one", "two"]))
    ['one', 'two']
    """
    if isinstance(texts, (str, bytes, Mapping)) or hasattr(texts, "columns") or not isinstance(texts, Iterable):
        raise UserError(f"{what}: found {_kind(texts)}; expected a list (or another iterable) of strings.")
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise UserError(f"{what}, item {number}: found {_kind(text)}, expected a string; leave it out or mend it.")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise UserError(
                    f"{what}, item {number}: character {error.start + 1} is half of a pair (a lone surrogate) and "
                    "cannot be written; read the file again with its own encoding."
                ) from None
        yield text


def whole(number, what: str, least: int = 1) -> int:
    """`number` if it is a whole number of at least `least`; raises UserError for all else, True and 2.0 included."""
    if isinstance(number, bool) or not isinstance(number, numbers.Integral) or number < least:
        raise UserError(f"{what}={number!r}: expected a whole number of at least {least}.")
    return int(number)


def _kind(value) -> str:
    if isinstance(value, float) and value != value:
        return "NaN"
    return {str: "one string", bytes: "bytes", type(None): "None"}.get(type(value), type(value).__name__)
