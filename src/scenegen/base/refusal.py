"""The one error that input can cause; free of imports, so that a command can explain it before torch is loaded."""


class Refusal(ValueError):
    """Input that cannot be used, in one sentence: what is wrong, where, and what would be right.

    Commands print it without a traceback and exit with status 1.
    """
