"""Architectures that an image can have, and what does not go together, in words."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.image.machine import FOLDER

QEMU: Final = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
"""There while the kernel runs programs of arm64 by qemu."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """An architecture: its name with Debian and OCI, and with Python."""

    name: str
    machine: str

    @property
    def base(self) -> str:
        """The name of the base image."""
        return f"localhost/debian-python-{self.name}:12"

    @property
    def wheels(self) -> Path:
        """The folder of the wheels."""
        return FOLDER / f"wheels-{self.name}"

    @property
    def platforms(self) -> list[str]:
        """The platforms of wheels that run on Debian 12."""
        return [
            f"manylinux{form}_{self.machine}"
            for form in ("2014", "_2_17", "_2_28", "_2_34", "1", "2010", "_2_5", "_2_12")
        ]


AMD64: Final = Architecture("amd64", "x86_64")
ARM64: Final = Architecture("arm64", "aarch64")
ALL: Final = (AMD64, ARM64)


def own(machine: str = "") -> Architecture:
    """Return the architecture of a machine, by default of this one; end the program where there is no image for it."""
    machine = machine or platform.machine()
    for arch in ALL:
        if arch.machine == machine:
            return arch
    known = " and ".join(arch.machine for arch in ALL)
    sys.exit(f"There is no image for {machine}: the locks have wheels for {known}. Build on such a machine.")


def demand_runnable(name: str, what: str, machine: str = "") -> None:
    """End the program where programs of an architecture, by OCI's name, do not run.

    Args:
        name: the architecture, such as `arm64`.
        what: the image, for the words.
        machine: the machine, by default this one.
    """
    here = own(machine)
    if name != here.name and not (name == ARM64.name and QEMU.exists()):
        sys.exit(
            f"{what} is for {name}, and this machine is {here.name}: build it here by `make image`, or try it on a machine of {name}."
        )
