"""What a cloud starts with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from emulator.switches import Switches
from emulator.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A cloud's beginnings. Only loopback addresses are listened on, for the control surface asks for no credential."""

    world: World | None = None
    """Who there is; None: the demo world. A kept state goes before it."""
    port: int = 0
    """0: any free port."""
    state: Path | None = None
    """Where accounts, consents and keys outlive the process; None: nowhere."""
    tls_cert: Path | None = None
    """A certificate chain for 127.0.0.1; None: one is made, by a CA of its own."""
    tls_key: Path | None = None
    ca_dir: Path | None = None
    """Where that CA outlives the process; None: nowhere."""
    switches: Switches = field(default_factory=Switches)
    speed: float = 1.0
    """World seconds in one second."""
    day: bool = False
    """Whether people live a working day; otherwise everybody is there and stays available until something is done."""
    seed: int = 1
    journal_size: int = 20_000
