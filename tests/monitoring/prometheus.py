"""A real Prometheus that scrapes processes of the relay and evaluates the rules of the chart."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.monitoring import rules
from tests.support.valkey import UNTIL_PARENT_DIES, free_port
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]


def tool(name: str) -> str:
    """Return the path of a program of Debian's package `prometheus`."""
    here = ROOT / ".venv/prometheus/usr/bin" / name
    path = str(here) if here.exists() else shutil.which(name)
    assert path is not None, f"{name} is missing. Install it: make promtool"
    return path


@dataclass(frozen=True)
class Target:
    """One process that is scraped: its ops port on this machine, and the labels that the scrape gives it."""

    port: int
    role: str
    instance: str = ""

    @property
    def scraped(self) -> Mapping[str, Any]:
        """Return it as Prometheus' configuration has it."""
        name = {"instance": self.instance} if self.instance else {}
        return {"targets": [f"127.0.0.1:{self.port}"], "labels": {"role": self.role, "namespace": "telephony", **name}}


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus at work."""

    client: httpx.AsyncClient

    async def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the series that an expression has now."""
        return await self._ask("query", query=expr)

    async def query_range(self, expr: str, start: float, end: float, step_s: float) -> list[dict[str, Any]]:
        """Return the series that an expression had from one time to another, seconds since 1970, every so many seconds."""
        return await self._ask("query_range", query=expr, start=start, end=end, step=step_s)

    async def is_ready(self) -> bool:
        try:
            return (await self.client.get("/-/ready")).is_success
        except httpx.TransportError:
            return False

    async def _ask(self, what: str, **parameters: Any) -> list[dict[str, Any]]:
        answer = (await self.client.get(f"/api/v1/{what}", params=parameters)).json()
        assert answer["status"] == "success", f"{parameters}: {answer}"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result


@asynccontextmanager
async def scraping(
    targets: list[Target], folder: Path, *, every: str = "500ms", factor: int = 1
) -> AsyncIterator[Prometheus]:
    """Start Prometheus; it scrapes processes of this machine, and evaluates the rules each second.

    Args:
        targets: what is scraped.
        folder: where it writes.
        every: time between two scrapes.
        factor: by which windows and waits of the rules are divided; see `rules.faster`.
    """
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240  a folder of this machine
    rule_file = folder / "rules.yaml"
    rule_file.write_text(rules.FILE.read_text() if factor == 1 else yaml.safe_dump(rules.faster(factor)))
    config = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": "1s"},
        "rule_files": [str(rule_file)],
        "scrape_configs": [{"job_name": "relay", "static_configs": [each.scraped for each in targets]}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    own = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-S",
        "-c",
        UNTIL_PARENT_DIES,
        str(os.getpid()),
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{own}",
        "--log.level=error",
    )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{own}", verify=False, trust_env=False, timeout=30
        ) as client:
            prometheus = Prometheus(client)
            await eventually(prometheus.is_ready, timeout=90)
            yield prometheus
    finally:
        process.terminate()
        await process.wait()
