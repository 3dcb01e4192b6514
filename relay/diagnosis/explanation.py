"""Everything about one user: the answers of Microsoft and the relay, how the user is read, which suites watch, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from relay.core.names import is_object_id, normalise, user_id
from relay.core.presence import Presence, Status, UserId
from relay.core.showing import mapping
from relay.core.showing.diagnosis import (
    ABSENCES,
    HELD_BACK,
    NOT_REQUESTED,
    NOT_WATCHED_ANY_MORE,
    SUSPENDED,
    Absence,
    Connector,
    ConnectorState,
    Word,
    word,
)
from relay.diagnosis import connection
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.presence.explanations import Explanations, Gathered
from relay.store.presence.interest import Interest, is_page
from relay.store.presence.presences import Presences
from relay.wire.decode import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relay.core.presence import Name, TenantId
    from relay.core.revision import Revision
    from relay.store.custody.tenants import Tenant
    from relay.store.custody.vault import Vault
    from relay.store.presence.explanations import OwnerAnswer
    from relay.store.server.connection import Store


@dataclass(frozen=True, slots=True)
class WatchingSuite:
    """A suite that watches the explained user."""

    key_id: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything known about one user of a tenant.

    Attributes:
        asked: the name or id to explain, as given.
        at: the time of the explanation.
        connector: the state of the tenant's connection.
        word: the state of the user, in one word.
        user_id: None for a name without a user, or not resolved yet.
        presence: None without presence; then `absence` is the reason.
        absence: also set for a presence that no suite requests any more.
        since: the time since which the answer is unchanged; None without one.
        mapped: the row of the mapping that produced the presence.
        names: the names that suites use.
        suites: the suites that watch, as far as the edges answered.
        is_requested: whether a suite requests the user.
        is_shown: whether a page is watching the user.
        owner: the worker's answer; None without one.
        is_whole: whether the worker and all edges answered.
        is_limited: whether worker and edges were not queried, because there were too many questions about the tenant.
        accounts: object id -> user name of the tenant's accounts.
    """

    asked: str
    at: datetime
    connector: Connector
    word: Word
    user_id: UserId | None = None
    presence: Presence | None = None
    absence: Absence | None = None
    since: datetime | None = None
    mapped: mapping.Explained | None = None
    names: tuple[str, ...] = ()
    suites: tuple[WatchingSuite, ...] = ()
    is_requested: bool = False
    is_shown: bool = False
    owner: OwnerAnswer | None = None
    is_whole: bool = False
    is_limited: bool = False
    accounts: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name to show for the user."""
        return (self.presence.upn if self.presence is not None else "") or (self.names[0] if self.names else self.asked)

    @property
    def reading(self) -> str:
        """The account that reads the user; empty when not known."""
        return self._account(self.owner.reading_account) if self.owner is not None else ""

    @property
    def covering(self) -> str:
        """The account whose subscription covers the user; empty without one."""
        return self._account(self.owner.covering_account) if self.owner is not None else ""

    @property
    def covered_until(self) -> datetime | None:
        """The time at which the subscription ends unless it is renewed."""
        if self.owner is None or not self.owner.covered_until_ms:
            return None
        return datetime.fromtimestamp(self.owner.covered_until_ms / 1000, tz=UTC)

    @property
    def next_read(self) -> datetime | None:
        """The time of the user's next read."""
        if self.owner is None or self.owner.next_read_s is None or not self.owner.is_read:
            return None
        return self.at + timedelta(seconds=self.owner.next_read_s)

    @property
    def confirmed(self) -> datetime | None:
        """The time at which Microsoft last confirmed the answer."""
        if self.owner is None or self.owner.confirmed_s is None or not self.owner.is_read:
            return None
        return self.at - timedelta(seconds=self.owner.confirmed_s)

    def _account(self, account_id: str) -> str:
        return self.accounts.get(account_id, account_id)


async def explain(store: Store, vault: Vault, tenant_id: TenantId, text: str) -> Explanation | None:
    """Explain one user of a tenant.

    Args:
        store: the relay's store.
        vault: reads the accounts.
        tenant_id: from the credential, so that users of other tenants are not found.
        text: a user name or an object id, in any spelling.

    Returns:
        None when there is no such tenant.
    """
    tenant = await Tenants(store).load(tenant_id)
    if tenant is None:
        return None
    connected = await connection.read(store, vault, tenant)
    shown = text.strip()[:_MOST_SHOWN_CHARS]
    name = normalise(text)
    if name is None:
        no_name = ABSENCES[Status.MALFORMED]
        return Explanation(
            asked=shown, at=datetime.now(UTC), connector=connected.connector, word=no_name.word, absence=no_name
        )
    gathered, is_limited = await _asked(store, tenant_id, name)
    owner = gathered.owner
    names = tuple(owner.names) if owner is not None and owner.names else (name,)
    found = await _answer(store, tenant_id, [name, *(each for each in map(normalise, names) if each)])
    edges = await Interest(store).watching(tenant_id, {name, *(each for each in map(normalise, names) if each)})
    is_requested = any(not is_page(edge) for edge in edges)
    absence = _absence(found, connected.connector, is_watched=bool(edges))
    presence = found.answer if isinstance(found.answer, Presence) else None
    return Explanation(
        asked=shown,
        at=datetime.now(UTC),
        connector=connected.connector,
        word=absence.word if absence is not None else word(found.answer),
        user_id=found.user_id or (UserId(owner.user_id) if owner is not None and owner.user_id else None),
        presence=presence,
        absence=absence,
        since=found.since,
        mapped=_mapped(tenant, presence),
        names=names if is_requested else (),
        suites=await _suites(store, tenant_id, gathered.key_ids),
        is_requested=is_requested,
        is_shown=any(map(is_page, edges)),
        owner=owner,
        is_whole=gathered.is_whole,
        is_limited=is_limited,
        accounts=connected.accounts,
    )


_MOST_SHOWN_CHARS = 320


@dataclass(frozen=True, slots=True)
class _Answer:
    user_id: UserId | None = None
    answer: Presence | Status | None = None
    since: datetime | None = None
    is_held_back: bool = False


async def _asked(store: Store, tenant_id: TenantId, name: Name) -> tuple[Gathered, bool]:
    """Return the replies of owner and edges, and True if they were not queried because of the limit."""
    known = (await _answer(store, tenant_id, [name])).user_id
    user = known or (user_id(name) if is_object_id(name) else None)
    gathered = await _gathered(store, tenant_id, user, name)
    if user is None and gathered is not None and gathered.owner is not None and gathered.owner.user_id:
        # Only the owner can resolve the name; the question to the edges needs the user's id.
        gathered = await _gathered(store, tenant_id, UserId(gathered.owner.user_id), name)
    return gathered or Gathered(), gathered is None


async def _gathered(store: Store, tenant_id: TenantId, user: UserId | None, name: Name) -> Gathered | None:
    explanations = Explanations(store)
    request_id = await explanations.ask(tenant_id, user, [name])
    if request_id is None:
        return None
    return await explanations.gather(tenant_id, request_id, lambda edge: not is_page(edge))


async def _answer(store: Store, tenant_id: TenantId, names: Iterable[Name]) -> _Answer:
    """Return the stored answer of the user, by the first of its names that has one."""
    asked = list(dict.fromkeys(names))
    snapshot = await Presences(store).snapshot(tenant_id, asked)
    known = [snapshot.names[name] for name in asked if name in snapshot.names]
    users = [outcome for outcome in known if not isinstance(outcome, Status)]
    if not users:
        return _Answer(answer=next((outcome for outcome in known if isinstance(outcome, Status)), None))
    stored = snapshot.answers.get(users[0])
    if stored is None:
        return _Answer(users[0], Status.PENDING, is_held_back=snapshot.is_held_back)
    return _Answer(users[0], _decoded(stored[1]), _instant(stored[0]))


def _decoded(item: bytes) -> Presence | Status:
    try:
        return decode(item)
    except ValueError:  # written by another release: the worker will read it again
        return Status.PENDING


def _absence(found: _Answer, connector: Connector, *, is_watched: bool) -> Absence | None:
    """Return the reason why there is no presence, or why the present one will soon be withdrawn."""
    if connector.state is ConnectorState.DISABLED:
        return SUSPENDED
    if not is_watched:
        return NOT_REQUESTED if found.answer is None else NOT_WATCHED_ANY_MORE
    if found.is_held_back:
        return HELD_BACK
    return None if isinstance(found.answer, Presence) else ABSENCES[found.answer or Status.PENDING]


def _mapped(tenant: Tenant, presence: Presence | None) -> mapping.Explained | None:
    if presence is None:
        return None
    out = presence.out_of_office.active if presence.out_of_office is not None else None
    overrides = mapping.overrides(tenant.settings)
    return mapping.explain(presence.raw_availability, presence.raw_activity, out, overrides)


async def _suites(store: Store, tenant_id: TenantId, key_ids: Iterable[str]) -> tuple[WatchingSuite, ...]:
    """Return the keys with their labels; ids that are not the tenant's are left out."""
    wanted = set(key_ids)
    if not wanted:
        return ()
    return tuple(
        WatchingSuite(key.key_id, key.label) for key in await SuiteKeys(store).list(tenant_id) if key.key_id in wanted
    )


def _instant(revision: Revision) -> datetime:
    return datetime.fromtimestamp((revision >> 64) / 1000, tz=UTC)


def as_json(said: Explanation) -> dict[str, Any]:
    """Return the explanation as plain JSON values. Field names are stable; new fields may be added."""
    presence, owner = said.presence, said.owner
    return {
        "asked": said.asked,
        "time": _text(said.at),
        "connector": {"state": said.connector.state.value, "cause": str(said.connector.cause)},
        "word": said.word.value,
        "user_id": said.user_id,
        "upn": presence.upn if presence is not None else None,
        "since": _text(said.since),
        "presence": None
        if presence is None
        else {
            "raw_availability": presence.raw_availability,
            "raw_activity": presence.raw_activity,
            "availability": presence.availability.name,
            "console_status": presence.console_status.name,
            "idle": presence.idle,
            "source": presence.source.name,
            "observe_time": _text(presence.observe_time),
        },
        "row": None
        if said.mapped is None
        else {"name": said.mapped.name, "is_override": said.mapped.override is not None},
        "absence": None if said.absence is None else {"why": said.absence.why, "remedy": said.absence.remedy},
        "names": list(said.names),
        "suites": [{"key_id": suite.key_id, "label": suite.label} for suite in said.suites],
        "is_requested": said.is_requested,
        "worker": None
        if owner is None
        else {
            "id": owner.worker_id,
            "next_read": _text(said.next_read),
            "confirmed": _text(said.confirmed),
            "interval_s": owner.interval_s,
            "reading": said.reading,
            "covering": said.covering,
            "covered_until": _text(said.covered_until),
            "trouble": owner.trouble,
        },
        "is_whole": said.is_whole,
        "is_limited": said.is_limited,
    }


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
