"""The resources that the agent subscribes to, and their states. Pure: documents and the time are arguments."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from suite.agent.core.values import RichState, RichStatement, TelephonyState, TelephonyStatement
from suite.agent.sources.doubt import Doubt
from suite.agent.sources.sip.mapping import phone_of, phone_with, rich_of
from suite.agent.sources.sip.states import ERROR, NOTHING_KNOWN, REQUESTING
from suite.sip import dialoginfo, pidf
from suite.sip.dialoginfo import DialogsHeld, read_dialog_info
from suite.sip.errors import BadDocument
from suite.sip.pidf import read_pidf
from suite.sip.uris import resource_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from suite.agent.settings.groups.sip_simple import SipSimpleSettings
    from suite.agent.users.reading import Colleague
    from suite.names import Key
    from suite.sip.dialoginfo import PhoneDialog
    from suite.sip.subscriber import Subscription

SipEvent = Literal["presence", "dialog"]
CONTENT_TYPES: Final[dict[SipEvent, str]] = {"presence": pidf.CONTENT_TYPE, "dialog": dialoginfo.CONTENT_TYPE}
_NOTHING: Final = RichStatement()
_NO_PHONE: Final = TelephonyStatement(state=TelephonyState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ResourceId:
    """The identity of a resource: its normalised URI, and the event package."""

    uri: str
    event: SipEvent


@dataclass(slots=True, kw_only=True, eq=False)
class SipResource:
    """The state of one colleague, or of several with the same address, in one event package.

    Attributes:
        uri: to subscribe to.
        says_rich: True when rich presence is taken from it.
        says_phone: True when the state of the phone is taken from it.
        says_why: True when its `reason` goes on the board. Each colleague has one such resource.
        ignores_agents: True to ignore states that agents published, because this agent publishes too.
        keys: the board's keys of the colleagues.
        reason: the reason of an unknown state; empty when the state is known.
        unconfirmed_since: time since which the server has not confirmed the state; None when it has.
        failing_since: time since which subscriptions to this resource have failed.
        failures: number of subscriptions in a row that ended soon.
        subscription: its own subscription; None while it has none.
        former: its subscription at the previous server, which ends at the first notification of the new one.
        is_listed: True when a list covers it.
        shown: the doubt with which it is shown.
    """

    id: ResourceId
    uri: str
    says_rich: bool
    says_phone: bool
    says_why: bool
    ignores_agents: bool = False
    keys: set[Key] = field(default_factory=set)
    reason: str = REQUESTING
    unconfirmed_since: float | None = None
    failing_since: float | None = None
    failures: int = 0
    began_at: float = 0.0
    subscription: Subscription | None = None
    former: Subscription | None = None
    is_listed: bool = False
    shown: tuple[Doubt, str] = (Doubt.CERTAIN, "")
    _rich: RichStatement = _NOTHING
    _phone: TelephonyStatement = _NO_PHONE
    _dialogs: DialogsHeld = field(default_factory=DialogsHeld)

    def apply(self, content_type: str, body: bytes, now: datetime, *, is_pending: bool = False) -> bool:
        """Apply a notification; return False if one before it was lost.

        Args:
            content_type: of the body, in lower case.
            body: empty when the server sent no document.
            now: time of a changed state.
            is_pending: True while the subscription waits for the user's consent.
        """
        self.confirmed()
        if not body:
            self.set_unknown(REQUESTING if is_pending else NOTHING_KNOWN)
            return True
        try:
            return self._read(content_type, body, now)
        except BadDocument:
            self.set_unknown(ERROR)
            return True

    def _read(self, content_type: str, body: bytes, now: datetime) -> bool:
        if content_type != CONTENT_TYPES[self.id.event]:
            raise BadDocument("The document is of another type.")
        if self.id.event == "dialog":
            info = read_dialog_info(body)
            if self._dialogs.take(info) == "gap":
                return False
            dialogs = [each for each in (*info.dialogs, *self._dialogs.dialogs.values()) if not self._is_own(each)]
            is_own_only = bool(info.dialogs) and not dialogs
            phone = TelephonyState.UNKNOWN if is_own_only else phone_with(dialogs)
            self._says(RichState.UNKNOWN, phone, now)
        else:
            document = read_pidf(body, without_own=self.ignores_agents)
            self._says(rich_of(document), phone_of(document), now)
        return True

    def _is_own(self, dialog: PhoneDialog) -> bool:
        return self.ignores_agents and dialog.id == pidf.OWN_ID

    def _says(self, rich: RichState, phone: TelephonyState, now: datetime) -> None:
        is_known = (self.says_rich and rich is not RichState.UNKNOWN) or (
            self.says_phone and phone is not TelephonyState.UNKNOWN
        )
        self.reason = "" if is_known else NOTHING_KNOWN
        if rich is not self._rich.state:
            self._rich = RichStatement(state=rich, since=now)
        if phone is not self._phone.state:
            self._phone = TelephonyStatement(state=phone, since=now)

    def set_unknown(self, reason: str) -> None:
        """Forget the state: the server has none, or refuses the subscription."""
        self.reason = reason
        self._rich, self._phone = _NOTHING, _NO_PHONE
        self._dialogs = DialogsHeld()

    def confirmed(self) -> None:
        """Note that the server has confirmed the state."""
        self.unconfirmed_since = self.failing_since = None

    def in_doubt(self, now: float) -> None:
        """Note that the state is not confirmed any more."""
        if self.unconfirmed_since is None:
            self.unconfirmed_since = now

    def begun_anew(self) -> None:
        """Note that a new subscription starts, whose documents have versions of their own."""
        self._dialogs = DialogsHeld()

    def statements(self, doubt: tuple[Doubt, str]) -> tuple[RichStatement | None, TelephonyStatement | None]:
        """Return the statements for the board: rich presence, and the phone. None withdraws."""
        degree, why = doubt
        reason = why if degree is Doubt.UNKNOWN else self.reason
        if reason:
            return RichStatement(reason=reason), None
        rich = self._rich if self.says_rich and self._rich.is_known else None
        phone = self._phone if self.says_phone and self._phone.state is not TelephonyState.UNKNOWN else None
        if degree is Doubt.UNCERTAIN:
            rich = replace(rich, is_uncertain=True) if rich is not None else None
            phone = replace(phone, is_uncertain=True) if phone is not None else None
        return rich, phone


def wanted(
    colleagues: Iterable[tuple[Key, Colleague]], settings: SipSimpleSettings
) -> dict[ResourceId, tuple[str, set[Key]]]:
    """Return the resources to subscribe to -> URI, and the board's keys of the colleagues. Colleagues without an address are left out."""
    found: dict[ResourceId, tuple[str, set[Key]]] = {}
    events: list[SipEvent] = ["presence"] if settings.is_by_uri else [settings.phone_event]
    if settings.is_by_uri and settings.phone_event == "dialog":
        events.append("dialog")
    for key, colleague in colleagues:
        uri = _uri_of(colleague, settings)
        if uri:
            for event in events:
                found.setdefault(ResourceId(resource_key(uri), event), (uri, set()))[1].add(key)
    return found


def _uri_of(colleague: Colleague, settings: SipSimpleSettings) -> str:
    if settings.is_by_uri:
        return f"sip:{colleague.sip_uri}" if colleague.sip_uri else ""
    number = colleague.extension.replace("#", "%23")
    return f"sip:{number}@{settings.domain}" if number else ""


def made(resource_id: ResourceId, uri: str, settings: SipSimpleSettings) -> SipResource:
    """Return a new resource, whose state is not known yet."""
    event = resource_id.event
    return SipResource(
        id=resource_id,
        uri=uri,
        says_rich=settings.is_by_uri and event == "presence",
        says_phone=event == settings.phone_event,
        says_why=event == "presence" or not settings.is_by_uri,
        ignores_agents=settings.ignores_agents,
    )
