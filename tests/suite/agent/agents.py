"""An agent that runs in this process, from its settings file on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from suite.agent.certificate import ServerCertificate
from suite.agent.run import Agent
from suite.agent.settings.load import load
from suite.backoff import Backoff
from tests.support.waiting import eventually

KEY = "psk_1f2e3d4c_secret"
TOKEN = "psk_agent_Zb3vXq9LmT2yWk7PcR5d"
LAN = "Host=0.0.0.0\nTokenFile=token\nCertificateFile=lan.crt\nPrivateKeyFile=lan.key\n"


def certificate(leaf: trustme.LeafCert) -> ServerCertificate:
    chain = b"".join(part.bytes() for part in leaf.cert_chain_pems)
    return ServerCertificate(chain_pem=chain, key_pem=leaf.private_key_pem.bytes())


def write_lan_files(folder: Path, leaf: trustme.LeafCert) -> None:
    """Write the files that `LAN` names."""
    made = certificate(leaf)
    for name, content in (("token", f"{TOKEN}\n".encode()), ("lan.crt", made.chain_pem), ("lan.key", made.key_pem)):
        (folder / name).touch(0o600)
        (folder / name).write_bytes(content)


def _quick() -> Backoff:
    return Backoff(lambda low, high: min(high, 0.1))


@dataclass(slots=True)
class Premises:
    """A folder with the files of an agent: settings, key, CA, colleagues.

    Attributes:
        more: lines of the settings that the test adds.
    """

    folder: Path
    address: str
    port: int
    more: str = ""
    enable: int = 1
    winning: str = "MSTeams"
    proxy: str = "none"
    form: str = "watch"

    @property
    def file(self) -> Path:
        return self.folder / "Presence.ini"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, colleagues: str, ca_pem: bytes, key: str = KEY) -> None:
        (self.folder / "suite.key").touch(0o600)
        (self.folder / "suite.key").write_text(key)
        (self.folder / "ca.pem").write_bytes(ca_pem)
        (self.folder / "colleagues.csv").write_text(colleagues)
        self.write_settings()

    def write_settings(self) -> None:
        self.file.write_text(
            f"MSTeamsPresence.Enable = {self.enable}\nWinningTechnology = {self.winning}\n"
            f"[Relay]\nAddress = {self.address}\nKeyFile = suite.key\nCaFile = ca.pem\n"
            f"Proxy = {self.proxy}\nForm = {self.form}\n"
            f"[Agent]\nUsersFile = colleagues.csv\nPort = {self.port}\n{self.more}\n"
        )

    async def _is_serving(self, task: asyncio.Task[None]) -> bool:
        if task.done():
            task.result()  # raises what broke it
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return True
        return False

    @contextlib.asynccontextmanager
    async def agent(self, look_every_s: float = 0.05, backoff: Backoff | None = None) -> AsyncIterator[Agent]:
        """Run an agent while the context lasts. It serves when the context begins."""
        loaded = load(self.file)
        assert loaded.settings is not None, loaded.faults
        agent = Agent(self.file, loaded, look_every_s=look_every_s, backoff=backoff or _quick())
        task = asyncio.create_task(agent.run())
        try:
            await eventually(lambda: self._is_serving(task))
            yield agent
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
