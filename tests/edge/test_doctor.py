"""The doctor of suites, at a real edge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from relay.core.presence import Status
from relay.store.custody.suite_keys import SuiteKeys
from suite.doctor.idle import Idling
from suite.doctor.rows import State
from suite.doctor.values import Hop
from tests.support.clock import SteppedClock
from tests.support.doctor import KEY, failed, state, told
from tests.support.ring import PUBLIC_MARKS

BRIEF = Idling(for_s=0.2)


@pytest.fixture
def ask(edge, authority):
    async def ask(key, **more):
        return await told(f"localhost:{edge.port}", authority.cert_pem.bytes(), key=key, **more)

    return ask


async def test_all_is_well(ask, worker, key):
    await worker.contact()
    report = await ask(key, idling=BRIEF)
    assert report.verdict.hop is None, report
    assert {row.state for row in report.rows} == {State.OK}


@pytest.mark.parametrize(
    ("ahead", "words"), [(timedelta(minutes=7), "7 min behind"), (-timedelta(hours=2), "120 min ahead of")]
)
async def test_this_machines_clock_is_wrong(start_edge, authority, worker, key, ahead, words):
    await worker.contact()
    edge = await start_edge(clock=SteppedClock(wall=datetime.now(UTC) + ahead))
    report = await told(f"localhost:{edge.port}", authority.cert_pem.bytes(), key=key)
    assert state(report, Hop.CLOCK) is State.NOTE
    [clock] = [row for row in report.rows if row.hop is Hop.CLOCK]
    assert f"{words} the relay's: set it" in clock.remedy
    assert report.verdict.hop is None


async def test_a_key_that_the_relay_does_not_know(ask, worker):
    report = await ask(KEY)
    assert failed(report) == [Hop.KEY]
    assert report.verdict.sentence == (
        "The relay does not know this suite key. Copy the key again from the relay's onboarding page."
    )


async def test_a_key_that_was_revoked(ask, worker, store):
    issued = await worker.enrol()
    await SuiteKeys(store, PUBLIC_MARKS).revoke(issued.key_id)
    report = await ask(issued.text)
    assert failed(report) == [Hop.KEY]
    assert report.verdict.sentence == (
        f"This suite key was revoked. Create a new one on the relay's onboarding page. (Key id {issued.key_id}.)"
    )


async def test_the_way_is_open_and_there_is_no_key_yet(ask):
    report = await ask(None)
    assert (report.verdict.hop, state(report, Hop.STREAMS), state(report, Hop.KEY)) == (None, State.OK, State.SKIPPED)
    assert report.verdict.sentence.endswith("works: try it with the suite key.")


async def test_consent_has_ended(ask, worker, key):
    await worker.contact(status=Status.CONSENT_REQUIRED)
    report = await ask(key)
    assert failed(report) == [Hop.CONSENT]
    assert "one of its administrators must renew it on the relay's page" in report.verdict.sentence


async def test_microsoft_is_away(ask, worker, key):
    await worker.contact(status=Status.SOURCE_UNREACHABLE)
    report = await ask(key)
    assert (report.verdict.hop, state(report, Hop.ORGANISATION)) == (None, State.NOTE)
    assert "wait, and ask the relay's operator if it lasts" in report.verdict.sentence
