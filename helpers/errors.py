"""The one error a user is meant to read, and the valid word nearest to a misspelt one."""

import difflib


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
