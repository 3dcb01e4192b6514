"""Sign-ins under way and authorization codes: kept in memory, used once, short-lived, bounded."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from emulator.entra.tokens import PASSWORD_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.entra.device import Device
    from emulator.world import Application, Person

FLOW_S: Final = 3600.0
MOST: Final = 10_000


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
    """What the authorize endpoint sends: `code`, `id_token`, `token`."""
    device: Device | None = None
    """The device that waits for the end, in place of an address; see device.py."""
    created: float = field(default_factory=time.monotonic)
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
    """What an authorization code stands for."""

    flow: Flow
    person: Person
    amr: tuple[str, ...] = PASSWORD_ONLY
    family: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    """Names the refresh tokens that go back to it."""
    created: float = field(default_factory=time.monotonic)
    issued: float = field(default_factory=time.time)
    """The same in seconds since 1970, to compare with when an account's tokens were revoked."""
    redeemed: bool = False


class _Created(Protocol):
    created: float


T = TypeVar("T", bound=_Created)


class Shelf(Generic[T]):
    """Things under a key for some time, the oldest given up when there are too many."""

    def __init__(self, lifetime_s: Callable[[], float]) -> None:
        self._lifetime_s = lifetime_s
        self._things: dict[str, T] = {}

    def put(self, key: str, thing: T) -> None:
        """Keep a thing."""
        while len(self._things) >= MOST:
            del self._things[next(iter(self._things))]
        self._things[key] = thing

    def get(self, key: str) -> T | None:
        """The thing, also when it is past its time; None when there is none."""
        return self._things.get(key)

    def fresh(self, key: str) -> T | None:
        """The thing, unless it is past its time."""
        thing = self._things.get(key)
        return thing if thing is not None and not self.stale(thing) else None

    def stale(self, thing: T) -> bool:
        """Whether a thing is past its time."""
        return time.monotonic() - thing.created > self._lifetime_s()

    def drop(self, key: str) -> None:
        """Forget a thing."""
        self._things.pop(key, None)


class Flows(Shelf[Flow]):
    """The flows under way."""

    def __init__(self) -> None:
        super().__init__(lambda: FLOW_S)

    def go_on(self, form: dict[str, str], purpose: str = "") -> Flow | None:
        """The flow that a form belongs to, if it is the form that was last shown; the next page gets a new token."""
        flow = self.fresh(form.get("flow", ""))
        if flow is None or (purpose and flow.purpose != purpose):
            return None
        if not secrets.compare_digest(flow.form_token.encode(), form.get("form_token", "").encode()):
            return None
        flow.form_token = secrets.token_urlsafe(24)
        return flow
