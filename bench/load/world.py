"""A world for the local cloud, and its tenants onboarded at the relay without a sign-in."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msal
import msgspec

from emulator.generate import BENCH_CLIENT_ID, BENCH_SECRET, stable_guid
from emulator.records import ApplicationRecord, PersonRecord, TenantRecord, WorldRecord
from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId, UserId
from relay.graph.settings import SCOPES
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import httpx

    from relay.store.sealing.marks import RingMarks
    from relay.store.server.connection import Store

CLIENT_ID: Final = BENCH_CLIENT_ID
OTHER_CLIENT_ID: Final = "00000000-0000-4000-8000-00000000be0d"
"""The application of a second relay in the same world, with separate limits and subscriptions."""
SECRET: Final = BENCH_SECRET


@dataclass(frozen=True, slots=True)
class Organisation:
    """One tenant of the world: `people` users, named by `names`, and service accounts that give grants."""

    number: int
    people: int
    grants: int = 1

    @property
    def tenant_id(self) -> TenantId:
        """Return the tenant's id."""
        return TenantId(stable_guid(self._domain))

    @property
    def accounts(self) -> list[str]:
        """The UPNs of its service accounts."""
        return [f"relay{n}@{self._domain}" for n in range(self.grants)]

    @property
    def names(self) -> list[str]:
        """The UPNs of its users."""
        return [f"p{n}@{self._domain}" for n in range(self.people)]

    @property
    def users(self) -> list[UserId]:
        """The object ids of its users."""
        return [user_id(name) for name in self.names]

    @property
    def _domain(self) -> str:
        return f"t{self.number}.example"

    def record(self) -> TenantRecord:
        """Return the tenant in the format of the cloud's world file."""
        people = [PersonRecord(oid=stable_guid(upn), upn=upn, name=upn) for upn in (*self.accounts, *self.names)]
        return TenantRecord(tenant_id=self.tenant_id, domain=self._domain, name=self._domain, people=people)


def organisations(sizes: Sequence[int], grants: int = 1) -> list[Organisation]:
    """Return tenants of these sizes, each with `grants` grants."""
    return [Organisation(number, size, grants) for number, size in enumerate(sizes)]


def user_id(upn: str) -> UserId:
    """Return the object id of a person or account of the world."""
    return UserId(stable_guid(upn))


def write(file: Path, world: Sequence[Organisation]) -> None:
    """Write the world file for the cloud."""
    applications = [
        ApplicationRecord(client_id=client_id, name="Bench", secrets=[SECRET])
        for client_id in (CLIENT_ID, OTHER_CLIENT_ID)
    ]
    record = WorldRecord(tenants=[each.record() for each in world], applications=applications)
    file.write_bytes(msgspec.json.encode(record))


def consents(control: httpx.Client, each: Organisation, client_id: str = CLIENT_ID) -> dict[str, str]:
    """Let the tenant's service accounts consent; return UPN -> refresh token."""
    return {account: _consent(control, account, client_id) for account in each.accounts}


def _consent(control: httpx.Client, account: str, client_id: str) -> str:
    body = {"account": account, "client_id": client_id, "scopes": list(SCOPES)}
    return str(control.post("grants", json=body).raise_for_status().json()["refresh_token"])


async def admit(
    store: Store,
    vault: Vault,
    marks: RingMarks,
    cloud: str,
    each: Organisation,
    tokens: Mapping[str, str],
    client_id: str = CLIENT_ID,
) -> str:
    """Admit a tenant with its grants (UPN -> refresh token); return a suite key."""
    now = datetime.now(UTC)
    await Tenants(store).put(Tenant(tenant_id=each.tenant_id, state=TenantState.ACTIVE, created=now))
    for account, token in tokens.items():
        kept = Grant(
            tenant_id=each.tenant_id, account_id=user_id(account), upn=account, created=now, last_refresh=now,
            token_cache=_token_cache(cloud, each, account, token, client_id),
        )  # fmt: skip
        await vault.save(kept, NEW)
    return (await SuiteKeys(store, marks).issue(each.tenant_id, "bench")).text


def _token_cache(cloud: str, each: Organisation, account: str, refresh_token: str, client_id: str) -> str:
    """Return the token cache that MSAL has after a consent."""
    cache = msal.SerializableTokenCache()
    info = msgspec.json.encode({"uid": user_id(account), "utid": each.tenant_id})
    cache.add(
        {
            "client_id": client_id,
            "scope": list(SCOPES),
            "token_endpoint": f"{cloud}/{each.tenant_id}/oauth2/v2.0/token",
            "response": {
                "refresh_token": refresh_token,
                "client_info": base64.urlsafe_b64encode(info).rstrip(b"=").decode(),
                "id_token_claims": {
                    "oid": user_id(account), "tid": each.tenant_id, "sub": "bench", "preferred_username": account,
                },
            },
        }
    )  # fmt: skip
    return str(cache.serialize())
