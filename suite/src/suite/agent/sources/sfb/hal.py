"""Read the server's JSON: properties, `_links` and `_embedded`. Values of another type than expected count as absent. Pure.

Web links: https://learn.microsoft.com/skype-sdk/ucwa/weblinks
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from suite.agent.sources.sfb.errors import UcwaBroken

MOST_BYTES: Final = 4 * 1024 * 1024
"""Limit of one answer. An event response with an embedded contact for each of 1,000 colleagues has about one megabyte."""
MOST_EMBEDDED: Final = 10_000
"""Limit of one list; further entries are not read."""
MOST_TEXT: Final = 4_096


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the server: a JSON object, or an empty one."""

    value: dict[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a text property; empty when it is absent, of another type, or longer than `MOST_TEXT`."""
        found = self.value.get(name)
        return found if isinstance(found, str) and len(found) <= MOST_TEXT else ""

    def seconds(self, name: str) -> float | None:
        """Return a property in seconds, from 0 to a year; None for any other value."""
        found = self.value.get(name)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 366 * 86_400:
            return None
        return float(found)

    def link(self, rel: str) -> str:
        """Return the `href` of a link; empty when there is none."""
        links = self.value.get("_links")
        return Resource(_object(links.get(rel)) if isinstance(links, dict) else {}).text("href")

    def embedded(self, rel: str) -> Resource:
        """Return an embedded resource; an empty one when there is none."""
        found = self.value.get("_embedded")
        return Resource(_object(found.get(rel)) if isinstance(found, dict) else {})

    def all_embedded(self, rel: str) -> list[Resource]:
        """Return the embedded resources of a relation that may have many."""
        found = self.value.get("_embedded")
        listed = found.get(rel) if isinstance(found, dict) else None
        return Resource({rel: listed if isinstance(listed, list) else [listed]}).children(rel)

    def child(self, name: str) -> Resource:
        """Return a property that is an object; an empty one when it is none."""
        return Resource(_object(self.value.get(name)))

    def children(self, name: str) -> list[Resource]:
        """Return a property that is a list of objects; others in it are left out."""
        found = self.value.get(name)
        listed = found[:MOST_EMBEDDED] if isinstance(found, list) else []
        return [Resource(each) for each in listed if isinstance(each, dict)]


def read_resource(body: bytes) -> Resource:
    """Return the resource in a body.

    Raises:
        UcwaBroken: the body is not a JSON object, is larger than `MOST_BYTES`, or is nested too deeply.
    """
    if len(body) > MOST_BYTES:
        raise UcwaBroken("The server's answer is too large.")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise UcwaBroken("The server's answer is not a JSON object.") from None
    if not isinstance(value, dict):
        raise UcwaBroken("The server's answer is not a JSON object.")
    return Resource(value)


def _object(found: object) -> dict[str, Any]:
    if isinstance(found, list) and found:  # a relation with one resource may be a list of one
        found = found[0]
    return found if isinstance(found, dict) else {}
