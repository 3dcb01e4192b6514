"""Transactions by the clock that the test sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.sip.headers import Headers
from suite.sip.message import SipRequest
from suite.sip.replies import reply
from suite.sip.transactions import Action, Answered, Arrived, TimedOut, Transactions, Transmit


def request(branch: str = "z9hG4bKx", method: str = "SUBSCRIBE", number: int = 1) -> SipRequest:
    headers = Headers.of(
        ("Via", f"SIP/2.0/UDP 127.0.0.1:5070;branch={branch};rport"), ("From", "<sip:a@b>;tag=1"), ("To", "<sip:c@d>"),
        ("Call-ID", "x"), ("CSeq", f"{number} {method}"),
    )  # fmt: skip
    return SipRequest(method=method, uri="sip:c@d", headers=headers)


def run_until(transactions: Transactions, end: float) -> list[tuple[float, object]]:
    """Let the time pass; return (time, action)."""
    happened: list[tuple[float, object]] = []
    while (due := transactions.next_due()) is not None and due <= end:
        happened += [(due, action) for action in transactions.expire(due)]
    return happened


def test_a_request_on_udp_is_repeated_by_timer_e_and_given_up_by_timer_f():
    transactions = Transactions()
    assert isinstance(transactions.send(request(), "flow", reliable=False, now=0.0)[0], Transmit)
    happened = run_until(transactions, 100)
    assert [at for at, action in happened if isinstance(action, Transmit)] == [
        0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5,
    ]  # fmt: skip
    assert happened[-1] == (32.0, TimedOut("z9hG4bKx"))
    assert len(transactions) == 0


def test_a_request_on_tcp_is_not_repeated():
    transactions = Transactions()
    transactions.send(request(), "flow", reliable=True, now=0.0)
    assert run_until(transactions, 100) == [(32.0, TimedOut("z9hG4bKx"))]


def test_after_a_provisional_response_a_request_is_repeated_every_four_seconds():
    transactions = Transactions()
    transactions.send(request(), "flow", reliable=False, now=0.0)
    transactions.receive_response(reply(request(), 100, "Trying"), 0.1)
    assert [at for at, _ in run_until(transactions, 20)] == [0.5, 4.5, 8.5, 12.5, 16.5]


def test_a_repeated_response_and_one_with_another_branch_or_method_are_absorbed():
    transactions = Transactions()
    transactions.send(request(), "flow", reliable=False, now=0.0)
    assert transactions.receive_response(reply(request("z9hG4bKother"), 200, "OK"), 0.1) == []
    assert transactions.receive_response(reply(request(method="PUBLISH"), 200, "OK"), 0.1) == []
    assert transactions.dropped_responses == 2
    [answered] = transactions.receive_response(reply(request(), 200, "OK"), 0.2)
    assert isinstance(answered, Answered)
    assert transactions.receive_response(reply(request(), 200, "OK"), 0.3) == []
    assert [action for _, action in run_until(transactions, 100)] == []
    assert len(transactions) == 0


def test_a_repeated_request_gets_the_same_response_until_timer_j():
    transactions = Transactions()
    [arrived] = transactions.receive_request(request(), "flow", reliable=False, now=0.0)
    assert isinstance(arrived, Arrived)
    assert transactions.receive_request(request(), "flow", reliable=False, now=0.1) == []
    [first] = transactions.respond(arrived.key, reply(request(), 200, "OK"), 1.0)
    assert transactions.respond(arrived.key, reply(request(), 500, "Again"), 1.1) == []
    assert transactions.receive_request(request(), "flow", reliable=False, now=2.0) == [first]
    run_until(transactions, 32.9)
    assert transactions.receive_request(request(), "flow", reliable=False, now=32.9) == [first]
    run_until(transactions, 33.1)
    assert isinstance(transactions.receive_request(request(), "flow", reliable=False, now=33.1)[0], Arrived)


def test_a_request_that_nobody_answers_is_forgotten():
    transactions = Transactions()
    transactions.receive_request(request(), "flow", reliable=True, now=0.0)
    run_until(transactions, 64)
    assert len(transactions) == 0


def test_requests_of_rfc_2543_are_told_apart_without_the_cookie():
    transactions = Transactions()
    assert len(transactions.receive_request(request("1"), "flow", reliable=False, now=0.0)) == 1
    assert transactions.receive_request(request("1"), "flow", reliable=False, now=0.0) == []
    assert len(transactions.receive_request(request("1", number=2), "flow", reliable=False, now=0.0)) == 1


def test_requests_beyond_the_bound_are_refused_and_not_kept():
    transactions = Transactions(most_server=2)
    for number in range(2):
        transactions.receive_request(request(f"z9hG4bK{number}"), "flow", reliable=False, now=0.0)
    [refused] = transactions.receive_request(request("z9hG4bKlast"), "flow", reliable=False, now=0.0)
    assert isinstance(refused, Transmit)
    assert refused.data.startswith(b"SIP/2.0 503 ")
    assert len(transactions) == 2


def test_refusals_are_forgotten_before_a_request_is_refused_for_lack_of_room():
    """A flood of requests that are refused takes no room from those that are right."""
    transactions = Transactions(most_server=3)

    def asked(number: int, status: int) -> bool:
        came = transactions.receive_request(request(f"z9hG4bK{number}"), "flow", reliable=False, now=0.0)
        for each in came:
            if isinstance(each, Arrived):
                transactions.respond(each.key, reply(request(), status, "Said"), 0.0)
        return any(isinstance(each, Arrived) for each in came)

    assert asked(1, 200)
    assert all(asked(number, 404) for number in range(2, 100))
    assert not asked(1, 200)  # it is still known
    assert not asked(99, 404)
    assert asked(2, 200)  # it was forgotten
    assert asked(3, 200)
    assert not asked(4, 200)
    assert len(transactions) == 3


def test_bytes_that_are_kept_for_repeated_requests_are_bounded():
    transactions = Transactions(most_kept_bytes=100_000)
    for number in range(1000):
        long = request(f"z9hG4bK{number}{'x' * 5000}")
        for each in transactions.receive_request(long, "flow", reliable=False, now=0.0):
            if isinstance(each, Arrived):
                assert len(each.key) < 100
                transactions.respond(each.key, reply(long, 200 if number % 2 else 404, "Said"), 0.0)
    assert 90_000 < transactions.kept_bytes < 110_000
    run_until(transactions, 100)
    assert transactions.kept_bytes == len(transactions) == 0


@pytest.mark.long
def test_timers_of_requests_that_are_done_do_not_pile_up():
    transactions = Transactions()
    for number in range(20_000):
        [arrived] = transactions.receive_request(request(f"z9hG4bK{number}"), "f", reliable=True, now=number / 10_000)
        assert isinstance(arrived, Arrived)
        transactions.respond(arrived.key, reply(request(), 200, "OK"), number / 10_000)
    assert len(transactions._due) < 2000


_steps = st.lists(
    st.tuples(st.sampled_from(["send", "answer", "try", "ask", "respond", "wait"]), st.integers(0, 3), st.floats(0, 9)),
    max_size=40,
)


class Played:
    """Steps played on transactions, and what came of them."""

    def __init__(self, *, reliable: bool) -> None:
        self.transactions, self.now, self.reliable = Transactions(), 0.0, reliable
        self.sent: list[str] = []
        self.ended: list[str] = []
        self._arrived = set[str]()

    def play(self, step: str, number: int, pause: float) -> None:
        branch = f"z9hG4bK{number}"
        if step == "wait":
            self.now += pause
            self.note(self.transactions.expire(self.now))
        elif step == "send":
            self.sent.append(f"{branch}-{len(self.sent)}")
            asked = request(self.sent[-1])
            self.note(self.transactions.send(asked, "flow", reliable=self.reliable, now=self.now))
        elif step == "ask":
            asked = request(branch)
            self.note(self.transactions.receive_request(asked, "flow", reliable=self.reliable, now=self.now))
        elif step == "respond":
            for key in self._arrived:
                self.transactions.respond(key, reply(request(branch), 200, "OK"), self.now)
        else:
            status = 100 if step == "try" else 200
            for each in (each for each in self.sent if each.startswith(branch)):
                self.note(self.transactions.receive_response(reply(request(each), status, "OK"), self.now))

    def note(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, TimedOut) or (isinstance(action, Answered) and action.response.status >= 200):
                self.ended.append(action.branch)
            if isinstance(action, Arrived):
                self._arrived.add(action.key)


@given(_steps, st.booleans())
def test_in_any_order_each_request_ends_once_and_nothing_is_left(steps: list[tuple[str, int, float]], reliable: bool):
    played = Played(reliable=reliable)
    for step, number, pause in steps:
        played.play(step, number, pause)
    played.play("wait", 0, 33)
    assert sorted(played.ended) == sorted(played.sent)
    played.play("wait", 0, 200)
    assert len(played.transactions) == 0
