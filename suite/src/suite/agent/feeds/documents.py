"""The documents that are published for a colleague: presence (RFC 3863, RFC 4480) and a lamp as a dialog (RFC 4235). Pure.

They have the same states as the documents of the agent's own SIP server. The ids of their tuple, person and dialog mark them as an agent's,
so that an agent recognises them when a server sends them back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from suite.agent.core.values import Aggregation, ShownStatus
from suite.agent.sipserver.states import phone_state
from suite.agent.sipserver.words import word_of
from suite.sip import dialoginfo, pidf
from suite.sip.dialoginfo import DialogInfo, PhoneDialog, write_dialog_info
from suite.sip.pidf import PidfDocument, write_pidf

if TYPE_CHECKING:
    from suite.agent.core.values import RichState
    from suite.agent.settings.groups.sip_server import LampKinds

PublishedEvent = Literal["presence", "dialog"]
TYPES: Final[dict[PublishedEvent, str]] = {"presence": pidf.CONTENT_TYPE, "dialog": dialoginfo.CONTENT_TYPE}


def published_document(event: PublishedEvent, uri: str, state: RichState, lamps: LampKinds, language: str) -> bytes:
    """Return a document; empty for an unknown state, which no document can express: the published state is then removed."""
    status = ShownStatus(state.value)
    told = phone_state(Aggregation(status=status, rich=state), lamps)
    if told is None:
        return b""
    if event == "dialog":
        dialog = PhoneDialog(id=pidf.OWN_ID, state=told.lamp)
        return write_dialog_info(DialogInfo(entity=uri, version=0, is_full=True, dialogs=(dialog,)))
    document = PidfDocument(
        entity=uri,
        is_open=told.is_open,
        activities=told.activities,
        is_idle=told.is_idle,
        notes=(word_of(status, language),),
    )
    return write_pidf(document, uri, own=True)
