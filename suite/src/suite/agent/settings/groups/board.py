"""The colleagues, what is kept of them, and the source of presence that wins."""

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
        meaning="The source that counts when several know a colleague's rich presence. One that knows nothing hides no other.",
        anywhere=True,
    ),
    Setting(
        section="Agent",
        name="UsersFile",
        kind=kinds.PATH,
        default="",
        meaning="CSV file of the colleagues. It is read again when it changes.",
        when_absent="colleagues are only those whom consoles ask for",
    ),
    Setting(
        section="Agent",
        name="Store",
        kind=kinds.PATH,
        default="presence-agent.db",
        meaning="File in which the last answers are kept, so that a restart shows at once what was known.",
    ),
)
