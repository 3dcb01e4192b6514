"""The server's answers as values. Pure. Each function names its source page; `UCWA` is https://learn.microsoft.com/skype-sdk/ucwa."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from suite.agent.sources.sfb.errors import UcwaBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from suite.agent.sources.sfb.hal import Resource

_CHALLENGE: Final = re.compile(
    r'MsRtcOAuth\s+href=(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s,"]+))(?:\s*,\s*grant_type="(?P<grants>[^"]*)")?',
    re.IGNORECASE,
)
_LONGEST_CHALLENGE: Final = 8_192
MOST_SUBSCRIPTIONS: Final = 1_000
"""Subscriptions that one response may name; an agent has one for 100 colleagues."""


@dataclass(frozen=True, slots=True)
class TokenChallenge:
    """The server's request for a token: the address of the issuer, and the grant types that it accepts."""

    issuer: str
    grants: frozenset[str]


@dataclass(frozen=True, slots=True)
class Application:
    """The application that was made, with whole addresses.

    Attributes:
        user: SIP address of the user who was signed in, without `sip:`; empty when the server does not say.
    """

    address: str
    events: str
    subscriptions: str
    user: str


@dataclass(frozen=True, slots=True)
class PresenceSubscription:
    """One presence subscription, with whole addresses. Those that the server does not offer are empty.

    Attributes:
        adding: adds contacts to it.
        members: lists the contacts in it.
    """

    address: str
    adding: str = ""
    members: str = ""


@dataclass(frozen=True, slots=True)
class ContactCard:
    """A contact: the SIP address without `sip:`, and the whole address of its presence. Either may be empty."""

    uri: str
    presence: str


@dataclass(frozen=True, slots=True)
class ChannelEvents:
    """One response of the event channel.

    Attributes:
        next: whole address to ask next.
        is_reset: True when subscriptions are gone: the response had `resume` or `resync` instead of `next`.
        changed: contact -> presence of contacts that changed: links as the server wrote them, whose hosts are not checked yet.
        ending: subscriptions that were updated: they may be about to end.
        ended: subscriptions that were deleted.
    """

    next: str
    is_reset: bool
    changed: dict[str, str]
    ending: frozenset[str]
    ended: frozenset[str]


def challenge_of(headers: Iterable[str]) -> TokenChallenge | None:
    """Return the challenge among the values of WWW-Authenticate; None when there is none. UCWA/authenticationinucwa."""
    found = _CHALLENGE.search(", ".join(headers)[:_LONGEST_CHALLENGE])
    if found is None:
        return None
    grants = (found["grants"] or "").split(",")
    return TokenChallenge(
        found["quoted"] or found["bare"] or "", frozenset(each.strip().lower() for each in grants) - {""}
    )


def application_of(answer: Resource, whole: Callable[[str], str]) -> Application:
    """Return the application that the server created. UCWA/createanapplication, UCWA/applications_ref.

    Args:
        answer: with `_embedded` `me` and `people`.
        whole: turns a link into a whole address, and raises for a link that must not be followed.

    Raises:
        UcwaBroken: a link is missing.
    """
    people = answer.embedded("people")
    links = (answer.link("self"), answer.link("events"), people.link("presenceSubscriptions"))
    if not all(links):
        raise UcwaBroken("The server made an application without links to its events or to presence subscriptions.")
    address, events, subscriptions = map(whole, links)
    return Application(address, events, subscriptions, bare_uri(answer.embedded("me").text("uri")))


def subscription_of(answer: Resource, whole: Callable[[str], str]) -> PresenceSubscription:
    """Return a subscription. UCWA/subscribetothepresenceofselectedcontacts, UCWA/presencesubscription_ref.

    Raises:
        UcwaBroken: it has no link to itself.
    """
    adding, members = answer.link("addToPresenceSubscription"), answer.link("memberships")
    return PresenceSubscription(
        whole(answer.link("self")), whole(adding) if adding else "", whole(members) if members else ""
    )


def members_of(answer: Resource) -> list[str]:
    """Return the contacts of a subscription, as the server wrote them. UCWA/presencesubscriptionmemberships_ref."""
    links = [member.link("contact") for member in answer.all_embedded("presenceSubscriptionMembership")]
    return [href for href in links if href]


def contact_of(answer: Resource, whole: Callable[[str], str]) -> ContactCard:
    """Return a contact. UCWA/contact_ref."""
    presence = answer.link("contactPresence")
    return ContactCard(bare_uri(answer.text("uri")), whole(presence) if presence else "")


def events_of(answer: Resource, whole: Callable[[str], str]) -> ChannelEvents:
    """Return a response of the event channel. UCWA/eventchanneldetails, UCWA/eventsinucwa.

    Raises:
        UcwaBroken: it has no next link, or one of its links must not be followed.
    """
    following = answer.link("next")
    reset = answer.link("resume") or answer.link("resync")
    if not (reset or following):
        raise UcwaBroken("The event channel's response has no next link.")
    more = MOST_SUBSCRIPTIONS
    changed: dict[str, str] = {}
    ending: set[str] = set()
    ended: set[str] = set()
    for event in _events(answer):
        link, kind = event.child("link"), event.text("type")
        rel, href = link.text("rel"), link.text("href")
        contact = event.child("in").text("href")
        if rel == "contactPresence" and kind in ("added", "updated") and href and contact:
            changed[contact] = href
        elif rel == "presenceSubscription" and kind in ("updated", "deleted") and href and more > 0:
            (ending if kind == "updated" else ended).add(whole(href))
            more -= 1
    return ChannelEvents(whole(reset or following), bool(reset), changed, frozenset(ending), frozenset(ended))


def bare_uri(uri: str) -> str:
    """Return a SIP address without `sip:`; empty for other URIs, such as telephone numbers."""
    scheme, colon, rest = uri.partition(":")
    return rest.strip() if colon and scheme.strip().lower() in ("sip", "sips") and "@" in rest else ""


def _events(answer: Resource) -> Iterator[Resource]:
    for sender in answer.children("sender"):
        yield from sender.children("events")
