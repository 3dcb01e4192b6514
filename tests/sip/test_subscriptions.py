"""The life of a subscription by the clock that the test sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.sip.dialogs import Dialog
from suite.sip.headers import Headers
from suite.sip.message import SipRequest, SipResponse
from suite.sip.replies import delta_s
from suite.sip.subscriptions import SubscriberState, SubscriptionEnd, retry_s, same_event


def state(expires_s: int = 3600) -> SubscriberState:
    return SubscriberState(dialog=Dialog.starting("sip:us@h", "sip:ada@h"), event="presence", expires_s=expires_s)


def accepted(expires: str | None = None) -> SipResponse:
    fields = [("To", "<sip:ada@h>;tag=t"), *([("Expires", expires)] if expires is not None else [])]
    return SipResponse(status=200, reason="OK", headers=Headers.of(*fields))


def notify(number: int, said: str) -> SipRequest:
    fields = (("From", "<sip:ada@h>;tag=t"), ("CSeq", f"{number} NOTIFY"), ("Subscription-State", said))
    return SipRequest(method="NOTIFY", uri="sip:us@h", headers=Headers.of(*fields, ("Event", "presence")))


def test_it_is_refreshed_before_it_expires():
    kept = state()
    kept.accepted(accepted("100"), 0.0)
    assert kept.notified(notify(1, "active"), 0.0) is not None
    assert (kept.due(84.9), kept.due(85.0), kept.due(100.0)) == (None, "refresh", "expired")
    kept.accepted(accepted("100"), 85.0)
    assert (kept.next_due(), kept.due(100.0)) == (170.0, None)


def test_without_a_notify_it_is_silent_after_timer_n_unless_one_came():
    kept = state()
    kept.accepted(accepted("3600"), 0.0)
    assert (kept.due(31.9), kept.due(32.0)) == (None, "silent")
    kept.notified(notify(1, "pending"), 31.0)
    assert kept.due(32.0) is None
    kept.accepted(accepted("3600"), 40.0)
    assert kept.due(80.0) is None


def test_a_notify_may_shorten_the_time_and_never_lengthens_it():
    kept = state()
    kept.accepted(accepted("600"), 0.0)
    kept.notified(notify(1, "active;expires=60"), 0.0)
    assert kept.expires_at == 60.0
    kept.notified(notify(2, "active;expires=9999"), 0.0)
    assert kept.expires_at == 60.0


@pytest.mark.parametrize(
    ("granted", "expires_at"),
    [(None, 3600.0), ("1", 5.0), ("nonsense", 3600.0), ("999999999", 24 * 3600.0), ("60 (s)", 60.0)],
)
def test_what_the_server_grants_is_held_within_reason(granted: str | None, expires_at: float):
    kept = state()
    kept.accepted(accepted(granted), 0.0)
    assert kept.expires_at == expires_at


def test_an_unsubscription_waits_for_its_last_notify():
    kept = state(expires_s=0)
    kept.accepted(accepted("0"), 0.0)
    assert (kept.due(1.0), kept.due(32.0)) == (None, "silent")


@pytest.mark.parametrize(
    ("end", "seconds"),
    [
        (SubscriptionEnd(reason="denied"), None),
        (SubscriptionEnd(reason="refused", status=404), None),
        (SubscriptionEnd(reason="refused", status=486, retry_after_s=5.0), 5.0),
        (SubscriptionEnd(reason="refused", status=500), 60.0),
        (SubscriptionEnd(reason="gone", status=481), 0.0),
        (SubscriptionEnd(reason="unreachable"), 30.0),
        (SubscriptionEnd(reason="refused", status=503, retry_after_s=2.0**31), 3600.0),
        (SubscriptionEnd(reason="probation", retry_after_s=2.0**31), 3600.0),
        (SubscriptionEnd(reason="timeout", retry_after_s=2.0**31), 3600.0),
        (SubscriptionEnd(reason="a-new-reason", retry_after_s=3.0), 3.0),
    ],
)
def test_each_end_says_when_to_subscribe_again(end: SubscriptionEnd, seconds: float | None):
    assert retry_s(end) == seconds


def test_events_are_the_same_by_package_and_id():
    assert same_event("Presence ; x=1", "presence")
    assert not same_event("presence;id=1", "presence")
    assert not same_event("presence.winfo", "presence")


@given(st.text(max_size=30))
def test_any_text_is_seconds_or_none(text: str):
    found = delta_s(text)
    assert found is None or 0 <= found <= 2**31
