"""An onboarding is one trace, whoever serves its steps."""

from __future__ import annotations

from relay.ops.metric import WEB
from relay.ops.telemetry import Telemetry, TelemetrySettings
from tests.onboarding.person import Person
from tests.onboarding.site import Site
from tests.references.spans import differences
from tests.support.otlp import collecting

TOKEN = "POST /{tenant}/oauth2/v2.0/token"


async def test_an_onboarding_is_one_trace_over_its_requests_and_says_nothing_of_whom(site: Site, person: Person):
    with collecting() as collector:
        # Requests are hardly ever traced with this share; onboardings always are.
        settings = TelemetrySettings(otlp_endpoint=collector.url, trace_share=1e-9, roles=frozenset({WEB}))
        with Telemetry(settings):
            key = await person.onboard()
    [start] = collector.named("relay.onboarding.start")
    spans = {span.span_id: span for span in collector.trace_of(start)}
    names = {span.name for span in spans.values()}
    assert {"relay.onboarding.sign_in", "relay.onboarding.answer", "relay.onboarding.verify", TOKEN} <= names
    assert len({span.trace_id for span in collector.spans}) == 1
    for span in spans.values():
        if span.name.startswith("relay.onboarding.") and span != start:
            assert spans[span.parent_id] == start
            assert span.attributes.get("relay.outcome", "done") == "done"
    tokens = [span for span in spans.values() if span.name == TOKEN]
    assert {spans[span.parent_id].name for span in tokens} == {"relay.onboarding.answer", "relay.onboarding.verify"}
    assert all(span.attributes["relay.microsoft.correlation_id"] for span in tokens)
    read = next(span for span in spans.values() if span.name.endswith("/getPresencesByUserId"))
    assert spans[read.parent_id].name == "relay.onboarding.verify"
    assert [each for span in spans.values() for each in differences(span)] == []
    everything = b"".join(collector.requests).lower()
    secret = key.split("_", 2)[2]
    for said in ("contoso", "adler", "available", secret, site.tenant_id()):
        assert said.lower().encode() not in everything, said


async def test_the_request_of_the_browser_is_linked_where_it_is_traced(site: Site, person: Person):
    with collecting() as collector:
        settings = TelemetrySettings(otlp_endpoint=collector.url, trace_share=1, roles=frozenset({WEB}))
        with Telemetry(settings):
            await person.fill()
            await person.authorize()
    [answer] = collector.named("relay.onboarding.answer")
    by_id = {(span.trace_id, span.span_id): span for span in collector.spans}
    [link] = answer.links
    assert by_id[link].name.startswith("POST /")
    assert link[0] != answer.trace_id


async def test_a_consent_that_is_declined_says_so_in_its_span(site: Site, person: Person):
    with collecting() as collector:
        settings = TelemetrySettings(otlp_endpoint=collector.url, trace_share=1e-9, roles=frozenset({WEB}))
        with Telemetry(settings):
            await person.fill()
            await person.authorize(decision="decline")
    [answer] = collector.named("relay.onboarding.answer")
    assert answer.is_failed
    assert answer.attributes["relay.outcome"] == "declined"
