"""Tells people what the store says is to be told, once for each channel, and until it is told or a day has passed.

    Notices ──► due ones, oldest first for each recipient and channel ──► e-mail, signed POST ──► done, or again later

A letter goes to the one person whom it names, by e-mail alone; anything else to the tenant's contact and its own address.

Beside the reading, never in its way. How often something was tried is known to this process only: after a take-over the next
owner begins with short pauses again.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from relay.alerts import email_texts as letters
from relay.alerts import texts as words
from relay.alerts.email import Mail, MailSender
from relay.alerts.hook import HookSender, NotTold
from relay.errors import StoreUnavailable
from relay.store.custody.notices import OPERATOR, Notices
from relay.store.sealing import notify_secrets
from relay.store.sealing.keyring import SealBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from relay.alerts.settings import TellingSettings
    from relay.store.custody.notices import Letter, Notice
    from relay.store.custody.tenants import Tenant, Tenants
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)

MAIL: Final = "mail"
HOOK: Final = "hook"
CHANNELS: Final = (MAIL, HOOK)
_AFTER_WAKE_S: Final = 0.05  # several changes of one moment are looked at together
_FACTOR: Final = 4


_Turn = tuple[str, str, str]
"""Tenant, channel, recipient: of these, one is told at a time."""


class Teller:
    """Tells the notices of the partitions that a worker owns, until `run` is cancelled."""

    def __init__(
        self,
        store: Store,
        tenants: Tenants,
        ring: KeyRing,
        settings: TellingSettings,
        partitions: Callable[[], Collection[int]],
        say: words.Say,
    ) -> None:
        self._notices = Notices(store)
        self._tenants = tenants
        self._ring = ring
        self._settings = settings
        self._partitions = partitions
        self._say = say
        self._wake = asyncio.Event()
        self._tries: dict[tuple[str, str], int] = {}
        self._not_before: dict[tuple[str, str], float] = {}
        self._under_way: set[_Turn] = set()
        self._finished: set[tuple[str, str]] = set()  # notice, channel: what was read before says otherwise
        self._room = asyncio.Semaphore(settings.at_once)
        self._mail: MailSender | None = None
        self._hook: HookSender | None = None

    def wake(self) -> None:
        """There may be something to tell."""
        self._wake.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        async with AsyncExitStack() as stack:
            self._hook = await stack.enter_async_context(HookSender(self._settings))
            if self._settings.mail is not None:
                self._mail = await stack.enter_async_context(MailSender(self._settings.mail))
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._wake.clear()
                    try:
                        await self._step(tasks)
                    except Exception:  # nobody's reading ends because nobody can be told
                        log.exception("telling_failed")
                    await self._rest()

    async def _rest(self) -> None:
        now = time.monotonic()
        waits = [until - now for until in self._not_before.values()]
        wait = min([self._settings.look_every.total_seconds(), *waits])
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
        behind: set[_Turn] = set()
        for notice in notices:
            for channel in CHANNELS:
                turn, attempt = _turn(notice, channel), (notice.notice_id, channel)
                is_done = channel in notice.done or attempt in self._finished
                if is_done or turn in self._under_way or turn in behind:
                    continue
                # What happened later is told later, so that "it works again" is never overtaken.
                behind.add(turn)
                if self._not_before.get(attempt, now) <= now:
                    self._under_way.add(turn)
                    self._not_before.pop(attempt, None)
                    tasks.create_task(self._tell(notice, channel), name=f"tell:{notice.notice_id}:{channel}")

    def _forget(self, live: Collection[str]) -> None:
        for known in (self._tries, self._not_before):
            for attempt in [attempt for attempt in known if attempt[0] not in live]:
                del known[attempt]
        self._finished = {attempt for attempt in self._finished if attempt[0] in live}

    async def _tell(self, notice: Notice, channel: str) -> None:
        """The top of one task: whatever goes wrong is noted, and tried again later."""
        fields = {"tenant_id": notice.tenant_id, "notice_id": notice.notice_id, "channel": channel}
        try:
            async with self._room:
                told = await self._told(notice, channel)
            if told:
                log.info("administrator_told", kind=notice.kind, **fields)
            await self._done(notice, channel)
        except NotTold as error:
            await self._not_told(notice, channel, error)
        except StoreUnavailable as error:
            self._later(notice, channel, str(error))
        except Exception:
            log.exception("telling_failed", **fields)
            self._later(notice, channel, "")
        finally:
            self._under_way.discard(_turn(notice, channel))
            self._wake.set()

    async def _not_told(self, notice: Notice, channel: str, error: NotTold) -> None:
        if not (error.is_final or datetime.now(UTC) - notice.at >= self._settings.give_up_after):
            self._later(notice, channel, str(error))
            return
        log.error(
            "administrator_not_told", tenant_id=notice.tenant_id, notice_id=notice.notice_id, channel=channel,
            error=str(error),
        )  # fmt: skip
        await self._done(notice, channel)

    async def _told(self, notice: Notice, channel: str) -> bool:
        """Tell one notice on one channel; False when the tenant does not want to be told there.

        Raises:
            NotTold: nobody was told.
        """
        if notice.letter is not None:
            return channel == MAIL and await self._send(notice, notice.letter)
        tenant = await self._tenants.load(notice.tenant_id)
        if tenant is None:
            return False  # it left
        matter = self._matter(notice, tenant)
        return await (
            self._by_mail(matter, notice, tenant) if channel == MAIL else self._by_hook(matter, notice, tenant)
        )

    async def _send(self, notice: Notice, letter: Letter) -> bool:
        to = self._settings.operator_address if letter.to == OPERATOR else letter.to
        if self._mail is None or not to:
            return False
        content = letters.Content(
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
        subject, text = letters.email(content, language)
        mail = Mail(message_id=notice.notice_id, to=to, subject=subject, text=text, language=language, at=notice.at)
        await self._mail.send(mail)
        return True

    async def _by_mail(self, matter: words.Matter, notice: Notice, tenant: Tenant) -> bool:
        to = tenant.settings.get("contact_email", "")
        if self._mail is None or not to:
            return False
        language = tenant.settings.get("language", "en")
        subject, text = words.email(matter, language, self._say)
        mail = Mail(message_id=notice.notice_id, to=to, subject=subject, text=text, language=language, at=notice.at)
        await self._mail.send(mail)
        return True

    async def _by_hook(self, matter: words.Matter, notice: Notice, tenant: Tenant) -> bool:
        url = tenant.settings.get("notify_url", "")
        if self._hook is None or not url:
            return False
        try:
            sealed = tenant.settings.get(notify_secrets.SETTING, "")
            secret = notify_secrets.opened(self._ring, tenant.tenant_id, sealed)
        except SealBroken as broken:
            raise NotTold(f"The secret to sign with does not open: {broken}") from broken
        await self._hook.post(url, secret, notice.notice_id, words.body(matter))
        return True

    def _matter(self, notice: Notice, tenant: Tenant) -> words.Matter:
        return words.Matter(
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
            # Told, and not written down: told once more, by the same id.
            self._finished.discard((notice.notice_id, channel))
            self._later(notice, channel, str(error))

    def _later(self, notice: Notice, channel: str, error: str) -> None:
        attempt = (notice.notice_id, channel)
        tries = self._tries[attempt] = self._tries.get(attempt, 0) + 1
        pause = min(self._settings.first_pause * _FACTOR ** min(tries - 1, 8), self._settings.longest_pause)
        self._not_before[attempt] = time.monotonic() + pause.total_seconds()
        log.warning(
            "administrator_not_told_yet", tenant_id=notice.tenant_id, notice_id=notice.notice_id, channel=channel,
            tries=tries, error=error,
        )  # fmt: skip


def _turn(notice: Notice, channel: str) -> _Turn:
    """One address that takes nothing holds nobody else up."""
    return notice.tenant_id, channel, "" if notice.letter is None else notice.letter.to
