"""One running example, and the lines that it prints."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.examples import tools
from tests.examples.gateway import HOST, Gateway

LANGUAGES = tuple(tools.commands())


class Example:
    """A running example. `lines` is what it printed, `words` what it told a person."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.words: list[str] = []

    async def read(self) -> None:
        """Read both of its outputs until it ends."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None

        async def read_words(stream: asyncio.StreamReader) -> None:
            async for word in stream:
                self.words.append(word.decode().rstrip("\n"))

        async def read_lines(stream: asyncio.StreamReader) -> None:
            async for line in stream:
                self.lines.append(json.loads(line))

        await asyncio.gather(read_lines(self.process.stdout), read_words(self.process.stderr))

    def saw(self, user: str) -> list[str]:
        """The statuses that were shown for a user, in order; the reason instead of UNKNOWN. PENDING is left out."""
        shown = [line["reason"] or line["status"] for line in self.lines if line.get("user") == user]
        return [word for word in shown if word != "PENDING"]

    def shows(self, user: str) -> str | None:
        """The last of them."""
        return (self.saw(user) or [None])[-1]

    @property
    def is_certain(self) -> bool:
        """True when it last said so."""
        return ([line["certain"] for line in self.lines if "certain" in line] or [False])[-1]

    @property
    def streams(self) -> list[str]:
        """The outcome of each stream that began."""
        return [word.rpartition("OUTCOME_")[2] for word in self.words if word.startswith("connected: ")]

    def told(self) -> str:
        """Everything, for a failed test."""
        return "\n".join([*map(json.dumps, self.lines), *self.words])


@asynccontextmanager
async def running(
    language: str,
    gateway: Gateway,
    folder: Path,
    ca_pem: bytes,
    key: str,
    users: Sequence[str],
    command: Sequence[str] = (),
) -> AsyncIterator[Example]:
    """An example that watches users of the relay behind a gateway. It is ended at the end. `command` starts another copy of it."""
    assert tools.is_built(language), "the example is not built, or has changed: run make examples"
    (folder / "ca.pem").write_bytes(ca_pem)
    (folder / "suite.key").write_text(f"{key}\n")
    (folder / "suite.key").chmod(0o600)
    command = [*(command or tools.commands()[language])]
    if language == "java":
        command[-1:-1] = ["-Dhttps.proxyHost=127.0.0.1", f"-Dhttps.proxyPort={gateway.port}"]
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    proxy = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), f"http://127.0.0.1:{gateway.port}")
    process = await asyncio.create_subprocess_exec(
        *command, f"{HOST}:443", str(folder / "ca.pem"), str(folder / "suite.key"), *users,
        env={**kept, **proxy}, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    example = Example(process)
    reading = asyncio.create_task(example.read())
    try:
        yield example
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading
