"""One onboarding as a value: the typed fields, Microsoft's answer, and the result.

STARTED ──signed in, consented──► SIGNED_IN ──"Yes, use this account"──► PROVING ──► DONE
   ▲  └──refused: a failure──┐        │                                     │ ▲
   ├─────────────────────────┘        │ another account                     ▼ │ try again
   └──────────────────────────────────┴────────── sign in again ───────── FAILED

While STARTED it holds only typed text and fingerprints, so it may wait for days: for an administrator's approval,
or for a person with a link.
"""

from __future__ import annotations

import enum
import secrets
import time
from datetime import timedelta
from typing import Final

import msgspec

from relay.core.consent.microsoft_error import NO_ERROR, MicrosoftError
from relay.core.consent.values import NewGrant
from relay.core.presence import TenantId, UserId
from relay.locale.languages import Sentence

WAITS: Final = timedelta(days=14)
"""Lifetime of a flow that waits for another person, who may be on leave for a week."""
_ID_BYTES: Final = 12


class Stage(enum.Enum):
    """The stages of a flow."""

    STARTED = enum.auto()
    SIGNED_IN = enum.auto()
    PROVING = enum.auto()
    FAILED = enum.auto()
    DONE = enum.auto()


class Applicant(msgspec.Struct, frozen=True):
    """The typed fields of the first form."""

    organisation: str
    contact: str
    email: str
    domain: str


class PresenceSample(msgspec.Struct, frozen=True):
    """One user's presence on the page; `status` is a message."""

    name: str
    upn: str
    icon: str
    status: str


class CheckState(enum.StrEnum):
    """The state of a check."""

    WAITING = "waiting"
    RUNNING = "running"
    PASSED = "passed"
    OPTIONAL = "optional"
    """Failed or unknown, but no action is needed: the relay works without it."""
    FAILED = "failed"


class Check(msgspec.Struct, frozen=True):
    """One check of a new grant.

    Attributes:
        name: `users`, `presence`, `push` or `kept`.
        state: its state.
        text: its result, a message; empty until then.
        values: the values of the message.
    """

    name: str
    state: CheckState = CheckState.WAITING
    text: str = ""
    values: dict[str, int] = {}

    @property
    def sentence(self) -> Sentence:
        """The result, to be translated."""
        return Sentence(self.text, self.values)


class Verification(msgspec.Struct, frozen=True):
    """The verification of a new grant, in progress or ended.

    Attributes:
        run: the id of the task that carries it out; each attempt is a new run.
        checks: the checks, in their order.
        samples: the presence of some users.
    """

    run: str
    checks: tuple[Check, ...]
    samples: tuple[PresenceSample, ...] = ()

    def __repr__(self) -> str:
        return f"Verification({self.run})"

    def with_check(self, check: Check) -> Verification:
        """Return a copy with one check replaced."""
        return msgspec.structs.replace(self, checks=tuple(check if c.name == check.name else c for c in self.checks))

    def failed(self) -> Verification:
        """Return a copy in which the running check has failed."""
        failed = (
            msgspec.structs.replace(c, state=CheckState.FAILED) if c.state is CheckState.RUNNING else c
            for c in self.checks
        )
        return msgspec.structs.replace(self, checks=tuple(failed))


CHECKS: Final = ("users", "presence", "push", "kept")


def new_verification() -> Verification:
    """Return a verification at its start."""
    checks = tuple(Check(name) for name in CHECKS)
    return Verification(secrets.token_hex(4), checks).with_check(Check(CHECKS[0], CheckState.RUNNING))


class AdmittedTenant(msgspec.Struct, frozen=True):
    """The result of an onboarding whose account manages the tenant.

    Attributes:
        tenant_id: the tenant.
        upn: the name of the account with the grant.
        key_id: the suite key's id.
        key: the suite key itself until it has been shown, then empty.
        grants: the number of grants of the tenant.
        is_suspended: whether the operator has suspended the tenant.
        is_pending: whether the tenant waited for the operator's approval; it has no suite key then.
        account_id: the account's object id.
    """

    tenant_id: TenantId
    upn: str
    key_id: str
    key: str
    grants: int
    is_suspended: bool = False
    is_pending: bool = False
    account_id: UserId = UserId("")

    def __repr__(self) -> str:
        return f"AdmittedTenant({self.tenant_id}, key {self.key_id})"


class Answered(msgspec.Struct, frozen=True):
    """The result of an onboarding whose account does not manage the connected tenant: a request, or a renewed grant.

    Attributes:
        tenant_id: the tenant.
        account_id: the account that consented.
        upn: the account's name.
        is_asked: whether a manager of the tenant must accept the request; False: the account already reads for the tenant.
    """

    tenant_id: TenantId
    account_id: UserId
    upn: str
    is_asked: bool


class FlowFailure(msgspec.Struct, frozen=True):
    """The reason why the last attempt failed.

    Attributes:
        problem: a key of `problems.PROBLEMS`.
        detail: more about it, a message; empty if there is nothing to add.
        values: the values of the message.
        said: Microsoft's error text.
    """

    problem: str
    detail: str = ""
    values: dict[str, str] = {}
    said: MicrosoftError = NO_ERROR

    @property
    def sentence(self) -> Sentence:
        """The detail, to be translated."""
        return Sentence(self.detail, self.values)


class Flow(msgspec.Struct, frozen=True):
    """An onboarding, as an immutable value.

    Attributes:
        flow_id: its id in the addresses of its pages; no secret.
        browser: fingerprint of the secret that its browser holds in a cookie.
        returning: fingerprint of the secret in its browser's return cookie.
        applicant: the typed fields.
        tenant_id: the tenant that the typed domain is registered in; a check, never the source of the tenant.
        consented: the consent, from SIGNED_IN on until it is stored as a grant or has failed.
        verification: the verification, once it has begun.
        admitted: set when DONE and the account manages the tenant.
        answered: set when DONE and it does not.
        failure: the failure of the last attempt.
        is_approved: whether Microsoft's page reported an administrator's consent for all users. It proves nothing.
        waits_until: end of its lifetime while STARTED, in seconds since 1970; 0: the usual lifetime.
        links: the number of invitation links made; the page shows the last one.
        word_ms: the time at which the operator made the invitation that this began with, in ms since 1970; 0: none.
        trace: context that continues the onboarding's trace; empty if there is no trace.
    """

    flow_id: str
    browser: str
    returning: str
    applicant: Applicant
    tenant_id: TenantId
    consented: NewGrant | None = None
    verification: Verification | None = None
    admitted: AdmittedTenant | None = None
    failure: FlowFailure | None = None
    is_approved: bool = False
    waits_until: int = 0
    links: int = 0
    word_ms: int = 0
    answered: Answered | None = None
    trace: bytes = b""

    @property
    def stage(self) -> Stage:
        """The stage of the flow."""
        if self.admitted is not None or self.answered is not None:
            return Stage.DONE
        if self.verification is not None:
            return Stage.PROVING if self.failure is None else Stage.FAILED
        return Stage.STARTED if self.consented is None else Stage.SIGNED_IN

    @property
    def reference(self) -> str:
        """A short reference for support requests to the operator; also in the label of the suite key."""
        return self.flow_id[:8].upper()

    @property
    def lifetime(self) -> timedelta | None:
        """The remaining lifetime; None: the usual one. Never longer than usual while it holds a consent or a key."""
        if self.stage is not Stage.STARTED and self.answered is None:
            return None
        left = timedelta(seconds=self.waits_until - int(time.time()))
        return left if left > timedelta(hours=1) else None


def waiting(flow: Flow) -> Flow:
    """Return the flow with a lifetime of days."""
    return msgspec.structs.replace(flow, waits_until=int(time.time() + WAITS.total_seconds()))


def new_flow_id() -> str:
    """Return a new random id."""
    return secrets.token_hex(_ID_BYTES)


def is_flow_id(text: str) -> bool:
    """Return whether a text has the form of a flow's id."""
    return len(text) == 2 * _ID_BYTES and text.isascii() and text.isalnum()


def encode(flow: Flow) -> str:
    """Return the flow as JSON."""
    return msgspec.json.encode(flow).decode()


def decode(text: str) -> Flow | None:
    """Return the flow in a JSON text; None if another release wrote it in an unreadable format."""
    try:
        return msgspec.json.decode(text, type=Flow)
    except msgspec.DecodeError:
        return None
