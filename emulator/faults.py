"""Refusals made to order: status, latency, broken bodies, torn connections, by path, tenant and probability."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from emulator.exchange import JSON, Answer

if TYPE_CHECKING:
    import random

    from emulator.exchange import Request


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What shall go wrong, and for which requests. Empty conditions hold for every request.

    With `status` the request never reaches its handler; `damage` spoils the handler's own answer; `latency_ms` comes on
    top of either.
    """

    path: str = ""
    """Beginning of the path."""
    contains: str = ""
    """Text that the path contains, for paths that begin with a tenant."""
    tenant: str = ""
    """Tenant id."""
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """How often it happens; None: until removed."""
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: str = ""
    latency_ms: Annotated[float, msgspec.Meta(ge=0, le=600_000)] = 0.0
    damage: Literal["", "truncated", "not_json", "no_value"] = ""
    """`truncated`: half of the body; `not_json`: a page; `no_value`: an object without its contents."""
    reset: bool = False
    """Tear the connection down without an answer."""
    id: int = 0
    """Given by the emulator."""

    def concerns(self, request: Request) -> bool:
        """Whether the conditions hold, probability apart."""
        if self.tenant and self.tenant != request.tenant_id:
            return False
        return request.path.startswith(self.path) and self.contains in request.path

    def answer(self) -> Answer | None:
        """What to answer in place of the handler; None: ask the handler."""
        if self.reset:
            return Answer(reset=True)
        if self.status is None:
            return None
        headers = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        return Answer(self.status, self.body.encode(), JSON, headers)

    def spoil(self, answer: Answer) -> None:
        """Damage the handler's answer as asked."""
        if self.damage == "truncated":
            answer.body = answer.body[: len(answer.body) // 2]
        elif self.damage == "not_json":
            answer.body, answer.content_type = b"<html><body>Service unavailable</body></html>", b"text/html"
        elif self.damage == "no_value":
            answer.body = b"{}"


class Faults:
    """The faults in force, oldest first; the first that concerns a request happens to it."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force."""
        fault.id = next(self._ids)
        self._faults.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> None:
        """Remove one fault, or all."""
        self._faults = [fault for fault in self._faults if fault_id is not None and fault.id != fault_id]

    def all(self) -> list[Fault]:
        """The faults in force."""
        return list(self._faults)

    def meet(self, request: Request) -> Fault | None:
        """The fault that happens to this request, counted; None: none."""
        for fault in self._faults:
            if fault.concerns(request) and self._chance.random() < fault.probability:
                self._count(fault)
                return fault
        return None

    def _count(self, fault: Fault) -> None:
        if fault.count is None:
            return
        if fault.count <= 1:
            self._faults = [other for other in self._faults if other is not fault]
        else:
            fault.count -= 1
