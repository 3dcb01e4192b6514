"""The spans of an onboarding: one trace over all its steps, across processes and any time between steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.ops.metric import WEB
from relay.ops.span import SpanType, carried

if TYPE_CHECKING:
    from onboarding.wizard.flow import FlowFailure
    from relay.ops.span import TracedWork

_NAME: Final = "relay.onboarding.{step}"

STEP: Final = SpanType(
    name=_NAME,
    meaning="A step of an onboarding. `start` begins the trace, for every onboarding while traces are made at all; `sign_in` and `admin_consent` send the browser to "
    "Microsoft; `answer` takes in Microsoft's answer; `verify` tries the new grant and keeps it. The request of the browser is linked, if it is traced",
    roles=(WEB,),
    attributes={"relay.outcome": "`done`, or the problem that the page shows"},
)


def first_step() -> TracedWork:
    """Return the span of the step that begins an onboarding."""
    return STEP.begins(_NAME.format(step="start"), always=True)


def step(trace: bytes, name: str) -> TracedWork:
    """Return the span of a further step.

    Args:
        trace: the onboarding's trace.
        name: the step's name.
    """
    request = carried()
    return STEP.follows(trace, [request] if request else (), _NAME.format(step=name))


def note_outcome(span: TracedWork, failure: FlowFailure | None) -> None:
    """Record the outcome of a step."""
    span.note("relay.outcome", failure.problem if failure is not None else "done")
    if failure is not None:
        span.fail(failure.problem)
