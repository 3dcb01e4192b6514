"""One onboarding under way, as a value: what was typed, what Microsoft answered, what came of it.

STARTED ──Microsoft consented──► AUTHORIZED ──COMPLETE REQUEST──► DONE
   ▲  └──refused: a problem──┐       │
   └─────────────────────────┴───────┘ the consent turned out not to work
"""

from __future__ import annotations

import enum
import secrets
from typing import Final

import msgspec

from relay.core.presence import TenantId, UserId

_ID_BYTES: Final = 12


class Step(enum.Enum):
    """Where a flow stands."""

    STARTED = enum.auto()
    AUTHORIZED = enum.auto()
    DONE = enum.auto()


class Applicant(msgspec.Struct, frozen=True):
    """What was typed into the form."""

    organisation: str
    contact: str
    email: str
    domain: str


class Consented(msgspec.Struct, frozen=True):
    """Microsoft's consent, not yet completed; who gave it is verified."""

    tenant_id: TenantId
    account_id: UserId
    upn: str
    token_cache: str

    def __repr__(self) -> str:
        return f"Consented({self.tenant_id})"


class Shown(msgspec.Struct, frozen=True):
    """One user's presence, as the page shows it."""

    name: str
    upn: str
    icon: str
    words: str


class Admitted(msgspec.Struct, frozen=True):
    """What came of COMPLETE REQUEST.

    Attributes:
        tenant_id: the tenant.
        upn: the account whose grant it is.
        key_id: the suite key's.
        key: the suite key itself until it has been shown, then empty.
        proof: the presence that was read with the new grant.
        grants: how many the tenant has.
        is_suspended: whether the operator lets the tenant not be read for now.
    """

    tenant_id: TenantId
    upn: str
    key_id: str
    key: str
    proof: tuple[Shown, ...]
    grants: int
    is_suspended: bool = False

    def __repr__(self) -> str:
        return f"Admitted({self.tenant_id}, key {self.key_id})"


class Trouble(msgspec.Struct, frozen=True):
    """Why the last try came to nothing: a key of `problems.PROBLEMS`, and what Microsoft said, if that helps."""

    problem: str
    detail: str = ""


class Flow(msgspec.Struct, frozen=True):
    """An onboarding under way. Each change is another value.

    Attributes:
        flow_id: in the addresses of its pages; no secret.
        browser: fingerprint of the secret that its browser holds in a cookie.
        returning: fingerprint of the secret that comes back with Microsoft's answer.
        applicant: what was typed.
        tenant_id: the tenant that the typed domain is registered in; a check, never the source of the tenant.
        consented: set while AUTHORIZED.
        admitted: set when DONE.
        trouble: of the last try.
    """

    flow_id: str
    browser: str
    returning: str
    applicant: Applicant
    tenant_id: TenantId
    consented: Consented | None = None
    admitted: Admitted | None = None
    trouble: Trouble | None = None

    @property
    def step(self) -> Step:
        """Where it stands."""
        if self.admitted is not None:
            return Step.DONE
        return Step.STARTED if self.consented is None else Step.AUTHORIZED

    @property
    def reference(self) -> str:
        """What a person can tell the operator, and what the suite key is labelled with."""
        return self.flow_id[:8].upper()


def new_flow_id() -> str:
    """An id that no other flow has."""
    return secrets.token_hex(_ID_BYTES)


def is_flow_id(text: str) -> bool:
    """Whether a text can be a flow's id."""
    return len(text) == 2 * _ID_BYTES and text.isascii() and text.isalnum()


def encode(flow: Flow) -> str:
    """The flow as text."""
    return msgspec.json.encode(flow).decode()


def decode(text: str) -> Flow | None:
    """The flow; None when another release of the relay wrote it and this one cannot read it."""
    try:
        return msgspec.json.decode(text, type=Flow)
    except msgspec.DecodeError:
        return None
