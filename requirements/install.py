"""Install a lock into the environment that runs this, and print what is being done: `python requirements/install.py LOCK`.

pip installs with the lock's hashes only, so no registry can slip anything in. Progress is one line that is drawn anew in a
terminal, and a line every ten packages elsewhere. pip's own output is printed when it fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

_PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off", "--no-color"]
_EVERY = 10


def main(lock: Path) -> int:
    """Install the lock, then both distributions of the checkout in place. Returns pip's exit code."""
    pins = len(re.findall(r"^[A-Za-z0-9_.-]+==", lock.read_text(), re.MULTILINE))
    sys.stdout.write(f"Installing up to {pins} packages of {lock.name} into {os.path.relpath(sys.prefix)}\n")
    code = _pip(["--require-hashes", "-r", str(lock)])
    checkout = lock.parent.parent
    both = ["-e", str(checkout / "suite"), "-e", str(checkout)]
    return code or _pip(["--quiet", "--no-deps", "--no-build-isolation", *both])


def _pip(arguments: list[str]) -> int:
    """Run pip. Its lines become progress; all of them are printed when it fails."""
    lines: list[str] = []
    seen = 0
    with subprocess.Popen([*_PIP, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            lines.append(line)
            if found := re.match(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line):
                seen += 1
                _progress(f"  {seen} packages found, the last one {found[1]}", is_due=seen % _EVERY == 0)
            elif line.startswith("Installing collected packages"):
                _progress("  unpacking and installing ...", is_due=True)
    if sys.stdout.isatty() and seen:
        sys.stdout.write("\r\033[K")
    if pip.returncode:
        sys.stderr.write("".join(lines))
    return pip.returncode


def _progress(text: str, *, is_due: bool) -> None:
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\033[K{text}")
    elif is_due:
        sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
