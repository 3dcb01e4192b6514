"""Injected faults of notifications."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from emulator.notifications.subscription import Subscription

NotificationFaultKind = Literal[
    "silence", "loss", "duplicate", "reorder", "delay", "renewal_refused", "token", "tamper"
]

TOKEN_FAULTS: Final = (
    "expired", "not_yet_valid", "unknown_signer", "alg_none", "other_audience", "other_publisher", "other_tenant", "missing",
)  # fmt: skip
TAMPERINGS: Final = ("signature", "data", "key", "padding", "thumbprint", "certificate_id", "client_state")


class NotificationFault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A fault of notifications, and conditions for the subscriptions that it applies to. Empty conditions match all.

    `silence`: nothing is sent, not even lifecycle notifications; `loss`: a notification is not sent; `duplicate`: it is
    sent twice; `reorder`: it is sent after the next one of the same person, at the latest after `delay_s`; `delay`: it is
    sent `delay_s` of the world's seconds later; `renewal_refused`: PATCH and reauthorize are answered with `status`;
    `token`: the POST's validation tokens are wrong as `how` specifies; `tamper`: the notification is changed as `how` specifies.
    """

    kind: NotificationFaultKind
    subscription: str = ""
    tenant: str = ""
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """How often it happens; None: until removed."""
    delay_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 60.0
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 403
    how: str = ""
    """One of `TOKEN_FAULTS` or `TAMPERINGS`."""
    id: int = 0
    """Given by the emulator."""

    def __post_init__(self) -> None:
        known = {"token": TOKEN_FAULTS, "tamper": TAMPERINGS}.get(self.kind, ("",))
        if self.how not in known:
            raise ValueError(f"how: {self.how!r} is unknown for {self.kind}; there are {', '.join(known) or 'none'}")

    def concerns(self, subscription: Subscription) -> bool:
        """Return whether a subscription meets the conditions, without regard to the probability."""
        if self.subscription not in {"", subscription.subscription_id}:
            return False
        return self.tenant.lower() in {"", subscription.tenant_id.lower()}


class NotificationFaults:
    """The faults in force, oldest first."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._faults: list[NotificationFault] = []
        self._ids = itertools.count(1)

    def add(self, fault: NotificationFault) -> NotificationFault:
        """Put a fault in force."""
        fault.id = next(self._ids)
        self._faults.append(fault)
        return fault

    def snapshot(self) -> Callable[[], None]:
        """Save the faults; return a function that restores them."""
        faults, chance = [(fault, fault.count) for fault in self._faults], self._chance.getstate()

        def restore() -> None:
            self._faults = [fault for fault, _ in faults]
            for fault, count in faults:
                fault.count = count
            self._chance.setstate(chance)

        return restore

    def remove(self, fault_id: int | None = None) -> None:
        """Remove one fault, or all."""
        self._faults = [fault for fault in self._faults if fault_id is not None and fault.id != fault_id]

    def all(self) -> list[NotificationFault]:
        """Return the faults in force, oldest first."""
        return list(self._faults)

    def meet(self, kind: NotificationFaultKind, subscription: Subscription) -> NotificationFault | None:
        """Return the first fault of a kind that applies to a subscription now, and count it; None if there is none."""
        for fault in self._faults:
            if fault.kind == kind and fault.concerns(subscription) and self._chance.random() < fault.probability:
                self._count(fault)
                return fault
        return None

    def _count(self, fault: NotificationFault) -> None:
        if fault.count is None:
            return
        if fault.count <= 1:
            self._faults = [other for other in self._faults if other is not fault]
        else:
            fault.count -= 1
