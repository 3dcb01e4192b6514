"""Decides which observations change an answer: newer ones, and notifications only if they are certainly newer. (Pure.)

    a read          with an older number ─────────────► doubted: a server lags, or numbers began again; `Newest` decides later
                    equal to the stored answer ───────► seen: only its number is remembered
                    with other content ───────────────► changed

    a notification  of the known version ─────────────► nothing: a read was faster, or Graph repeats itself
                    newer than everything seen ───────► changed, or seen, like a read
                    anything else ────────────────────► unsure: its user is read

Every function returns its decision and changes nothing. The owner remembers `seen` once the store has accepted `changed`, so that
a failed write leaves no trace. The script that writes compares again, by the rule of `ordering.is_newer`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from relay.core.presence import DirectoryNames, Observation, Presence, Source, Status, UserId
from relay.core.reading.ordering import LAG_S, NOTHING_SEEN, Age, Newest, differs
from relay.core.showing.idle import idle_since
from relay.core.showing.mapping import NO_OVERRIDES, Overrides, map_presence, overrides

Answer: TypeAlias = Presence | Status
"""The answer that suites get for a user: a presence, or why there is none."""

_NO_NAMES: Final = DirectoryNames()


@dataclass(slots=True)
class Known:
    """One user's answer and the newest observation behind it.

    Attributes:
        answer: the answer that suites got; None before the first one.
        newest: the newest sequence number seen, also in unchanged reads.
    """

    answer: Answer | None = None
    newest: Newest = NOTHING_SEEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """The fields that a tenant discloses to suites. Free texts and names are off until the tenant turns them on."""

    status_message: bool = False
    out_of_office: bool = False
    names: bool = False
    overrides: Overrides = field(default_factory=lambda: NO_OVERRIDES)


def disclosure_of(settings: Mapping[str, str]) -> Disclosure:
    """Read the disclosure from a tenant's settings.

    `pass_status_message`, `pass_out_of_office` and `pass_names` are "on" or anything else; for the overrides see `mapping.overrides`.
    """
    return Disclosure(
        status_message=settings.get("pass_status_message") == "on",
        out_of_office=settings.get("pass_out_of_office") == "on",
        names=settings.get("pass_names") == "on",
        overrides=overrides(settings),
    )


class People(NamedTuple):
    """The directory's part of presences; users whom Graph has not reported to this owner are absent.

    Attributes:
        upns: user -> canonical UPN.
        names: user -> display name and mail address.
    """

    upns: Mapping[UserId, str]
    names: Mapping[UserId, DirectoryNames]


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for some observations.

    Attributes:
        changed: user -> the answer to store.
        seen: user -> the newest number to remember once the store has answered, for every user of a read.
        doubted: users whose read is older than the known answer, and not believed yet.
        unsure: users of notifications that contain too little or may be old. They are to be read.
    """

    changed: dict[UserId, Answer] = field(default_factory=dict)
    seen: dict[UserId, Newest] = field(default_factory=dict)
    doubted: list[UserId] = field(default_factory=list)
    unsure: list[UserId] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The rules for accepting a tenant's observations.

    Attributes:
        disclosure: the fields that suites may have.
        lag_s: longest time in seconds that one of Graph's servers may lag behind another.
    """

    disclosure: Disclosure = field(default_factory=Disclosure)
    lag_s: float = LAG_S

    def judge_read(
        self,
        known: Mapping[UserId, Known],
        observations: Iterable[Observation],
        people: People,
        *,
        now: datetime,
        at: float,
        announced: Container[UserId] = (),
    ) -> Decision:
        """Decide which observations of a read change an answer.

        Args:
            known: user -> the held answer; unknown users are absent.
            observations: at most one for each user.
            people: names for the new presences.
            now: time at which the relay got the observations.
            at: the same in seconds of the monotonic clock.
            announced: users who were read because of a notification.
        """
        decision = Decision()
        for observation in observations:
            user = observation.user_id
            held = known.get(user, _UNKNOWN)
            age, weighed = held.newest.weigh(observation.sequence_number, at, self.lag_s)
            decision.seen[user] = weighed
            if age is Age.OLDER:
                decision.doubted.append(user)
                continue
            source = Source.NOTIFICATION if user in announced else Source.POLL
            presence = self.present(observation, held.answer, people, source, now)
            # When numbers begin again, the stored one is too great and must be replaced: it would block the next change.
            if age is Age.RESTARTED or not isinstance(held.answer, Presence) or differs(held.answer, presence):
                decision.changed[user] = presence
            else:
                decision.seen[user] = weighed.taken(observation.sequence_number, at)
        return decision

    def judge_notifications(
        self,
        known: Mapping[UserId, Known],
        observations: Iterable[Observation],
        people: People,
        *,
        now: datetime,
        at: float,
    ) -> Decision:
        """Decide which notifications are accepted directly, and which users have to be read.

        Args:
            known: user -> the held answer; unknown users are absent.
            observations: in the order of arrival, perhaps several of one user.
            people: names for the new presences.
            now: time at which the relay got the observations.
            at: the same in seconds of the monotonic clock.
        """
        newest: dict[UserId, Observation] = {}
        unsure: dict[UserId, None] = {}
        for observation in observations:
            user = observation.user_id
            held, better = known.get(user), newest.get(user)
            if held is not None and self.is_known(held, observation):
                continue
            if held is None or not self.is_sure(held, observation):
                unsure[user] = None
            elif better is None or observation.sequence_number > better.sequence_number:
                newest[user] = observation
        decision = Decision(unsure=list(unsure))
        for user, observation in newest.items():
            if user in unsure:
                continue
            held = known[user]
            presence = self.present(observation, held.answer, people, Source.NOTIFICATION, now)
            if isinstance(held.answer, Presence) and not differs(held.answer, presence):
                decision.seen[user] = held.newest.taken(observation.sequence_number, at)
            else:
                decision.changed[user] = presence
        return decision

    def is_known(self, held: Known, observation: Observation) -> bool:
        """Return whether a notification has the version that suites already have; always False after a status."""
        return isinstance(held.answer, Presence) and held.newest.has(observation.sequence_number)

    def is_sure(self, held: Known, observation: Observation) -> bool:
        """Return whether a notification is newer than everything seen, and has all fields that the tenant discloses.

        Graph's documented notifications have no status message and no out of office; a complete presence has out of
        office.
        """
        is_whole = observation.out_of_office is not None
        discloses_texts = self.disclosure.status_message or self.disclosure.out_of_office
        # After a status the user has to be read: the notification may be of an earlier presence.
        is_after_presence = isinstance(held.answer, Presence)
        is_newer = held.newest.lets_through(observation.sequence_number)
        return is_after_presence and is_newer and (is_whole or not discloses_texts)

    def present(
        self, observation: Observation, answer: Answer | None, people: People, source: Source, now: datetime
    ) -> Presence:
        """Return the presence of an observation.

        Args:
            observation: the observation of one user.
            answer: the previous answer; None without one.
            people: the user's canonical UPN and names; those of `answer` replace absent ones.
            source: the source of the observation.
            now: time at which the relay got it.
        """
        user, disclosure = observation.user_id, self.disclosure
        previous = answer if isinstance(answer, Presence) else None
        out = observation.out_of_office if disclosure.out_of_office else None
        mapped = map_presence(
            observation.availability, observation.activity, out.active if out else None, disclosure.overrides
        )
        upn, names = people.upns.get(user, ""), _NO_NAMES
        if disclosure.names:
            names = people.names.get(user) or (previous.called if previous else _NO_NAMES)
        return Presence(
            user_id=user,
            upn=upn or (previous.upn if previous else ""),
            availability=mapped.availability,
            raw_availability=observation.availability,
            raw_activity=observation.activity,
            idle=mapped.idle,
            idle_time=idle_since(previous, idle=mapped.idle, now=now),
            console_status=mapped.console_status,
            status_message=observation.status_message if disclosure.status_message else None,
            out_of_office=out,
            observe_time=now,
            source=source,
            sequence_number=observation.sequence_number,
            called=names,
        )


def moved(known: Mapping[UserId, Known], changed: Mapping[UserId, Answer]) -> list[UserId]:
    """Return the users whose change Graph should announce: those who had a presence and now have another state."""
    return [
        user
        for user, answer in changed.items()
        if isinstance(answer, Presence)
        and isinstance(before := known.get(user, _UNKNOWN).answer, Presence)
        and (before.raw_availability, before.raw_activity) != (answer.raw_availability, answer.raw_activity)
    ]


_UNKNOWN: Final = Known()
"""Used for every user without an answer; never changed."""
