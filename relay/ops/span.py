"""Spans: the units of work in traces, each described in the module that makes it.

A trace begins at its source, by random sampling: see `SpanType.begins`. Later work makes a span only if the source did.
A context variable carries that inside a process, and 24 bytes in Redis carry it between processes:

    worker: read ──► accept ──► changes ──► edge: deliver ──► write, write …
    webhook: POST ──► inbox ──► worker: take in ──► accept, or read ──► …

Work that is not traced creates no object and only reads a variable. No attribute ever contains a user, a presence, a
name that a person chose, or the text of an error. A tenant is an attribute only if the settings name it, as in metrics.

    READ = SpanType(name="relay.worker.read", …)

    with READ.begins() as span:              one in so many is traced
        span.note("relay.users", 650)
        with ACCEPT.within() as accepting:   only if the read is
            send(accepting.carried)
    with DELIVER.follows(carried): …         only if what was sent is
"""

from __future__ import annotations

import random
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from contextvars import Token
    from types import TracebackType
    from typing import Self

    from opentelemetry.trace import Span, Tracer

CARRIED_BYTES: Final = 24
"""A trace's id (16) and a span's id (8). Their presence means that the trace is sampled."""
TENANT: Final = "relay.tenant_id"
ERROR: Final = "error.type"
_TRACE_BYTES: Final = 16

Value = str | int | float | bool


class TracedWork:
    """A unit of work, as a context manager. This class stands for untraced work: it does nothing and is false."""

    __slots__ = ()
    carried: bytes = b""
    """The bytes with which other work continues the trace; empty without a trace."""

    def __bool__(self) -> bool:
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def rename(self, called: str) -> None:
        """Give the span another name that matches its type's pattern."""

    def note(self, name: str, value: Value) -> None:
        """Set an attribute of the span that its type declares."""

    def note_tenant(self, tenant_id: str) -> None:
        """Set the span's tenant, if the settings name it."""

    def fail(self, error: str) -> None:
        """Record that the work failed, with the class of an error or another value of a small set."""

    def end(self) -> None:
        """End the span; for work that is not done in one block."""


class _Untraced(TracedWork):
    """Untraced work inside traced work: its steps are not part of the trace."""

    __slots__ = ("_token",)

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _CURRENT.reset(self._token)


class _Sampled(TracedWork):
    """Traced work: one span, which is the current one inside the context."""

    __slots__ = ("_span", "_token", "carried")

    def __init__(self, span: Span) -> None:
        self.carried = _carried(span)
        self._span = span
        self._token: Token[Span | None] | None = None

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(self._span)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            with suppress(ValueError):  # closed by the garbage collector, in another context
                _CURRENT.reset(self._token)
        if kind is not None:
            self.fail(kind.__name__)  # only the class: a message may name a person
        self.end()

    def rename(self, called: str) -> None:
        self._span.update_name(called)

    def note(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def note_tenant(self, tenant_id: str) -> None:
        if tenant_id in _TRACING.tenants:
            self._span.set_attribute(TENANT, tenant_id)

    def fail(self, error: str) -> None:
        self._span.set_attribute(ERROR, error)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        self._span.end()


class _Tracing:
    """The destination of the spans of this process; one that sends none has no tracer."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None
        self.share = 0.0
        self.tenants: Collection[str] = ()


UNTRACED: Final = TracedWork()
"""Work that is not traced."""
_CURRENT: ContextVar[Span | None] = ContextVar("relay-span", default=None)
_TRACING: Final = _Tracing()
_TYPES: Final[dict[str, SpanType]] = {}


class SpanType:
    """A kind of span, created once, when its module is imported. `docs/operate/traces.md` is generated from these.

    Attributes:
        name: the name of its spans, or a pattern with variable parts in braces.
        meaning: description, one line.
        roles: the roles that make it.
        attributes: attribute -> description of its values.
    """

    def __init__(
        self,
        *,
        name: str,
        meaning: str,
        roles: tuple[str, ...],
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Describe a kind of span.

        Raises:
            ValueError: the name is taken.
        """
        if name in _TYPES:
            raise ValueError(f"two spans are called {name}")
        self.name = name
        self.meaning = meaning
        self.roles = roles
        self.kind = kind
        self.attributes = {
            **(attributes or {}),
            ERROR: "why it failed: the class of an error, or a status; absent when all went well",
        }
        _TYPES[name] = self

    def begins(self, called: str = "", *, always: bool = False) -> TracedWork:
        """Begin a trace, for the share of the units of work that the settings name.

        Args:
            called: the span's name, if the type has a pattern.
            always: trace each unit, because it is rare.
        """
        if _TRACING.tracer is None or not (always or random.random() < _TRACING.share):  # noqa: S311 - guards nothing
            return UNTRACED if _CURRENT.get() is None else _Untraced()
        return self._made(_TRACING.tracer, None, (), called)

    def within(self, called: str = "") -> TracedWork:
        """Make a span within the work under way, if that is traced and has not ended."""
        parent = _CURRENT.get()
        if parent is None or _TRACING.tracer is None or not parent.is_recording():
            return UNTRACED
        return self._made(_TRACING.tracer, parent, (), called)

    def follows(self, carried: bytes, linked: Iterable[bytes] = (), called: str = "") -> TracedWork:
        """Continue a trace of another process, or of earlier work.

        Args:
            carried: `carried` of the work that led to this; any other value means no trace.
            linked: `carried` of other related work.
            called: see `begins`.
        """
        parent = _context(carried)
        if parent is None or _TRACING.tracer is None:
            return UNTRACED if _CURRENT.get() is None else _Untraced()
        links = [Link(context) for each in linked if (context := _context(each)) is not None]
        return self._made(_TRACING.tracer, NonRecordingSpan(parent), links, called)

    def _made(self, tracer: Tracer, parent: Span | None, links: list[Link] | tuple[()], called: str) -> TracedWork:
        # An empty context without a parent: the library's current span does not belong to the relay.
        context = set_span_in_context(parent, _EMPTY) if parent is not None else _EMPTY
        return _Sampled(tracer.start_span(called or self.name, context, self.kind, links=links))


def carried() -> bytes:
    """Return the bytes with which other work continues the trace under way; empty without a trace."""
    span = _CURRENT.get()
    return _carried(span) if span is not None and span.is_recording() else b""


def ids() -> tuple[str, str] | None:
    """Return trace id and span id of the work under way, in hex as logs and collectors have them; None when it is not traced."""
    span = _CURRENT.get()
    if span is None or not span.is_recording():
        return None
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def types() -> Mapping[str, SpanType]:
    """Return name -> kind of span, of the modules that are imported."""
    return _TYPES


@contextmanager
def tracing(tracer: Tracer, share: float, tenants: Collection[str] = ()) -> Iterator[None]:
    """Make spans with this tracer while the context lasts.

    Args:
        tracer: must sample every span.
        share: the share of units of work that begin a trace, from 0 to 1.
        tenants: the tenants that spans may name.
    """
    before = _TRACING.tracer, _TRACING.share, _TRACING.tenants
    _TRACING.tracer, _TRACING.share, _TRACING.tenants = tracer, share, tenants
    try:
        yield
    finally:
        _TRACING.tracer, _TRACING.share, _TRACING.tenants = before


def _carried(span: Span) -> bytes:
    context = span.get_span_context()
    return context.trace_id.to_bytes(_TRACE_BYTES) + context.span_id.to_bytes(CARRIED_BYTES - _TRACE_BYTES)


def _context(carried: bytes) -> SpanContext | None:
    if len(carried) != CARRIED_BYTES:
        return None
    trace_id, span_id = int.from_bytes(carried[:_TRACE_BYTES]), int.from_bytes(carried[_TRACE_BYTES:])
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=_FLAGS)
    return context if context.is_valid else None


_FLAGS: Final = TraceFlags(TraceFlags.SAMPLED)
_EMPTY: Final = Context()
