"""Debian's Asterisk on loopback, out of a folder with Debian 11: `started` gives one, which can be killed and started again.

Debian 12 has no Asterisk, so that `make check-asterisk` unpacks one into `.venv/asterisk`, which needs root.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.valkey import UNTIL_PARENT_DIES, free_port
from tests.support.waiting import eventually_in_thread

ROOT: Final = Path(os.environ.get("ASTERISK_ROOT") or Path(__file__).parents[2] / ".venv/asterisk")
SECRET: Final = "ami-secret-of-the-test"
_FOLDERS: Final = ("lib", "spool", "run", "log", "etc")


@dataclass(slots=True)
class Asterisk:
    """A running one.

    Attributes:
        folder: with its files, outside the chroot.
        port: of SIP, UDP and TCP.
        ami_port: of the manager.
        published_port: it publishes the states of extensions to this port of 127.0.0.1, by UDP.
    """

    folder: Path
    port: int
    ami_port: int
    published_port: int
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it, and wait until its manager answers."""
        inside = "/" + str(self.folder.relative_to(ROOT))
        command = [shutil.which("chroot") or "/usr/sbin/chroot", str(ROOT), "/usr/sbin/asterisk"]
        command += ["-f", "-C", f"{inside}/etc/asterisk.conf"]
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-c", UNTIL_PARENT_DIES, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        eventually_in_thread(self._answers, 60.0, self.said)

    def kill(self) -> None:
        """Kill it."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()

    def said(self) -> str:
        """Return the end of its output."""
        return (self.folder / "output").read_text(errors="replace")[-3000:]

    def command(self, text: str) -> str:
        """Return what its console answers."""
        inside = "/" + str(self.folder.relative_to(ROOT))
        chroot = shutil.which("chroot") or "/usr/sbin/chroot"
        found = subprocess.run(
            [chroot, str(ROOT), "/usr/sbin/asterisk", "-C", f"{inside}/etc/asterisk.conf", "-rx", text],
            capture_output=True,
            timeout=30,
            check=False,
        )
        return found.stdout.decode(errors="replace")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.said()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.ami_port), timeout=1) as probe:
            return b"Call Manager" in probe.recv(100)
        return False


@contextmanager
def started() -> Iterator[Asterisk]:
    """Start one, and kill it at the end."""
    assert ROOT.exists(), f"There is no Asterisk in {ROOT}. Run: make check-asterisk"
    folder = ROOT / "run" / f"test-{secrets.token_hex(4)}"
    for each in _FOLDERS:
        (folder / each).mkdir(parents=True)
    made = Asterisk(folder, free_port(), free_port(), free_port())
    values = {
        "FOLDER": "/" + str(folder.relative_to(ROOT)),
        "PORT": made.port,
        "AMI": made.ami_port,
        "PUBLISHED": made.published_port,
        "SECRET": SECRET,
    }
    for source in sorted((Path(__file__).parent / "etc").glob("*.conf")):
        text = re.sub(r"@([A-Z]+)@", lambda found: str(values[found[1]]), source.read_text())
        (folder / "etc" / source.name).write_text(text)
    try:
        made.start()
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder)
