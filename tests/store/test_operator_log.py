"""The operators' log: newest first, bounded in number and age, and readable beside entries of other releases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from redis.asyncio import Redis

from relay.core.audit.events import OPERATOR, Actor
from relay.store.custody import operator_log
from relay.store.custody.operator_log import ActKind, OperatorAct, OperatorLog
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import TENANT, user

MIA = Actor.operator("mia@fabrikam.example", user(7))


def act(kind: ActKind = ActKind.SUSPENDED, by: Actor = MIA, about: str = "contoso.com") -> OperatorAct:
    return OperatorAct.of(kind, by, tenant_id=TENANT, about=about)


@pytest.mark.each_topology
async def test_acts_come_back_newest_first_with_their_author(store: Store):
    log = OperatorLog(store)
    before = datetime.now(UTC) - timedelta(minutes=1)
    await log.record(act())
    await log.record(act(ActKind.RESUMED, OPERATOR, ""))
    assert [one.act for one in await log.recent()] == [act(ActKind.RESUMED, OPERATOR, ""), act()]
    assert all(one.time > before for one in await log.recent())
    assert len(await log.recent(limit=1)) == 1


async def test_the_log_is_bounded_in_number_and_in_age(store: Store, raw: Redis, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(operator_log, "MOST", 200)
    log = OperatorLog(store)
    old_ms = int((datetime.now(UTC) - operator_log.RETENTION - timedelta(hours=1)).timestamp() * 1000)
    entry = msgspec.json.encode({"kind": "suspended", "by": ["", ""], "tenant_id": TENANT})
    for number in range(operator_log.MOST * 2):
        await raw.xadd(keys.OPERATOR_LOG, {"a": entry}, id=f"{old_ms}-{number + 1}")
    assert await log.recent() == []
    await log.record(act())
    # Redis drops whole nodes of a stream, a hundred entries each.
    assert await raw.xlen(keys.OPERATOR_LOG) <= operator_log.MOST + 100
    assert [one.act for one in await log.recent()] == [act()]


async def test_entries_of_another_release_are_passed_over(store: Store, raw: Redis):
    log = OperatorLog(store)
    await raw.xadd(keys.OPERATOR_LOG, {"b": "x"})
    await raw.xadd(keys.OPERATOR_LOG, {"a": "no JSON"})
    await raw.xadd(keys.OPERATOR_LOG, {"a": msgspec.json.encode({"kind": "danced", "by": ["", ""]})})
    await log.record(act())
    assert [one.act for one in await log.recent()] == [act()]


async def test_what_is_told_is_one_line_and_bounded(store: Store):
    log = OperatorLog(store)
    await log.record(act(about="a\nb" + "c" * 1000))
    [one] = await log.recent()
    assert one.act.about.startswith("a b")
    assert len(one.act.about) <= 320
