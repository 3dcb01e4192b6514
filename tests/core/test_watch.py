"""What one watch does, step by step; that its rules hold together under every schedule is shown in tests/simulation."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from relay.core.names import normalise
from relay.core.presence import Name, Resolution, Status, TenantId, UserId
from relay.core.revision import START, Epoch, ResumeToken, Revision
from relay.core.watching.spellings import MAX_MALFORMED_CHARS
from relay.core.watching.values import AnswersEntry, NamesSnapshot, Position, StartOutcome, Take
from relay.core.watching.watch import Watch

TENANT = TenantId("7a0f1d3e-0000-4000-8000-000000000001")
OTHER_TENANT = TenantId("7a0f1d3e-0000-4000-8000-000000000002")
EPOCH, OTHER_EPOCH = Epoch("one.1"), Epoch("two.2")
ADA_ID = UserId("0ada0000-0000-4000-8000-000000000000")
BOB_ID = UserId("0b0b0000-0000-4000-8000-000000000000")
NOBODY_ID = UserId("0c0c0000-0000-4000-8000-000000000000")
ADA, BOB, NOBODY, FORMER_ADA = "ada@contoso.com", "bob@contoso.com", "nobody@contoso.com", "ada.byron@contoso.com"
DIRECTORY: dict[str, Resolution] = {
    ADA: ADA_ID,
    ADA_ID: ADA_ID,
    FORMER_ADA: ADA_ID,
    BOB: BOB_ID,
    NOBODY: Status.NOT_FOUND,
}
ANSWERS = {ADA_ID: (5, "ada 5"), BOB_ID: (3, "bob 3")}
PENDING = "pending"
MANY = 100


class Stream:
    """A watch with the store and the hub played by hand."""

    def __init__(self, *names: str, held: Mapping[str, Resolution | None] | None = None, token: str = "") -> None:
        self.watch: Watch[str] = Watch(TENANT, lambda _user: PENDING)
        self.directory = dict(DIRECTORY)
        self.answers = dict(ANSWERS)
        self.last = 5
        self.position = 5
        self.epoch = EPOCH
        self.watch.begin(names, (held or {}).items(), token)

    def look_up(self, limit: int = MANY, *missed: AnswersEntry[str]) -> list[Name]:
        names = self.watch.take_lookups(self.watch.next_lookups(limit))
        self.watch.apply(self.snapshot(names), missed, self.at)
        return names

    def snapshot(self, names: list[Name]) -> NamesSnapshot[str]:
        known = {name: self.directory[name] for name in names if name in self.directory}
        answers = {user: (Revision(revision), answer) for user, (revision, answer) in self.answers.items()}
        return NamesSnapshot(Revision(self.last), self.epoch, known, answers)

    @property
    def at(self) -> Position:
        return Position(self.epoch, Revision(self.position))

    def take(self, limit: int = MANY) -> Take[str]:
        return self.watch.take(limit, self.at)

    def hear(self, revision: int, *answers: tuple[UserId, str]) -> None:
        """The hub reads an entry."""
        self.position = revision
        self.watch.on_answers(entry(revision, *answers))

    def settle(self) -> Take[str]:
        self.look_up()
        return self.take()


def entry(revision: int, *answers: tuple[UserId, str]) -> AnswersEntry[str]:
    return AnswersEntry(Revision(revision), answers)


def token_at(revision: int, epoch: Epoch = EPOCH, tenant: TenantId = TENANT) -> str:
    return ResumeToken(tenant, epoch, Revision(revision)).encode()


def name_of(spelling: str) -> Name:
    name = normalise(spelling)
    assert name is not None
    return name


# The start


def test_a_first_stream_gets_a_snapshot_of_all_that_it_names() -> None:
    take = Stream(ADA, BOB).settle()
    assert take.started is StartOutcome.SNAPSHOT
    assert dict(take.resolved) == {ADA: ADA_ID, BOB: BOB_ID}
    assert dict(take.answers) == {ADA_ID: "ada 5", BOB_ID: "bob 3"}
    assert take.snapshot_complete
    assert take.token == ResumeToken(TENANT, EPOCH, Revision(5))


def test_nothing_is_sent_before_the_first_snapshot() -> None:
    stream = Stream(ADA, "not a name")
    assert not stream.watch.has_unsent
    assert not stream.take()


def test_a_user_without_an_answer_is_pending_and_the_snapshot_is_complete() -> None:
    stream = Stream(ADA)
    stream.answers.clear()
    take = stream.settle()
    assert take.answers == [(ADA_ID, PENDING)]
    assert take.snapshot_complete


def test_a_name_that_the_directory_does_not_know_is_pending() -> None:
    stream = Stream("new@contoso.com")
    take = stream.settle()
    assert take.resolved == [("new@contoso.com", Status.PENDING)]
    assert take.snapshot_complete


def test_a_name_of_nobody_is_answered_with_its_status() -> None:
    take = Stream(NOBODY).settle()
    assert take.resolved == [(NOBODY, Status.NOT_FOUND)]
    assert take.answers == []


def test_a_stream_that_names_nobody_is_complete_and_may_be_resumed() -> None:
    take = Stream().settle()
    assert take.snapshot_complete
    assert take.token is not None


def test_names_are_told_exactly_as_they_were_sent() -> None:
    spellings = [" SIP:Ada@Contoso.com", ADA]
    stream = Stream(*spellings)
    assert stream.look_up() == [name_of(ADA)]
    take = stream.take()
    assert take.resolved == [(spelling, ADA_ID) for spelling in spellings]
    assert len(take.answers) == 1


def test_a_duplicate_is_answered_once() -> None:
    assert Stream(ADA, ADA, ADA).settle().resolved == [(ADA, ADA_ID)]


# Malformed names


def test_a_malformed_name_is_answered_and_the_stream_goes_on() -> None:
    take = Stream("", "no name", "x" * 10_000, ADA).settle()
    assert dict(take.resolved) == {
        "": Status.MALFORMED,
        "no name": Status.MALFORMED,
        "x" * 10_000: Status.MALFORMED,
    } | {ADA: ADA_ID}
    assert take.answers == [(ADA_ID, "ada 5")]
    assert take.snapshot_complete


def test_a_malformed_held_name_is_answered_too() -> None:
    take = Stream(held={"no name": ADA_ID}, token=token_at(5)).settle()
    assert take.resolved == [("no name", Status.MALFORMED)]


def test_a_reset_answers_malformed_names_again() -> None:
    stream = Stream("no name", ADA)
    stream.settle()
    stream.watch.reset(None)
    take = stream.settle()
    assert take.started is StartOutcome.RESET
    assert ("no name", Status.MALFORMED) in take.resolved


def test_an_unsubscribed_malformed_name_is_not_answered_again() -> None:
    stream = Stream("no name")
    stream.settle()
    stream.watch.change([], ["no name"])
    stream.watch.reset(None)
    assert stream.settle().resolved == []
    assert len(stream.watch) == 0


def test_malformed_names_cannot_fill_memory() -> None:
    stream = Stream(*(str(n) + "x" * 10_000 for n in range(200)))
    assert len(stream.watch) * 10_000 <= MAX_MALFORMED_CHARS
    assert len(stream.settle().resolved) == MANY


# Several names of one user


def test_a_user_of_three_names_is_answered_once() -> None:
    take = Stream(ADA, ADA_ID, FORMER_ADA).settle()
    assert dict(take.resolved) == {ADA: ADA_ID, ADA_ID: ADA_ID, FORMER_ADA: ADA_ID}
    assert take.answers == [(ADA_ID, "ada 5")]


def test_a_user_is_watched_until_the_last_of_its_names_is_unsubscribed() -> None:
    stream = Stream(ADA, FORMER_ADA)
    stream.settle()
    stream.watch.change([], [ADA])
    stream.hear(6, (ADA_ID, "ada 6"))
    assert stream.take().answers == [(ADA_ID, "ada 6")]
    stream.watch.change([], [FORMER_ADA])
    stream.hear(7, (ADA_ID, "ada 7"))
    assert stream.take().answers == []


def test_an_unsubscription_takes_back_what_is_unsent_of_its_user() -> None:
    stream = Stream(ADA)
    stream.settle()
    stream.hear(6, (ADA_ID, "ada 6"))
    stream.watch.change([], ["SIP:ADA@contoso.com "])
    assert not stream.watch.has_unsent
    assert not stream.watch.names


def test_unsubscribing_what_is_not_watched_does_nothing() -> None:
    stream = Stream(ADA)
    stream.settle()
    stream.watch.change([], [BOB, "", "no name"])
    assert stream.watch.names == {name_of(ADA)}


def test_removals_of_a_change_come_before_its_additions() -> None:
    stream = Stream(ADA)
    stream.settle()
    stream.watch.change([ADA], [ADA])
    assert stream.watch.watches(name_of(ADA))
    assert stream.settle().answers == [(ADA_ID, "ada 5")]


def test_a_name_that_is_watched_already_is_answered_again_when_it_is_subscribed_again() -> None:
    stream = Stream(ADA)
    stream.settle()
    stream.watch.change([ADA], [])
    take = stream.settle()
    assert take.resolved == [(ADA, ADA_ID)]
    assert take.answers == [(ADA_ID, "ada 5")]


def test_a_response_counts_the_changes_carried_out_before_it() -> None:
    stream = Stream(ADA)
    assert stream.settle().changes_seen == 0
    stream.watch.change([BOB], [])
    stream.watch.change([NOBODY], [])
    assert stream.settle().changes_seen == 2


# Changes


def test_changes_of_watched_users_are_sent_newest_first_seen_and_others_are_not() -> None:
    stream = Stream(ADA)
    stream.settle()
    stream.hear(6, (ADA_ID, "ada 6"), (BOB_ID, "bob 6"))
    stream.hear(7, (ADA_ID, "ada 7"))
    take = stream.take()
    assert take.answers == [(ADA_ID, "ada 7")]
    assert take.token == ResumeToken(TENANT, EPOCH, Revision(7))
    assert not take.snapshot_complete


def test_a_name_that_comes_to_stand_for_another_user_is_told_with_the_answer() -> None:
    stream = Stream(ADA)
    stream.settle()
    stream.directory[ADA] = BOB_ID
    stream.watch.on_names([name_of(ADA), name_of(BOB)])
    assert stream.look_up() == [name_of(ADA)]
    take = stream.take()
    assert take.resolved == [(ADA, BOB_ID)]
    assert take.answers == [(BOB_ID, "bob 3")]


def test_a_name_that_stands_for_the_same_user_still_is_not_told_again() -> None:
    stream = Stream(ADA)
    stream.settle()
    stream.watch.on_names([name_of(ADA)])
    assert not stream.settle()


def test_entries_up_to_the_snapshot_bring_nothing_back_from_a_hub_that_lags() -> None:
    stream = Stream(ADA)
    stream.position = 2
    stream.look_up()
    stream.hear(4, (ADA_ID, "ada 4"))
    stream.hear(5, (ADA_ID, "ada 5"))
    assert stream.take().answers == [(ADA_ID, "ada 5")]
    stream.hear(6, (ADA_ID, "ada 6"))
    assert stream.take().answers == [(ADA_ID, "ada 6")]


def test_entries_that_the_hub_read_while_a_snapshot_was_on_its_way_are_not_lost() -> None:
    stream = Stream(ADA)
    stream.position = 6
    stream.look_up(MANY, entry(5, (ADA_ID, "ada 5 again")), entry(6, (ADA_ID, "ada 6"), (BOB_ID, "bob 6")))
    assert stream.take().answers == [(ADA_ID, "ada 6")]


def test_a_name_unsubscribed_while_its_snapshot_was_on_its_way_is_not_answered() -> None:
    stream = Stream(ADA, BOB)
    names = stream.watch.take_lookups(stream.watch.next_lookups(MANY))
    stream.watch.change([], [ADA])
    stream.watch.apply(stream.snapshot(names), [], stream.at)
    take = stream.take()
    assert take.resolved == [(BOB, BOB_ID)]
    assert take.answers == [(BOB_ID, "bob 3")]


def test_names_of_a_failed_snapshot_are_looked_up_again() -> None:
    stream = Stream(ADA, BOB)
    first = stream.watch.take_lookups(stream.watch.next_lookups(1))
    assert stream.watch.wants_lookup
    stream.watch.put_back()
    assert set(stream.watch.take_lookups(stream.watch.next_lookups(MANY))) >= set(first)


# The token and the end of the snapshot


def test_there_is_no_token_before_the_snapshot_is_complete() -> None:
    stream = Stream(ADA, BOB, NOBODY)
    stream.look_up(2)
    first = stream.take()
    assert (first.token, first.snapshot_complete) == (None, False)
    assert stream.watch.current_token(stream.at) is None
    stream.look_up(1)
    last = stream.take()
    assert last.token is not None
    assert last.snapshot_complete


def test_the_snapshot_is_complete_exactly_once_however_small_the_responses_are() -> None:
    stream = Stream(ADA, FORMER_ADA, BOB, NOBODY, "no name")
    stream.look_up()
    takes = []
    while stream.watch.has_unsent:
        takes.append(stream.take(1))
    assert [take.snapshot_complete for take in takes] == [False] * (len(takes) - 1) + [True]
    assert [take.token is not None for take in takes] == [False] * (len(takes) - 1) + [True]


def test_the_snapshot_is_complete_though_its_last_name_was_unsubscribed_before_it_was_looked_up() -> None:
    stream = Stream(ADA, BOB)
    [looked_up] = stream.look_up(1)
    stream.watch.change([], {ADA, BOB} - {looked_up})
    take = stream.take()
    assert take.snapshot_complete
    assert take.token is not None


def test_the_snapshot_is_complete_though_its_unsent_users_were_unsubscribed() -> None:
    stream = Stream(ADA, BOB)
    stream.look_up()
    stream.watch.change([], [ADA, BOB])
    assert stream.take().snapshot_complete


def test_a_busy_stream_completes_its_snapshot_all_the_same() -> None:
    stream = Stream(ADA, BOB)
    stream.look_up()
    completions = 0
    for revision in range(6, 20):
        completions += stream.take(1).snapshot_complete
        stream.hear(revision, (ADA_ID, f"ada {revision}"), (BOB_ID, f"bob {revision}"))
    assert completions == 1


def test_a_response_holds_no_more_than_its_limit_and_names_come_first() -> None:
    stream = Stream(ADA, BOB)
    stream.look_up()
    first, second, third = stream.take(1), stream.take(1), stream.take(1)
    assert (len(first.resolved), len(first.answers)) == (1, 0)
    assert (len(second.resolved), len(second.answers)) == (1, 1)
    assert (len(third.resolved), len(third.answers)) == (0, 1)
    assert not stream.watch.has_unsent


def test_the_token_stands_still_while_anything_is_unsent() -> None:
    stream = Stream(ADA, BOB)
    stream.settle()
    stream.hear(6, (ADA_ID, "ada 6"), (BOB_ID, "bob 6"))
    assert stream.watch.current_token(stream.at) is None
    assert stream.take(1).token is None
    assert stream.take(1).token == ResumeToken(TENANT, EPOCH, Revision(6))


def test_progress_carries_the_hubs_position_when_nothing_is_unsent() -> None:
    stream = Stream(ADA)
    stream.settle()
    stream.hear(9, (BOB_ID, "bob 9"))
    assert stream.watch.current_token(stream.at) == ResumeToken(TENANT, EPOCH, Revision(9))


# Coming back


def test_a_suite_has_caught_up_when_nothing_is_unsent_or_still_to_be_read() -> None:
    stream = Stream(ADA, BOB)
    assert not stream.watch.is_caught_up
    stream.look_up()
    assert not stream.watch.is_caught_up, "nothing was sent yet"
    stream.watch.take(MANY, stream.at)
    assert stream.watch.is_caught_up
    for fall_behind in (lambda: stream.watch.resync(stream.at), lambda: stream.watch.reset(None)):
        fall_behind()
        assert not stream.watch.is_caught_up
        stream.look_up()
        stream.watch.take(MANY, stream.at)
        assert stream.watch.is_caught_up


def test_a_held_user_is_sent_only_what_changed_since_the_token() -> None:
    take = Stream(held={ADA: ADA_ID, BOB: BOB_ID}, token=token_at(4)).settle()
    assert take.started is StartOutcome.RESUMED
    assert take.resolved == []
    assert take.answers == [(ADA_ID, "ada 5")]
    assert take.snapshot_complete


def test_a_newly_asked_user_is_answered_whatever_the_token_says() -> None:
    take = Stream(BOB, held={ADA: ADA_ID}, token=token_at(5)).settle()
    assert take.resolved == [(BOB, BOB_ID)]
    assert take.answers == [(BOB_ID, "bob 3")]


def test_a_held_name_that_stands_for_another_user_now_is_told_with_the_answer() -> None:
    stream = Stream(held={ADA: BOB_ID}, token=token_at(5))
    take = stream.settle()
    assert take.resolved == [(ADA, ADA_ID)]
    assert take.answers == [(ADA_ID, "ada 5")]


def test_a_held_name_of_nobody_is_silent_while_that_is_so() -> None:
    assert Stream(held={NOBODY: Status.NOT_FOUND}, token=token_at(5)).settle().resolved == []


def test_a_held_user_that_the_store_forgot_is_pending() -> None:
    stream = Stream(held={ADA: ADA_ID}, token=token_at(5))
    stream.answers.clear()
    assert stream.settle().answers == [(ADA_ID, PENDING)]


def test_a_held_user_in_capitals_is_the_same_user() -> None:
    assert not Stream(held={ADA: UserId(ADA_ID.upper())}, token=token_at(5)).settle().answers


@pytest.mark.parametrize("meaning", [None, UserId("x"), UserId("")])
def test_a_held_name_without_a_readable_meaning_is_newly_asked(meaning: UserId | None) -> None:
    take = Stream(held={ADA: meaning}, token=token_at(5)).settle()
    assert take.resolved == [(ADA, ADA_ID)]
    assert take.answers == [(ADA_ID, "ada 5")]


def test_held_users_without_a_token_are_newly_asked() -> None:
    take = Stream(held={ADA: ADA_ID}).settle()
    assert take.started is StartOutcome.SNAPSHOT
    assert take.answers == [(ADA_ID, "ada 5")]


@pytest.mark.parametrize("token", ["garbage", "x" * 10_000, token_at(4, OTHER_EPOCH), token_at(6), token_at(5)[:-1]])
def test_a_token_that_proves_nothing_resets(token: str) -> None:
    take = Stream(held={ADA: ADA_ID}, token=token).settle()
    assert take.started is StartOutcome.RESET
    assert take.resolved == [(ADA, ADA_ID)]
    assert take.answers == [(ADA_ID, "ada 5")]
    assert take.snapshot_complete


def test_another_tenants_token_is_refused() -> None:
    with pytest.raises(ValueError, match="another tenant"):
        Stream(held={ADA: ADA_ID}, token=token_at(5, tenant=OTHER_TENANT))


def test_a_hub_that_lags_behind_the_token_brings_nothing_older_than_the_suite_holds() -> None:
    stream = Stream(held={ADA: ADA_ID, BOB: BOB_ID}, token=token_at(5))
    stream.hear(2, (ADA_ID, "ada 2"), (BOB_ID, "bob 2"))
    stream.look_up(1)
    stream.hear(3, (ADA_ID, "ada 3"), (BOB_ID, "bob 3"))
    stream.look_up(1)
    stream.hear(4, (ADA_ID, "ada 4"))
    assert stream.take().answers == []


# Gaps and lost history


def test_after_a_gap_all_that_changed_since_is_sent() -> None:
    stream = Stream(ADA, BOB, NOBODY)
    stream.settle()
    stream.watch.resync(stream.at)
    stream.answers[BOB_ID] = (7, "bob 7")
    stream.last = stream.position = 7
    assert stream.watch.current_token(stream.at) is None
    stream.look_up()
    take = stream.take()
    assert take.started is None
    assert take.resolved == []
    assert take.answers == [(BOB_ID, "bob 7")]
    assert take.token == ResumeToken(TENANT, EPOCH, Revision(7))
    assert not take.snapshot_complete


def test_a_gap_keeps_what_a_resume_still_owed() -> None:
    stream = Stream(held={ADA: ADA_ID}, token=token_at(4))
    stream.look_up(0)
    stream.watch.resync(stream.at)
    assert stream.settle().answers == [(ADA_ID, "ada 5")]


def test_lost_history_tells_everything_anew() -> None:
    stream = Stream(ADA, BOB)
    stream.settle()
    stream.hear(6, (ADA_ID, "ada 6"))
    stream.watch.reset(None)
    assert not stream.watch.has_unsent
    stream.epoch, stream.last, stream.position = OTHER_EPOCH, 2, 2
    stream.answers = {ADA_ID: (2, "ada 2, anew")}
    take = stream.settle()
    assert take.started is StartOutcome.RESET
    assert dict(take.resolved) == {ADA: ADA_ID, BOB: BOB_ID}
    assert dict(take.answers) == {ADA_ID: "ada 2, anew", BOB_ID: PENDING}
    assert take.snapshot_complete
    assert take.token == ResumeToken(TENANT, OTHER_EPOCH, Revision(2))


def test_a_reset_of_a_stream_that_was_told_nothing_yet_is_a_reset_still() -> None:
    stream = Stream(ADA)
    stream.watch.take_lookups(stream.watch.next_lookups(MANY))
    stream.watch.reset(None)
    assert stream.settle().started is StartOutcome.RESET


def test_a_watch_counts_every_spelling() -> None:
    assert len(Stream(ADA, ADA.upper(), "no name", BOB).watch) == 4


def test_an_empty_store_has_a_snapshot_too() -> None:
    stream = Stream(ADA)
    stream.last = stream.position = START
    stream.directory.clear()
    assert stream.settle().token == ResumeToken(TENANT, EPOCH, START)


def test_each_spelling_of_a_name_counts_so_that_variants_cannot_fill_memory():
    watch: Watch[str] = Watch(TENANT, lambda _user: PENDING)
    watch.subscribe(["ada@x.example", "ADA@x.example", "Ada@x.example", "ada@x.example"])
    assert len(watch) == 3
    watch.unsubscribe(["ada@X.example"])
    assert len(watch) == 0


# Conflation


def test_answers_that_a_newer_one_replaced_unsent_are_counted_with_the_next_response() -> None:
    stream = Stream(ADA, BOB)
    assert stream.settle().conflated == 0
    stream.hear(6, (ADA_ID, "ada 6"), (BOB_ID, "bob 6"))
    stream.hear(7, (ADA_ID, "ada 7"), (NOBODY_ID, "not watched"))
    stream.hear(8, (ADA_ID, "ada 8"))
    take = stream.take()
    assert (take.conflated, len(take.answers)) == (2, 2)
    stream.hear(9, (ADA_ID, "ada 9"))
    assert stream.take().conflated == 0
