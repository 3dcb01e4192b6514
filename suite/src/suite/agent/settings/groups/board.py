"""The colleagues, the store of their presence, and the winning source."""

from __future__ import annotations

from typing import Final

from suite.agent.core.values import SourceName
from suite.agent.settings import kinds
from suite.agent.settings.setting import Setting

SETTINGS: Final = (
    Setting(
        section="RichPresence",
        name="WinningTechnology",
        kind=kinds.choice(
            *(source.value for source in (SourceName.SIP, SourceName.TEAMS, SourceName.SFB, SourceName.LOCAL))
        ),
        default=SourceName.SIP.value,
        meaning="The source that is used when several have a colleague's rich presence. A source without it does not hide the others.",
        anywhere=True,
    ),
    Setting(
        section="Agent",
        name="UsersFile",
        kind=kinds.PATH,
        default="",
        meaning="CSV file of the colleagues. It is read again when it changes.",
        when_absent="only users whom consoles request are colleagues",
    ),
    Setting(
        section="Agent",
        name="Store",
        kind=kinds.PATH,
        default="presence-agent.db",
        meaning="File in which the last answers are kept, so that they are shown at once after a restart.",
    ),
)
