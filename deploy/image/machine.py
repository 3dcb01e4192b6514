"""Commands of this machine: run, and installed where they are missing and may be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
FOLDER: Final = ROOT / ".image"
"""What a build leaves: wheels, the base, the lists of parts. Not in git."""
TOOLS: Final = {
    "buildah": "buildah",
    "podman": "podman",
    "skopeo": "skopeo",
    "runc": "runc",
    "mmdebstrap": "mmdebstrap",
    "catatonit": "catatonit",
    "netavark": "netavark",
    "aardvark-dns": "aardvark-dns",
}
"""Debian package -> its command, as far as it is in a PATH."""


def run(*command: str | Path, check: bool = True, quiet: bool = True, timeout: float = 1200) -> str:
    """Return what a command prints; end the program with its output when it fails."""
    ended = subprocess.run(
        [str(word) for word in command], capture_output=quiet, text=True, check=False, timeout=timeout, cwd=ROOT
    )
    if check and ended.returncode:
        sys.exit(
            f"{' '.join(map(str, command))}\n{ended.stdout or ''}{ended.stderr or ''}\nexit code {ended.returncode}"
        )
    return (ended.stdout or "").strip()


def say(text: str) -> None:
    """Print a step."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def demand(*packages: str) -> None:
    """Install Debian packages that are missing; say what to do where that is not possible."""
    known = (
        run("dpkg-query", "-W", "-f", "${Package} ${Status}\n", *packages, check=False)
        if shutil.which("dpkg-query")
        else ""
    )
    missing = [name for name in packages if f"{name} install ok installed" not in known]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(
            f"Missing: {', '.join(missing)}. On Debian: sudo apt-get install {' '.join(missing)}. The image is built as root."
        )
    say(f"Installing {', '.join(missing)} ...")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", "update", "-q")
    run("apt-get", "install", "-qy", "--no-install-recommends", *missing)
