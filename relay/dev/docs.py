"""The documentation of this source checkout, as a link for a browser on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parent.parent.parent


def docs_link(checkout: Path = CHECKOUT) -> str:
    """Return the first page of the site if it was built here, otherwise the README, whose last table lists all pages."""
    site = checkout / ".site" / "html" / "index.html"
    if site.is_file():
        return site.as_uri()
    return f"{(checkout / 'README.md').as_uri()} (make site builds pages with a search)"
