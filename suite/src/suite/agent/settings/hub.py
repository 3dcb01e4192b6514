"""The settings of the agent through which notes are shared."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """The way to the agent through which notes are shared.

    Attributes:
        url: `https://host:port`; empty when this agent follows no other.
        token: empty for none.
        ca_pem: the CA to trust instead of the public ones.
    """

    url: str = ""
    token: str = field(default="", repr=False)
    ca_pem: bytes | None = field(default=None, repr=False)
