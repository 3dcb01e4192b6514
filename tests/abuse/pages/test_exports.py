"""The log is long. Leaving counts it without reading it, and whoever saves it, however slowly, keeps nobody waiting."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import psutil
import pytest
import trustme
from redis.asyncio import Redis

from onboarding.tenant import log_exports
from relay.core.audit.events import Actor, watched
from relay.http import protocol as bounded_http
from relay.http.paths import TENANT
from relay.store.custody.audit import AuditLog
from tests.abuse.measured import rows, rss
from tests.onboarding.person import Person
from tests.onboarding.site import Site

pytestmark = [pytest.mark.finding(20), pytest.mark.long]

ENTRIES = 6000
EXPORT = f"{TENANT}/log/export.jsonl"


@pytest.fixture
async def admin(person: Person) -> Person:
    """Contoso's service account, signed in."""
    await person.connect()
    await person.enter_at_once()
    return person


async def fill(site: Site, number: int = ENTRIES) -> None:
    """Watches as long as they can be: 3 KB each."""
    now = datetime.now(UTC)
    users = [f"somebody-with-a-long-name-{n}@contoso.example" for n in range(100)]
    entry = watched(Actor.suite("key", "Suite"), users, now - timedelta(minutes=1), now)
    for _ in range(0, number, 500):
        await AuditLog(site.store).append_watches(site.tenant_id(), [entry] * 500)


@asynccontextmanager
async def unread(person: Person, authority: trustme.CA) -> AsyncIterator[tuple[asyncio.StreamReader, str]]:
    """A browser that asks for the log and reads no more than the head of the answer, and its status line."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    port = int(person.site.url.rpartition(":")[2])
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    reader, writer = await asyncio.open_connection(sock=raw, ssl=context, server_hostname="localhost", limit=1024)
    cookies = "; ".join(f"{one.name}={one.value}" for one in person.client.cookies.jar)
    writer.write(f"GET {EXPORT} HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {cookies}\r\n\r\n".encode())
    try:
        async with asyncio.timeout(60):
            yield reader, (await reader.readline()).decode()
    finally:
        writer.transport.abort()


async def test_whoever_does_not_read_an_export_is_cut_and_keeps_nobody_waiting(
    admin: Person, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "_CHECK_READER_S", 0.5)
    await fill(admin.site)
    before = rss(psutil.Process().pid)
    async with unread(admin, authority) as (reader, status):
        assert status.startswith("HTTP/1.1 200")
        await admin.get(EXPORT)
        assert (admin.page.status_code, admin.heading) == (429, "Your log is already being saved")
        await admin.get(TENANT)
        assert admin.page.status_code == 200
        grown = rss(psutil.Process().pid) - before
        assert (
            grown
            < rows("Saving the log, and tables of many users")["saves the log, and reads slowly or not at all"].bytes
        )
        async with asyncio.timeout(30):
            while (saved := await admin.client.get(f"{admin.site.url}{EXPORT}")).status_code == 429:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert saved.text.count("\n") >= ENTRIES
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError, ssl.SSLError)):
            await reader.readexactly(len(saved.content))


async def test_a_few_exports_go_on_at_once(admin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_exports, "MAX_AT_ONCE", 0)
    await admin.get(EXPORT)
    assert (admin.page.status_code, admin.heading) == (503, "Too many logs are being saved")
    assert admin.page.headers["retry-after"] == "60"


async def test_an_export_that_takes_too_long_has_no_end(admin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser must not take half a log for a whole one."""
    monkeypatch.setattr(log_exports, "LONGEST_S", 0.05)
    await fill(admin.site)
    with pytest.raises(Exception, match="incomplete chunked read"):
        await admin.client.get(f"{admin.site.url}{EXPORT}")


async def test_leaving_counts_the_log_without_reading_it(admin: Person, raw: Redis) -> None:
    await fill(admin.site, 500)
    await admin.get(f"{TENANT}/leave")
    await raw.config_resetstat()
    await admin.submit("leave-form", domain="contoso.example")
    await admin.again()
    assert "the log with 50" in admin.text
    assert "cmdstat_xrevrange" not in await raw.info("commandstats")
