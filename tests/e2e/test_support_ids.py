"""What Microsoft's support asks for when a call failed: in the log and for the operator who explains a user."""

from __future__ import annotations

import structlog

from emulator.faults import Fault
from relay.core.presence import TenantId
from relay.errors import SourceUnreachable
from relay.worker.tenant.trouble import FailedCalls
from tests.e2e.conftest import Edges, running
from tests.e2e.test_explain import PRESENCES, explained
from tests.support.clock import SteppedClock
from tests.support.waiting import eventually
from tests.worker.conftest import Relay

ADA, NEWCOMER = "ada@contoso.example", "ben@contoso.example"
REQUEST, CORRELATION = "0af76519-16cd-43dd-8448-eb211c80319c", "b7ad6b71-6920-3331-8448-eb211c80319c"
BODY = (
    '{"error": {"code": "serviceNotAvailable", "message": "ada@contoso.example is Busy", "innerError": '
    f'{{"date": "2026-11-29T09:00:00", "request-id": "{REQUEST}", "client-request-id": "{CORRELATION}"}}}}}}'
)


async def test_a_failed_call_shows_microsofts_ids_and_time_in_the_log_and_in_explain(relay: Relay, edges: Edges):
    async with running(relay, edges) as tenant, edges.suite(await edges.key(tenant), ADA) as console:
        await eventually(lambda: console.shows(ADA) == "Available")
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            relay.microsoft.add_fault(Fault(path=PRESENCES, status=503, body=BODY))
            await eventually(lambda: [line for line in lines if line["event"] == "microsoft_call_failed"])

            async def is_told() -> bool:
                said = await explained(relay, tenant, ADA)
                return REQUEST in str(said) and CORRELATION in str(said)

            await eventually(is_told)
    line = next(line for line in lines if line["event"] == "microsoft_call_failed")
    assert line["tenant_id"] == tenant
    assert (line["request_id"], line["correlation_id"]) == (REQUEST, CORRELATION)
    assert line["microsoft_time"] == "2026-11-29T09:00:00"
    assert line["error"] == "Graph answered 503 serviceNotAvailable"


def test_failed_calls_of_many_tenants_are_some_lines_a_minute():
    clock = SteppedClock(is_stopped=True)
    failed = FailedCalls(clock)
    with structlog.testing.capture_logs() as lines:
        for number in range(5000):
            failed.note(TenantId(f"tenant-{number}"), SourceUnreachable("Graph answered 500"))
        at_once = len(lines)
        clock.advance(60)
        failed.note(TenantId("one more"), SourceUnreachable("Graph answered 500"))
    assert 10 <= at_once <= 11
    assert lines[-1]["tenant_id"] == "one more"
