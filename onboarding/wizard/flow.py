"""One onboarding under way, as a value: what was typed, what Microsoft answered, what came of it.

STARTED ──signed in, consented──► SIGNED_IN ──"Yes, use this account"──► PROVING ──► DONE
   ▲  └──refused: a trouble──┐        │                                     │ ▲
   ├─────────────────────────┘        │ another account                     ▼ │ try again
   └──────────────────────────────────┴────────── sign in again ───────── FAILED

While STARTED it holds nothing but what was typed and fingerprints, so it may wait for days: for an administrator's approval,
or for whoever was sent a link.
"""

from __future__ import annotations

import enum
import secrets
import time
from datetime import timedelta
from typing import Final

import msgspec

from relay.core.consent.microsoft_error import NOTHING, Said
from relay.core.consent.values import NewGrant
from relay.core.presence import TenantId, UserId
from relay.locale.languages import Sentence

WAITS: Final = timedelta(days=14)
"""How long a flow that waits for somebody else is kept: somebody may be away for a week."""
_ID_BYTES: Final = 12


class Step(enum.Enum):
    """Where a flow stands."""

    STARTED = enum.auto()
    SIGNED_IN = enum.auto()
    PROVING = enum.auto()
    FAILED = enum.auto()
    DONE = enum.auto()


class Applicant(msgspec.Struct, frozen=True):
    """What was typed into the form."""

    organisation: str
    contact: str
    email: str
    domain: str


class Shown(msgspec.Struct, frozen=True):
    """One user's presence, as the page shows it; `words` is a message."""

    name: str
    upn: str
    icon: str
    words: str


class Mark(enum.StrEnum):
    """How a check fares."""

    WAITING = "waiting"
    RUNNING = "running"
    GOOD = "good"
    OPEN = "open"
    """Not so, or not known, and nothing that one has to mend: it works without."""
    FAILED = "failed"


class Check(msgspec.Struct, frozen=True):
    """One thing that is tried with a new grant.

    Attributes:
        name: which: `users`, `presence`, `push` or `kept`.
        mark: how it fares.
        text: what came of it, a message; empty until then.
        values: what is filled in there.
    """

    name: str
    mark: Mark = Mark.WAITING
    text: str = ""
    values: dict[str, int] = {}

    @property
    def sentence(self) -> Sentence:
        """What came of it."""
        return Sentence(self.text, self.values)


class Trial(msgspec.Struct, frozen=True):
    """The proof under way, or as it ended.

    Attributes:
        run: names the task that carries it out; another try is another run.
        checks: in the order in which they are tried.
        shown: the presence that was read.
    """

    run: str
    checks: tuple[Check, ...]
    shown: tuple[Shown, ...] = ()

    def __repr__(self) -> str:
        return f"Trial({self.run})"

    def marked(self, check: Check) -> Trial:
        """The same with one check as it is now."""
        return msgspec.structs.replace(self, checks=tuple(check if c.name == check.name else c for c in self.checks))

    def stopped(self) -> Trial:
        """The same once it failed: what was running is what failed."""
        failed = (msgspec.structs.replace(c, mark=Mark.FAILED) if c.mark is Mark.RUNNING else c for c in self.checks)
        return msgspec.structs.replace(self, checks=tuple(failed))


CHECKS: Final = ("users", "presence", "push", "kept")


def new_trial() -> Trial:
    """A trial that begins."""
    checks = tuple(Check(name) for name in CHECKS)
    return Trial(secrets.token_hex(4), checks).marked(Check(CHECKS[0], Mark.RUNNING))


class Admitted(msgspec.Struct, frozen=True):
    """What came of an onboarding.

    Attributes:
        tenant_id: the tenant.
        upn: the account whose grant it is.
        key_id: the suite key's.
        key: the suite key itself until it has been shown, then empty.
        grants: how many the tenant has.
        is_suspended: whether the operator lets the tenant not be read for now.
        is_pending: whether it waited for the operator's approval; there is no suite key then.
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
        return f"Admitted({self.tenant_id}, key {self.key_id})"


class Answered(msgspec.Struct, frozen=True):
    """What came of an onboarding of an organisation that is connected already: a request, or a grant and nothing else.

    Attributes:
        tenant_id: the tenant.
        account_id: whose consent it was.
        upn: its name.
        is_asked: whether those who look after the tenant have to say yes first; else the account reads for it.
    """

    tenant_id: TenantId
    account_id: UserId
    upn: str
    is_asked: bool


class Trouble(msgspec.Struct, frozen=True):
    """Why the last try came to nothing.

    Attributes:
        problem: a key of `problems.PROBLEMS`.
        detail: more about it, a message, where there is more to say.
        values: what is filled in there.
        said: Microsoft's own words.
    """

    problem: str
    detail: str = ""
    values: dict[str, str] = {}
    said: Said = NOTHING

    @property
    def sentence(self) -> Sentence:
        """The detail, to be said."""
        return Sentence(self.detail, self.values)


class Flow(msgspec.Struct, frozen=True):
    """An onboarding under way. Each change is another value.

    Attributes:
        flow_id: in the addresses of its pages; no secret.
        browser: fingerprint of the secret that its browser holds in a cookie.
        returning: fingerprint of the secret that comes back with Microsoft's answer.
        applicant: what was typed.
        tenant_id: the tenant that the typed domain is registered in; a check, never the source of the tenant.
        consented: set from SIGNED_IN on, until it is kept or turned out not to work.
        trial: the proof, once it was begun.
        admitted: set when DONE and the account looks after the tenant.
        answered: set when DONE and it does not.
        trouble: of the last try.
        is_approved: whether Microsoft's page said that an administrator consented for everybody. It proves nothing.
        waits_until: kept until then at least while STARTED, in seconds since the epoch; 0: as usual.
        links: how many links to others were made; the last one is the one that is shown.
        word_ms: when the operator made the invitation that this began with, in ms since 1970; 0: there was none.
    """

    flow_id: str
    browser: str
    returning: str
    applicant: Applicant
    tenant_id: TenantId
    consented: NewGrant | None = None
    trial: Trial | None = None
    admitted: Admitted | None = None
    trouble: Trouble | None = None
    is_approved: bool = False
    waits_until: int = 0
    links: int = 0
    word_ms: int = 0
    answered: Answered | None = None

    @property
    def step(self) -> Step:
        """Where it stands."""
        if self.admitted is not None or self.answered is not None:
            return Step.DONE
        if self.trial is not None:
            return Step.PROVING if self.trouble is None else Step.FAILED
        return Step.STARTED if self.consented is None else Step.SIGNED_IN

    @property
    def reference(self) -> str:
        """What a person can tell the operator, and what the suite key is labelled with."""
        return self.flow_id[:8].upper()

    @property
    def lifetime(self) -> timedelta | None:
        """How long it is to be kept from now on; None: as usual. Never longer than usual while it holds a consent or a key."""
        if self.step is not Step.STARTED and self.answered is None:
            return None
        left = timedelta(seconds=self.waits_until - int(time.time()))
        return left if left > timedelta(hours=1) else None


def waiting(flow: Flow) -> Flow:
    """The flow, to be kept for days from now on."""
    return msgspec.structs.replace(flow, waits_until=int(time.time() + WAITS.total_seconds()))


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
