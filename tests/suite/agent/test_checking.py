"""`presence-suite agent --check`: what an installer is told, and that nothing is written."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from typer.testing import CliRunner

from suite.cli import app
from tests.support.valkey import free_port

KEY = "psk_1f2e3d4c_secret"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with everything that an agent needs."""
    return fill(tmp_path)


def fill(folder: Path) -> Path:
    (folder / "suite.key").touch(0o600)
    (folder / "suite.key").write_text(KEY)
    (folder / "colleagues.csv").write_text("login;upn\nada;ada@x.org\nben;ben@x.org\n")
    write(folder)
    return folder


def write(folder: Path, **changed: str | int | None) -> None:
    """Write the settings: some of them changed, or left out by None."""
    wanted: dict[str, str | int | None] = {
        "MSTeamsPresence.Enable": 1, "Relay.Address": "relay.x.org", "Relay.KeyFile": "suite.key",
        "Agent.UsersFile": "colleagues.csv", "Agent.LogFile": "log/agent.log", "Agent.Port": free_port(),
    }  # fmt: skip
    wanted |= {name.replace("_", "."): value for name, value in changed.items()}
    lines = [f"{name} = {value}\n" for name, value in wanted.items() if value is not None]
    (folder / "Presence.ini").write_text("".join(lines))


def checked(folder: Path) -> tuple[int, dict[str, list[str]], str]:
    """Check; return the exit code, verdict -> what it was given for, and everything that was printed."""
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}
    ended = CliRunner().invoke(app, ["agent", "--settings", str(folder / "Presence.ini"), "--check"])
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")} == before
    found: dict[str, list[str]] = {}
    for verdict, what, *_ in map(str.split, ended.output.splitlines()):
        found.setdefault(verdict, []).append(what)
    assert "secret" not in ended.output
    return ended.exit_code, found, ended.output


def test_with_everything_in_place_it_says_so_line_by_line(folder: Path):
    code, found, said = checked(folder)
    assert (code, found) == (0, {"ok": ["settings", "key", "relay", "colleagues", "store", "log", "port"]}), said
    assert "2 colleagues" in said
    assert "presence-suite doctor --settings" in said


def test_the_agent_through_which_notes_are_shared_is_named(folder: Path):
    write(folder, Notes_Hub="http://127.0.0.1:8790")
    code, found, said = checked(folder)
    assert (code, "notes" in found["ok"]) == (0, True), said
    assert "http://127.0.0.1:8790" in said


Break = Callable[[Path], object]
FAILURES: dict[str, tuple[str, Break]] = {
    "a wrong value": ("settings", lambda folder: write(folder, Agent_Port="http")),
    "no settings file": ("settings", lambda folder: (folder / "Presence.ini").unlink()),
    "no key": ("key", lambda folder: write(folder, Relay_KeyFile=None)),
    "no key file": ("settings", lambda folder: (folder / "suite.key").unlink()),
    "a key that everybody can read": ("settings", lambda folder: (folder / "suite.key").chmod(0o644)),
    "no address": ("relay", lambda folder: write(folder, Relay_Address=None)),
    "no file of colleagues": ("colleagues", lambda folder: (folder / "colleagues.csv").unlink()),
    "colleagues who are none": ("colleagues", lambda folder: (folder / "colleagues.csv").write_text("login;upn\n;x\n")),
    "a folder in the place of the store": ("store", lambda folder: (folder / "presence-agent.db").mkdir()),
    "a store below a file": ("store", lambda folder: write(folder, Agent_Store="suite.key/agent.db")),
    "a log below a file": ("log", lambda folder: write(folder, Agent_LogFile="suite.key/agent.log")),
    "a folder in the place of the log": (
        "log",
        lambda folder: ((folder / "log").mkdir(), write(folder, Agent_LogFile="log")),
    ),
}


@pytest.mark.parametrize("named", FAILURES)
def test_what_keeps_an_agent_from_its_work_is_named(folder: Path, named: str):
    what, damage = FAILURES[named]
    damage(folder)
    code, found, said = checked(folder)
    assert (code, set(found["FAILED"])) == (2, {what}), said


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another account")
def test_a_folder_in_which_the_account_may_not_write_is_named():
    # Not in pytest's folder, which each pytest that starts closes to other accounts.
    with tempfile.TemporaryDirectory() as name:
        folder = fill(Path(name))
        folder.chmod(0o755)
        os.chown(folder / "suite.key", 12345, -1)
        failed, ended = checked_by_another_account(folder)
    assert failed == ["store", "log"], ended.stdout + ended.stderr
    assert ended.stdout.count("may not write in") == 2


def checked_by_another_account(folder: Path) -> tuple[list[str], subprocess.CompletedProcess[str]]:
    """Check as an account that may not write in the folder; return what failed, and the process."""
    # All modules first: the account may not read this Python's folder.
    code = (
        "import os, sys; from pathlib import Path; from suite.agent.checking import check; from suite.agent.settings.load import load;"
        "import suite.channel; os.setuid(12345); path = Path(sys.argv[1]); print(*check(path, load(path)), sep='\\n')"
    )
    command = [sys.executable, "-c", code, str(folder / "Presence.ini")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return [line.split()[1] for line in ended.stdout.splitlines() if line.startswith("FAILED")], ended


def test_less_than_that_is_a_note(folder: Path):
    (folder / "colleagues.csv").write_text("login;upn\nada;ada@x.org\nben;nonsense\n")
    (folder / "log").mkdir()
    (folder / "log/agent.log").touch(0o644)
    write(folder, Relay_Adress="x")
    code, found, said = checked(folder)
    assert (code, found["note"]) == (0, ["settings", "colleagues", "log"]), said
    write(folder, MSTeamsPresence_Enable=0, Relay_Address=None, Relay_KeyFile=None, Agent_UsersFile=None)
    code, found, said = checked(folder)
    assert (code, "relay" in found["note"], "key" in found["ok"]) == (0, True, False), said


def test_a_port_that_is_taken_is_named(folder: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        write(folder, Agent_Port=taken.getsockname()[1])
        code, found, _ = checked(folder)
    assert (code, found["FAILED"]) == (2, ["port"])


def test_an_address_of_another_machine_is_no_taken_port(folder: Path):
    write(folder, SipServer_Enable=1, SipServer_Host="192.0.2.20", SipServer_UdpPort=free_port(), SipServer_TcpPort=0)
    code, found, said = checked(folder)
    assert (code, found["FAILED"]) == (2, ["sip"]), said
    assert "Host must be an address of this machine." in said
    assert "use it already?" not in said


@pytest.mark.parametrize(
    ("host", "networks", "words"),
    [
        ("127.0.0.1", "192.168.1.0/24", "Only programs of this machine can reach it: set SipServer.Host"),
        ("192.0.2.20", None, "No phone of the LAN may watch: set SipServer.Networks"),
        ("192.0.2.20", "192.168.1.0/24", ""),
    ],
)
def test_a_sip_server_that_no_phone_can_use_is_noted(folder: Path, host: str, networks: str | None, words: str):
    ports = {"SipServer_UdpPort": free_port(), "SipServer_TcpPort": free_port()}
    write(folder, SipServer_Enable=1, SipServer_Host=host, SipServer_Networks=networks, **ports)
    _, found, said = checked(folder)
    assert ("note" in found) == bool(words), said
    assert words in said


def test_a_store_that_an_agent_has_open_is_named(folder: Path):
    hold = (
        "import sys; from pathlib import Path; from suite.agent.store.database import Database;"
        "held = Database(Path(sys.argv[1])); print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(folder / "presence-agent.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == "ready\n"
        code, found, said = checked(folder)
        agent.communicate()
    assert (code, found["FAILED"], "another agent" in said) == (2, ["store"], True)
    assert checked(folder)[0] == 0


def test_a_key_that_systemd_hands_over_counts_before_the_file_beside_the_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    (folder / "suite.key").unlink()
    assert checked(folder)[0] == 2
    given = tmp_path_factory.mktemp("credentials")
    (given / "suite.key").touch(0o400)
    (given / "suite.key").write_text(KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    assert checked(folder)[0] == 0


def test_token_and_certificate_are_checked_where_there_are_some(folder: Path):
    assert CliRunner().invoke(app, ["settings", "new-token", str(folder / "token")]).exit_code == 0
    made = trustme.CA().issue_cert("agent.x.org")
    made.cert_chain_pems[0].write_to_path(folder / "agent.pem")
    (folder / "agent.key").touch(0o600)
    made.private_key_pem.write_to_path(folder / "agent.key")
    files = {"Agent_TokenFile": "token", "Agent_CertificateFile": "agent.pem", "Agent_PrivateKeyFile": "agent.key"}
    write(folder, **files)
    code, found, said = checked(folder)
    assert (code, found["ok"][3:5]) == (0, ["token", "certificate"]), said
    (folder / "token").chmod(0o644)
    code, found, said = checked(folder)
    assert (code, "token file" in said) == (2, True)
