"""A real Prometheus that scrapes one process of the relay and evaluates the rules of the chart."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.monitoring import rules
from tests.support.valkey import free_port
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]


def tool(name: str) -> str:
    """Return the path of a program of Debian's package `prometheus`."""
    here = ROOT / ".venv/prometheus/usr/bin" / name
    path = str(here) if here.exists() else shutil.which(name)
    assert path is not None, f"{name} is missing. Install it: make promtool"
    return path


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus at work."""

    client: httpx.AsyncClient

    async def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the series that an expression has now."""
        answer = (await self.client.get("/api/v1/query", params={"query": expr})).json()
        assert answer["status"] == "success", f"{expr}: {answer}"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    async def is_ready(self) -> bool:
        try:
            return (await self.client.get("/-/ready")).is_success
        except httpx.TransportError:
            return False


@asynccontextmanager
async def scraping(port: int, role: str, folder: Path) -> AsyncIterator[Prometheus]:
    """Start Prometheus; it scrapes a port of this machine twice a second."""
    config = {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "1s"},
        "rule_files": [str(rules.FILE)],
        "scrape_configs": [
            {"job_name": "relay", "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"role": role}}]}
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    own = free_port()
    process = await asyncio.create_subprocess_exec(
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{own}",
        "--log.level=error",
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{own}", trust_env=False) as client:
            prometheus = Prometheus(client)
            await eventually(prometheus.is_ready)
            yield prometheus
    finally:
        process.terminate()
        await process.wait()
