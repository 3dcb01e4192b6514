"""The rights on keys: the families of keys in `keys.py`, and the rights of each role on them.

One row for each function and constant of `keys.py` that names a key; a test verifies that none is missing. `acl` makes
the Redis users from the table.

    r     reads
    w     writes
    rw    both. A script needs both rights on each of its keys, unless it only reads
    ·     no right

Rights apply to keys, not to fields: a role that may write a tenant's record may write its settings too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Client(StrEnum):
    """A client of Redis: one of the five roles, or the operator's commands."""

    EDGE = "edge"
    WORKER = "worker"
    WEBHOOK = "webhook"
    WEB = "web"
    OPERATOR = "operator"
    CONSOLE = "console"


class Side(StrEnum):
    """The two servers that the relay's data can be on. They are the same unless the vault is on a separate server."""

    PRESENCE = "presence"
    VAULT = "vault"
    BOTH = "both"
    """Keys of presence that scripts of custody also use on the vault's server."""

    def includes(self, side: Side) -> bool:
        """Return whether keys of this side are on the server of `side`."""
        return self in (side, Side.BOTH)


@dataclass(frozen=True, slots=True)
class Family:
    """The keys that one function of `keys.py` names."""

    pattern: str
    """The pattern in Redis' syntax. `?` matches one character; `*` would also match families with longer names."""
    side: Side
    rights: Mapping[Client, str]
    """`r`, `w` or `rw`; a missing role has no right."""


_P: Final = "{p??}:"
_GUID: Final = "????????-????-????-????-????????????"


def _family(pattern: str, side: Side, rights: str) -> Family:
    """Make a row: the rights of edge, worker, webhook, web, operator and console, in that order."""
    given = dict(zip(Client, rights.split(), strict=True))
    return Family(pattern, side, {client: right for client, right in given.items() if right != "·"})


_PRESENCE, _VAULT, _BOTH = Side.PRESENCE, Side.VAULT, Side.BOTH

# fmt: off
FAMILIES: Final[Mapping[str, Family]] = {
    #                                                                            edge worker webhook web operator console
    "partition_count":      _family("relay:partitions", _BOTH,                      "r   rw     r       r   rw       r"),
    "layout":               _family("relay:layout", _BOTH,                          "r   rw     r       r   rw       r"),
    "writable":             _family(f"{_P}writable", _BOTH,                         "w   w      w       w   w        w"),
    "workers_live":         _family("{workers}:live", _PRESENCE,                    "·   rw     ·       ·   r        r"),
    "workers_owners":       _family("{workers}:owners", _PRESENCE,                  "·   rw     ·       ·   r        r"),
    "workers_loads":        _family("{workers}:loads", _PRESENCE,                   "·   rw     ·       ·   r        r"),
    "workers_changed":      _family("{workers}:changed", _PRESENCE,                 "·   rw     ·       ·   ·        ·"),
    "lease":                _family(f"{_P}lease", _PRESENCE,                        "·   rw     ·       ·   r        r"),
    "fence":                _family(f"{_P}fence", _PRESENCE,                        "·   rw     ·       ·   ·        ·"),
    "inbox":                _family(f"{_P}inbox", _BOTH,                            "rw  rw     rw      rw  rw       rw"),
    "inbox_head":           _family(f"{_P}inbox:head", _BOTH,                       "rw  rw     rw      rw  rw       rw"),
    "inbox_pending":        _family(f"{_P}inbox:pending", _BOTH,                    "rw  rw     rw      rw  rw       rw"),
    "cursor":               _family(f"{_P}cursor", _PRESENCE,                       "·   rw     ·       ·   ·        ·"),
    "handover":             _family(f"{_P}handover", _PRESENCE,                     "·   rw     ·       ·   ·        ·"),
    "changes":              _family(f"{_P}changes", _PRESENCE,                      "r   rw     ·       rw  rw       rw"),
    "changes_head":         _family(f"{_P}changes:head", _PRESENCE,                 "r   rw     ·       rw  rw       rw"),
    "epoch":                _family(f"{_P}epoch", _PRESENCE,                        "r   rw     ·       r   r        r"),
    "tenants":              _family(f"{_P}tenants", _VAULT,                         "·   r      ·       rw  rw       r"),
    "left":                 _family(f"{_P}left", _VAULT,                            "·   rw     ·       rw  rw       ·"),
    "turned_away":          _family(f"{_P}turned-away", _VAULT,                     "·   ·      ·       rw  rw       ·"),
    "tenant":               _family(f"{_P}tenant:{_GUID}", _VAULT,                  "r   rw     ·       rw  rw       rw"),
    "tenant_grants":        _family(f"{_P}tenant:{_GUID}:grants", _VAULT,           "·   rw     ·       rw  rw       rw"),
    "tenant_managers":      _family(f"{_P}tenant:{_GUID}:managers", _VAULT,         "·   ·      ·       rw  rw       rw"),
    "tenant_requests":      _family(f"{_P}tenant:{_GUID}:requests", _VAULT,         "·   ·      ·       rw  rw       r"),
    "request":              _family(f"{_P}request:*", _VAULT,                       "·   ·      ·       rw  rw       ·"),
    "tenant_suite_keys":    _family(f"{_P}tenant:{_GUID}:suite-keys", _VAULT,       "r   ·      ·       rw  rw       r"),
    "tenant_edges":         _family(f"{_P}tenant:{_GUID}:edges", _PRESENCE,         "rw  rw     ·       rw  rw       rw"),
    "tenant_shared":        _family(f"{_P}tenant:{_GUID}:shared", _PRESENCE,        "rw  rw     ·       rw  rw       rw"),
    "tenant_contact":       _family(f"{_P}tenant:{_GUID}:contact", _PRESENCE,       "r   rw     ·       r   r        r"),
    "tenant_unenforced":    _family(f"{_P}tenant:{_GUID}:unenforced", _PRESENCE,    "r   rw     ·       rw  rw       r"),
    "tenant_asked":         _family(f"{_P}tenant:{_GUID}:asked", _PRESENCE,         "·   ·      ·       rw  rw       rw"),
    "explanation":          _family(f"{_P}explanation:*", _PRESENCE,                "w   rw     ·       rw  rw       rw"),
    "tenant_push":          _family(f"{_P}tenant:{_GUID}:push", _PRESENCE,          "·   rw     ·       r   r        r"),
    "tenant_connected":     _family(f"{_P}tenant:{_GUID}:connected", _PRESENCE,     "rw  rw     ·       r   r        r"),
    "notices":              _family(f"{_P}notices", _VAULT,                         "·   rw     ·       rw  rw       rw"),
    "letters":              _family(f"{_P}letters", _VAULT,                         "·   ·      ·       rw  rw       rw"),
    "grant":                _family(f"{_P}grant:*", _VAULT,                         "·   rw     ·       rw  rw       r"),
    "audit":                _family(f"{_P}audit:{_GUID}", _VAULT,                   "·   rw     ·       rw  rw       rw"),
    "audit_watches":        _family(f"{_P}audit:{_GUID}:watches", _VAULT,           "rw  ·      ·       rw  rw       r"),
    "directory":            _family(f"{_P}directory:*", _PRESENCE,                  "r   rw     ·       r   r        r"),
    "answers":              _family(f"{_P}answers:*", _PRESENCE,                    "r   rw     ·       r   r        r"),
    "interest":             _family(f"{_P}interest:*", _PRESENCE,                   "rw  r      ·       rw  r        r"),
    "subscription":         _family(f"{_P}subscription:*", _PRESENCE,               "·   rw     r       r   r        ·"),
    "tenant_subscriptions": _family(f"{_P}tenant:{_GUID}:subscriptions", _PRESENCE, "·   rw     r       r   r        ·"),
    "suite_key":            _family("suite-key:*", _VAULT,                          "r   ·      ·       rw  rw       r"),
    "suite_key_use":        _family("{suite-key:*}:use", _VAULT,                    "rw  ·      ·       rw  rw       r"),
    "flow":                 _family("flow:*", _VAULT,                               "·   ·      ·       rw  rw       rw"),
    "quota":                _family("rooms:*", _VAULT,                              "·   ·      ·       rw  rw       rw"),
    "sign_ups_arrived":     _family("{sign-ups}:arrived", _VAULT,                   "·   ·      ·       rw  rw       ·"),
    "sign_ups_pending":     _family("{sign-ups}:pending", _VAULT,                   "·   ·      ·       rw  rw       rw"),
    "sign_ups_told":        _family("{sign-ups}:told", _VAULT,                      "·   ·      ·       rw  r        ·"),
    "operator_log":         _family("operators:log", _VAULT,                        "·   ·      ·       ·   rw       rw"),
    "web_forwarded":        _family("web:forwarded", _VAULT,                        "·   ·      ·       rw  r        ·"),
    "invitation":           _family("invitation:*", _VAULT,                         "·   ·      ·       rw  rw       rw"),
    "ring_user":            _family("ring-user:*", _VAULT,                          "w   w      ·       w   rw       w"),
}
# fmt: on


def family_of(key: str) -> str | None:
    """Return the name of the family that a key belongs to; None for a key that is not the relay's."""
    from fnmatch import fnmatchcase

    # `{` is an ordinary character to both fnmatch and Redis, and no pattern has brackets.
    found = [name for name, family in FAMILIES.items() if fnmatchcase(key, family.pattern)]
    return found[0] if found else None
