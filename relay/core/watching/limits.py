"""Limits of one tenant: the operator's default, or the tenant's own setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_NAMES: Final = 100_000
"""Distinct names of a tenant on all streams of all edges: what one stream may have. Some 60 MB in edge, worker and Redis together."""
NAMES_SETTING: Final = "most_names"
"""The tenant's setting that says otherwise; only operators write it."""
HIGHEST: Final = 10_000_000
PER_NAME: Final = 4
"""Places on streams at one edge for each distinct name: the same 100,000 names on 64 streams would be 64 times the memory. An
organisation whose suites all watch everybody has 4 such suites, or 80 suites of 5,000 users."""
LINGER_FACTOR: Final = 2
"""A worker keeps at most this many times the names that a tenant may watch, lingering ones included."""


def most_names(settings: Mapping[str, str], default: int) -> int:
    """Return how many distinct names a tenant may watch; a setting that is not a number counts as none."""
    own = settings.get(NAMES_SETTING, "")
    return int(own) if own.isascii() and own.isdigit() and 0 < int(own) <= HIGHEST else default
