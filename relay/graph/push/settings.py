"""Settings of change notifications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.graph.push.certificates import Certificates


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """The address that Graph sends change notifications to, and the certificates that it encrypts them for.

    Attributes:
        url_base: public address of the webhook, `https://` and a slash at its end; a route id is appended.
        certificates: Graph encrypts for the newest; the others open notifications that were asked for earlier.
    """

    url_base: str
    certificates: Certificates
