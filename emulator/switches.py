"""What Microsoft does not document, or what a test wants otherwise: one switch each, all changeable at any time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=600_000)]
Span = tuple[Seconds, Seconds]


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cloud's open questions and their answers for now."""

    spelling: Literal["pascal", "lower_camel", "third"] = "pascal"
    """Which of the three published sets of values is sent: the older pages' (`Busy`/`InACall`), the current page's
    (`inACall`/`busy`), or that of Microsoft's SDKs (`InACall`/`Busy`)."""
    idle_values: bool = True
    """Whether `AvailableIdle` and `BusyIdle` are still sent; if not, the base state stays until Offline."""
    sequence_numbers: bool = True
    """Whether presences carry `sequenceNumber`."""
    unknown_ids: Literal["omit", "refuse_400", "presence_unknown"] = "omit"
    """What a bulk read says of an id that is nobody's in the tenant."""
    unlicensed_ids: Literal["omit", "presence_unknown"] = "omit"
    """What a bulk read says of a person without a licence for Teams."""
    duplicate_ids: Literal["once", "repeat", "refuse_400"] = "once"
    """What a bulk read does with an id that is named twice."""
    count_bulk_as: Literal["one", "ids"] = "one"
    """How much of the presence limit one bulk read uses up."""
    presence_limit: Annotated[int, msgspec.Meta(ge=0)] = 1500
    """Presence requests per application, tenant and window: https://learn.microsoft.com/graph/throttling-limits"""
    presence_window_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """The window of that limit."""
    personal_accounts: Literal["refused", "admitted"] = "refused"
    """Whether personal accounts may sign in at `organizations`. Microsoft keeps them on its own page; a registration for
    personal accounts as well, or an address with `common`, lets them through."""
    extra_fields: bool = False
    """Whether presences carry fields that a reader does not expect, `workLocation` among them."""
    graph_latency_ms: Milliseconds = 0.0
    """How long Graph takes for an answer."""
    token_latency_ms: Milliseconds = 0.0
    """How long the token endpoint takes for an answer."""
    graph_latency_ms_of: dict[str, Milliseconds] = msgspec.field(default_factory=dict)
    """The same for single tenants: tenant id -> latency, in place of the general one."""
    token_latency_ms_of: dict[str, Milliseconds] = msgspec.field(default_factory=dict)
    """The same for single tenants: tenant id -> latency, in place of the general one."""
    access_token_s: Annotated[int, msgspec.Meta(ge=1)] = 3599
    """How long an access token lives."""
    linger_s: Span = (120.0, 420.0)
    """How long the last state stays after everything was switched off, least and most, in the world's seconds. Assumed:
    "a few minutes" is all that is published."""
    idle_s: Span = (240.0, 720.0)
    """How long the idle state then stays until Offline, least and most, in the world's seconds. Assumed."""

    def changed(self, **changes: Any) -> Switches:
        """These switches with some of them set otherwise.

        Raises:
            msgspec.ValidationError: a name or value is none; it says which.
        """
        return msgspec.convert({**msgspec.structs.asdict(self), **changes}, Switches)
