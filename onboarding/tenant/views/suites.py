"""The phone suites of a tenant and their keys: make, rename, rotate with an overlap, revoke."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding.tenant.access import Action
from onboarding.tenant.key_issuing import KeyIssuer
from onboarding.tenant.layout import SUITES
from pages import forms
from pages.text_fields import line
from relay.core.audit.events import key_renamed, key_revoked
from relay.core.consent.tenant import TenantState
from relay.locale.languages import english
from relay.store.custody.suite_keys import MAX_LABEL_CHARS
from relay.store.presence.connected import OpenStreams

if TYPE_CHECKING:
    from starlette.requests import Request

    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.services import TenantServices
    from relay.store.custody.suite_key_records import KeyRecord

log = structlog.get_logger(__name__)

OVERLAPS: Final = {
    "0": (timedelta(), english("none: the old key ends when the new one is shown")),
    "1h": (timedelta(hours=1), english("1 hour")),
    "1d": (timedelta(days=1), english("1 day")),
    "3d": (timedelta(days=3), english("3 days")),
    "7d": (timedelta(days=7), english("7 days")),
}
"""Choice -> (time that the old key stays valid, label). No longer than `MAX_OVERLAP`."""
MOST_ENDED: Final = 50
"""Ended keys on the page; the audit log has all of them."""
USUAL_OVERLAP: Final = "1d"
_MAX_ATTEMPT_CHARS: Final = 40


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """One suite key on the page."""

    key: KeyRecord
    streams: OpenStreams
    ended: bool

    @property
    def start(self) -> str:
        """The beginning of the key: enough to recognise it, useless to connect with."""
        return f"psk_{self.key.key_id[:6]}…"

    @property
    def state(self) -> str:
        """The state for the chip: connected, away, ended or revoked."""
        if self.key.revoked is not None:
            return "revoked"
        if self.ended:
            return "ended"
        return "connected" if self.streams.streams else "away"


class SuiteViews:
    """Views of suites and their keys."""

    def __init__(self, services: TenantServices) -> None:
        self._services = services
        self._issuer = KeyIssuer(services.suite_keys, services.sessions)

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
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
        """Show all suites."""
        visitor = await self._services.auth.visitor(request, Action.SEE_TENANT)
        return await self._page(visitor)

    async def make(self, request: Request) -> Response:
        """Make a key for another suite, and redirect to the page that shows it."""
        visitor, given = await self._services.auth.form(request, Action.CHANGE_KEYS)
        label, fault = line(given.get("label", ""), MAX_LABEL_CHARS)
        if fault:
            return await self._page(visitor, 422, label=label, fault=fault)
        if visitor.tenant.state is TenantState.PENDING:
            await self._services.layout.flash(visitor, "waits_for_approval")
            return _to(SUITES)
        if await self._services.suite_keys.is_full(visitor.tenant_id):
            await self._services.layout.flash(visitor, "too_many_keys")
            return _to(SUITES)
        await self._issuer.make(visitor, label, _attempt(given))
        return _to(f"{SUITES}/key")

    async def show_key(self, request: Request) -> Response:
        """Show the last key; its text is shown once."""
        services = self._services
        visitor = await services.auth.visitor(request, Action.CHANGE_KEYS)
        fresh = visitor.session.fresh
        if fresh is None:
            return _to(SUITES)
        text = await self._issuer.show(visitor) if forms.will_be_seen(request) else ""
        record = next(
            (one for one in await services.suite_keys.list(visitor.tenant_id) if one.key_id == fresh.key_id), None
        )
        return services.pages.page(
            "tenant/suite_key.html",
            token=visitor.token,
            fresh=fresh,
            key=text,
            # The key has ended and its text was never shown: it was made too long ago, or in a second attempt at the same time.
            has_ended=record is None or record.has_ended(datetime.now(UTC)),
            former_ends=await self._end_of(visitor, fresh.rotates),
            attempt=_new_attempt(),
            **services.layout.frame(visitor, SUITES, english("Suite key")),
            suite_address=services.settings.suite_address,
            suite_ca_file=services.settings.suite_ca_file,
        )

    async def rename(self, request: Request) -> Response:
        """Rename a suite, or show the fault of the name."""
        visitor, given = await self._services.auth.form(request, Action.CHANGE_KEYS)
        record = await self._named(request, visitor)
        label, fault = line(given.get("label", ""), MAX_LABEL_CHARS)
        if record is None:
            await self._services.layout.flash(visitor, "unknown_thing")
        elif fault:
            return await self._page(visitor, 422, renamed=record.key_id, rename_fault=fault)
        elif label != record.label:
            entry = key_renamed(visitor.actor, record.key_id, record.label, label)
            await self._services.suite_keys.rename(visitor.tenant_id, record.key_id, label, entry)
            await self._services.layout.flash(visitor, "suite_renamed", label)
        return _to(SUITES)

    async def rotate(self, request: Request) -> Response:
        """Show the form for the overlap of the old key, or make the new key."""
        services = self._services
        given: dict[str, str] = {}
        if request.method == "POST":
            visitor, given = await services.auth.form(request, Action.CHANGE_KEYS)
        else:
            visitor = await services.auth.visitor(request, Action.CHANGE_KEYS)
        record = await self._named(request, visitor)
        is_open = record is not None and record.expires is None and not record.has_ended(datetime.now(UTC))
        fresh = visitor.session.fresh
        is_waiting = fresh is not None and bool(fresh.text) and record is not None and fresh.rotates == record.key_id
        if is_waiting or (given and _attempt(given) in visitor.session.made):
            return _to(f"{SUITES}/key")
        if record is None or not is_open:
            await services.layout.flash(visitor, "unknown_thing" if record is None else "key_ends_already")
            return _to(SUITES)
        if given.get("overlap") not in OVERLAPS:
            return await services.layout.page(
                visitor,
                "tenant/rotate.html",
                SUITES,
                english("Rotate a suite key"),
                status=422 if given else 200,
                suite=SuiteRow(record, OpenStreams(), ended=False),
                overlaps=[(choice, name) for choice, (_, name) in OVERLAPS.items()],
                chosen=USUAL_OVERLAP,
                attempt=_new_attempt(),
            )
        overlap, _ = OVERLAPS[given["overlap"]]
        await self._issuer.make(visitor, record.label, _attempt(given), record.key_id, overlap)
        return _to(f"{SUITES}/key")

    async def revoke(self, request: Request) -> Response:
        """Ask for confirmation, or revoke a key."""
        services = self._services
        is_sent = request.method == "POST"
        visitor = (
            (await services.auth.form(request, Action.CHANGE_KEYS))[0]
            if is_sent
            else await services.auth.visitor(request, Action.CHANGE_KEYS)
        )
        record = await self._named(request, visitor)
        if record is None:
            await services.layout.flash(visitor, "unknown_thing")
            return _to(SUITES)
        if not is_sent:
            streams = (await services.connected.of(visitor.tenant_id)).get(record.key_id, OpenStreams())
            suite = SuiteRow(record, streams, record.has_ended(datetime.now(UTC)))
            return await services.layout.page(
                visitor, "tenant/revoke.html", SUITES, english("Revoke a suite key"), suite=suite
            )
        await services.suite_keys.revoke(record.key_id, key_revoked(visitor.actor, record.key_id, record.label))
        log.info("suite_key_revoked", tenant_id=visitor.tenant_id, key_id=record.key_id)
        await services.layout.flash(visitor, "key_revoked", record.label)
        return _to(SUITES)

    async def _page(self, visitor: Visitor, status: int = 200, **values: object) -> Response:
        services = self._services
        connected = await services.connected.of(visitor.tenant_id)
        now = datetime.now(UTC)
        # A key whose text was not shown yet belongs to no suite.
        records = [key for key in await services.suite_keys.list(visitor.tenant_id) if not key.is_provisional]
        suites = [
            SuiteRow(key, connected.get(key.key_id, OpenStreams()), key.has_ended(now)) for key in reversed(records)
        ]
        shown = {"label": "", "fault": "", "renamed": "", "rename_fault": "", **values}
        return await services.layout.page(
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
        """Return the key in an address; None when this tenant has no such key."""
        key_id = request.path_params["key_id"]
        keys = await self._services.suite_keys.list(visitor.tenant_id)
        return next((key for key in keys if key.key_id == key_id), None)

    async def _end_of(self, visitor: Visitor, key_id: str) -> datetime | None:
        keys = await self._services.suite_keys.list(visitor.tenant_id) if key_id else []
        return next((key.expires for key in keys if key.key_id == key_id), None)


def _new_attempt() -> str:
    """Return the id that a form carries, so that sending it twice makes one key."""
    return secrets.token_hex(8)


def _attempt(given: dict[str, str]) -> str:
    return given.get("attempt", "")[:_MAX_ATTEMPT_CHARS] or _new_attempt()


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, status_code=303)
