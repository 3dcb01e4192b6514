"""Phones of others that watch users through Kamailio: baresip of Debian, PJSIP of a wheel in an environment of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.sip.kamailio import PASSWORDS, UNPACKED, Kamailio, unpacked_environ
from tests.support.valkey import UNTIL_PARENT_DIES, free_port

PJSIP: Final = UNPACKED / "pjsip/bin/python"
_USER: Final = "suite"
_NOTES: Final = re.compile("<note>([^<]*)</note>")
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


def _started(command: Sequence[str], folder: Path, name: str) -> subprocess.Popen[bytes]:
    with (folder / name).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-S", "-c", UNTIL_PARENT_DIES, str(os.getpid()), *command],
            cwd=folder,
            env={**unpacked_environ(), "HOME": str(folder)},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )


@contextmanager
def _running(command: Sequence[str], folder: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    process = _started(command, folder, name)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@dataclass(slots=True)
class Baresip:
    """A running baresip. It shows users as `Online`, `Offline`, `Busy` or `Unknown`."""

    folder: Path
    control_port: int

    def shows(self, name: str) -> str:
        """Return the state that its list of contacts has for a user; "" as long as it does not run."""
        try:
            listed = _COLOURS.sub("", self._command("contacts"))
        except ConnectionError:
            return ""
        lines = [line.replace(">", " ").split() for line in listed.splitlines() if f" {name} " in line]
        return lines[0][0] if lines else ""

    def note(self, uri: str) -> str:
        """Return the note of the newest document of a user: baresip does not show it."""
        notes: list[str] = _NOTES.findall(self.said().rpartition(f'entity="{uri}"')[2])
        return notes[0] if notes else ""

    def said(self) -> str:
        """Return its log, with all messages."""
        return (self.folder / "baresip").read_text(errors="replace")

    def _command(self, command: str) -> str:
        asked = json.dumps({"command": command, "token": "x"}).encode()
        with socket.create_connection(("127.0.0.1", self.control_port), timeout=10) as connection:
            connection.sendall(b"%d:%s," % (len(asked), asked))
            said = b""
            while b":" not in said or len(said) < int(said.partition(b":")[0]) + len(said.partition(b":")[0]) + 2:
                received = connection.recv(65536)
                if not received:
                    raise ConnectionResetError
                said += received
        answer: str = json.loads(said.partition(b":")[2][:-1])["data"]
        return answer


@contextmanager
def baresip(kamailio: Kamailio, folder: Path, protocol: str, watched: dict[str, str]) -> Iterator[Baresip]:
    """A phone that watches users: name -> URI."""
    program = shutil.which("baresip", path=f"{UNPACKED}/usr/bin:{os.environ['PATH']}")
    assert program is not None, "baresip is missing. Install it: make .venv/.installed-sip"
    modules = UNPACKED / "usr/lib/baresip/modules"
    port = kamailio.tls_port if protocol == "tls" else kamailio.port
    made = Baresip(folder, free_port())
    kamailio.authority.cert_pem.write_to_path(folder / "ca.pem")
    lines = [
        f"module_path {modules if modules.exists() else '/usr/lib/baresip/modules'}",
        "net_interface 127.0.0.1",
        "sip_listen 127.0.0.1:0",
        f"sip_cafile {folder}/ca.pem",
        f"ctrl_tcp_listen 127.0.0.1:{made.control_port}",
        *(f"module {name}.so" for name in ("g711", "uuid")),
        *(f"module_app {name}.so" for name in ("account", "contact", "menu", "presence", "ctrl_tcp")),
    ]
    (folder / "config").write_text("\n".join([*lines, ""]))
    way = f"sip:127.0.0.1:{port};transport={protocol}"
    account = f'<sip:{_USER}@pbx.example;transport={protocol}>;auth_user={_USER};auth_pass={PASSWORDS[_USER]};outbound="{way}";regint=0\n'
    (folder / "accounts").write_text(account)
    contacts = "".join(f'"{name}" <{uri}>;presence=p2p\n' for name, uri in watched.items())
    (folder / "contacts").write_text(contacts)
    with _running([program, "-4", "-s", "-f", str(folder)], folder, "baresip"):
        yield made


@dataclass(slots=True)
class Pjsip:
    """A running phone of PJSIP."""

    folder: Path

    def shows(self, uri: str) -> tuple[object, object, object] | None:
        """Return status (1 online, 2 offline), activity (1 away, 2 busy) and note of a user as told last."""
        lines = (self.folder / "pjsip").read_text().splitlines()
        told = []
        for line in lines:
            with suppress(ValueError):
                told.append(json.loads(line))
        mine = [each for each in told if uri in each["uri"]]
        return (mine[-1]["status"], mine[-1]["activity"], mine[-1]["note"]) if mine else None


@contextmanager
def pjsip(kamailio: Kamailio, folder: Path, protocol: str, uris: Sequence[str]) -> Iterator[Pjsip]:
    """A phone that watches users."""
    assert PJSIP.exists(), "PJSIP is missing. Install it: make .venv/.installed-sip"
    script = str(Path(__file__).parent / "pjsip_phone.py")
    way = f"sip:127.0.0.1:{kamailio.port};transport={protocol}"
    command = [str(PJSIP), script, way, _USER, PASSWORDS[_USER], *uris]
    with _running(command, folder, "pjsip"):
        yield Pjsip(folder)
