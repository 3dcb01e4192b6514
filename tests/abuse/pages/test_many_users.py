"""Diagnostics keep what they read for a while: of few users in all, however many organisations look."""

from __future__ import annotations

import pytest

from relay.core.names import normalise
from relay.core.presence import TenantId
from relay.diagnosis import minute, overview
from relay.diagnosis.overview import Overviews
from relay.store.server.connection import Store

pytestmark = pytest.mark.finding(20)


async def test_overviews_of_many_users_give_way_to_the_newest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "_MOST_ROWS", 2)
    overviews = Overviews(store)
    tenants = [TenantId(f"6b5f4a3e-1111-4222-8333-94444555566{number}") for number in range(4)]
    name = normalise("ada@contoso.example")
    assert name is not None
    for tenant_id in tenants:
        assert await minute.watch(store, tenant_id, name)
        assert len((await overviews.of(tenant_id)).rows) == 1
    assert list(overviews._kept) == tenants[2:]
