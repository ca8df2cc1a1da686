"""The one error a user is meant to read."""


class UserError(Exception):
    """Bad input, said in one line: what was found where, what was expected, the way out.

    The command line prints it without a traceback and exits with status 2; notebooks show the line alone.
    """

    def _render_traceback_(self) -> list[str]:
        # IPython calls this hook in place of its traceback; the message already says what to do.
        return [f"{type(self).__name__}: {self}"]
