"""Whatever data holds, as text that may stand in HTML and SVG."""

from __future__ import annotations

import re
from html import escape

# Characters that no HTML or XML may hold.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LONGEST = 48


def text(value: object, *, longest: int | None = None) -> str:
    """Anything as text that may stand in HTML: escaped, without control characters.

    Args:
        value: id, name or sentence.
        longest: characters that are shown at most.

    Example:
        >>> text("<script>"), text("a" * 9, longest=5)
        ('&lt;script&gt;', 'aaaa…')
    """
    whole = str(value)
    if longest is not None and len(whole) > longest:
        whole = whole[: longest - 1] + "…"
    return escape(_CONTROL.sub("\ufffd", whole))


def label(value: object, *, longest: int = _LONGEST) -> str:
    """An id or a name, cut where it is very long."""
    return text(value, longest=longest)
