"""Notices to a tenant's users or to the operator, from the step that causes them until they are sent.

    {pNN}:notices     hash: notice id -> event and recipient; notice id/channel -> set when the channel has delivered it

The script that changes a tenant's state also writes the notice about consent, so no crash can separate the two. Every
other notice is a letter: it names one recipient and contains all its data, so it can be sent after its tenant was
deleted. Letters are written directly after the deed (`Notices.write`); a crash in between loses the letter, but the
audit log has the deed.

The owner of the partition sends a notice and then removes it: a notice is sent at least once, and twice with the same id if the
owner dies in between.
"""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from relay.core.consent.microsoft_error import RefusalRecord
from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId
from relay.store.server import keys
from relay.store.server.scripting import Arg, Script

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from relay.store.server.connection import Store

_DONE = Script("notice_done")
_WRITE = Script("notice_write")

MOST_LETTERS: Final = 200
"""Most letters of one tenant in an hour: enough for four deeds, to the maximum number of managers. The rest is
dropped."""
_HOUR_S: Final = 3600
MAX_TEXT_CHARS: Final = 320
"""Longest text in a letter, the longest length of an address. Each recipient has a stored copy."""
OPERATOR: Final = "operator"
"""Stands for the operator's address, which only the mail channel knows."""


class NoticeKind(enum.StrEnum):
    """The kind of event. Receivers see these values."""

    CONSENT_REQUIRED = "consent.required"
    """The last working grant has died: an account of the tenant must consent again."""
    CONSENT_RESTORED = "consent.restored"
    """A tenant that needed consent works again, with or without a new consent."""
    ACCESS_REQUESTED = "access.requested"
    """An account of a connected tenant requests to read for it: a manager decides."""
    MANAGER_ADDED = "manager.added"
    """A manager was added to the tenant."""
    MANAGER_REMOVED = "manager.removed"
    """A manager was removed from the tenant."""
    LAST_ACCOUNT_WITHDRAWN = "account.last_withdrawn"
    """The last account that read for the tenant was withdrawn."""
    OPT_OUTS_ENDED = "opt_outs.ended"
    """Opt-outs of users from being watched were ended."""
    TENANT_LEFT = "tenant.left"
    """The tenant was removed by its own managers."""
    TENANT_WAITS = "tenant.waits"
    """The tenant waits for the operator's approval."""
    TENANT_APPROVED = "tenant.approved"
    """The operator approved the tenant."""
    TENANT_REFUSED = "tenant.refused"
    """The operator refused the tenant."""
    SIGN_UPS_FULL = "sign_ups.full"
    """A limit on sign-ups is reached: the operator can raise it, or decide about the waiting tenants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The content of an e-mail to one person.

    Attributes:
        to: the recipient's address, or `OPERATOR`.
        language: the recipient's language, as far as known.
        organisation: the tenant's name at that time.
        domain: the tenant's domain at that time.
        who: the name of the actor; empty for the operator or the relay.
        about: the person or thing that it is about; for a refusal the operator's reason, for a limit its setting.
    """

    to: str
    language: str
    organisation: str
    domain: str
    who: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice that is to be sent.

    Attributes:
        notice_id: permanent id, so that a receiver can detect repetitions.
        tenant_id: the tenant.
        kind: the event.
        at: time of the event.
        trouble: Microsoft's refusal that caused it; for a restored consent the former refusal.
        letter: the recipient and the content; None: send it to the tenant's current contact and to its own systems.
        done: the channels that have delivered it.
    """

    notice_id: str
    tenant_id: TenantId
    kind: NoticeKind
    at: datetime
    trouble: RefusalRecord | None = None
    letter: Letter | None = None
    done: tuple[str, ...] = ()


def following(
    tenant_id: TenantId, before: TenantState, after: TenantState, trouble: RefusalRecord | None
) -> Notice | None:
    """Return the notice for a change of state; None if there is none.

    Args:
        tenant_id: the tenant.
        before: the old state.
        after: the new state.
        trouble: Microsoft's refusal, the reason why the tenant needs consent or needed it. Without one there is no
            notice: an administrator withdrew the grant, or the relay cannot decrypt it, which only the operator can
            correct.
    """
    if trouble is None:
        return None
    if after is TenantState.CONSENT_REQUIRED:
        return _new(tenant_id, NoticeKind.CONSENT_REQUIRED, trouble)
    if before is TenantState.CONSENT_REQUIRED and after is TenantState.ACTIVE:
        return _new(tenant_id, NoticeKind.CONSENT_RESTORED, trouble)
    return None


def restored(tenant_id: TenantId) -> Notice:
    """Return the notice for a restored consent; the script that stores the consent decides whether it is sent."""
    return _new(tenant_id, NoticeKind.CONSENT_RESTORED, None)


def encode(notice: Notice | None) -> bytes:
    """Return a notice in its stored form; empty for None."""
    return b"" if notice is None else _ENCODER.encode(notice)


class Addressed(Protocol):
    """The parts of a tenant's record that its letters need."""

    @property
    def tenant_id(self) -> TenantId:
        """The tenant's id."""

    @property
    def name(self) -> str:
        """The organisation's name; may be empty."""

    @property
    def domain(self) -> str:
        """The organisation's domain; may be empty."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The tenant's settings, its language among them."""


class Notices:
    """The unsent notices of all tenants, on custody's server."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, partitions: Iterable[int]) -> list[Notice]:
        """List the unsent notices of these partitions, the oldest first."""
        commands = [("HGETALL", keys.notices(partition)) for partition in partitions]
        found = [notice for kept in await self._store.many(commands, vault=True) for notice in _notices(kept)]
        return sorted(found, key=lambda notice: notice.at)

    async def write(
        self, tenant: Addressed, kind: NoticeKind, to: Iterable[str], *, who: str = "", about: str = ""
    ) -> int:
        """Write a letter to each address; return how many the tenant's hourly limit allowed.

        Args:
            tenant: the tenant; for a removed tenant its last record.
            kind: the event.
            to: addresses, or `OPERATOR`.
            who: see `Letter`.
            about: see `Letter`.

        Raises:
            StoreUnavailable: the outcome is unknown.
        """
        language = tenant.settings.get("language", "en")
        who, about = who[:MAX_TEXT_CHARS], about[:MAX_TEXT_CHARS]
        pairs: list[Arg] = []
        for address in to:
            letter = Letter(
                to=address, language=language, organisation=tenant.name, domain=tenant.domain, who=who, about=about
            )
            notice = _new(tenant.tenant_id, kind, None, letter)
            pairs += [notice.notice_id, encode(notice)]
        partition = keys.partition_of(tenant.tenant_id)
        call = _WRITE(
            *pairs,
            notices=keys.notices(partition),
            written_this_hour=keys.letters(partition),
            tenant_id=tenant.tenant_id,
            most_an_hour=MOST_LETTERS,
            hour_s=_HOUR_S,
        )
        return int(await self._store.vault_run(call))

    async def done(self, notice: Notice, channel: str, all_channels: Collection[str]) -> None:
        """Note that a channel has delivered a notice, and delete the notice when all channels have."""
        key = keys.notices(keys.partition_of(notice.tenant_id))
        await self._store.vault_run(_DONE(*all_channels, notices=key, notice_id=notice.notice_id, channel=channel))


def _new(tenant_id: TenantId, kind: NoticeKind, trouble: RefusalRecord | None, letter: Letter | None = None) -> Notice:
    notice_id, now = f"msg_{secrets.token_hex(16)}", datetime.now(UTC)
    return Notice(notice_id=notice_id, tenant_id=tenant_id, kind=kind, at=now, trouble=trouble, letter=letter)


def _notices(kept: Mapping[bytes, bytes]) -> Iterator[Notice]:
    for name, value in kept.items():
        if b"/" not in name:
            done = (field.partition(b"/") for field in kept if field.startswith(name + b"/"))
            try:
                yield replace(_DECODER.decode(value), done=tuple(channel.decode() for *_, channel in done))
            except msgspec.DecodeError:
                continue  # a later release wrote it


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Notice)
