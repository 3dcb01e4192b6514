"""The page of traces: how to turn them on and read them, and the descriptions of the kinds of spans that the roles make."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from typing import TYPE_CHECKING, Final

import onboarding
import relay
from relay.ops.metric import EVERY
from relay.ops.span import ERROR, SpanType, types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.otlp import CollectedSpan


_HEAD: Final = """# Traces

A trace shows the path of one change: from Microsoft's answer or notification through Redis to the write to a suite, with the time that each part took. By default
one in a hundred is recorded.

![One change, from the notification to two suites](trace.svg)

The picture is made from the spans of a real run: `python -m tests.monitoring.waterfall`. A notification of Microsoft's reaches the webhook, which verifies it and puts
it into the inbox. The worker decrypts it, finds by its sequence number that it is newer than the stored answer, and stores it. An edge reads the change and writes it to its suites. The gaps between two
processes are the time in Redis.

## Turn traces on

```sh
RELAY_TELEMETRY_OTLP_ENDPOINT=https://collector.example:4317
RELAY_TELEMETRY_TRACE_SHARE=0.01
```

Traces go to the same collector as metrics, by OTLP over gRPC. Set both on all roles; a role without a collector makes no spans, and traces end there. `RELAY_TELEMETRY_TRACE_SHARE` is the share
of reads of users, of requests to the webhook and the pages, and of new streams that are traced. The decision is made once, at the source, and passed on with the change: either all later steps
are traced or none. Onboardings are rare, so each is traced unless the share is 0. Set the share to 0 for a collector that takes no traces.

Work that is not traced has no measurable cost. A span costs some 50 microseconds of CPU with its sending, so use a share of 1 only for a small relay, or for an hour.

## Read a trace

| question | look at |
| --- | --- |
| Was it Microsoft? | the spans of calls, such as `POST /v1.0/communications/getPresencesByUserId`. `relay.microsoft.request_id` and `relay.microsoft.correlation_id` are what Microsoft's support asks for |
| Was it Redis? | the spans that begin with `redis`, and the gap before `relay.edge.deliver` |
| Was it a busy worker? | gaps before and between the children of `relay.worker.take_in` and `relay.worker.read` |
| Was it the suite? | `relay.edge.write`: without `relay.wait`, the time that the write itself took, because the suite or its network is slow |

The trace of a poll begins with `relay.worker.read`, that of a notification with `POST /notifications/{route_id}`. A notification that is not certainly newer causes a read, which continues its trace; several that were
read together are linked. A stream has no span of its own, because it lasts for days: `relay.edge.open` ends when the stream is joined, and the writes of the stream link to it.
Of all streams that watch a user, at most four have a `relay.edge.write` in a trace.

The steps of an onboarding are one trace, even if an administrator comes back a week later. The step `verify` has the calls of Graph that tried the grant.

Times are by the clock of the machine that made the span. A child that begins before its parent means that two clocks differ.

A log line that is written during traced work has `trace_id` and `span_id`, so you can find the trace from the log and the reverse. Lines about failed calls always have `request_id`,
`correlation_id` and `microsoft_time`.

## What is in a span

A span contains no user, presence, name, address of a person, secret or text of an error. An error is recorded as its class. A tenant is in a span only if `RELAY_TELEMETRY_TENANTS` names it. Trace ids in
requests from outside are ignored.

## All spans
"""
_TAIL: Final = """Each span can have `error.type`, the class of the error or the status with which its work failed.

## When the collector does not work

A separate thread sends spans once a second. When the collector is unavailable, slow or refuses, at most 2,048 spans wait; further ones are dropped. The relay logs this once
(`spans_not_sent`), and once more when sending works again. `relay_telemetry_spans_total` counts spans by outcome. When a process stops, it waits for the collector for three seconds at most.
"""


@cache
def described() -> Mapping[str, SpanType]:
    """Return name -> kind of span, of all that any module of the relay makes."""
    for package in (relay, onboarding):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(".spans"):
                importlib.import_module(module.name)
    return {name: one for name, one in sorted(types().items()) if one.roles}


def kind_of(name: str) -> SpanType | None:
    """Return the kind of span that has this name."""
    if name in described():
        return described()[name]
    return next((one for one in described().values() if "{" in one.name and _pattern(one.name).fullmatch(name)), None)


def differences(span: CollectedSpan) -> Iterator[str]:
    """Yield what a span has that is not described."""
    kind = kind_of(span.name)
    if kind is None:
        yield span.name
        return
    # Names of calls and of requests look alike.
    alike = [one for one in described().values() if one.name.startswith("{method}")] if " /" in span.name else [kind]
    known = {name for one in alike for name in one.attributes}
    yield from (f"{span.name}: {name}" for name in span.attributes if name not in known)


def traces_page() -> str:
    """Return the page of traces."""
    lines = ["| span | meaning | attributes | made by |", "| --- | --- | --- | --- |"]
    lines += [_row(one) for one in described().values()]
    return f"{_HEAD}\n" + "\n".join(lines) + f"\n\n{_TAIL}"


def _row(one: SpanType) -> str:
    attributes = "<br>".join(f"`{name}`: {words}" for name, words in one.attributes.items() if name != ERROR)
    roles = "every role" if one.roles == EVERY else ", ".join(one.roles)
    return f"| `{one.name}` ({one.kind.name.lower()}) | {one.meaning} | {attributes} | {roles} |"


def _pattern(name: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]+\}", name)
    return re.compile(".*".join(map(re.escape, parts)))
