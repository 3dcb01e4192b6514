"""Every key in Redis, and the partition of a tenant. The rights on keys are in `layout.py`: a new key needs a row there.

`{p07}` is the hash tag of partition 7: all keys of a partition are in one Cluster slot.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from relay.core.presence import TenantId, UserId

PARTITIONS: Final = 64
"""Fixed for the life of a store, because it says where each tenant's keys are. See `PARTITION_COUNT`."""

PARTITION_COUNT: Final = b"relay:partitions"
"""Holds `PARTITIONS` as it was when the store was first used."""

LAYOUT: Final = b"relay:layout"
"""Holds the version of the data; see `data_layout.py`."""

WORKERS_LIVE: Final = b"{workers}:live"
"""Hash: worker -> until when it counts as alive, since when it is registered, and for how long each time, in ms by Redis' clock."""

WORKERS_OWNERS: Final = b"{workers}:owners"
"""Hash: partition -> the worker that says it owns it. The lease decides; this is for the others' plans, and for people."""

WORKERS_LOADS: Final = b"{workers}:loads"
"""Hash: partition -> its watched users, and its notifications a minute, as its last owner counted them."""

WORKERS_CHANGED: Final = b"{workers}:changed"
"""Stream: an entry for each time that a worker came, left, or owns other partitions than before."""

FLOW: Final = "flow:"
INVITATION: Final = "invitation:"
RING_USER: Final = "ring-user:"
"""Prefixes of the names of their keys."""

_ROUTE: Final = re.compile(r"([0-9]{2})-[0-9a-f]{32}")


def partition_of(tenant_id: TenantId) -> int:
    """Return the partition of a tenant, 0 to 63, whatever the letter case of its id."""
    return crc32(tenant_id.lower().encode()) % PARTITIONS


def _key(partition: int, rest: str) -> bytes:
    return f"{{p{partition:02d}}}:{rest}".encode()


def _tenant_key(tenant_id: TenantId, rest: str) -> bytes:
    return _key(partition_of(tenant_id), rest)


def writable(partition: int) -> bytes:
    """String: written to find out whether the partition's node takes writes; see `connection.Store.check`."""
    return _key(partition, "writable")


def lease(partition: int) -> bytes:
    """String with expiry: the lease in force."""
    return _key(partition, "lease")


def fence(partition: int) -> bytes:
    """Counter: the newest fencing token."""
    return _key(partition, "fence")


def inbox(partition: int) -> bytes:
    """Stream: hints to the worker."""
    return _key(partition, "inbox")


def inbox_head(partition: int) -> bytes:
    """String: the id of the newest hint."""
    return _key(partition, "inbox:head")


def inbox_pending(partition: int) -> bytes:
    """Hash: tenant id -> hints since the cursor was saved."""
    return _key(partition, "inbox:pending")


def cursor(partition: int) -> bytes:
    """String: the worker's position in the inbox and when it was saved."""
    return _key(partition, "cursor")


def handover(partition: int) -> bytes:
    """Hash with expiry: what an owner that ended in order left behind for the next one."""
    return _key(partition, "handover")


def changes(partition: int) -> bytes:
    """Stream: what the worker found."""
    return _key(partition, "changes")


def changes_head(partition: int) -> bytes:
    """String: the id of the newest entry of `changes`."""
    return _key(partition, "changes:head")


def epoch(partition: int) -> bytes:
    """String: the identity of `changes`."""
    return _key(partition, "epoch")


def tenants(partition: int) -> bytes:
    """Set: the tenants of the partition (custody)."""
    return _key(partition, "tenants")


def left(partition: int) -> bytes:
    """Set: tenants of the partition that left, and of whose users something may still be kept (custody)."""
    return _key(partition, "left")


def turned_away(partition: int) -> bytes:
    """Hash: tenant id -> when and why the operator removed or refused it (custody)."""
    return _key(partition, "turned-away")


SIGN_UPS_ARRIVED: Final = b"{sign-ups}:arrived"
"""Sorted set: tenants that came by the wizard, by when (at custody's server)."""

SIGN_UPS_PENDING: Final = b"{sign-ups}:pending"
"""Sorted set: tenants that wait for the operator's approval, by until when (at custody's server)."""

SIGN_UPS_TOLD: Final = b"{sign-ups}:told"
"""String: the limit that the operator was notified of; ends after an hour (at custody's server)."""


def tenant(tenant_id: TenantId) -> bytes:
    """Hash: the tenant's record (custody)."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}")


def tenant_grants(tenant_id: TenantId) -> bytes:
    """Set: the object ids of the accounts with a grant (custody)."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:grants")


def tenant_managers(tenant_id: TenantId) -> bytes:
    """Hash: the object ids of the accounts that manage the tenant, and who they are (custody)."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:managers")


def tenant_requests(tenant_id: TenantId) -> bytes:
    """Hash: the object ids of the accounts that asked to read for the tenant, and what became of it (custody)."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:requests")


def request(tenant_id: TenantId, account_id: UserId) -> bytes:
    """String with expiry: the sealed consent of an account that asked to read for the tenant (custody)."""
    return request_prefix(tenant_id) + account_id.encode()


def request_prefix(tenant_id: TenantId) -> bytes:
    """Return the prefix of the keys of all the tenant's requests."""
    return _tenant_key(tenant_id, f"request:{tenant_id}:")


def tenant_suite_keys(tenant_id: TenantId) -> bytes:
    """Set: the ids of the tenant's suite keys (custody)."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:suite-keys")


def tenant_edges(tenant_id: TenantId) -> bytes:
    """Set: the edges that registered interest in the tenant."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:edges")


def tenant_shared(tenant_id: TenantId) -> bytes:
    """Hash: edge -> how many of its names other edges watch too; see `_shared.lua`."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:shared")


def tenant_contact(tenant_id: TenantId) -> bytes:
    """String with expiry: contact time, poll interval and status.

    Apart from the record: a worker that has not yet heard of a removal must not bring half a tenant back.
    """
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:contact")


def tenant_unenforced(tenant_id: TenantId) -> bytes:
    """String: a change of who can be watched that the tenant's worker has not enforced yet."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:unenforced")


def tenant_asked(tenant_id: TenantId) -> bytes:
    """Counter with expiry: how many explanations were asked for."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:asked")


def explanation(tenant_id: TenantId, request_id: str) -> bytes:
    """List with expiry: what worker and edges said to one question."""
    return _tenant_key(tenant_id, f"explanation:{request_id}")


def tenant_push(tenant_id: TenantId) -> bytes:
    """String: how many users are pushed, for operators."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:push")


def tenant_connected(tenant_id: TenantId) -> bytes:
    """Hash with expiry: edge -> when it said so, and which suites have how many streams and users there."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:connected")


def notices(partition: int) -> bytes:
    """Hash: notice id -> what the partition's administrators are to be told (custody)."""
    return _key(partition, "notices")


def letters(partition: int) -> bytes:
    """Hash with expiry: tenant id -> letters to its people within the hour (at custody's server, not waited for)."""
    return _key(partition, "letters")


def grant(tenant_id: TenantId, account_id: UserId) -> bytes:
    """Hash: one account's grant (custody)."""
    return grant_prefix(tenant_id) + account_id.encode()


def grant_prefix(tenant_id: TenantId) -> bytes:
    """Return the prefix of the keys of all the tenant's grants."""
    return _tenant_key(tenant_id, f"grant:{tenant_id}:")


def audit(tenant_id: TenantId) -> bytes:
    """Stream: who did what to the tenant's custody (custody)."""
    return _tenant_key(tenant_id, f"audit:{tenant_id}")


def audit_watches(tenant_id: TenantId) -> bytes:
    """Stream: which suite watched which users (on custody's server, not waited for)."""
    return _tenant_key(tenant_id, f"audit:{tenant_id}:watches")


def directory(tenant_id: TenantId) -> bytes:
    """Hash: name -> user id or status, with expiry per entry."""
    return _tenant_key(tenant_id, f"directory:{tenant_id}")


def answers(tenant_id: TenantId) -> bytes:
    """Hash: user id -> revision, order and encoded answer."""
    return _tenant_key(tenant_id, f"answers:{tenant_id}")


def interest(tenant_id: TenantId, edge: str) -> bytes:
    """Set with expiry: the names that an edge's suites watch."""
    return interest_prefix(tenant_id) + edge.encode()


def interest_prefix(tenant_id: TenantId) -> bytes:
    """Return the prefix of the keys of all the tenant's interest."""
    return _tenant_key(tenant_id, f"interest:{tenant_id}:")


def new_route(tenant_id: TenantId) -> str:
    """Return the route of a new subscription: nobody can guess it, and it names the partition that holds its record."""
    return f"{partition_of(tenant_id):02d}-{secrets.token_hex(16)}"


def partition_of_route(route_id: str) -> int | None:
    """Return the partition that a route names; None for a text that is not a route."""
    found = _ROUTE.fullmatch(route_id)
    return int(found[1]) if found is not None and int(found[1]) < PARTITIONS else None


def subscription(route_id: str) -> bytes:
    """Hash: the subscription that notifies at this route."""
    partition = partition_of_route(route_id)
    if partition is None:
        raise ValueError(f"{route_id[:50]!r} is no route")
    return _key(partition, f"subscription:{route_id}")


def subscription_prefix(tenant_id: TenantId) -> bytes:
    """Return the prefix of the keys of all subscriptions of the tenant's partition."""
    return _tenant_key(tenant_id, "subscription:")


def tenant_subscriptions(tenant_id: TenantId) -> bytes:
    """Set: the routes of the tenant's subscriptions."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:subscriptions")


def suite_key(key_id: str) -> bytes:
    """Hash: one suite key (custody). In no partition, because its tenant is not known before it is read."""
    return f"suite-key:{key_id}".encode()


def suite_key_use(key_id: str) -> bytes:
    """Hash: when a suite key was last used and by which program (custody).

    Apart from the key itself, so that edges, which write it, need not be able to write keys. In the key's slot.
    """
    return f"{{suite-key:{key_id}}}:use".encode()


def flow(name: str) -> bytes:
    """String with expiry: how far a browser is with signing in or up (custody)."""
    return f"{FLOW}{name}".encode()


def invitation(digest: str) -> bytes:
    """String with expiry: one invitation (custody)."""
    return f"{INVITATION}{digest}".encode()


def ring_user(process: str) -> bytes:
    """String with expiry: the key that a process seals with (custody)."""
    return f"{RING_USER}{process}".encode()


OPERATOR_LOG: Final = b"operators:log"
"""Stream: what operators did to all tenants (custody)."""

WEB_FORWARDED: Final = b"web:forwarded"
"""String with expiry: when the pages last met a proxy that is not trusted (at custody's server)."""


def quota(name: str) -> bytes:
    """Sorted set: values of one kind by when they end, so that there are so many at most (at custody's server)."""
    return f"rooms:{name}".encode()
