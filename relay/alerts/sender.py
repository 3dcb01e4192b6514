"""Sends the store's notices to people: each once on each channel, with retries until it is delivered or a day has passed.

    Notices ──► due ones, oldest first for each recipient and channel ──► e-mail, signed POST ──► done, or again later

A letter goes only to the person that it names, by e-mail. A consent event goes to the tenant's contact and to the
tenant's receiver.

The sender never delays reads. Only this process counts the attempts of a notice: after a takeover the next owner begins
with short pauses again.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from relay.alerts import consent_event, texts
from relay.alerts.consent_event import ConsentEvent
from relay.alerts.email import Mail, MailSender
from relay.alerts.hook import HookSender, NotDelivered
from relay.alerts.metrics import ALERTS, WAITING
from relay.errors import StoreUnavailable
from relay.store.custody.notices import OPERATOR, Notices
from relay.store.sealing import notify_secrets
from relay.store.sealing.keyring import SealBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from relay.alerts.settings import AlertSettings
    from relay.store.custody.notices import Letter, Notice
    from relay.store.custody.tenants import Tenant, Tenants
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)

MAIL: Final = "mail"
HOOK: Final = "hook"
CHANNELS: Final = (MAIL, HOOK)
_AFTER_WAKE_S: Final = 0.05  # read simultaneous changes together
_FACTOR: Final = 4  # factor from one pause to the next


_Destination = tuple[str, str, str]
"""Tenant, channel, recipient: one notice at a time is sent to each."""


class AlertSender:
    """Sends the notices of the partitions that a worker owns, until `run` is cancelled."""

    def __init__(
        self,
        store: Store,
        tenants: Tenants,
        ring: KeyRing,
        settings: AlertSettings,
        partitions: Callable[[], Collection[int]],
    ) -> None:
        self._notices = Notices(store)
        self._tenants = tenants
        self._ring = ring
        self._settings = settings
        self._partitions = partitions
        self._wake = asyncio.Event()
        self._tries: dict[tuple[str, str], int] = {}
        self._not_before: dict[tuple[str, str], float] = {}
        self._under_way: set[_Destination] = set()
        self._finished: set[tuple[str, str]] = set()  # notice, channel: still in an older read of the store
        self._room = asyncio.Semaphore(settings.at_once)
        self._mail: MailSender | None = None
        self._hook = HookSender(settings)

    def wake(self) -> None:
        """Read the notices now, because there may be a new one."""
        self._wake.set()

    async def run(self) -> None:
        """Send due notices until cancelled."""
        async with AsyncExitStack() as stack:
            if self._settings.mail is not None:
                self._mail = await stack.enter_async_context(MailSender(self._settings.mail))
            stack.enter_context(WAITING.reading(self._waiting))
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._wake.clear()
                    try:
                        await self._step(tasks)
                    except Exception:  # a failed alert must not end any tenant's reads
                        log.exception("alerts_failed")
                    await self._rest()

    def _waiting(self) -> dict[tuple[str, ...], float]:
        return {(channel,): sum(known == channel for _, known in self._tries) for channel in CHANNELS}

    async def _rest(self) -> None:
        now = time.monotonic()
        waits = [until - now for until in self._not_before.values()]
        wait = min([self._settings.read_every.total_seconds(), *waits])
        try:
            async with asyncio.timeout(max(wait, _AFTER_WAKE_S)):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(_AFTER_WAKE_S)

    async def _step(self, tasks: asyncio.TaskGroup) -> None:
        try:
            notices = await self._notices.of(sorted(self._partitions()))
        except StoreUnavailable:
            return
        self._forget({notice.notice_id for notice in notices})
        now = time.monotonic()
        behind: set[_Destination] = set()
        for notice in notices:
            for channel in CHANNELS:
                destination, attempt = _destination(notice, channel), (notice.notice_id, channel)
                is_done = channel in notice.done or attempt in self._finished
                if is_done or destination in self._under_way or destination in behind:
                    continue
                # Events are sent in their order, so that "it works again" comes last.
                behind.add(destination)
                if self._not_before.get(attempt, now) <= now:
                    self._under_way.add(destination)
                    self._not_before.pop(attempt, None)
                    tasks.create_task(self._deliver(notice, channel), name=f"alert:{notice.notice_id}:{channel}")

    def _forget(self, live: Collection[str]) -> None:
        for known in (self._tries, self._not_before):
            for attempt in [attempt for attempt in known if attempt[0] not in live]:
                del known[attempt]
        self._finished = {attempt for attempt in self._finished if attempt[0] in live}

    async def _deliver(self, notice: Notice, channel: str) -> None:
        """Run one task. Every failure is logged, and the notice is retried later."""
        fields = {"tenant_id": notice.tenant_id, "notice_id": notice.notice_id, "channel": channel}
        try:
            async with self._room:
                is_sent = await self._send(notice, channel)
            if is_sent:
                ALERTS.add(1, channel, "sent")
                log.info("alert_sent", kind=notice.kind, **fields)
            await self._done(notice, channel)
        except NotDelivered as error:
            await self._not_delivered(notice, channel, error)
        except StoreUnavailable as error:
            self._later(notice, channel, str(error))
        except Exception:
            log.exception("alert_failed", **fields)
            self._later(notice, channel, "")
        finally:
            self._under_way.discard(_destination(notice, channel))
            self._wake.set()

    async def _not_delivered(self, notice: Notice, channel: str, error: NotDelivered) -> None:
        if not (error.is_final or datetime.now(UTC) - notice.at >= self._settings.give_up_after):
            self._later(notice, channel, str(error))
            return
        ALERTS.add(1, channel, "given_up")
        log.error(
            "alert_not_sent", tenant_id=notice.tenant_id, notice_id=notice.notice_id, channel=channel,
            error=str(error),
        )  # fmt: skip
        await self._done(notice, channel)

    async def _send(self, notice: Notice, channel: str) -> bool:
        """Send one notice on one channel; return False if it has no recipient there.

        Raises:
            NotDelivered: the recipient did not get it.
        """
        if notice.letter is not None:
            return channel == MAIL and await self._send_letter(notice, notice.letter)
        tenant = await self._tenants.load(notice.tenant_id)
        if tenant is None:
            return False  # it left
        event = self._event(notice, tenant)
        return await (self._send_mail(event, notice, tenant) if channel == MAIL else self._post(event, notice, tenant))

    async def _send_letter(self, notice: Notice, letter: Letter) -> bool:
        to = self._settings.operator_address if letter.to == OPERATOR else letter.to
        if self._mail is None or not to:
            return False
        content = texts.LetterContent(
            kind=notice.kind,
            at=notice.at,
            organisation=letter.organisation,
            domain=letter.domain or notice.tenant_id,
            tenant_id=notice.tenant_id,
            who=letter.who,
            about=letter.about,
            page=self._settings.page,
            operator=self._settings.operator,
        )
        language = "en" if letter.to == OPERATOR else letter.language
        subject, text = texts.letter_email(content, language)
        mail = Mail(message_id=notice.notice_id, to=to, subject=subject, text=text, language=language, at=notice.at)
        await self._mail.send(mail)
        return True

    async def _send_mail(self, event: ConsentEvent, notice: Notice, tenant: Tenant) -> bool:
        to = tenant.settings.get("contact_email", "")
        if self._mail is None or not to:
            return False
        language = tenant.settings.get("language", "en")
        subject, text = texts.consent_email(event, language)
        mail = Mail(message_id=notice.notice_id, to=to, subject=subject, text=text, language=language, at=notice.at)
        await self._mail.send(mail)
        return True

    async def _post(self, event: ConsentEvent, notice: Notice, tenant: Tenant) -> bool:
        url = tenant.settings.get("notify_url", "")
        if not url:
            return False
        try:
            sealed = tenant.settings.get(notify_secrets.SETTING, "")
            secret = notify_secrets.opened(self._ring, tenant.tenant_id, sealed)
        except SealBroken as broken:
            raise NotDelivered(f"The signing secret cannot be decrypted: {broken}") from broken
        await self._hook.post(url, secret, notice.notice_id, consent_event.body(event))
        return True

    def _event(self, notice: Notice, tenant: Tenant) -> ConsentEvent:
        return ConsentEvent(
            kind=notice.kind,
            at=notice.at,
            tenant_id=notice.tenant_id,
            organisation=tenant.name,
            domain=tenant.domain,
            trouble=notice.trouble,
            page=self._settings.page,
            operator=self._settings.operator,
        )

    async def _done(self, notice: Notice, channel: str) -> None:
        self._finished.add((notice.notice_id, channel))
        try:
            await self._notices.done(notice, channel, CHANNELS)
        except StoreUnavailable as error:
            # Delivered, but not marked as delivered: it will be sent again, with the same id.
            self._finished.discard((notice.notice_id, channel))
            self._later(notice, channel, str(error))

    def _later(self, notice: Notice, channel: str, error: str) -> None:
        attempt = (notice.notice_id, channel)
        tries = self._tries[attempt] = self._tries.get(attempt, 0) + 1
        pause = min(self._settings.first_pause * _FACTOR ** min(tries - 1, 8), self._settings.longest_pause)
        self._not_before[attempt] = time.monotonic() + pause.total_seconds()
        ALERTS.add(1, channel, "postponed")
        log.warning(
            "alert_postponed", tenant_id=notice.tenant_id, notice_id=notice.notice_id, channel=channel,
            tries=tries, error=error,
        )  # fmt: skip


def _destination(notice: Notice, channel: str) -> _Destination:
    """Return the destination of a notice, so that a failing destination does not delay others."""
    return notice.tenant_id, channel, "" if notice.letter is None else notice.letter.to
