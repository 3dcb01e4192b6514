"""Debian's Kamailio as a presence server on loopback: `started` gives one, which can be killed and started again."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trustme

from tests.support.valkey import UNTIL_PARENT_DIES, free_port
from tests.support.waiting import eventually_in_thread

UNPACKED: Final = Path(__file__).parents[2] / ".venv/sip"
DOMAIN: Final = "pbx.example"
PASSWORDS: Final = {
    "suite": "pw-suite",
    "ada": "pw-ada",
    "ben": "pw-ben",
    "eve": "pw-eve",
    "1001": "pw-1001",
    "1002": "pw-1002",
}
_TABLES: Final = (
    "version",
    "presentity",
    "active_watchers",
    "watchers",
    "pua",
    "xcap",
    "rls_presentity",
    "rls_watchers",
)
_LISTS: Final = {
    "everyone": [f"{user}@{DOMAIN}" for user in ("ada", "ben", "eve")],
    "mixed": [f"ben@{DOMAIN}", "ada@teams.example"],
}
"""Name -> its entries, of the watcher suite."""


@dataclass(slots=True)
class Kamailio:
    """A running one. It has the lists `sip:everyone@pbx.example` and `sip:mixed@pbx.example`, of which one user is behind it."""

    folder: Path
    authority: trustme.CA
    port: int
    tls_port: int
    behind_port: int
    """Requests for teams.example go there, by TCP."""
    flags: Sequence[str] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._spawn()
        self._until_it_answers()

    async def start_again(self) -> None:
        """Start it, and wait until it answers.

        Its process belongs to the thread that starts it, and ends with it: that is this one, and none that waits beside it.
        """
        self._spawn()
        await asyncio.to_thread(self._until_it_answers)

    def _until_it_answers(self) -> None:
        eventually_in_thread(self._answers, 60.0, self.said)

    def _spawn(self) -> None:
        output = (self.folder / "output").open("ab")
        command = [_program(), "-f", str(self.folder / "kamailio.cfg"), "-m", "64", "-M", "8", "-DD", "-E"]
        command += ["-P", str(self.folder / "pid"), "-Y", str(self.folder)]
        command += [part for flag in self.flags for part in ("-A", flag)]
        with output:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-c", UNTIL_PARENT_DIES, str(os.getpid()), *command],
                cwd=self.folder,
                env=unpacked_environ(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill all its processes."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()

    def stop(self) -> None:
        """End it in order: it writes its tables."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    def said(self) -> str:
        """Return the end of its log."""
        return (self.folder / "output").read_text(errors="replace")[-3000:]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.said()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.2)
            probe.connect(("127.0.0.1", self.port))
            via = f"SIP/2.0/UDP 127.0.0.1:{probe.getsockname()[1]};branch=z9hG4bKprobe{os.urandom(4).hex()};rport"
            lines = [f"OPTIONS sip:127.0.0.1:{self.port} SIP/2.0", f"Via: {via}", "From: <sip:probe@test>;tag=1"]
            lines += ["To: <sip:probe@test>", f"Call-ID: {os.urandom(8).hex()}", "CSeq: 1 OPTIONS", "Content-Length: 0"]
            with suppress(OSError):
                probe.send("\r\n".join([*lines, "Max-Forwards: 5", "", ""]).encode())
                return b" 200 " in probe.recv(4096)
        return False


@contextmanager
def started(folder: Path, *flags: str) -> Iterator[Kamailio]:
    """Start one in a folder, and kill it at the end. Flags are those of kamailio.cfg."""
    made = Kamailio(folder, trustme.CA(), free_port(), free_port(), free_port(), flags)
    _write_tables(folder)
    _write_users(folder)
    certificate = made.authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "cert.pem").write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
    server = ["method = TLSv1.2+", "verify_certificate = no", "require_certificate = no"]
    server += [f"private_key = {folder}/key.pem", f"certificate = {folder}/cert.pem"]
    client = ["[client:default]", "verify_certificate = no", ""]
    (folder / "tls.cfg").write_text("\n".join(["[server:default]", *server, *client]))
    [modules] = [*UNPACKED.glob("usr/lib/*/kamailio/modules"), *Path("/usr/lib").glob("*/kamailio/modules")][:1]
    values = {
        "FOLDER": folder,
        "PORT": made.port,
        "TLS": made.tls_port,
        "BEHIND": made.behind_port,
        "MODULES": f"{modules}/",
    }
    text = (Path(__file__).parent / "kamailio.cfg").read_text()
    (folder / "kamailio.cfg").write_text(re.sub(r"@([A-Z]+)@", lambda found: str(values[found[1]]), text))
    made.start()
    try:
        yield made
    finally:
        made.kill()


def _write_tables(folder: Path) -> None:
    tables = folder / "dbtext"
    tables.mkdir()
    for name in _TABLES:
        head, newline, rest = (_share() / "dbtext/kamailio" / name).read_text().partition("\n")
        # As they are shipped, they cannot be loaded again once a column is empty.
        nullable = head.replace("(string)", "(string,null)").replace("(int)", "(int,null)")
        (tables / name).write_text(nullable + newline + rest)
    names = 'xmlns="urn:ietf:params:xml:ns:rls-services" xmlns:rl="urn:ietf:params:xml:ns:resource-lists"'
    services = "".join(
        f'<service uri="sip:{name}@{DOMAIN}"><list name="{name}">'
        + "".join(f'<rl:entry uri="sip:{entry}"/>' for entry in entries)
        + "</list><packages><package>presence</package></packages></service>"
        for name, entries in _LISTS.items()
    )
    document = f"<rls-services {names}>{services}</rls-services>"
    escaped = re.sub(r"([\\:])", r"\\\1", document)
    with (tables / "xcap").open("a") as table:
        table.write(f"1:suite:{DOMAIN}:{escaped}:8:1:0:rls-services/suite/index:0\n")


def _write_users(folder: Path) -> None:
    with sqlite3.connect(folder / "users.db") as database:
        for name in ("standard", "auth_db"):
            database.executescript((_share() / f"db_sqlite/{name}-create.sql").read_text())
        rows = [(user, DOMAIN, password) for user, password in PASSWORDS.items()]
        database.executemany("insert into subscriber(username, domain, password) values (?, ?, ?)", rows)
    database.close()


def _share() -> Path:
    unpacked = UNPACKED / "usr/share/kamailio"
    return unpacked if unpacked.exists() else Path("/usr/share/kamailio")


def _program() -> str:
    found = shutil.which("kamailio", path=f"{UNPACKED}/usr/sbin:{os.environ['PATH']}:/usr/sbin")
    assert found is not None, "Kamailio is missing. Install it: make .venv/.installed-sip"
    return found


def unpacked_environ() -> dict[str, str]:
    libraries = [str(path) for where in ("usr/lib/*", "lib/*", "usr/lib/*/kamailio") for path in UNPACKED.glob(where)]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {**kept, "LD_LIBRARY_PATH": ":".join(libraries)}
