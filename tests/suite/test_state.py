"""The rules of a suite: tables, and a simulation of a relay that proves that a resume loses nothing."""

from __future__ import annotations

import itertools
import random

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api
from suite import events as ev
from suite import values
from suite.backoff import LONGEST, PROVEN_AFTER, Backoff
from suite.chunking import MAX_MESSAGE_BYTES, MAX_USERS_A_MESSAGE, changes, start_parts
from suite.held import Answer, Held, Resolution
from suite.names import key_of
from suite.state import WatchState
from suite.values import Status
from tests.suite.scripted_relay import answer, resolution

Response = api.WatchPresenceResponse


def batch(resolved=None, answers=None, token="", complete=False):
    return Response(
        resume_token=token,
        batch=Response.Batch(
            resolved=[resolution(n, to) for n, to in (resolved or {}).items()],
            answers=[answer(u, to) for u, to in (answers or {}).items()],
            snapshot_complete=complete,
        ),
    )


def watching(*names: str) -> WatchState:
    state = WatchState()
    state.subscribe(names)
    return state


def raw(state: WatchState, user_id: str) -> str:
    return state.answers[user_id].presence.raw_availability


def test_resolutions_count_before_answers_whatever_their_order_on_the_wire():
    state = watching("ada@x.org")
    happened = state.apply(batch({"ada@x.org": "A"}, {"A": "Busy"}))
    assert [type(e) for e in happened] == [ev.Resolved, ev.Changed]


def test_one_user_under_two_names_is_one_answer_until_the_last_name_leaves():
    state = watching("ada@x.org", "old@x.org")
    (*_, changed) = state.apply(batch({"ada@x.org": "A", "old@x.org": "A"}, {"A": "Busy"}))
    assert changed.names == ("ada@x.org", "old@x.org")
    state.unsubscribe(["ada@x.org"])
    assert raw(state, "A") == "Busy"
    state.unsubscribe(["OLD@x.org"])
    assert state.answers == {}


def test_a_name_that_stands_for_another_user_now_lets_the_former_go():
    state = watching("ada@x.org")
    state.apply(batch({"ada@x.org": "A"}, {"A": "Busy"}, token="t"))
    state.apply(batch({"ada@x.org": "B"}))
    assert "A" not in state.answers
    assert state.start().subscribe == ("ada@x.org",)  # B has no answer yet
    state.apply(batch({"ada@x.org": pb.UNKNOWN_REASON_NOT_FOUND}))
    assert [(r.user, r.unknown_reason) for r in state.start().held] == [("ada@x.org", pb.UNKNOWN_REASON_NOT_FOUND)]


def test_a_new_name_of_a_held_user_gets_the_answer_at_once():
    state = watching("ada@x.org", "a2@x.org")
    state.apply(batch({"ada@x.org": "A"}, {"A": "Busy"}))
    happened = state.apply(batch({"a2@x.org": "A"}))
    assert happened[-1].names == ("a2@x.org", "ada@x.org")


def test_spellings_are_sent_once_and_answered_each():
    state = WatchState()
    new, _ = state.subscribe(["Ada@X.org", "sip:ada@x.org "])
    assert len(new) == 1
    happened = state.apply(batch({"Ada@X.org": "A"}, {"A": "Busy"}))
    assert [e.name for e in happened if isinstance(e, ev.Resolved)] == ["Ada@X.org", "sip:ada@x.org "]
    _, seen = state.subscribe(["ADA@x.org"])
    assert [type(e) for e in seen] == [ev.Resolved, ev.Changed]
    assert state.start().subscribe == ("Ada@X.org",)


def test_what_arrives_for_nobody_watched_is_ignored():
    state = watching("ada@x.org")
    assert state.apply(batch({"bob@x.org": "B"}, {"B": "Busy", "C": "Busy"})) == []
    assert state.answers == {}


def test_a_name_that_left_and_came_back_within_one_stream_is_not_held():
    state = watching("ada@x.org")
    state.apply(batch({"ada@x.org": "A"}, {"A": "Busy"}, token="t1"))
    state.unsubscribe(["ada@x.org"])
    state.subscribe(["ada@x.org"])
    state.apply(batch({"ada@x.org": "A"}, {"A": "Busy"}, token="t2"))  # may have been under way since before it left
    start = state.start()
    assert (start.subscribe, start.held) == (("ada@x.org",), ())
    state.began(start)
    assert state.find("ada@x.org")[0].status is Status.PENDING
    state.apply(batch({"ada@x.org": "A"}, {"A": "Away"}))
    assert [r.user_id for r in state.start().held] == ["A"]


def test_values_of_a_newer_relay_are_tolerated():
    state = watching("ada@x.org", "bob@x.org", "cem@x.org", "dan@x.org")
    presence = pb.UserPresence(availability=99, console_status=99, source=99)
    resolved = [
        resolution("ada@x.org", "A"),
        resolution("bob@x.org", 99),
        pb.ResolvedName(user="cem@x.org"),
        resolution("dan@x.org", "D"),
    ]
    answers = [pb.UserAnswer(user_id="A", presence=presence), pb.UserAnswer(user_id="D")]
    state.apply(Response(batch=Response.Batch(resolved=resolved, answers=answers)))
    shown = state.answers["A"].presence
    assert (shown.availability.label, shown.console_status.label, shown.source.label) == ("unknown",) * 3
    assert state.answers["D"].status is Status.UNKNOWN
    assert state.names["bob@x.org"].status is Status.UNKNOWN
    assert state.names["cem@x.org"].status is Status.PENDING
    assert state.apply(Response.FromString(b"\x9a\x06\x02hi")) == []  # an event case from the future
    (told,) = state.apply(Response(tenant_status=Response.TenantStatus(unknown_reason=99)))
    assert told.status is Status.STALE
    assert state.apply(Response(started=Response.Started(outcome=99)))[0].outcome is values.Outcome.UNKNOWN


def test_a_time_that_no_datetime_can_hold_is_none():
    state = watching("a@x.org")
    presence = pb.UserPresence(observe_time=Timestamp(seconds=2**62))
    state.apply(
        Response(
            batch=Response.Batch(
                resolved=[resolution("a@x.org", "A")], answers=[pb.UserAnswer(user_id="A", presence=presence)]
            )
        )
    )
    assert state.answers["A"].presence.observe_time is None


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (values.Availability, pb.Availability, "AVAILABILITY_"),
        (values.ConsoleStatus, pb.ConsoleStatus, "CONSOLE_STATUS_"),
        (values.Source, pb.PresenceSource, "PRESENCE_SOURCE_"),
        (values.Status, pb.UnknownReason, "UNKNOWN_REASON_"),
        (values.Outcome, Response.Outcome, "OUTCOME_"),
    ],
)
def test_the_enums_have_the_numbers_of_the_wire(ours, theirs, prefix):
    wire = {name.removeprefix(prefix): number for name, number in theirs.items() if number}
    assert {member.name: member.value for member in ours if member.value > 0} == wire


# A relay in miniature


class MiniRelay:
    """Users whose answers change, and one stream that a suite watches them through, honest to the protocol.

    Its token is the revision up to which a stream has sent everything; `in_flight` is what the suite has not received.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.revision = itertools.count(1)
        self.now = 0
        self.answers = {f"U{n}": (0, "r0") for n in range(3)}
        self.directory = {f"n{n}@x.org": f"U{n % 3}" for n in range(4)}
        self.watched: dict[str, None] = {}
        self.outbox: dict[str, None] = {}
        self.complete = False
        self.in_flight: list[Response] = []

    def change(self) -> None:
        user = self.rng.choice(list(self.answers))
        self.now = next(self.revision)
        self.answers[user] = (self.now, f"r{self.now}")
        if any(self.directory.get(name) == user for name in self.watched):
            self.outbox[user] = None

    def rename(self) -> None:
        name = self.rng.choice(list(self.directory))
        self.directory[name] = self.rng.choice(list(self.answers))
        if name in self.watched:
            self.resolve(name)

    def resolve(self, name: str) -> None:
        self.in_flight.append(batch({name: self.directory[name]}))
        self.outbox[self.directory[name]] = None

    def begin(self, start) -> None:
        self.watched, self.outbox, self.in_flight, self.complete = {}, {}, [], False
        self.in_flight.append(Response(started=Response.Started(outcome=2 if start.token else 1)))
        since = int(start.token or 0)
        for held in start.held:
            name = key_of(held.user)
            self.watched[name] = None
            if held.user_id != self.directory[name]:
                self.resolve(name)
            elif self.answers[held.user_id][0] > since:
                self.outbox[held.user_id] = None
        self.subscribe(start.subscribe)

    def subscribe(self, names) -> None:
        for name in map(key_of, names):
            self.watched[name] = None
            self.resolve(name)

    def unsubscribe(self, names) -> None:
        for name in names:
            self.watched.pop(name, None)

    def flush(self) -> None:
        """Send some of the outbox; the token only when nothing is left."""
        users = list(self.outbox)[: self.rng.randint(1, 3)]
        for user in users:
            del self.outbox[user]
        token = "" if self.outbox else str(self.now)
        self.in_flight.append(batch(answers={u: self.answers[u][1] for u in users}, token=token))


def run_schedule(seed: int, steps: int = 60, rules: type[WatchState] = WatchState, *, restarts: bool = False) -> None:  # noqa: C901
    rng = random.Random(seed)
    relay, state = MiniRelay(rng), rules()
    names = list(relay.directory)
    kept = Held()
    told: dict[str, int] = {}
    revisions: dict[str, int] = {}
    to_relay: list[tuple[list, list]] = []

    def reconnect() -> None:
        nonlocal told, start, begun
        to_relay.clear()
        start, begun = state.start(), False
        told = dict(start.sent)
        relay.begin(start)

    def keep() -> None:
        nonlocal kept
        kept = state.held(names)

    def restart() -> None:
        """Begin with what was kept some time ago, and with other names."""
        nonlocal state
        revisions.clear()
        state = rules()
        state.subscribe(rng.sample(names, 3))
        state.restore(kept)
        reconnect()

    def tell(keys) -> None:
        for key in keys:
            wanted = state.wanted(key)
            if wanted and told.get(key) != wanted[1]:
                told[key] = wanted[1]
                to_relay.append(([wanted[0]], []))
            elif not wanted and told.pop(key, None):
                to_relay.append(([], [key]))

    def receive() -> None:
        nonlocal begun
        if relay.in_flight:
            if not begun:
                begun = True
                state.began(start)
            state.apply(relay.in_flight.pop(0))

    def deliver() -> None:
        if to_relay:
            added, gone = to_relay.pop(0)
            relay.unsubscribe(gone)
            relay.subscribe(added)

    start, begun = state.start(), False
    reconnect()
    moves = [
        relay.change, relay.change, relay.rename, relay.flush, relay.flush, receive, receive, receive, deliver,
        lambda: tell(state.subscribe([rng.choice(names)])[0]),
        lambda: tell(state.unsubscribe([rng.choice(names)])),
        lambda: rng.random() < 0.4 and reconnect(),
        *([keep, keep, restart] if restarts else []),
    ]  # fmt: skip
    for _ in range(steps):
        rng.choice(moves)()
        for user, held in state.answers.items():
            now = int(held.presence.raw_availability[1:])
            assert now >= revisions.get(user, 0), "an older answer came after a newer one"
            revisions[user] = now
    while to_relay or relay.in_flight or relay.outbox:
        deliver()
        if relay.outbox:
            relay.flush()
        receive()
    for name, resolution_ in state.names.items():
        assert resolution_.user_id == relay.directory[name]
        assert raw(state, resolution_.user_id) == relay.answers[resolution_.user_id][1]


@pytest.mark.parametrize("block", range(10))
def test_however_streams_break_the_suite_ends_with_what_the_relay_has(block):
    for seed in range(block * 200, block * 200 + 200):
        run_schedule(seed)


def test_what_is_kept_over_a_restart_loses_nothing_either():
    for seed in range(400):
        run_schedule(seed, restarts=True)


class KeepsWhatIsNotHeld(WatchState):
    """The rules without the one that only what is held is kept."""

    def held(self, names):
        answered = {
            name: one for name in names if (one := self.names.get(name)) is not None and one.user_id is not None
        }
        return Held(token=self.token, names=answered, answers=dict(self.answers))


class TrustsWhatCameBack(WatchState):
    """The rules without the one about names that left and came back."""

    def _enter(self, key, name):
        entry = super()._enter(key, name)
        entry.came_back = False
        return entry


def left_and_came_back(rules: type[WatchState]) -> tuple[MiniRelay, WatchState]:
    """The schedule that random ones hit once in 20,000, up to the break."""
    relay, state = MiniRelay(random.Random(0)), rules()
    relay.answers, relay.directory = {"U0": (0, "r0")}, {"n0@x.org": "U0"}
    state.subscribe(["n0@x.org"])
    start = state.start()
    relay.begin(start)
    relay.flush()  # the answer is under way
    state.unsubscribe(["n0@x.org"])
    relay.unsubscribe(["n0@x.org"])
    relay.change()  # nobody watches
    relay.flush()  # but the token moves on
    state.subscribe(["n0@x.org"])  # the relay does not learn of it before the break
    state.began(start)
    for response in relay.in_flight:
        state.apply(response)
    return relay, state


def resumed(relay: MiniRelay, state: WatchState) -> str:
    """What is shown after another stream."""
    again = state.start()
    relay.begin(again)
    state.began(again)
    relay.flush()
    for response in relay.in_flight:
        state.apply(response)
    return raw(state, "U0")


@pytest.mark.parametrize(("rules", "shown"), [(WatchState, "r1"), (TrustsWhatCameBack, "r0")])
def test_a_change_between_leaving_and_coming_back_is_not_lost(rules, shown):
    """Without the rule the suite shows the old answer for ever."""
    assert resumed(*left_and_came_back(rules)) == shown


@pytest.mark.parametrize(("rules", "shown"), [(WatchState, "r1"), (KeepsWhatIsNotHeld, "r0")])
def test_nor_is_it_lost_over_a_restart(rules, shown):
    relay, state = left_and_came_back(rules)
    restarted = watching("n0@x.org")
    restarted.restore(state.held(["n0@x.org"]))
    assert resumed(relay, restarted) == shown


class HoldsWhatIsNotAnswered(WatchState):
    """The rules without the one that a held name needs its user's answer."""

    def _held(self, entry):
        return pb.ResolvedName(user=entry.sent_as, user_id=entry.user_id) if entry.user_id else super()._held(entry)


def test_holding_a_name_without_its_answer_loses_users():
    def all_schedules() -> None:
        for seed in range(3000):
            run_schedule(seed, rules=HoldsWhatIsNotAnswered)

    with pytest.raises((AssertionError, KeyError)):
        all_schedules()


# Parts, backoff


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=400), max_size=60), st.integers(0, 60))
def test_parts_carry_every_user_once_in_order(names, held_count):
    state = WatchState()
    state.subscribe(names)
    state.token = "t"
    state.apply(batch(dict.fromkeys(names[:held_count], pb.UNKNOWN_REASON_NOT_FOUND)))
    start = state.start()
    parts = start_parts(start, api.WatchStart(client=api.SuiteClient(name="c")))
    assert [r for part in parts for r in part.held_users] == list(start.held)
    assert [n for part in parts for n in part.subscribe_users] == list(start.subscribe)
    assert [part.more_follows for part in parts] == [True] * (len(parts) - 1) + [False]
    assert (parts[0].resume_token, parts[0].client.name) == ("t", "c")


def test_parts_stay_within_both_limits():
    names = [f"{n:05}{'é' * 250}@x.org" for n in range(12_000)]
    parts = list(changes(names, [key_of(name) for name in names]))
    assert max(part.ByteSize() for part in parts) <= MAX_MESSAGE_BYTES
    assert max(len(part.subscribe_users) + len(part.unsubscribe_users) for part in parts) <= MAX_USERS_A_MESSAGE
    assert [n for part in parts for n in part.subscribe_users] == names


def test_waits_grow_to_thirty_seconds_and_begin_anew_after_a_good_stream():
    backoff = Backoff(lambda _low, high: high)
    nothing = values.timedelta(0)
    waits = [backoff.after(nothing).total_seconds() for _ in range(9)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert backoff.after(PROVEN_AFTER).total_seconds() == 0.5


@given(st.integers(0, 2000))
def test_a_wait_is_never_longer_than_the_longest(attempts):
    backoff = Backoff()
    backoff._attempt = attempts
    assert values.timedelta(0) <= backoff.after(values.timedelta(0)) <= LONGEST


def reset(state: WatchState) -> list[ev.Event]:
    return state.apply(Response(started=Response.Started(outcome=Response.OUTCOME_RESET)))


def test_after_a_reset_what_was_shown_is_uncertain_until_it_is_said_anew():
    state = WatchState()
    state.subscribe(["ada@x.org", "bob@x.org", "cem@x.org"])
    state.apply(batch({"ada@x.org": "A", "bob@x.org": "B", "cem@x.org": "C"}, {"A": "Busy", "B": "Away", "C": "Busy"}))
    assert ev.Reset(kept=True) in reset(state)
    assert all(state.find(name)[1].is_uncertain for name in state.names)
    assert state.start().held == ()

    # The relay's store is empty: nobody is known, and the snapshot is complete at once.
    pending = dict.fromkeys(["ada@x.org", "bob@x.org", "cem@x.org"], pb.UNKNOWN_REASON_PENDING)
    assert [type(e) for e in state.apply(batch(pending, complete=True))] == [ev.SnapshotComplete]
    assert state.find("ada@x.org") == (
        Resolution("A", None),
        Answer(state.shown["A"].presence, None, is_uncertain=True),
    )

    happened = state.apply(batch({"ada@x.org": "A", "bob@x.org": "D"}, {"A": pb.UNKNOWN_REASON_PENDING}))
    assert [type(e) for e in happened] == [ev.Resolved, ev.Resolved]
    assert state.find("ada@x.org")[1].is_uncertain
    assert state.find("bob@x.org") == (Resolution("D", None), None)

    (changed,) = state.apply(batch({}, {"A": "Available"}))
    assert changed.presence.raw_availability == "Available"
    assert not state.find("ada@x.org")[1].is_uncertain
    state.apply(batch({"cem@x.org": pb.UNKNOWN_REASON_NOT_FOUND}))
    assert state.find("cem@x.org") == (Resolution(None, Status.NOT_FOUND), None)
    assert state.shown.keys() == {"A"}


def test_what_does_not_come_again_after_a_reset_is_gone_when_the_snapshot_is_complete():
    state = WatchState()
    state.subscribe(["ada@x.org", "bob@x.org"])
    state.apply(batch({"ada@x.org": "A", "bob@x.org": "B"}, {"A": "Busy", "B": "Away"}))
    reset(state)
    state.unsubscribe(["bob@x.org"])
    assert state.shown.keys() == {"A"}
    state.apply(batch({}, complete=True))
    assert not state.shown
    assert state.names["ada@x.org"].status is Status.PENDING
