"""Injected faults: status, latency, broken bodies, aborted connections, by path, tenant, application and probability."""

from __future__ import annotations

import base64
import copy
import itertools
import time
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from emulator.exchange import JSON, Answer

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from emulator.exchange import Request

MOST: Final = 1000
"""Maximum number of faults in force; each request checks all of them."""

ConditionText = Annotated[str, msgspec.Meta(max_length=2048)]
HeaderName = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
HeaderValue = Annotated[str, msgspec.Meta(max_length=4096, pattern="^[\\x20-\\x7e\\xa0-\\xff]*$")]
"""The characters that a header may contain."""


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A fault, and conditions for the requests that it applies to. Empty conditions match every request.

    With `status` the request never reaches its handler; `damage` spoils the handler's answer; `latency_ms` applies in
    addition to either.
    """

    path: ConditionText = ""
    """Beginning of the path."""
    contains: ConditionText = ""
    """Text that the path contains, for paths that begin with a tenant."""
    in_body: ConditionText = ""
    """Text that the request's body contains, for faults that depend on one name or id among many."""
    method: ConditionText = ""
    """HTTP method, in capitals."""
    tenant: ConditionText = ""
    """Tenant id."""
    app: ConditionText = ""
    """Client id of the application that sends the request."""
    account: ConditionText = ""
    """Object id of the caller, as in the access token."""
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """How often it happens; None: until removed."""
    for_s: Annotated[float, msgspec.Meta(gt=0, le=31_536_000)] | None = None
    """Duration in real seconds, from when it is put in force; None: until removed."""
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    headers: Annotated[dict[HeaderName, HeaderValue], msgspec.Meta(max_length=50)] = msgspec.field(default_factory=dict)
    body: str = ""
    latency_ms: Annotated[float, msgspec.Meta(ge=0, le=600_000)] = 0.0
    damage: Literal["", "truncated", "malformed", "not_json", "no_value", "wrong_type", "empty"] = ""
    """`truncated`: half of the body; `malformed`: its JSON, broken; `not_json`: a page; `no_value`: an object without its
    contents; `wrong_type`: the body as it is, under the content type of a page; `empty`: none."""
    reset: bool = False
    """Abort the connection without an answer."""
    id: int = 0
    """Set by the emulator."""
    until: float | None = None
    """Set by the emulator: the time when `for_s` ends, in seconds since 1970."""

    def concerns(self, request: Request) -> bool:
        """Return whether a request meets the conditions, without regard to the probability."""
        if self.tenant and self.tenant != request.tenant_id:
            return False
        if self.method and self.method != request.method:
            return False
        if self.app and self.app.lower() != asking(request):
            return False
        if self.account and self.account.lower() != _account(request):
            return False
        if self.in_body and self.in_body.encode() not in request.body:
            return False
        return request.path.startswith(self.path) and self.contains in request.path

    def answer(self) -> Answer | None:
        """Return the answer that replaces the handler's; None if the handler answers."""
        if self.reset:
            return Answer(reset=True)
        if self.status is None:
            return None
        headers = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        return Answer(self.status, self.body.encode(), JSON, headers)

    def spoil(self, answer: Answer) -> None:
        """Damage the handler's answer as `damage` specifies."""
        if self.damage == "truncated":
            answer.body = answer.body[: len(answer.body) // 2]
        elif self.damage == "not_json":
            answer.body, answer.content_type = b"<html><body>Service unavailable</body></html>", b"text/html"
        elif self.damage == "malformed":
            answer.body = answer.body.replace(b'":', b'"', 1) or b"{"
        elif self.damage == "no_value":
            answer.body = b"{}"
        elif self.damage == "wrong_type":
            answer.content_type = b"text/html"
        elif self.damage == "empty":
            answer.body = b""


def asking(request: Request) -> str:
    """Return the client id, in lower case, that a request claims; it is not verified yet."""
    authorization = request.header(b"authorization")
    kind, _, said = authorization.partition(" ")
    if kind.lower() == "bearer":
        claims = _claims(said)
        return str(claims.get("appid") or claims.get("azp") or "").lower()
    if kind.lower() == "basic":
        return _decoded(said).partition(b":")[0].decode("latin-1").lower()
    return (request.form().get("client_id") or request.queries().get("client_id") or "").lower()


def _account(request: Request) -> str:
    """Return the object id, in lower case, in the access token of a request; it is not verified yet."""
    return str(_claims(request.header(b"authorization").rpartition(" ")[2]).get("oid", "")).lower()


def _claims(token: str) -> dict[str, Any]:
    try:
        claims = msgspec.json.decode(_decoded(token.split(".")[1] if token.count(".") == 2 else ""))
    except msgspec.DecodeError:
        return {}
    return claims if isinstance(claims, dict) else {}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.translate(_FROM_URL) + "=" * (-len(text) % 4))
    except ValueError:
        return b""


_FROM_URL: Final = str.maketrans("-_", "+/")


class Faults:
    """The faults in force, oldest first; the first that matches a request applies to it."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force.

        Raises:
            ValueError: there are too many.
        """
        self._forget_over()
        if len(self._faults) >= MOST:
            raise ValueError(f"there are {MOST} faults already; remove some")
        fault.id = next(self._ids)
        fault.until = None if fault.for_s is None else time.time() + fault.for_s
        self._faults.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> None:
        """Remove one fault, or all."""
        self._faults = [fault for fault in self._faults if fault_id is not None and fault.id != fault_id]

    def all(self) -> list[Fault]:
        """Return the faults in force, oldest first."""
        self._forget_over()
        return list(self._faults)

    def meet(self, request: Request) -> Fault | None:
        """Return the fault that applies to this request, and count it; None if there is none."""
        now = time.time() if self._faults else 0.0
        for fault in self._faults:
            if fault.until is not None and fault.until <= now:
                continue
            if fault.concerns(request) and self._chance.random() < fault.probability:
                self._count(fault)
                return fault
        return None

    def snapshot(self) -> Callable[[], None]:
        """Save the faults and their random state; return a function that restores both."""
        faults, state = [copy.copy(fault) for fault in self._faults], self._chance.getstate()

        def restore() -> None:
            self._faults = [copy.copy(fault) for fault in faults]
            self._chance.setstate(state)

        return restore

    def _forget_over(self) -> None:
        now = time.time()
        self._faults = [fault for fault in self._faults if fault.until is None or fault.until > now]

    def _count(self, fault: Fault) -> None:
        if fault.count is None:
            return
        if fault.count <= 1:
            self._faults = [other for other in self._faults if other is not fault]
        else:
            fault.count -= 1
