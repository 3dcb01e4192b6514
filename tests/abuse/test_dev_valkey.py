"""What another user of the machine can do to the Valkey of `presence-relay dev`: nothing."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import NoPermissionError

from relay.dev.children import valkey
from relay.dev.folder import Folder
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client

pytestmark = pytest.mark.finding(15)

NOBODY = 65534
CONNECT = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except PermissionError:
    print("kept out")
"""


class Running:
    """A dev relay's Valkey alone."""

    def __init__(self, folder: Folder, pid: int) -> None:
        self.folder = folder
        self.process = psutil.Process(pid)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    with tempfile.TemporaryDirectory() as above:
        os.chmod(above, 0o755)  # noqa: PTH101  so that nothing above the folder keeps others out
        folder = Folder(Path(above) / "dev")
        with folder.locked() as lock:
            async with valkey(folder, lock) as process:
                yield Running(folder, process.pid)


async def test_it_listens_on_no_port_and_in_a_folder_of_its_owner(running: Running) -> None:
    assert running.process.net_connections("inet") == []
    assert stat.S_IMODE(running.folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(running.folder.socket.stat().st_mode) == 0o700
    for secret in ("users.acl", "redis.password"):
        assert stat.S_IMODE((running.folder.path / secret).stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_of_the_machine_cannot_connect(running: Running) -> None:
    command = [sys.executable, "-S", "-c", CONNECT, str(running.folder.socket), str(NOBODY)]
    tried = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)  # noqa: ASYNC221
    assert tried.stdout.strip() == "kept out"
    with socket.socket(socket.AF_UNIX) as owner:
        owner.connect(str(running.folder.socket))


async def test_who_got_to_the_socket_anyhow_needs_the_password_and_then_writes_no_files(running: Running) -> None:
    async with Redis(unix_socket_path=str(running.folder.socket), protocol=2) as anybody:
        with pytest.raises(NotConnected, match="Authentication"):
            await anybody.execute_command("CONFIG", "SET", "dir", "/tmp")
    async with Redis.from_url(running.folder.redis_url, protocol=2) as relay:
        for command in (("CONFIG", "SET", "dir", "/tmp"), ("ACL", "SETUSER", "default", "on", "nopass"), ("SAVE",)):
            with pytest.raises(NoPermissionError):
                await relay.execute_command(*command)
    async with Store(StoreSettings(url=running.folder.redis_url)) as store:
        assert await store.preflight() == []
        [(_, found)] = await store.compare_rights(list(Client))
        assert found is not None
        assert (found.more, found.less) == ((), ())
