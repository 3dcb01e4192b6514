"""A world for the local cloud, and its tenants taken in by the relay without anybody signing in."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msal
import msgspec

from emulator.generate import BENCH_CLIENT_ID, BENCH_SECRET, stable_guid
from emulator.records import ApplicationRecord, PersonRecord, TenantRecord, WorldRecord
from relay.core.presence import TenantId, UserId
from relay.core.tenant import TenantState
from relay.graph.settings import SCOPES
from relay.store.suite_keys import SuiteKeys
from relay.store.tenants import Tenant, Tenants
from relay.store.vault import NEW, Grant, Vault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import httpx

    from relay.store.connection import Store

CLIENT_ID: Final = BENCH_CLIENT_ID
SECRET: Final = BENCH_SECRET


@dataclass(frozen=True, slots=True)
class Organisation:
    """One tenant of the world: `people` users with the names that `names` gives, and a service account."""

    number: int
    people: int

    @property
    def tenant_id(self) -> TenantId:
        """Its id."""
        return TenantId(stable_guid(self._domain))

    @property
    def account(self) -> str:
        """The UPN of its service account."""
        return f"relay@{self._domain}"

    @property
    def account_id(self) -> UserId:
        """The object id of its service account."""
        return UserId(stable_guid(self.account))

    @property
    def names(self) -> list[str]:
        """The UPNs of its users."""
        return [f"p{n}@{self._domain}" for n in range(self.people)]

    @property
    def _domain(self) -> str:
        return f"t{self.number}.example"

    def record(self) -> TenantRecord:
        """The tenant as the cloud's world file has it."""
        people = [PersonRecord(oid=stable_guid(upn), upn=upn, name=upn) for upn in (self.account, *self.names)]
        return TenantRecord(tenant_id=self.tenant_id, domain=self._domain, name=self._domain, people=people)


def organisations(sizes: Sequence[int]) -> list[Organisation]:
    """Tenants of these sizes."""
    return [Organisation(number, size) for number, size in enumerate(sizes)]


def write(file: Path, world: Sequence[Organisation]) -> None:
    """Write the world file."""
    application = ApplicationRecord(client_id=CLIENT_ID, name="Bench", secrets=[SECRET])
    record = WorldRecord(tenants=[each.record() for each in world], applications=[application])
    file.write_bytes(msgspec.json.encode(record))


def grant(control: httpx.Client, each: Organisation) -> str:
    """Have the tenant's service account consent; returns the refresh token."""
    body = {"account": each.account, "client_id": CLIENT_ID, "scopes": list(SCOPES)}
    return str(control.post("grants", json=body).raise_for_status().json()["refresh_token"])


async def admit(store: Store, vault: Vault, cloud: str, each: Organisation, refresh_token: str) -> str:
    """Take a tenant in; returns a suite key."""
    now = datetime.now(UTC)
    await Tenants(store).put(Tenant(tenant_id=each.tenant_id, state=TenantState.ACTIVE, created=now))
    kept = Grant(
        tenant_id=each.tenant_id, account_id=each.account_id, upn=each.account, created=now, last_refresh=now,
        token_cache=_token_cache(cloud, each, refresh_token),
    )  # fmt: skip
    await vault.save(kept, NEW)
    return (await SuiteKeys(store).issue(each.tenant_id, "bench")).text


def _token_cache(cloud: str, each: Organisation, refresh_token: str) -> str:
    """What MSAL keeps after a consent."""
    cache = msal.SerializableTokenCache()
    info = msgspec.json.encode({"uid": each.account_id, "utid": each.tenant_id})
    cache.add(
        {
            "client_id": CLIENT_ID,
            "scope": list(SCOPES),
            "token_endpoint": f"{cloud}/{each.tenant_id}/oauth2/v2.0/token",
            "response": {
                "refresh_token": refresh_token,
                "client_info": base64.urlsafe_b64encode(info).rstrip(b"=").decode(),
                "id_token_claims": {
                    "oid": each.account_id, "tid": each.tenant_id, "sub": "bench", "preferred_username": each.account,
                },
            },
        }
    )  # fmt: skip
    return str(cache.serialize())
