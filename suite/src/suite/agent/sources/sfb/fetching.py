"""Fetch the presence of contacts that changed: an event has only the links of the contact and of its presence.

A contact's address is fetched once, its presence each time. Sources: https://learn.microsoft.com/skype-sdk/ucwa/contact_ref, /contactpresence_ref
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

from suite.agent.core.values import RichState, RichStatement
from suite.agent.sources.sfb.answers import contact_of
from suite.agent.sources.sfb.errors import UcwaBroken, UcwaBusy, UcwaDenied, UcwaGone
from suite.agent.sources.sfb.http import MOST_AT_ONCE
from suite.agent.sources.sfb.pace import MOST_TRIES
from suite.agent.sources.sfb.states import state_of
from suite.names import key_of
from suite.values import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from suite.agent.sources.sfb.http import UcwaHttp
    from suite.agent.sources.sfb.pace import SessionPace
    from suite.agent.sources.sfb.sightings import Sightings

_SPARE: Final = 1_000
_DENIED: Final = RichStatement(reason=Status.ACCESS_DENIED.label)
NOT_FOUND: Final = RichStatement(reason=Status.NOT_FOUND.label)
NOT_REPORTED: Final = RichStatement(reason=Status.NOT_REPORTED.label)


class PresenceFetcher:
    """Fetches for one session, a few at a time. A contact that changes again meanwhile is fetched again, once."""

    def __init__(self, http: UcwaHttp, sightings: Sightings, pace: SessionPace) -> None:
        self._http = http
        self._sightings = sightings
        self._pace = pace
        self._due: dict[str, str] = {}
        """Contact -> its presence, both links as the server wrote them."""
        self._at = ""
        """Address of the resource that named them; those of an application all have the same host."""
        self._tries: dict[str, int] = {}
        self._uris: dict[str, str] = {}
        """Contact -> SIP address, of those that were fetched; empty for a contact without one."""
        self._more = asyncio.Event()
        self._is_fetching = False

    def changed(self, contacts: Mapping[str, str], at: str) -> None:
        """Queue contacts whose presence changed.

        Args:
            contacts: contact -> presence, as the server wrote them; an empty presence is looked up.
            at: whole address of the resource that named them.
        """
        self._at = at
        for contact, presence in contacts.items():
            # Contacts beyond the limit were not subscribed to: a server that names ever more must not fill the memory.
            # A colleague's own contact is always queued.
            if contact in self._due or len(self._due) < self._most or self._uris.get(contact, "") in self._sightings:
                self._due[contact] = presence
        self._more.set()

    def look_up(self, uris: Collection[str]) -> None:
        """Fetch the presence of these SIP addresses again, if their contacts are known."""
        keys = {key_of(uri) for uri in uris}
        self.changed({contact: "" for contact, uri in self._uris.items() if key_of(uri) in keys}, self._at)

    @property
    def is_idle(self) -> bool:
        """Return True when there is nothing to fetch, and nothing is being fetched."""
        return not self._due and not self._is_fetching

    @property
    def _most(self) -> int:
        return 2 * len(self._sightings) + _SPARE

    async def run(self) -> None:
        """Fetch until cancelled.

        Raises:
            UcwaRefused: the server refuses the user, and not only one request.
        """
        while True:
            await self._more.wait()
            if not self._due:
                self._more.clear()
                continue
            self._is_fetching = True
            batch = [(contact, self._due.pop(contact)) for contact in list(islice(self._due, MOST_AT_ONCE))]
            try:
                async with asyncio.TaskGroup() as group:
                    fetched = [group.create_task(self._fetch(contact, presence)) for contact, presence in batch]
            except ExceptionGroup as several:
                raise several.exceptions[0] from None
            if (wait_s := max(task.result() for task in fetched)) > 0:
                await asyncio.sleep(wait_s)
            self._is_fetching = False

    async def _fetch(self, contact: str, presence: str) -> float:
        """Fetch one contact, and return the seconds to wait before the next."""
        try:
            await self._fetch_once(contact, presence)
        except UcwaBusy as error:
            self._due.setdefault(contact, presence)
            return self._pace.wait(1, error.wait_s)
        except UcwaDenied:
            self._say(contact, _DENIED)
        except UcwaGone:
            self._say(contact, NOT_FOUND)
        except UcwaBroken:
            tries = self._tries[contact] = self._tries.get(contact, 0) + 1
            if tries < MOST_TRIES:
                self._due.setdefault(contact, presence)
                return self._pace.wait(tries)
            self._say(contact, NOT_REPORTED)
        self._tries.pop(contact, None)
        return 0.0

    async def _fetch_once(self, contact: str, presence: str) -> None:
        whole = self._http.hosts.known(self._at, contact)
        if contact not in self._uris or not presence:
            card = contact_of(await self._http.get(whole), lambda href: self._http.hosts.known(whole, href))
            self._make_room()
            self._uris[contact] = card.uri
            presence = presence or card.presence
        uri = self._uris[contact]
        if uri not in self._sightings or not presence:
            return
        presence = self._http.hosts.known(whole, presence)
        answer = await self._http.get(presence)
        state = state_of(answer.text("availability"), answer.text("activity"))
        reason = "" if state is not RichState.UNKNOWN else "presence_unknown"
        self._sightings.say(uri, RichStatement(state=state, reason=reason, since=datetime.now(UTC)))

    def _make_room(self) -> None:
        """Forget contacts of other users when there are too many. Colleagues' contacts stay, with the SIP address that identifies them."""
        if len(self._uris) >= self._most:
            self._uris = {contact: uri for contact, uri in self._uris.items() if uri in self._sightings}
        if len(self._uris) >= self._most:  # only if the server keeps giving its contacts new links
            self._uris.clear()

    def _say(self, contact: str, statement: RichStatement) -> None:
        if uri := self._uris.get(contact):
            self._sightings.say(uri, statement)
