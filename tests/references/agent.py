"""The settings of the agent, and its rules of aggregation with every combination."""

from __future__ import annotations

from typing import Final

from suite.agent.core.table import shown_table, winner_table
from suite.agent.feeds.table import asterisk_table
from suite.agent.settings.explain import settings_table
from suite.agent.sipserver.table import phones_table

_SETTINGS: Final = """# Settings of the agent

The agent reads these from the settings file of the suite, `Presence.ini`, and never writes it. [The page on the file](../suites/agent-settings.md) says how it is
read. `presence-suite settings explain FILE` prints what is in force. This page is generated: `make docs`.

"""

_STATES: Final = """# States that the agent shows

The agent puts together what several sources say of a colleague. `status` is the one state that a console draws; `rich` and `telephony` are beside it, for consoles that
draw both, and `rule` says which rule decided. This page is generated: `make docs`.

## What is drawn

Do not disturb, of either, is over a forwarded phone, over one that rings or is busy, over rich presence, over a free phone. A phone that rings or is busy is covered by do
not disturb only, and by no other rich presence, older or newer: the clocks of a telephone system and of Microsoft differ. A phone's state expires, so that nobody
stays on the phone when its connector dies.

{shown}
`phone_free` means that the phone is free, and that nobody knows more. `unknown` comes with a reason: the one of the winning technology, or else of another source.

## Which rich source counts

`RichPresence.WinningTechnology` decides when several sources know a colleague. A source that knows nothing hides no other. Those that are left are taken in this order: MSTeams,
SipSimple, SfB, Local. Where nobody knows, the colleague is `unknown`, with the reason.

{winner}
## What feeds tell

Telephone systems that the agent feeds are told rich presence only, and no telephony: they know their own phones. Of rich sources, `SipSimple` does not count here, so that no
system is told what it said itself. A state that cannot be confirmed at the moment is told as it is, until its source gives up and it is `unknown`.

[Asterisk and FreePBX](../suites/asterisk.md) are told:

{asterisk}
The message is in the language of `Asterisk.Language`. Asterisk draws a device of state `UNKNOWN` as a free phone, and lets nobody set it, so that a colleague of whom nothing is
known is `UNAVAILABLE`; so is one who left. Nothing is ever told as ringing.

[Presence servers](../suites/kamailio.md) are published what phones are told, below, of the same state; of a colleague who is `unknown`, nothing: what was published is taken back.

## What SIP phones are told

[The SIP server](../suites/sip-phones.md) tells the state that a console draws, as a presence document (event `presence`) and as a lamp (event `dialog`). Of an unknown state a
phone is told nothing: the notification has no document, and a lamp that was lit goes out. `early` lets lamps blink, so it is told only while a telephone system says that the
phone rings. A state that is not certain has "(not confirmed)" behind its note.

{phones}"""


def agent_settings_page() -> str:
    """Return the page of the agent's settings."""
    return _SETTINGS + settings_table()


def agent_states_page() -> str:
    """Return the page of the rules of aggregation."""
    return _STATES.format(shown=shown_table(), winner=winner_table(), asterisk=asterisk_table(), phones=phones_table())
