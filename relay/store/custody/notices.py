"""Notices to a tenant's people or to the operator, from the step that causes them until they are sent.

    {pNN}:notices     hash: notice id -> event and recipient; notice id/channel -> that the channel has delivered it

A notice about consent is written by the script that changes the tenant's state, so no crash can separate the two. Every
other notice is a letter: it names one recipient and contains all its data, so it can be sent after its tenant was deleted. Letters
are written right after the deed (`Notices.write`); a crash in between loses the letter, and the audit log still has the deed.

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
"""Letters of one tenant in an hour: four deeds, to the maximum number of managers. Beyond that only the audit log has it."""
_HOUR_S: Final = 3600
MAX_TEXT_CHARS: Final = 320
"""Longest subject of a letter, as long as an address may be: it is kept once for each recipient."""
OPERATOR: Final = "operator"
"""Stands for the operator's address, which only those who send mail know."""


class NoticeKind(enum.StrEnum):
    """The kind of event. Receivers see these values."""

    CONSENT_REQUIRED = "consent.required"
    """The last grant that worked has died: somebody of the tenant must consent again."""
    CONSENT_RESTORED = "consent.restored"
    """A tenant whose consent had ended works again: by a new consent, or by itself."""
    ACCESS_REQUESTED = "access.requested"
    """An account of a connected tenant asks to read for it: a manager decides."""
    MANAGER_ADDED = "manager.added"
    """Somebody manages the tenant from now on."""
    MANAGER_REMOVED = "manager.removed"
    """Somebody manages the tenant no more."""
    LAST_ACCOUNT_WITHDRAWN = "account.last_withdrawn"
    """No account reads for the tenant any more."""
    OPT_OUTS_ENDED = "opt_outs.ended"
    """Colleagues who did not wish to be watched may be."""
    TENANT_LEFT = "tenant.left"
    """The tenant's own people ended everything."""
    TENANT_WAITS = "tenant.waits"
    """The operator decides whether it comes in."""
    TENANT_APPROVED = "tenant.approved"
    """The operator let it in."""
    TENANT_REFUSED = "tenant.refused"
    """The operator turned it away."""
    SIGN_UPS_FULL = "sign_ups.full"
    """A bound on tenants that come by themselves is reached: the operator may raise it, or decide about those that wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The content of an e-mail to one person.

    Attributes:
        to: their address; `OPERATOR` is the operator.
        language: theirs, as far as it is known.
        organisation: what the tenant was called then.
        domain: its domain then.
        who: the name of the person who did it; empty: the operator, or nobody in particular.
        about: the person or thing that it is about; for a refusal the operator's reason, for a bound its setting.
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
        notice_id: names it for good, so that a receiver can tell a repetition from a second death.
        tenant_id: whose administrator.
        kind: what happened.
        at: when.
        trouble: why, in Microsoft's words; for a restored one, what it was.
        letter: the recipient and the content; None: the tenant's contact and its own address, as they are then.
        done: the channels that need not tell it any more.
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
    """Return the notice that a change of state calls for; None when it calls for none.

    Args:
        tenant_id: whose.
        before: the state that it leaves.
        after: the state that it comes to.
        trouble: why it needs consent, now or until now. Without one nobody else knows better than the administrator, who
            withdrew the grant; or the relay cannot open what it keeps, which is none of the tenant's business.
    """
    if trouble is None:
        return None
    if after is TenantState.CONSENT_REQUIRED:
        return _new(tenant_id, NoticeKind.CONSENT_REQUIRED, trouble)
    if before is TenantState.CONSENT_REQUIRED and after is TenantState.ACTIVE:
        return _new(tenant_id, NoticeKind.CONSENT_RESTORED, trouble)
    return None


def restored(tenant_id: TenantId) -> Notice:
    """Return the notice that a consent may call for; the script that keeps the consent decides."""
    return _new(tenant_id, NoticeKind.CONSENT_RESTORED, None)


def encode(notice: Notice | None) -> bytes:
    """Return a notice as the store keeps it; empty for None."""
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
    """The notices of all tenants that are not sent yet. At custody's server, where their tenants are."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, partitions: Iterable[int]) -> list[Notice]:
        """List the notices of these partitions that are not sent yet, the oldest first."""
        commands = [("HGETALL", keys.notices(partition)) for partition in partitions]
        found = [notice for kept in await self._store.many(commands, vault=True) for notice in _notices(kept)]
        return sorted(found, key=lambda notice: notice.at)

    async def write(
        self, tenant: Addressed, kind: NoticeKind, to: Iterable[str], *, who: str = "", about: str = ""
    ) -> int:
        """Write a letter to each address; returns how many fit into the tenant's hour.

        Args:
            tenant: which; as it was, when it is gone.
            kind: what happened.
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
        """Note that a channel is done with a notice, and delete the notice when all are."""
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
