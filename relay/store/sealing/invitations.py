"""Invitations: links that start an onboarding, valid once and for some days. Custody: acknowledged means on disk.

A link's token is stored as a hash, and its content is sealed: a tenant's name, and a contact at the operator. It grants
no right: the user who opens it must still sign in to Microsoft with an account of the tenant.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from relay.core.presence import TenantId
from relay.store.sealing import quotas
from relay.store.sealing.keyring import Belonging, SealBroken
from relay.store.server import keys

if TYPE_CHECKING:
    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.quotas import Quota
    from relay.store.server.connection import Store

LIFETIME: Final = timedelta(days=14)
"""Default lifetime of a link; the recipient may be on leave for a week."""
MAX_LIFETIME: Final = timedelta(days=90)
MAX_TOKEN_CHARS: Final = 100
_PURPOSE: Final = "invitation"


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """The content of an invitation link.

    Attributes:
        domain: domain of the organisation's Microsoft 365 accounts.
        tenant_id: the tenant of the domain when the link was made.
        organisation: name of the organisation. If this or one of the next two is empty, the user who opens the link
            enters it.
        contact: name of the contact.
        email: e-mail address of the contact.
        expires: when the link ends.
        word_ms: when the operator made the link, in ms since 1970; it then approves the tenant. 0: another user made
            it.
    """

    domain: str
    tenant_id: TenantId
    organisation: str = ""
    contact: str = ""
    email: str = ""
    expires: datetime
    word_ms: int = 0

    def __repr__(self) -> str:
        return f"Invitation({self.tenant_id})"

    @property
    def is_whole(self) -> bool:
        """Return whether the link has all the data, so that the user enters none."""
        return bool(self.organisation and self.contact and self.email)


def new_token() -> str:
    """Return a unique token of 256 bits that can be part of a URL."""
    return secrets.token_urlsafe(32)


class Invitations:
    """The valid links.

    Raises (from every method): `StoreUnavailable`; `NotSaved` from those that write.
    """

    def __init__(self, store: Store, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring

    async def put(self, token: str, invitation: Invitation, quota: Quota | None = None) -> None:
        """Store an invitation under a token until it expires, durably; an existing one is replaced.

        If a quota is given and full, the invitations in it that end first are deleted.
        """
        sealed = self._ring.seal(msgspec.json.encode(invitation).decode(), _belonging(token))
        life_ms = max(int((invitation.expires - datetime.now(UTC)) / timedelta(milliseconds=1)), 1)
        async with self._store.durable() as vault:
            await vault.execute("SET", _key(token), sealed, "PX", life_ms)
            await vault.confirm()
        if quota is not None:
            await quotas.enter(self._store, quota, _key(token), timedelta(milliseconds=life_ms))

    async def load(self, token: str) -> Invitation | None:
        """Return an invitation by its token; None if it was used, has expired, or never existed."""
        if not 0 < len(token) <= MAX_TOKEN_CHARS:
            return None
        sealed: bytes | None = await self._store.vault_command("GET", _key(token))
        try:
            text = "" if sealed is None else self._ring.open(sealed.decode(), _belonging(token))
            return msgspec.json.decode(text, type=Invitation) if text else None
        except (SealBroken, msgspec.DecodeError):
            return None

    async def use(self, token: str) -> bool:
        """Use a link, durably; return True to exactly one caller."""
        async with self._store.durable() as vault:
            used = await vault.execute("DEL", _key(token))
            await vault.confirm()
        return bool(used)


def belonging_of_key(key: str) -> Belonging | None:
    """Return the belonging of the value of an invitation's key; None for another key."""
    prefix, _, digest = key.partition(":")
    return Belonging("", digest, _PURPOSE) if f"{prefix}:" == keys.INVITATION and digest else None


def _key(token: str) -> bytes:
    return keys.invitation(_digest(token))


def _belonging(token: str) -> Belonging:
    return Belonging("", _digest(token), _PURPOSE)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
