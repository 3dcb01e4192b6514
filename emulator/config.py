"""The configuration that a cloud starts with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emulator.profile import Profile
from emulator.switches import Switches
from emulator.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAST_PORT: Final = 65_535
_MOST_SPEED: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A cloud's beginnings. Only loopback addresses are listened on, for the control surface asks for no credential.

    Raises:
        ValueError: values that cannot be, or not together; it names them all.
    """

    world: World | None = None
    """The people; None: the demo world. A kept state goes before it."""
    port: int = 0
    """0: any free port."""
    proxy_port: int | None = None
    """Address of a proxy that leads here under Microsoft's host names; 0: on any free port; None: there is none."""
    state: Path | None = None
    """The folder in which accounts, consents and keys outlive the process; None: nowhere."""
    tls_cert: Path | None = None
    """A certificate chain for 127.0.0.1, and for Microsoft's host names where they are used; None: one is made for all of
    them, by a CA of its own."""
    tls_key: Path | None = None
    ca_dir: Path | None = None
    """The folder in which that CA outlives the process; None: nowhere."""
    switches: Switches = field(default_factory=Switches)
    profile: Profile | None = None
    """The profile that those switches come from, if they come from one."""
    notification_ca: Path | None = None
    """Authorities, in PEM, that webhooks' certificates may come from, beside the cloud's own and the system's."""
    speed: float = 1.0
    """World seconds in one second."""
    day: bool = False
    """Whether people live a working day; otherwise everybody is there and stays available until something is done."""
    nights: bool = False
    """Whether that day has nights and weekends, and people's time zones count; otherwise office hours follow each other."""
    seed: int = 1
    """Makes the same day again."""
    journal_size: int = 20_000

    def __post_init__(self) -> None:
        faults = list(self._faults())
        if faults:
            raise ValueError("; ".join(faults))

    def _faults(self) -> Iterator[str]:
        for name, port in (("port", self.port), ("proxy port", self.proxy_port)):
            if port is not None and not 0 <= port <= _LAST_PORT:
                yield f"the {name} is {port}; give one from 1 to {_LAST_PORT}, or 0 for any free one"
        if self.port == self.proxy_port != 0:
            yield f"port {self.port} is given twice; give the proxy a port of its own"
        if (self.tls_cert is None) != (self.tls_key is None):
            yield "a TLS certificate and its key go together; give both, or neither to have them made"
        if self.tls_cert is not None and self.ca_dir is not None:
            yield "a TLS certificate and a CA's folder exclude each other; give one of them"
        if not 0 <= self.speed <= _MOST_SPEED:
            yield f"the speed is {self.speed:g}; give one from 0, which stops the world, to {_MOST_SPEED:,}"
        if self.journal_size < 1:
            yield f"the journal has room for {self.journal_size} requests; give at least 1"
