"""Sign-ins under way, authorization codes and waiting devices: kept in memory, short-lived, bounded in number.

A flow ends in a code, or in the code of the device that waits for it. Their ages are by the cloud's clock.
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
    """One request of an application on its way through the pages. `form_token` changes with every page.

    `purpose` says where it ends: in a code, or in an administrator's consent for the whole tenant.
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
    """How long ago the password may have been typed at most; None: as long as the browser's session lasts."""
    login_hint: str = ""
    domain_hint: str = ""
    capabilities: tuple[str, ...] = ()
    own: bool = False
    response_types: frozenset[str] = frozenset({"code"})
    """The answer of the authorize endpoint: `code`, `id_token`, `token`."""
    device: Device | None = None
    """The device that waits for the end, in place of an address; see device.py."""
    flow_id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    person: Person | None = None
    amr: tuple[str, ...] = PASSWORD_ONLY
    auth_time: float = 0.0
    """When the password was typed, in seconds since 1970."""
    proven: bool = False
    """Whether the person is who it says, second factor included."""


@dataclass(slots=True, kw_only=True)
class Code:
    """The sign-in that an authorization code stands for."""

    flow: Flow
    person: Person
    amr: tuple[str, ...] = PASSWORD_ONLY
    family: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    """Names the refresh tokens that go back to it."""
    issued: float
    """In seconds since 1970, to compare with when an account's tokens were revoked."""
    redeemed: bool = False


@dataclass(slots=True, kw_only=True)
class Device:
    """A device's request and its outcome: `code` when somebody signed in, `refused` when somebody declined."""

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
    """When it last asked, in seconds since 1970; 0: never."""
    code: Code | None = None
    refused: Refused | None = None


T = TypeVar("T")


class Shelf(Generic[T]):
    """Values under a key, each usable for a limited time; the oldest is given up when there are too many.

    Args:
        lifetime_s: returns how long a value is usable, in seconds.
        now: returns the present by the cloud's clock, in seconds since 1970.
    """

    def __init__(self, lifetime_s: Callable[[], float], now: Callable[[], float]) -> None:
        self._lifetime_s = lifetime_s
        self._now = now
        self._values: dict[str, tuple[float, T]] = {}

    def put(self, key: str, value: T) -> None:
        """Hold a value from now on."""
        while len(self._values) >= MOST:
            del self._values[next(iter(self._values))]
        self._values[key] = (self._now(), value)

    def get(self, key: str) -> T | None:
        """Return the value under a key, expired or not; None when there is none."""
        return self._values[key][1] if key in self._values else None

    def fresh(self, key: str) -> T | None:
        """Return the value under a key, unless it has expired."""
        return None if self.expired(key) else self.get(key)

    def expired(self, key: str) -> bool:
        """Tell whether there is a value under a key that has expired."""
        return key in self._values and self._now() - self._values[key][0] > self._lifetime_s()

    def drop(self, key: str) -> None:
        """Forget the value under a key."""
        self._values.pop(key, None)


class Flows(Shelf[Flow]):
    """The flows under way, by their id."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(lambda: FLOW_S, now)

    def go_on(self, form: dict[str, str], purpose: str = "") -> Flow | None:
        """Return the flow of the form that was last shown, with a new token for the next page; None for any other form."""
        flow = self.fresh(form.get("flow", ""))
        if flow is None or (purpose and flow.purpose != purpose):
            return None
        if not secrets.compare_digest(flow.form_token.encode(), form.get("form_token", "").encode()):
            return None
        flow.form_token = secrets.token_urlsafe(24)
        return flow
