"""Text of runs and recipes as it may stand in Markdown and in a plot: shown, never obeyed."""

from __future__ import annotations

import html
import re

from scenegen.base.console import printable

_PLAIN = re.compile(r"[\w .,:;=+@%()/{}'\"\[\]#~-]+")

_MARKS = str.maketrans({"|": "&#124;", "`": "&#96;", "[": "&#91;", "]": "&#93;", "*": "&#42;", "\n": " "})


def prose(text: str) -> str:
    """A sentence in a page or a table cell of Markdown: no HTML, no link, no further cell."""
    return html.escape(printable(text), quote=False).translate(_MARKS)


def code(text: str) -> str:
    """Words in a table cell of Markdown that stand as they are typed."""
    return f"`{text}`" if _PLAIN.fullmatch(text) else f"<code>{prose(text)}</code>"


def drawn(text: str) -> str:
    """Text in a plot, where dollar signs would begin a formula."""
    return printable(text).replace("$", r"\$")
