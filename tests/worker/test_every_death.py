"""Every documented way for a consent to die, with a worker at work: what suites are told, whether anybody is told, and the cure.

One local cloud, one worker and one receiver serve all of them. What the worker does depends on the class of a refusal, on whom it is
of, on its error, and on whether it may pass: `make test` has one death of each such kind here, and `make soak` has all. That each death is
taken for what it is, `tests/graph/test_deaths.py` shows in every run.
"""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from _pytest.mark import ParameterSet

from emulator import Config, Emulator, Fault
from emulator.demo import CLIENT_ID
from relay.alerts.settings import AlertSettings
from relay.alerts.signature import new_secret
from relay.core.audit.events import OPERATOR
from relay.core.consent.grants import GrantState
from relay.core.consent.refusals import RefusalClass, classify
from relay.core.consent.tenant import TenantState
from relay.core.presence import Presence, Status, TenantId
from relay.store.custody.notices import Notices
from relay.store.custody.tenants import Tenant
from relay.store.custody.vault import Vault
from relay.store.sealing import notify_secrets
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.keys import partition_of
from tests.alerts.receivers import CA_PEM, Receiver, receiver
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually
from tests.worker.conftest import SETTINGS, Relay

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEATHS: list[dict[str, Any]] = tomllib.loads(Path("emulator/entra/deaths.toml").read_text())["death"]
PROVOCABLE = [death for death in DEATHS if "kind" in death]
CONTOSO, ADA, ACCOUNT = "contoso.example", "ada@contoso.example", "presence-relay@contoso.example"
QUICK = replace(
    SETTINGS,
    poll_interval=timedelta(milliseconds=100),
    sweep=timedelta(milliseconds=50),
    grant_patience=timedelta(milliseconds=300),
    graph_patience=timedelta(milliseconds=300),
    alerts=AlertSettings(private_addresses=True, ca_pem=CA_PEM),
)


@dataclass
class Bench:
    """A tenant that is read, and where its administrator is told."""

    relay: Relay
    tenant_id: TenantId
    receiver: Receiver

    async def tenant(self) -> Tenant:
        tenant = await self.relay.tenants.load(self.tenant_id)
        assert tenant is not None
        return tenant

    async def is_in(self, state: TenantState) -> bool:
        return (await self.tenant()).state is state

    async def is_read(self) -> bool:
        return isinstance(await self.relay.answer(self.tenant_id, ADA), Presence)

    async def is_told(self, status: Status) -> bool:
        contact = await self.relay.presences.contact_of(self.tenant_id)
        return contact is not None and contact.status is status

    def told(self) -> list[str]:
        return [post.body.decode().split('"')[3] for post in self.receiver.posts]

    def dies(self, death: dict[str, Any]) -> None:
        microsoft, kind = self.relay.microsoft, death["kind"]
        if death["whose"] == "account":
            microsoft.directory.revoke(ACCOUNT, kind)
        elif death["whose"] == "application":
            microsoft.directory.refuse_application(CLIENT_ID, kind)
        else:
            microsoft.directory.refuse_tenant(CONTOSO, kind)
        microsoft.faults.add(
            Fault(path="/v1.0/", status=401, count=3)
        )  # the relay asks Entra at once; it may give up on one

    async def is_well(self) -> bool:
        """Whether nothing of the death before is left: the worker has read since its cure, and has nothing more to tell."""
        contact = await self.relay.presences.contact_of(self.tenant_id)
        return (
            contact is not None
            and contact.status is Status.NONE
            and await self.is_read()
            and await self.is_in(TenantState.ACTIVE)
            and not await Notices(self.relay.store).of([partition_of(self.tenant_id)])
        )

    async def cure(self) -> None:
        microsoft = self.relay.microsoft
        microsoft.faults.remove()
        microsoft.directory.restore(ACCOUNT)
        microsoft.directory.refuse_application(CLIENT_ID, "")
        microsoft.directory.refuse_tenant(CONTOSO, "")
        await self.relay.onboard_again()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(ValkeyServer(tmp_path_factory.mktemp("deaths")))
        microsoft = await stack.enter_async_context(Emulator.start(Config()))
        store = await stack.enter_async_context(Store(StoreSettings(url=server.url)))
        here = await stack.enter_async_context(receiver())
        relay = Relay(store, Vault(store, KeyRing.from_json(make_ring("test", now_s=0))), microsoft)
        tenant_id = await relay.onboard_again()
        secret = notify_secrets.seal(relay.vault.ring, tenant_id, new_secret())
        settings = {"notify_url": here.url, "notify_secret": secret}
        await relay.tenants.change_settings(tenant_id, settings, OPERATOR)
        await relay.watch(tenant_id, ADA)
        await stack.enter_async_context(relay.working(settings=QUICK))
        yield Bench(relay, tenant_id, here)


def names(death: dict[str, Any]) -> str:
    return f"{death['code']}-{death.get('kind', '')}"


def of_each_kind(deaths: Iterable[dict[str, Any]]) -> Iterator[ParameterSet]:
    """Return the deaths as parameters of a test: all but the first of their kind are for `make soak`."""
    seen = set[tuple[object, ...]]()
    for death in deaths:
        kind = (death["class"], death["whose"], death["error"], death.get("passes"))
        yield pytest.param(death, id=names(death), marks=[pytest.mark.soak] if kind in seen else [])
        seen.add(kind)


@pytest.mark.parametrize("death", list(of_each_kind(d for d in PROVOCABLE if d["class"] == "consent_required")))
async def test_a_consent_that_ended_is_told_in_band_and_to_the_administrator_and_cured(
    bench: Bench, death: dict[str, Any]
) -> None:
    await eventually(bench.is_well)
    bench.receiver.posts.clear()
    bench.dies(death)
    await eventually(lambda: _is(bench, Status.CONSENT_REQUIRED))
    await eventually(lambda: bench.is_in(TenantState.CONSENT_REQUIRED))
    trouble = (await bench.tenant()).trouble
    assert trouble is not None
    assert (trouble.said.number, trouble.code.partition("/")[0]) == (death["code"], death["error"])
    await eventually(lambda: bench.told() == ["consent.required"])
    await bench.cure()
    await eventually(bench.is_read)
    await eventually(lambda: bench.told() == ["consent.required", "consent.restored"])
    assert (await bench.tenant()).trouble is None


@pytest.mark.parametrize("death", list(of_each_kind(d for d in PROVOCABLE if d["class"] != "consent_required")))
async def test_what_is_no_end_of_a_consent_kills_nothing_and_nobody_is_told(
    bench: Bench, death: dict[str, Any]
) -> None:
    await eventually(bench.is_well)
    bench.receiver.posts.clear()
    bench.dies(death)
    status = Status.THROTTLED if death["class"] == "temporary" else Status.SOURCE_UNREACHABLE
    await eventually(lambda: bench.is_told(status))
    assert await bench.is_in(TenantState.ACTIVE)
    assert all(grant.state is not GrantState.DEAD for grant in await bench.relay.vault.list(bench.tenant_id))
    await bench.cure()
    await eventually(bench.is_well)
    assert bench.told() == []


@pytest.mark.parametrize("death", DEATHS, ids=names)
async def test_the_rules_know_which_refusals_may_pass_within_a_minute(death: dict[str, Any]) -> None:
    refusal = classify(death["error"], death.get("suberror", ""), [death["code"]])
    assert refusal.passes is death.get("passes", False)
    assert not refusal.passes or refusal.kind is RefusalClass.CONSENT_REQUIRED


async def _is(bench: Bench, status: Status) -> bool:
    return await bench.relay.answer(bench.tenant_id, ADA) is status
