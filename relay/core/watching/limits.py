"""Limits of one tenant: the operator's default, or the tenant's setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_NAMES: Final = 100_000
"""Distinct names of a tenant on all streams of all edges, and on one stream. Some 60 MB in edge, worker and Redis together."""
NAMES_SETTING: Final = "most_names"
"""The tenant's setting that replaces the default; only operators write it."""
HIGHEST: Final = 10_000_000
PER_NAME: Final = 4
"""Places on streams at one edge for each distinct name: the same 100,000 names on 64 streams would need 64 times the
memory. The limit allows 4 suites that watch all 100,000 users, or 80 suites of 5,000 users."""
LINGER_FACTOR: Final = 2
"""A worker keeps at most this many times the names that a tenant may watch, lingering ones included."""


def most_names(settings: Mapping[str, str], default: int) -> int:
    """Return how many distinct names a tenant may watch; a setting that is not a number is ignored."""
    own = settings.get(NAMES_SETTING, "")
    return int(own) if own.isascii() and own.isdigit() and 0 < int(own) <= HIGHEST else default
