"""The phone suites of a tenant: who is connected, and their keys: make one, rename, rotate with an overlap, revoke."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding import forms
from onboarding.tenant.access import Deed
from onboarding.tenant.key_issuing import KeyMaking
from onboarding.tenant.layout import SUITES
from onboarding.text_fields import line
from relay.core.audit.events import key_renamed, key_revoked
from relay.core.consent.tenant import TenantState
from relay.locale.languages import english
from relay.store.custody.suite_keys import MAX_LABEL_CHARS
from relay.store.presence.connected import Streams

if TYPE_CHECKING:
    from starlette.requests import Request

    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.services import Desk
    from relay.store.custody.suite_keys import KeyRecord

log = structlog.get_logger(__name__)

OVERLAPS: Final = {
    "0": (timedelta(), english("none: the old key ends when the new one is shown")),
    "1h": (timedelta(hours=1), english("1 hour")),
    "1d": (timedelta(days=1), english("1 day")),
    "3d": (timedelta(days=3), english("3 days")),
    "7d": (timedelta(days=7), english("7 days")),
}
"""Choice -> (how long the old key goes on working, how it is called). No longer than `MAX_OVERLAP`."""
MOST_ENDED: Final = 50
"""On the page; the log tells of all."""
USUAL_OVERLAP: Final = "1d"
_MAX_ATTEMPT_CHARS: Final = 40


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite key as the page shows it."""

    key: KeyRecord
    streams: Streams
    ended: bool

    @property
    def start(self) -> str:
        """What the key begins with: enough to recognise it, and nothing to use it with."""
        return f"psk_{self.key.key_id[:6]}…"

    @property
    def state(self) -> str:
        """A word for the chip."""
        if self.key.revoked is not None:
            return "revoked"
        if self.ended:
            return "ended"
        return "connected" if self.streams.streams else "away"


class SuiteViews:
    """The routes' functions."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._making = KeyMaking(desk.suite_keys, desk.sessions)

    def routes(self) -> list[Route]:
        """Which function answers what."""
        one = f"{SUITES}/{{key_id}}"
        return [
            Route(SUITES, self.show, methods=["GET"]),
            Route(f"{SUITES}/new", self.make, methods=["POST"]),
            Route(f"{SUITES}/key", self.show_key, methods=["GET"]),
            Route(f"{one}/rename", self.rename, methods=["POST"]),
            Route(f"{one}/rotate", self.rotate, methods=["GET", "POST"]),
            Route(f"{one}/revoke", self.revoke, methods=["GET", "POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The suites."""
        visitor = await self._desk.door.visitor(request, Deed.SEE_TENANT)
        return await self._page(visitor)

    async def make(self, request: Request) -> Response:
        """Make a key for another suite."""
        visitor, given = await self._desk.door.sent(request, Deed.CHANGE_KEYS)
        label, fault = line(given.get("label", ""), MAX_LABEL_CHARS)
        if fault:
            return await self._page(visitor, 422, label=label, fault=fault)
        if visitor.tenant.state is TenantState.PENDING:
            await self._desk.frame.note(visitor, "waits_for_approval")
            return _to(SUITES)
        if await self._desk.suite_keys.is_full(visitor.tenant_id):
            await self._desk.frame.note(visitor, "too_many_keys")
            return _to(SUITES)
        await self._making.make(visitor, label, _attempt(given))
        return _to(f"{SUITES}/key")

    async def show_key(self, request: Request) -> Response:
        """The key that was made last: once with its text."""
        desk = self._desk
        visitor = await desk.door.visitor(request, Deed.CHANGE_KEYS)
        fresh = visitor.session.fresh
        if fresh is None:
            return _to(SUITES)
        text = await self._making.show(visitor) if forms.is_looked_at(request) else ""
        record = next(
            (one for one in await desk.suite_keys.list(visitor.tenant_id) if one.key_id == fresh.key_id), None
        )
        return desk.pages.page(
            "tenant/suite_key.html",
            visitor=visitor,
            token=visitor.token,
            fresh=fresh,
            key=text,
            # Its text was never shown, and it has ended: it was made too long ago, or in a second try at the same time.
            has_ended=record is None or record.has_ended(datetime.now(UTC)),
            former_ends=await self._end_of(visitor, fresh.rotates),
            attempt=_new_attempt(),
            **desk.frame.sections(SUITES, english("Suite key"), visitor),
            suite_address=desk.settings.suite_address,
            suite_ca_file=desk.settings.suite_ca_file,
        )

    async def rename(self, request: Request) -> Response:
        """Call a suite otherwise."""
        visitor, given = await self._desk.door.sent(request, Deed.CHANGE_KEYS)
        record = await self._named(request, visitor)
        label, fault = line(given.get("label", ""), MAX_LABEL_CHARS)
        if record is None:
            await self._desk.frame.note(visitor, "unknown_thing")
        elif fault:
            return await self._page(visitor, 422, renamed=record.key_id, rename_fault=fault)
        elif label != record.label:
            entry = key_renamed(visitor.actor, record.key_id, record.label, label)
            await self._desk.suite_keys.rename(visitor.tenant_id, record.key_id, label, entry)
            await self._desk.frame.note(visitor, "suite_renamed", label)
        return _to(SUITES)

    async def rotate(self, request: Request) -> Response:
        """Ask for how long the old key shall go on working, or make the new one."""
        desk = self._desk
        given: dict[str, str] = {}
        if request.method == "POST":
            visitor, given = await desk.door.sent(request, Deed.CHANGE_KEYS)
        else:
            visitor = await desk.door.visitor(request, Deed.CHANGE_KEYS)
        record = await self._named(request, visitor)
        is_open = record is not None and record.expires is None and not record.has_ended(datetime.now(UTC))
        fresh = visitor.session.fresh
        is_waiting = fresh is not None and bool(fresh.text) and record is not None and fresh.rotates == record.key_id
        if is_waiting or (given and _attempt(given) in visitor.session.made):
            return _to(f"{SUITES}/key")
        if record is None or not is_open:
            await desk.frame.note(visitor, "unknown_thing" if record is None else "key_ends_already")
            return _to(SUITES)
        if given.get("overlap") not in OVERLAPS:
            return await desk.frame.page(
                visitor,
                "tenant/rotate.html",
                SUITES,
                english("Rotate a suite key"),
                status=422 if given else 200,
                suite=Suite(record, Streams(), ended=False),
                overlaps=[(choice, name) for choice, (_, name) in OVERLAPS.items()],
                chosen=USUAL_OVERLAP,
                attempt=_new_attempt(),
            )
        overlap, _ = OVERLAPS[given["overlap"]]
        await self._making.make(visitor, record.label, _attempt(given), record.key_id, overlap)
        return _to(f"{SUITES}/key")

    async def revoke(self, request: Request) -> Response:
        """Ask whether a key shall end now, or end it."""
        desk = self._desk
        is_sent = request.method == "POST"
        visitor = (
            (await desk.door.sent(request, Deed.CHANGE_KEYS))[0]
            if is_sent
            else await desk.door.visitor(request, Deed.CHANGE_KEYS)
        )
        record = await self._named(request, visitor)
        if record is None:
            await desk.frame.note(visitor, "unknown_thing")
            return _to(SUITES)
        if not is_sent:
            streams = (await desk.connected.of(visitor.tenant_id)).get(record.key_id, Streams())
            suite = Suite(record, streams, record.has_ended(datetime.now(UTC)))
            return await desk.frame.page(
                visitor, "tenant/revoke.html", SUITES, english("Revoke a suite key"), suite=suite
            )
        await desk.suite_keys.revoke(record.key_id, key_revoked(visitor.actor, record.key_id, record.label))
        log.info("suite_key_revoked", tenant_id=visitor.tenant_id, key_id=record.key_id)
        await desk.frame.note(visitor, "key_revoked", record.label)
        return _to(SUITES)

    async def _page(self, visitor: Visitor, status: int = 200, **values: object) -> Response:
        desk = self._desk
        connected = await desk.connected.of(visitor.tenant_id)
        now = datetime.now(UTC)
        # A key whose text nobody was shown is not a suite's yet.
        records = [key for key in await desk.suite_keys.list(visitor.tenant_id) if not key.is_provisional]
        suites = [Suite(key, connected.get(key.key_id, Streams()), key.has_ended(now)) for key in reversed(records)]
        shown = {"label": "", "fault": "", "renamed": "", "rename_fault": "", **values}
        return await desk.frame.page(
            visitor,
            "tenant/suites.html",
            SUITES,
            english("Phone suites"),
            status=status,
            working=[suite for suite in suites if not suite.ended],
            ended=[suite for suite in suites if suite.ended][:MOST_ENDED],
            most=MAX_LABEL_CHARS,
            attempt=_new_attempt(),
            waiting=visitor.session.fresh is not None and bool(visitor.session.fresh.text),
            **shown,
        )

    async def _named(self, request: Request, visitor: Visitor) -> KeyRecord | None:
        """The key in an address; None when this tenant has no such key."""
        key_id = request.path_params["key_id"]
        keys = await self._desk.suite_keys.list(visitor.tenant_id)
        return next((key for key in keys if key.key_id == key_id), None)

    async def _end_of(self, visitor: Visitor, key_id: str) -> datetime | None:
        keys = await self._desk.suite_keys.list(visitor.tenant_id) if key_id else []
        return next((key.expires for key in keys if key.key_id == key_id), None)


def _new_attempt() -> str:
    """What a form that makes a key carries, so that sending it twice makes one."""
    return secrets.token_hex(8)


def _attempt(given: dict[str, str]) -> str:
    return given.get("attempt", "")[:_MAX_ATTEMPT_CHARS] or _new_attempt()


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, status_code=303)
