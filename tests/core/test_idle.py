from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from relay.core.showing.idle import idle_since
from tests.core.presences import PRESENCE

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=4)

IDLE = replace(PRESENCE, idle=True, idle_time=EARLIER)


def test_a_user_who_is_not_idle_has_no_idle_time():
    assert idle_since(IDLE, idle=False, now=NOW) is None


def test_a_user_who_becomes_idle_is_idle_from_now():
    assert idle_since(PRESENCE, idle=True, now=NOW) == NOW


def test_a_user_first_seen_idle_is_idle_from_now():
    assert idle_since(None, idle=True, now=NOW) == NOW


def test_a_user_who_stays_idle_keeps_the_time():
    assert idle_since(IDLE, idle=True, now=NOW) == EARLIER


def test_a_kept_presence_without_its_time_starts_anew():
    assert idle_since(replace(IDLE, idle_time=None), idle=True, now=NOW) == NOW
