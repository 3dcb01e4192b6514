"""Builds the image for arm64 on a machine of another architecture, and starts it under qemu: `python -m deploy.image.arm64`."""

from __future__ import annotations

import platform
from typing import Final

from deploy.image import build
from deploy.image.architectures import ARM64, QEMU
from deploy.image.machine import demand, run, say

_BINFMT: Final = QEMU.parent
_MAGIC: Final = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK: Final = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


def register() -> None:
    """Have the kernel run programs of arm64 by qemu; `F` keeps the emulator open, so that containers need none."""
    if platform.machine() == "aarch64" or QEMU.exists():
        return
    if not (_BINFMT / "register").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", _BINFMT)
    if not QEMU.exists():
        (_BINFMT / "register").write_text(f":qemu-aarch64:M::{_MAGIC}:{_MASK}:/usr/bin/qemu-aarch64-static:F")


def main() -> None:
    """Build and start it."""
    demand("qemu-user-static", "arch-test")
    register()
    name = build.main(ARM64)
    command = [
        "podman",
        "--runtime",
        "runc",
        "--cgroup-manager",
        "cgroupfs",
        "run",
        "--rm",
        "--pull",
        "never",
        "--network",
        "none",
    ]
    limits = ["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000", "--read-only", "--cap-drop", "all"]
    code = "import platform, grpc, cryptography, msgspec, relay.app; print(platform.machine(), grpc.__version__)"
    shown = run(*command, *limits, "--arch", "arm64", "--entrypoint", "python", name, "-c", code)
    say(f"arm64        under qemu: {shown}")


if __name__ == "__main__":
    main()
