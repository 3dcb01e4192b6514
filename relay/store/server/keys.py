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
"""Fixed for the lifetime of a store, because it decides where each tenant's keys are. See `PARTITION_COUNT`."""

PARTITION_COUNT: Final = b"relay:partitions"
"""Holds the value of `PARTITIONS` from the first use of the store."""

LAYOUT: Final = b"relay:layout"
"""Holds the version of the data; see `data_layout.py`."""

WORKERS_LIVE: Final = b"{workers}:live"
"""Hash: worker -> end of its registration, start of its registration and duration of each renewal, in ms by Redis'
clock."""

WORKERS_OWNERS: Final = b"{workers}:owners"
"""Hash: partition -> the worker that reports to own it. The lease decides; this is for the plans of other workers and
for display."""

WORKERS_LOADS: Final = b"{workers}:loads"
"""Hash: partition -> its watched users and its notifications per minute, as its last owner counted them."""

WORKERS_CHANGED: Final = b"{workers}:changed"
"""Stream: an entry each time a worker starts, stops or owns other partitions."""

FLOW: Final = "flow:"
INVITATION: Final = "invitation:"
RING_USER: Final = "ring-user:"
"""Prefixes of the names of their keys."""

_ROUTE: Final = re.compile(r"([0-9]{2})-[0-9a-f]{32}")


def partition_of(tenant_id: TenantId) -> int:
    """Return the partition of a tenant, 0 to 63. The letter case of its id does not matter."""
    return crc32(tenant_id.lower().encode()) % PARTITIONS


def _key(partition: int, rest: str) -> bytes:
    return f"{{p{partition:02d}}}:{rest}".encode()


def _tenant_key(tenant_id: TenantId, rest: str) -> bytes:
    return _key(partition_of(tenant_id), rest)


def writable(partition: int) -> bytes:
    """String: written to check whether the partition's node accepts writes; see `connection.Store.check`."""
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
    """Hash with expiry: the handover from an owner that shut down cleanly to the next owner."""
    return _key(partition, "handover")


def changes(partition: int) -> bytes:
    """Stream: the worker's results."""
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
    """Set: tenants of the partition that left, while data of their users may still be stored (custody)."""
    return _key(partition, "left")


def turned_away(partition: int) -> bytes:
    """Hash: tenant id -> when and why the operator removed or refused it (custody)."""
    return _key(partition, "turned-away")


SIGN_UPS_ARRIVED: Final = b"{sign-ups}:arrived"
"""Sorted set: tenants that signed up with the wizard, by time (on custody's server)."""

SIGN_UPS_PENDING: Final = b"{sign-ups}:pending"
"""Sorted set: tenants that wait for the operator's approval, by the end of the wait (on custody's server)."""

SIGN_UPS_TOLD: Final = b"{sign-ups}:told"
"""String with expiry: the limit that the operator was notified of within the last hour (on custody's server)."""


def tenant(tenant_id: TenantId) -> bytes:
    """Hash: the tenant's record (custody)."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}")


def tenant_grants(tenant_id: TenantId) -> bytes:
    """Set: the object ids of the accounts with a grant (custody)."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:grants")


def tenant_managers(tenant_id: TenantId) -> bytes:
    """Hash: object id of an account that manages the tenant -> its name and details (custody)."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:managers")


def tenant_requests(tenant_id: TenantId) -> bytes:
    """Hash: object id of an account that requested to read for the tenant -> the request and its result (custody)."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:requests")


def request(tenant_id: TenantId, account_id: UserId) -> bytes:
    """String with expiry: the sealed consent of an account that requested to read for the tenant (custody)."""
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
    """Hash: edge -> number of its names that other edges watch too; see `_shared.lua`."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:shared")


def tenant_contact(tenant_id: TenantId) -> bytes:
    """String with expiry: contact time, poll interval and status.

    Separate from the record: a worker that does not know of a removal yet must not recreate part of the tenant.
    """
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:contact")


def tenant_unenforced(tenant_id: TenantId) -> bytes:
    """String: mark of a changed watching permission that the tenant's worker has not enforced yet."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:unenforced")


def tenant_asked(tenant_id: TenantId) -> bytes:
    """Counter with expiry: number of requested explanations."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:asked")


def explanation(tenant_id: TenantId, request_id: str) -> bytes:
    """List with expiry: the answers of worker and edges to one question."""
    return _tenant_key(tenant_id, f"explanation:{request_id}")


def tenant_push(tenant_id: TenantId) -> bytes:
    """String: the tenant's push status, for operators."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:push")


def tenant_connected(tenant_id: TenantId) -> bytes:
    """Hash with expiry: edge -> time of its report, and the streams and users of each suite there."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:connected")


def notices(partition: int) -> bytes:
    """Hash: notice id -> notice to administrators of the partition's tenants (custody)."""
    return _key(partition, "notices")


def letters(partition: int) -> bytes:
    """Hash with expiry: tenant id -> number of letters within the hour (on custody's server, not durable)."""
    return _key(partition, "letters")


def grant(tenant_id: TenantId, account_id: UserId) -> bytes:
    """Hash: one account's grant (custody)."""
    return grant_prefix(tenant_id) + account_id.encode()


def grant_prefix(tenant_id: TenantId) -> bytes:
    """Return the prefix of the keys of all the tenant's grants."""
    return _tenant_key(tenant_id, f"grant:{tenant_id}:")


def audit(tenant_id: TenantId) -> bytes:
    """Stream: the audit log of the tenant (custody)."""
    return _tenant_key(tenant_id, f"audit:{tenant_id}")


def audit_watches(tenant_id: TenantId) -> bytes:
    """Stream: the users that each suite watched (on custody's server, not durable)."""
    return _tenant_key(tenant_id, f"audit:{tenant_id}:watches")


def directory(tenant_id: TenantId) -> bytes:
    """Hash: name -> user id or status, with expiry per entry."""
    return _tenant_key(tenant_id, f"directory:{tenant_id}")


def answers(tenant_id: TenantId) -> bytes:
    """Hash: user id -> revision, order and encoded answer."""
    return _tenant_key(tenant_id, f"answers:{tenant_id}")


def interest(tenant_id: TenantId, edge: str) -> bytes:
    """Set with expiry: the names that the suites of an edge watch."""
    return interest_prefix(tenant_id) + edge.encode()


def interest_prefix(tenant_id: TenantId) -> bytes:
    """Return the prefix of the keys of all the tenant's interest."""
    return _tenant_key(tenant_id, f"interest:{tenant_id}:")


def new_route(tenant_id: TenantId) -> str:
    """Return the route of a new subscription: not guessable, with the number of the partition that holds its record."""
    return f"{partition_of(tenant_id):02d}-{secrets.token_hex(16)}"


def partition_of_route(route_id: str) -> int | None:
    """Return the partition in a route; None for a text that is not a route."""
    found = _ROUTE.fullmatch(route_id)
    return int(found[1]) if found is not None and int(found[1]) < PARTITIONS else None


def subscription(route_id: str) -> bytes:
    """Hash: the subscription that notifies at this route."""
    partition = partition_of_route(route_id)
    if partition is None:
        raise ValueError(f"{route_id[:50]!r} is not a route")
    return _key(partition, f"subscription:{route_id}")


def subscription_prefix(tenant_id: TenantId) -> bytes:
    """Return the prefix of the keys of all subscriptions of the tenant's partition."""
    return _tenant_key(tenant_id, "subscription:")


def tenant_subscriptions(tenant_id: TenantId) -> bytes:
    """Set: the routes of the tenant's subscriptions."""
    return _tenant_key(tenant_id, f"tenant:{tenant_id}:subscriptions")


def suite_key(key_id: str) -> bytes:
    """Hash: one suite key (custody). Outside partitions, because its tenant is unknown until it is read."""
    return f"suite-key:{key_id}".encode()


def suite_key_use(key_id: str) -> bytes:
    """Hash: time and program of the last use of a suite key (custody).

    Separate from the key, so that edges can write it without the right to write suite keys. In the key's slot.
    """
    return f"{{suite-key:{key_id}}}:use".encode()


def flow(name: str) -> bytes:
    """String with expiry: the state of a browser's sign-in or sign-up (custody)."""
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
"""String with expiry: the last time that the pages received a request through an untrusted proxy (on custody's
server)."""


def quota(name: str) -> bytes:
    """Sorted set: values of one kind by their end, to limit their number (on custody's server)."""
    return f"rooms:{name}".encode()
