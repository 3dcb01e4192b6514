"""Sign-ins in progress, authorization codes and waiting devices: in memory, short-lived, bounded in number.

A flow ends in a code, which may be for a waiting device. Ages follow the cloud's clock.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from emulator.entra.tokens import PASSWORD_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.entra.refusals import Refused
    from emulator.world import Application, Person, Tenant

FLOW_S: Final = 3600.0
MOST: Final = 10_000
_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_USER_CODE: Final = 9


@dataclass(slots=True, kw_only=True)
class Flow:
    """The state of an application's request over all pages. `form_token` changes with every page.

    `purpose` determines its end: a code, or an administrator's consent for the whole tenant.
    """

    segment: str
    application: Application
    redirect_uri: str
    state: str | None
    scopes: list[str]
    permissions: set[str]
    purpose: str = "code"
    roles: set[str] = field(default_factory=set)
    response_mode: str = "query"
    nonce: str = ""
    challenge: str = ""
    challenge_method: str = "plain"
    prompt: str = ""
    max_age_s: float | None = None
    """Maximum time since the password was typed; None: as long as the browser's session lasts."""
    login_hint: str = ""
    domain_hint: str = ""
    capabilities: tuple[str, ...] = ()
    own: bool = False
    response_types: frozenset[str] = frozenset({"code"})
    """The answer of the authorize endpoint: `code`, `id_token`, `token`."""
    device: Device | None = None
    """The device that waits for the result, instead of an address; see device.py."""
    flow_id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    person: Person | None = None
    amr: tuple[str, ...] = PASSWORD_ONLY
    auth_time: float = 0.0
    """The time when the password was typed, in seconds since 1970."""
    proven: bool = False
    """Whether the person's identity is proven, including the second factor."""


@dataclass(slots=True, kw_only=True)
class Code:
    """The sign-in behind an authorization code."""

    flow: Flow
    person: Person
    amr: tuple[str, ...] = PASSWORD_ONLY
    family: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    """Identifies the refresh tokens that derive from it."""
    issued: float
    """In seconds since 1970, for comparison with the time of a revocation."""
    redeemed: bool = False


@dataclass(slots=True, kw_only=True)
class Device:
    """A device's request and its outcome: `code` after a sign-in, `refused` after a refusal."""

    application: Application
    segment: str
    tenant: Tenant | None
    scopes: list[str]
    permissions: set[str]
    own: bool
    capabilities: tuple[str, ...]
    interval_s: float
    user_code: str = field(default_factory=lambda: "".join(secrets.choice(_LETTERS) for _ in range(_USER_CODE)))
    polled: float = 0.0
    """The time of the last poll, in seconds since 1970; 0: never."""
    code: Code | None = None
    refused: Refused | None = None


T = TypeVar("T")


class Shelf(Generic[T]):
    """Values by key, each usable for a limited time; if there are too many, the oldest is dropped.

    Args:
        lifetime_s: returns how long a value is usable, in seconds.
        now: returns the current time by the cloud's clock, in seconds since 1970.
    """

    def __init__(self, lifetime_s: Callable[[], float], now: Callable[[], float]) -> None:
        self._lifetime_s = lifetime_s
        self._now = now
        self._values: dict[str, tuple[float, T]] = {}

    def put(self, key: str, value: T) -> None:
        """Store a value."""
        while len(self._values) >= MOST:
            del self._values[next(iter(self._values))]
        self._values[key] = (self._now(), value)

    def get(self, key: str) -> T | None:
        """Return the value under a key, expired or not; None if there is none."""
        return self._values[key][1] if key in self._values else None

    def fresh(self, key: str) -> T | None:
        """Return the value under a key, unless it has expired."""
        return None if self.expired(key) else self.get(key)

    def expired(self, key: str) -> bool:
        """Return whether the value under a key has expired."""
        return key in self._values and self._now() - self._values[key][0] > self._lifetime_s()

    def drop(self, key: str) -> None:
        """Drop the value under a key."""
        self._values.pop(key, None)


class Flows(Shelf[Flow]):
    """The flows in progress, by their id."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(lambda: FLOW_S, now)

    def go_on(self, form: dict[str, str], purpose: str = "") -> Flow | None:
        """Return the flow of the form that was last shown, with a new token for the next page; None for all other forms."""
        flow = self.fresh(form.get("flow", ""))
        if flow is None or (purpose and flow.purpose != purpose):
            return None
        if not secrets.compare_digest(flow.form_token.encode(), form.get("form_token", "").encode()):
            return None
        flow.form_token = secrets.token_urlsafe(24)
        return flow
