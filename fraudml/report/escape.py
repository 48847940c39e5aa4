"""Text for HTML, SVG and Markdown: markup and control characters of names and values are shown."""

from __future__ import annotations

import html

from fraudml.printable import printable


def escape(text: str, *, quote: bool = True, lines: bool = False) -> str:
    """Return a text without markup, as `html.escape`; control characters are shown."""
    return html.escape(printable(text, lines=lines), quote)
