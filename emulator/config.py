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
    """The initial configuration of a cloud. It listens on loopback only, because the control surface needs no credential.

    Raises:
        ValueError: some values are invalid or conflict; the message names all of them.
    """

    world: World | None = None
    """The world; None: the demo world. A stored state takes precedence."""
    port: int = 0
    """0: any free port."""
    proxy_port: int | None = None
    """Port of a proxy for Microsoft's host names; 0: any free port; None: no proxy."""
    state: Path | None = None
    """The file that stores accounts, consents and keys between runs; None: they are not stored."""
    tls_cert: Path | None = None
    """A certificate chain for 127.0.0.1, and for Microsoft's host names if they are used; None: a private CA makes one for
    all of them."""
    tls_key: Path | None = None
    ca_dir: Path | None = None
    """The folder that stores that CA between runs; None: it is not stored."""
    switches: Switches = field(default_factory=Switches)
    profile: Profile | None = None
    """The profile that the switches come from, if any."""
    notification_ca: Path | None = None
    """Trusted CAs for webhooks' certificates, in PEM, in addition to the cloud's own and the system's."""
    speed: float = 1.0
    """World seconds in one second."""
    day: bool = False
    """Whether people live a working day; otherwise all people are present and stay available until an action."""
    nights: bool = False
    """Whether that day has nights, weekends and time zones; otherwise office hours follow each other."""
    seed: int = 1
    """Seed of the days: the same seed gives the same days."""
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
            yield f"port {self.port} is given twice; give the proxy another port"
        if (self.tls_cert is None) != (self.tls_key is None):
            yield "a TLS certificate and its key go together; give both, or neither to have them made"
        if self.tls_cert is not None and self.ca_dir is not None:
            yield "a TLS certificate and a CA's folder exclude each other; give one of them"
        if not 0 <= self.speed <= _MOST_SPEED:
            yield f"the speed is {self.speed:g}; give one from 0, which stops the world, to {_MOST_SPEED:,}"
        if self.journal_size < 1:
            yield f"the journal has room for {self.journal_size} requests; give at least 1"
