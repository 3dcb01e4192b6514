"""The hub: the agent through which several agents share notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from suite.agent.settings import kinds
from suite.agent.settings.setting import Setting

if TYPE_CHECKING:
    from suite.agent.settings.given import Given

SETTINGS: Final = (
    Setting(
        section="Notes",
        name="Hub",
        kind=kinds.AGENT_URL,
        default="",
        meaning="The agent through which several agents of one customer share their notes. Leave it out on that agent itself.",
        when_absent="this agent follows no other",
    ),
    Setting(
        section="Notes",
        name="HubTokenFile",
        kind=kinds.PATH,
        default="",
        meaning="File with the token of the hub, its `Agent.TokenFile`. It is found and refused as `KeyFile` is.",
        when_absent="no token",
    ),
    Setting(
        section="Notes",
        name="HubCaFile",
        kind=kinds.PATH,
        default="",
        meaning="PEM file with the CA of the hub's certificate, instead of the public ones.",
        when_absent="the public ones",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """The hub: the agent through which several agents share notes.

    Attributes:
        url: `https://host:port`; empty when this agent follows no other.
        token: empty for none.
        ca_pem: the CA to trust instead of the public ones.
    """

    url: str = ""
    token: str = field(default="", repr=False)
    ca_pem: bytes | None = field(default=None, repr=False)


def read_hub(given: Given) -> HubSettings:
    """Return the settings."""
    return HubSettings(
        url=given.value("Notes.Hub") or "", token=given.token("Notes.HubTokenFile"), ca_pem=given.ca("Notes.HubCaFile")
    )
