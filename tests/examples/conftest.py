"""A whole relay, as the tests from end to end have it."""

from __future__ import annotations

from tests.e2e.conftest import edges, relay, webhook_tls

__all__ = ["edges", "relay", "webhook_tls"]
