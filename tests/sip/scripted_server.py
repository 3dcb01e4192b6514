"""A presence server that answers as a test says: by user, on UDP."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from suite.sip.headers import Headers
from suite.sip.message import SipMessage, SipRequest
from suite.sip.pidf import CONTENT_TYPE, PidfDocument, write_pidf
from suite.sip.replies import reply
from suite.sip.uris import parse_name_addr
from tests.sip.peers import Peer, peer

Answer = Callable[[SipRequest], Iterable[SipMessage | bytes]]
_BRANCHES = itertools.count()
OPEN = write_pidf(PidfDocument(entity="sip:a@pbx.example", is_open=True))


def user_of(request: SipRequest) -> str:
    return parse_name_addr(request.headers.first("to") or "").uri.user or ""


def is_new(request: SipRequest) -> bool:
    """Return True for a SUBSCRIBE outside a dialog."""
    return not parse_name_addr(request.headers.first("to") or "").tag


def accept(request: SipRequest, *fields: tuple[str, str]) -> SipMessage:
    return reply(request, 200, "OK", ("Contact", "<sip:server@127.0.0.1>"), *fields, to_tag="server")


def notify(
    request: SipRequest, body: bytes = OPEN, state: str = "active;expires=3600", content_type: str = CONTENT_TYPE
) -> SipRequest:
    """The NOTIFY of a SUBSCRIBE."""
    headers = request.headers
    to = parse_name_addr(headers.first("to") or "")
    number = int((headers.first("cseq") or "1").split()[0])
    fields = [
        ("via", f"SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKscripted{next(_BRANCHES)};rport"),
        ("from", f"<{to.text}>;tag=server"),
        ("to", headers.first("from") or ""),
        ("call-id", headers.first("call-id") or ""),
        ("cseq", f"{number} NOTIFY"),
        ("event", headers.first("event") or ""),
        ("subscription-state", state),
        *([("content-type", content_type)] if body else []),
    ]
    return SipRequest(method="NOTIFY", uri="sip:suite@127.0.0.1", headers=Headers.of(*fields), body=body)


def tells(body: bytes = OPEN, **changes: str) -> Answer:
    """Take the subscription, and tell something."""

    def answer(request: SipRequest) -> list[SipMessage]:
        state = "terminated;reason=timeout" if request.headers.first("expires") == "0" else "active;expires=3600"
        return [accept(request), notify(request, body, **{"state": state, **changes})]

    return answer


def refuses(status: int, *fields: tuple[str, str]) -> Answer:
    return lambda request: [reply(request, status, "No", *fields, to_tag="server")]


@dataclass
class ScriptedServer:
    """Answers of a server by user; whoever is absent is told to be available.

    Attributes:
        asked: user -> SUBSCRIBEs, and in `begun` those outside a dialog.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    begun: Counter[str] = field(default_factory=Counter)
    peer: Peer = field(init=False)

    def script(self, request: SipRequest) -> Iterable[SipMessage | bytes]:
        if request.method != "SUBSCRIBE":
            return ()
        user = user_of(request)
        self.asked[user] += 1
        self.begun[user] += is_new(request)
        return self.answers.get(user, tells())(request)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.peer.port}"


@asynccontextmanager
async def scripted(**answers: Answer) -> AsyncIterator[ScriptedServer]:
    made = ScriptedServer(dict(answers))
    async with peer(made.script) as made.peer:
        yield made
