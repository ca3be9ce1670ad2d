"""Leave out of the pages what their reader would load for nothing."""

from __future__ import annotations

import re
from pathlib import Path

ICONS = "fontawesome"  # as a script of 1.6 MB; the theme's font of 0.1 MB draws the same ones
SEARCH = "searchtools|language_data|searchindex"  # the search's own page needs them, and no other


def lighten(book: Path) -> None:
    """Take these scripts out of every page, and what only developers of the theme use."""
    for page in book.rglob("*.html"):
        left_out = ICONS if page.name == "search.html" else f"{ICONS}|{SEARCH}"
        tags = rf"<(script|link)[^>]*(?:{left_out})\.js[^>]*>(</script>)?"
        text = page.read_text(encoding="utf-8")
        if (lighter := re.sub(tags, "", text)) != text:
            page.write_text(lighter, encoding="utf-8")
    static = book / "_static"
    for path in [*static.rglob("*.map"), *static.glob("scripts/fontawesome.js*")]:
        path.unlink(missing_ok=True)
