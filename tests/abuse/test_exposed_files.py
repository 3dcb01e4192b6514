"""Private files that other users of the machine can read are told, each with what to do."""

from __future__ import annotations

import asyncio
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from relay import app
from relay.graph.push.certificates import make
from relay.ops.private_files import exposed
from relay.settings.load import load
from relay.settings.roles import Role
from tests.support.ring import RING_JSON
from tests.support.valkey import free_port


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def put(path: Path, mode: int, content: str = "x") -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


@pytest.mark.finding(16)
@pytest.mark.parametrize(
    ("mode", "is_told"), [(0o600, False), (0o640, False), (0o440, False), (0o644, True), (0o602, True)]
)
def test_what_others_can_read_or_write_is_told_and_what_a_group_can_is_not(folder: Path, mode: int, is_told: bool):
    path = put(folder / "key", mode)
    told = [one.text for one in exposed([("RELAY_X_FILE", path)])]
    expected = f"RELAY_X_FILE: {path} has mode {mode:04o}: every user of this machine can read it; chmod o-rwx {path}"
    assert told == ([expected] if is_told else [])


@pytest.mark.finding(16)
def test_a_folder_that_lets_no_others_through_protects_what_is_in_it(folder: Path):
    (folder / "inner").mkdir(mode=0o700)
    path = put(folder / "inner" / "key", 0o644)
    assert exposed([("RELAY_X_FILE", path)]) == []
    (folder / "inner").chmod(0o711)
    assert len(exposed([("RELAY_X_FILE", path)])) == 1


@pytest.mark.finding(16)
def test_of_a_secret_that_kubernetes_mounts_its_volume_is_named(folder: Path):
    """The shape of such a volume: a link to a link to a folder with a date."""
    (folder / "..2026_03_01").mkdir()
    path = put(folder / "..2026_03_01" / "ring", 0o644)
    (folder / "..data").symlink_to("..2026_03_01")
    (folder / "ring").symlink_to("..data/ring")
    [found] = exposed([("RELAY_VAULT_KEY_RING_FILE", folder / "ring")])
    assert "defaultMode: 0440" in found.text
    path.chmod(0o440)
    assert exposed([("RELAY_VAULT_KEY_RING_FILE", folder / "ring")]) == []


@pytest.mark.finding(16)
async def test_a_start_warns_of_every_private_file_that_settings_name(folder: Path, monkeypatch: pytest.MonkeyPatch):
    ring, secret = put(folder / "ring", 0o644, RING_JSON), put(folder / "secret", 0o604, "hunter2")
    monkeypatch.setenv("RELAY_VAULT_KEY_RING_FILE", str(ring))
    monkeypatch.setenv("RELAY_CLOUD_CLIENT_SECRET_FILE", str(secret))
    monkeypatch.setenv("RELAY_CLOUD_CLIENT_ID", "app")
    given = {"redis": {"url": f"redis://127.0.0.1:{free_port()}"}, "ops": {"host": "127.0.0.1", "port": 0}}
    stop = asyncio.Event()
    stop.set()
    with capture_logs() as logged:
        await app.run(load((), given), [Role.WORKER], stop)
    told = {entry["setting"]: entry for entry in logged if entry["event"] == "private_file_exposed"}
    assert told.keys() == {"RELAY_VAULT_KEY_RING_FILE", "RELAY_CLOUD_CLIENT_SECRET_FILE"}
    assert told["RELAY_VAULT_KEY_RING_FILE"]["hint"] == f"chmod o-rwx {ring}"
    assert "hunter2" not in str(logged)
    assert stat.S_IMODE(ring.stat().st_mode) == 0o644  # told, and left


@pytest.mark.finding(16)
def test_the_certificates_folder_is_looked_at_too(folder: Path, monkeypatch: pytest.MonkeyPatch):
    put(folder / "first.pem", 0o644, make("first", datetime.now(UTC)).decode())
    monkeypatch.setenv("RELAY_WEBHOOK_URL", "https://hook.example")
    monkeypatch.setenv("RELAY_WEBHOOK_CERTIFICATES", str(folder))
    assert [one.name for one in exposed(load().private_files())] == ["RELAY_WEBHOOK_CERTIFICATES"]
