"""Phones that watch colleagues at the agent's SIP server: user agents of ours over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from suite.agent.board import Board
from suite.agent.core.values import (
    PhoneSource,
    RichState,
    RichStatement,
    SourceName,
    TelephonyState,
    TelephonyStatement,
)
from suite.agent.settings.groups.sip_server import SipAddress, SipServerSettings
from suite.agent.sipserver.server import PhoneServer
from suite.agent.users.reading import Colleague
from suite.names import Key, key_of
from suite.sip.challenges import DigestClient
from suite.sip.dialoginfo import CONTENT_TYPE as DIALOG_INFO
from suite.sip.dialoginfo import DialogInfo, read_dialog_info
from suite.sip.digest import Login
from suite.sip.flows import SipProtocol
from suite.sip.headers import Headers
from suite.sip.message import SipRequest
from suite.sip.pidf import PidfDocument, read_pidf
from suite.sip.servers import SipServer
from suite.sip.subscriber import Subscriber, SubscriptionEvent, SubscriptionWish
from suite.sip.subscriptions import Notification, SubscriptionEnd
from suite.sip.user_agent import UserAgent, UserAgentSettings
from tests.support.valkey import free_port
from tests.support.waiting import eventually

ADA = Colleague(login="ada", upn="ada@contoso.example", sip_uri="ada@pbx.example", extension="1001")
BEN = Colleague(login="ben", upn="ben@contoso.example", sip_uri="ben@pbx.example", extension="1002")


@dataclass(slots=True)
class PhonesPlace:
    """A SIP server that runs, and its board."""

    board: Board
    server: PhoneServer
    addresses: dict[SipProtocol, SipAddress]
    settings: SipServerSettings

    def at(
        self, protocol: SipProtocol = "udp", login: Login | None = None, tls: ssl.SSLContext | None = None
    ) -> SipServer:
        address = self.addresses[protocol]
        digest = DigestClient(login) if login is not None else None
        return SipServer.at(f"{address.host}:{address.port}", protocol, digest=digest, tls=tls)

    @property
    def udp(self) -> tuple[str, int]:
        return self.addresses["udp"].host, self.addresses["udp"].port

    def say(self, state: RichState, of: Colleague = ADA, *, is_uncertain: bool = False) -> None:
        """Let Teams say a state."""
        said = RichStatement(state=state, is_uncertain=is_uncertain)
        self.board.state_rich(key_of(of.id), SourceName.TEAMS, said)

    def ring(self, state: TelephonyState | None, of: Colleague = ADA) -> None:
        """Let the telephone system say a state."""
        said = TelephonyStatement(state=state) if state is not None else None
        self.board.state_telephony(key_of(of.id), PhoneSource.LOCAL, said)


@contextlib.asynccontextmanager
async def phones_place(
    *colleagues: Colleague,
    settings: SipServerSettings | None = None,
    listening: tuple[SipProtocol, ...] = ("udp", "tcp"),
    user_agent: UserAgentSettings | None = None,
    shortest_s: int = 1,
    note_of: Callable[[Key], str] = lambda _: "",
) -> AsyncIterator[PhonesPlace]:
    """Run a SIP server for these colleagues, by default Ada and Ben, both available."""
    board = Board(SourceName.TEAMS)
    board.set_colleagues(colleagues or (ADA, BEN))
    addresses = {each: SipAddress(protocol=each, host="127.0.0.1", port=free_port()) for each in listening}
    settings = replace(settings or SipServerSettings(), addresses=tuple(addresses.values()))
    server = PhoneServer(
        settings, board, note_of, listen_again_s=0.05, user_agent=user_agent, shortest_s=shortest_s, show_every_s=0.05
    )
    place = PhonesPlace(board, server, addresses, settings)
    for each in colleagues or (ADA, BEN):
        place.say(RichState.AVAILABLE, each)
    task = asyncio.create_task(server.run())
    try:
        await eventually(lambda: server.is_listening)
        yield place
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def watching() -> AsyncIterator[Subscriber]:
    """A phone."""
    async with UserAgent() as agent:
        yield Subscriber(agent)


def presence_of(who: str = "ada@pbx.example") -> SubscriptionWish:
    return SubscriptionWish(uri=f"sip:{who}", own_uri="sip:phone@pbx.example")


def lamp_of(who: str = "ada@pbx.example") -> SubscriptionWish:
    return replace(presence_of(who), event="dialog", accept=(DIALOG_INFO,))


@dataclass
class Display:
    """A phone's display: call it with the events of a subscription."""

    events: list[SubscriptionEvent] = field(default_factory=list)

    def __call__(self, event: SubscriptionEvent) -> None:
        self.events.append(event)

    @property
    def notifications(self) -> list[Notification]:
        return [each for each in self.events if isinstance(each, Notification)]

    @property
    def documents(self) -> list[PidfDocument | None]:
        """What was told of presence; None for nothing known."""
        return [read_pidf(each.body) if each.body else None for each in self.notifications]

    @property
    def dialogs(self) -> list[DialogInfo | None]:
        return [read_dialog_info(each.body) if each.body else None for each in self.notifications]

    @property
    def lamp(self) -> str:
        """The lamp now: the state of the dialog, "none" without one, "" when nothing was told."""
        if not self.dialogs or self.dialogs[-1] is None:
            return ""
        return self.dialogs[-1].dialogs[0].state if self.dialogs[-1].dialogs else "none"

    @property
    def note(self) -> str:
        """The first note that is shown now; "" when nothing is known."""
        told = self.documents[-1] if self.documents else None
        return told.notes[0] if told is not None and told.notes else ""

    @property
    def end(self) -> SubscriptionEnd | None:
        return next((each for each in self.events if isinstance(each, SubscriptionEnd)), None)


def asked(
    *fields: tuple[str, str], who: str = "ada@pbx.example", method: str = "SUBSCRIBE", body: bytes = b"", **changes: str
) -> SipRequest:
    """A request of a stranger: a SUBSCRIBE for presence, but for the changes."""
    said = {
        "via": f"SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{secrets.token_hex(8)};rport",
        "from": f"<sip:phone@pbx.example>;tag={secrets.token_hex(4)}",
        "to": f"<sip:{who}>",
        "call-id": secrets.token_hex(8),
        "cseq": f"1 {method}",
        "contact": "<sip:phone@127.0.0.1:9>",
        "event": "presence",
        "expires": "600",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    headers = Headers.of(*((name, value) for name, value in said.items() if value), *fields)
    return SipRequest(method=method, uri=f"sip:{who}", headers=headers, body=body)
