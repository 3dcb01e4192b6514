"""The roles of the relay, and the settings that each of them requires."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Role(enum.StrEnum):
    """A part of the relay that may run alone."""

    EDGE = "edge"
    WORKER = "worker"
    WEBHOOK = "webhook"
    WEB = "web"
    CONSOLE = "console"


FOR_TENANTS: Final = tuple(role for role in Role if role is not Role.CONSOLE)
"""The roles of `all`: those that tenants and their suites need. The console, which may change every tenant, must be named."""

STORE: Final = ("redis.url",)
"""Needed by everything that keeps or looks up anything."""
ONBOARDING: Final = (*STORE, "vault.key_ring", "cloud.client_id", "cloud.client_secret")
"""Needed by everything that keeps grants or opens them."""
_NEEDS: Final[Mapping[Role, tuple[str, ...]]] = {
    Role.EDGE: (*STORE, "edge.tls_cert", "edge.tls_key", "edge.mark_keys"),
    Role.WORKER: ONBOARDING,
    Role.WEBHOOK: (*STORE, "cloud.client_id"),
    Role.WEB: (*ONBOARDING, "web.public_url", "web.suite_address"),
    Role.CONSOLE: (*STORE, "vault.key_ring", "cloud.client_id", "web.public_url", "console.url"),
}


def needs_of(roles: Iterable[Role]) -> list[str]:
    """Return the fields, as `group.field`, without which these roles cannot run."""
    return [need for role in roles for need in _NEEDS[role]]
