"""Sign-ins under way and authorization codes: kept in memory, used once, short-lived, bounded."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from emulator.world import Application, Person

CODE_S: Final = 600.0
"""A code lives about ten minutes: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow"""
FLOW_S: Final = 3600.0
MOST: Final = 10_000


@dataclass(slots=True, kw_only=True)
class Flow:
    """One authorize request on its way through the pages. `form_token` changes with every page."""

    segment: str
    application: Application
    redirect_uri: str
    response_mode: str
    state: str | None
    scopes: list[str]
    permissions: set[str]
    nonce: str
    challenge: str
    challenge_method: str
    prompt: str
    login_hint: str
    created: float = field(default_factory=time.monotonic)
    flow_id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    person: Person | None = None


@dataclass(slots=True, kw_only=True)
class Code:
    """What an authorization code stands for."""

    flow: Flow
    person: Person
    created: float = field(default_factory=time.monotonic)
    issued: float = field(default_factory=time.time)
    """The same in seconds since 1970, to compare with when an account's tokens were revoked."""
    redeemed: bool = False


class _Created(Protocol):
    created: float


T = TypeVar("T", bound=_Created)


class Shelf(Generic[T]):
    """Things under a key for some time, the oldest given up when there are too many."""

    def __init__(self, lifetime_s: float) -> None:
        self.lifetime_s = lifetime_s
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
        return time.monotonic() - thing.created > self.lifetime_s

    def drop(self, key: str) -> None:
        """Forget a thing."""
        self._things.pop(key, None)
