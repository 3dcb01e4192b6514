"""Measures answers under load, and decryption compared with the bare cryptography."""

from __future__ import annotations

import asyncio
import base64
import gc
import hmac
import json
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bench import report
from bench.processes import Child, cpu_s, message, valkey
from bench.webhook import posts
from emulator import Config, Emulator
from emulator.demo import CLIENT_ID
from relay.core.presence import TenantId, UserId
from relay.graph.push.certificates import Certificates, make
from relay.graph.push.notifications import decrypt_notification
from relay.graph.settings import GraphSettings
from relay.ops import loop
from relay.store.presence.leases import Lease, Leases
from relay.store.presence.pipes import Inbox
from relay.store.presence.subscriptions import Subscription, Subscriptions, new_client_state, new_route
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.webhook.server import receiving
from relay.webhook.settings import WebhookSettings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from emulator import Cloud

TENANTS: Final = 32
"""Number of subscriptions, enough that two POSTs of 1,000 for one are some 0.2 s apart: a tenant may have 1,000 waiting."""
PUBLISHER: Final = "0bf30f3b-4a52-48df-9a82-234910c4a086"
SHARE: Final = 0.7
"""Share of the rate that saturates a core."""
_CONNECTIONS: Final = 16
_SAVE_S: Final = 0.1
"""Interval at which a worker would acknowledge: long enough to cost little, short enough that no notification is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """The options of the webhook benchmark."""

    sizes: tuple[int, ...] = (1, 10, 100, 1000)
    seconds: float = 8.0
    rounds: int = 5
    openings: int = 400
    limit_ms: float = 100.0
    least: float = 0.7


def run(options: WebhookOptions) -> int:
    """Measure; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    verdict = report.Verdict("webhook")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        (Path(folder) / "bench.pem").write_bytes(make("bench", datetime.now(UTC)))
        certificates = Certificates.load(folder)
        rows = loop.run(_answers(options, certificates, Path(folder), verdict))
    head = ["items", "KB", "CPU ms of a POST", "POST/s of a core", "reached", "sent/s", "p50 ms", "p99 ms", "most ms"]
    report.table(f"answers at {SHARE:.0%} of the rate that fills a core; plain HTTP, Valkey", head, rows)
    _open(options, certificates, verdict)
    return verdict.say()


async def _answers(
    options: WebhookOptions, certificates: Certificates, folder: Path, verdict: report.Verdict
) -> list[list[object]]:
    rows: list[list[object]] = []
    with ExitStack() as servers:
        url, _ = servers.enter_context(valkey(folder, "presence", durable=False))
        async with Emulator.start(Config()) as cloud, Store(StoreSettings(url=url)) as store:
            subscriptions = [await _subscribed(store, n) for n in range(TENANTS)]
            hook = servers.enter_context(Child(_serve, url, cloud.url, cloud.ca_pem.decode()))
            port = await asyncio.to_thread(hook.hear)
            encrypted = posts.content(certificates.newest)
            async with _Worker(store, [one for _, one in subscriptions]) as worker:
                for size in options.sizes:
                    sent = [
                        posts.request(one, encrypted, size, _token(cloud, one.tenant_id)) for one, _ in subscriptions
                    ]
                    rows.append(await _measure(hook.pid, port, sent, size, options, verdict))
                verdict.must["nothing was left out"] = not worker.left_out
    return rows


async def _measure(
    pid: int, port: int, requests: list[bytes], size: int, options: WebhookOptions, verdict: report.Verdict
) -> list[object]:
    warm = posts.Sender(port, requests)
    await warm.send(_CONNECTIONS, 0.5, None)
    full = posts.Sender(port, requests)
    before, began = cpu_s([pid])[pid], time.perf_counter()
    await full.send(_CONNECTIONS, options.seconds / 2, None)
    cost_s = (cpu_s([pid])[pid] - before) / len(full.answer_ms)
    # The rate that saturates its core; on a shared machine, or with a slower sender, the rate that was reached.
    most = min(1 / cost_s, len(full.answer_ms) / (time.perf_counter() - began))
    steady = posts.Sender(port, requests)
    await steady.send(_CONNECTIONS, options.seconds, SHARE * most)
    p99 = report.quantile(steady.answer_ms, 0.99)
    name = f"{size} in a POST"
    verdict.ratios[f"{name}: p99 ms"] = round(p99, 1)
    verdict.must[f"{name}: p99 <= {options.limit_ms:g} ms"] = p99 <= options.limit_ms
    verdict.must[f"{name}: every answer is 202"] = not (warm.refused + full.refused + steady.refused)
    return [
        size, len(requests[0]) / 1000, 1000 * cost_s, 1 / cost_s, most, len(steady.answer_ms) / options.seconds,
        report.quantile(steady.answer_ms, 0.5), p99, max(steady.answer_ms),
    ]  # fmt: skip


def _serve(pipe: Connection, url: str, authority: str, ca_pem: str) -> None:
    """Run the webhook; the function of a process."""

    async def work() -> None:
        graph = GraphSettings(
            client_id=CLIENT_ID, anonymous=True, authority_url=authority, graph_url=authority, ca_pem=ca_pem
        )
        async with (
            Store(StoreSettings(url=url)) as store,
            receiving(WebhookSettings(host="127.0.0.1", port=0), store, graph) as port,
        ):
            # As `app.run` does when it is ready.
            gc.collect()
            gc.freeze()
            pipe.send(port)
            await message(pipe)

    loop.run(work())


class _Worker:
    """Acknowledges the inboxes of all partitions, as workers would, and detects dropped notifications."""

    def __init__(self, store: Store, leases: list[Lease]) -> None:
        self._inbox = Inbox(store)
        self._leases = leases
        self._saving: asyncio.Task[None] | None = None
        self.left_out = False

    async def __aenter__(self) -> _Worker:
        self._saving = asyncio.create_task(self._save(), name="worker")
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._saving is not None
        self._saving.cancel()
        await asyncio.gather(self._saving, return_exceptions=True)
        await self._inbox.aclose()

    async def _save(self) -> None:
        while True:
            missed = await asyncio.gather(*map(self._dealt_with, self._leases))
            self.left_out = self.left_out or any(missed)
            await asyncio.sleep(_SAVE_S)

    async def _dealt_with(self, lease: Lease) -> set[TenantId]:
        return await self._inbox.save(lease, await self._inbox.last(lease.partition))


async def _subscribed(store: Store, partition: int) -> tuple[Subscription, Lease]:
    """Create a subscription of a tenant, in a separate partition."""
    tenants = (TenantId(f"00000000-0000-4000-8000-{n:012x}") for n in range(1 << 20))
    tenant_id = next(tenant for tenant in tenants if keys.partition_of(tenant) == partition)
    lease = await Leases(store).acquire(partition, "bench", timedelta(hours=1))
    assert lease is not None
    now = datetime.now(UTC)
    subscription = Subscription(
        route_id=new_route(tenant_id), tenant_id=tenant_id, account_id=UserId(posts.USER),
        client_state=new_client_state(), users=(), subscription_id=f"subscription-{partition}", certificate_id="bench",
        expires=now, created=now,
    )  # fmt: skip
    await Subscriptions(store).put(lease, subscription)
    return subscription, lease


def _token(cloud: Cloud, tenant_id: TenantId) -> str:
    now = int(time.time())
    issuer = f"https://sts.windows.net/{tenant_id}/"
    claims = {"aud": CLIENT_ID, "iss": issuer, "nbf": now, "exp": now + 28_800, "tid": tenant_id, "appid": PUBLISHER}
    return cloud.tokens.key.sign(claims, typ="JWT")


def _open(options: WebhookOptions, certificates: Certificates, verdict: report.Verdict) -> None:
    """Compare the worker's decryption with only the cryptography, in turn."""
    private = certificates.newest.private_key
    encrypted = posts.content(certificates.newest)
    raw = json.dumps({"resourceData": {"id": posts.USER}, "encryptedContent": encrypted}).encode()
    wrapped, data, signature = (base64.b64decode(encrypted[name]) for name in ("dataKey", "data", "dataSignature"))

    def bare() -> None:
        key = private.decrypt(wrapped, posts.OAEP)
        assert hmac.compare_digest(hmac.digest(key, data, "sha256"), signature)
        decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
        decryptor.update(data) + decryptor.finalize()

    spent: dict[str, list[float]] = {"bare": [], "opened": []}
    for _ in range(options.rounds):
        for name, work in (("bare", bare), ("opened", lambda: decrypt_notification(raw, certificates))):
            began = time.process_time()
            for _ in range(options.openings):
                work()
            spent[name].append(1000 * (time.process_time() - began) / options.openings)
    least = {name: min(times) for name, times in spent.items()}
    ratio = least["bare"] / least["opened"]
    report.table(
        f"CPU ms of a notification, RSA of 2048 bits, least of {options.rounds} rounds",
        ["RSA + HMAC + AES", "opened", "rate / bare rate"],
        [[*least.values(), ratio]],
    )
    verdict.ratios["opened / bare"] = round(ratio, 2)
    verdict.must[f"opened at >= {options.least:g} of the bare rate"] = ratio >= options.least
