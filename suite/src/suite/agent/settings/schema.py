"""Every setting of the agent, in the order of the reference page and of `settings explain`."""

from __future__ import annotations

from typing import Final

from suite.agent.settings.groups import api, asterisk, board, hub, log, sfb, sip_publish, sip_server, sip_simple, teams

SECTIONS: Final = (
    "MSTeamsPresence",
    "RichPresence",
    "Relay",
    "SipSimple",
    "SfB",
    "Agent",
    "Notes",
    "SipServer",
    "Asterisk",
    "SipPublish",
)
_GROUPS: Final = (
    teams.SETTINGS,
    api.SETTINGS,
    board.SETTINGS,
    log.SETTINGS,
    hub.SETTINGS,
    sip_simple.SETTINGS,
    sip_server.SETTINGS,
    sfb.SETTINGS,
    asterisk.SETTINGS,
    sip_publish.SETTINGS,
)
SETTINGS: Final = tuple(
    sorted(
        (setting for group in _GROUPS for setting in group),
        key=lambda setting: SECTIONS.index(setting.section),
    )
)

OWN_SECTIONS: Final = frozenset(section.lower() for section in SECTIONS) - {"msteamspresence", "richpresence"}
"""Sections in which an unknown name is a fault. In the other sections, it may be a setting of the vendor's suite."""
BY_KEY: Final = {setting.key: setting for setting in SETTINGS}
