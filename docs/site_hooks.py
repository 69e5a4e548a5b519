"""What the site does to a page before it is built."""

from __future__ import annotations

import re
from typing import Any

# Files beside docs/ are part of the repository and not of the site: their links become their names.
_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+[^)]+\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the page without links that lead out of the site."""
    return _OUTSIDE.sub(r"\1", markdown)
