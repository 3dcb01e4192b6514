"""The rules of the relay: calls, streams, key, organisation, consent, idle streams, clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from suite.channel import KEEPALIVE_MS
from suite.doctor.rows import Row, State, foreign
from suite.doctor.values import Fault, Hop
from suite.doctor.way import hop_between
from suite.explain import Remedy, explain
from suite.icons import REASONS
from suite.values import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from suite.channel import Target
    from suite.doctor.values import Asked, Controls, Idled, Observations
    from suite.explain import Ending

_CLOCK_TOLERANCE: Final = timedelta(minutes=1)
_HOP_OF_REASON: Final = {
    "ERROR_REASON_SUITE_KEY_UNKNOWN": Hop.KEY,
    "ERROR_REASON_SUITE_KEY_REVOKED": Hop.KEY,
    "ERROR_REASON_TENANT_REMOVED": Hop.ORGANISATION,
}
_CONSENT: Final = {
    Status.CONSENT_REQUIRED: "the organisation's consent at Microsoft has ended or was not given: one of its administrators must renew it on "
    "the relay's page.",
    Status.ACCESS_DENIED: "Microsoft does not let the relay read the organisation's presence: one of its administrators must permit it.",
}
_PASSES: Final = frozenset({Status.THROTTLED, Status.SOURCE_UNREACHABLE, Status.STALE, Status.PENDING})
"""Problems of an organisation that are temporary."""


def service_rows(seen: Observations, target: Target) -> Iterator[Row]:
    """Yield the rows for the steps that ran. A later row of the same hop replaces an earlier one."""
    is_reached = bool(seen.asked) or seen.controls is not None
    if is_reached and not seen.has_key:
        yield Row(Hop.KEY, State.SKIPPED, "not given (--key-file)")
    if is_reached and seen.idled is None:
        yield Row(Hop.IDLE, State.SKIPPED, "not tried (--idle SECONDS)")
    last = seen.asked[-1] if seen.asked else None
    if last is not None and last.has_begun:
        yield from _begun(last)
    elif last is not None and last.ending is not None:
        yield from _refused(last.ending, target)
    if seen.controls is not None:
        yield from _held(seen.controls, last, target)
    if seen.idled is not None:
        yield _idle(seen.idled, target)
    if is_reached or (seen.proxied is not None and seen.proxied.date is not None):
        yield _clock(seen)


def _begun(asked: Asked) -> Iterator[Row]:
    took = f" after {asked.began_after.total_seconds():.1f} s" if asked.began_after else ""
    yield Row(Hop.RELAY, State.OK, "answers gRPC calls")
    yield Row(Hop.STREAMS, State.OK, f"a stream began{took}")
    yield Row(Hop.KEY, State.OK, "accepted")
    if asked.tenant is None:
        yield Row(Hop.ORGANISATION, State.OK, "known; the relay did not report whether it can read it")
        return
    words = REASONS[asked.tenant] or "can be read"
    if asked.tenant in _CONSENT:
        yield Row(Hop.ORGANISATION, State.OK, "known")
        yield Row(Hop.CONSENT, State.FAILED, words, _CONSENT[asked.tenant])
    elif asked.tenant is Status.NONE:
        yield Row(Hop.ORGANISATION, State.OK, words)
        yield Row(Hop.CONSENT, State.OK, "given")
    elif asked.tenant in _PASSES:
        remedy = f"presence may be old for the moment ({words}): wait, and ask the relay's operator if it lasts."
        yield Row(Hop.ORGANISATION, State.NOTE, words, remedy)
    else:
        remedy = f"{words}: ask the relay's operator."
        yield Row(Hop.ORGANISATION, State.FAILED, words, remedy)


def _refused(ending: Ending, target: Target) -> Iterator[Row]:
    words = explain(ending, target)
    hop = _HOP_OF_REASON.get(ending.reason, Hop.RELAY)
    if not ending.reason and ending.code.name == "UNAUTHENTICATED":
        hop = Hop.KEY
    if hop is not Hop.RELAY:
        yield Row(Hop.RELAY, State.OK, "answers gRPC calls")
        yield Row(Hop.STREAMS, State.OK, "an answer came before the request had ended")
        if hop is Hop.ORGANISATION:
            yield Row(Hop.KEY, State.OK, "known")
    else:
        words = _with_advice(ending, target)
    yield Row(hop, State.FAILED, foreign(ending.reason or f"{ending.code.name} {ending.details}"), words)


def _with_advice(ending: Ending, target: Target) -> str:
    """Return the reason for the end of a call, and what to do about it."""
    words = explain(ending, target)
    if ending.code.name == "UNIMPLEMENTED":
        return f"{words} Check the address with the relay's operator."
    if ending.remedy is Remedy.BACK_OFF:
        return f"{words} Try again in a minute, and ask the relay's operator if it lasts."
    return words


def _held(controls: Controls, asked: Asked | None, target: Target) -> Iterator[Row]:
    """Yield the rows of relay and streams, from calls without a key, and from the form `stream` if it was tried."""
    address, between = target.address, hop_between(target)
    if not controls.answers:
        remedy = f"{address} speaks HTTP/2 and does not answer calls: ask the relay's operator whether it runs."
        if controls.ending is not None and controls.ending.code.name != "DEADLINE_EXCEEDED":
            remedy = _with_advice(controls.ending, target)
        yield Row(Hop.RELAY, State.FAILED, "no call was answered", remedy)
        return
    yield Row(Hop.RELAY, State.OK, "answers gRPC calls")
    helps = asked is not None and asked.form == "stream" and (asked.has_begun or asked.ending is not None)
    if controls.sees_open_requests and controls.sees_open_answers is not False:
        if asked is not None:
            remedy = f"the relay at {address} takes the stream and does not begin it: try again in a minute, and ask its operator if it lasts."
            yield Row(Hop.RELAY, State.FAILED, "a stream did not begin", remedy)
        else:
            yield Row(Hop.STREAMS, State.OK, "answers come while a request is open")
    elif helps:
        remedy = f"{between} holds requests back until they end: use the form `stream` (--form stream), or have {address} exempted from the inspection."
        yield Row(Hop.STREAMS, State.FAILED, "a request is passed on only when it has ended", remedy)
    else:
        remedy = (
            f"{between} holds back what is sent until all of it is there, so that a stream never begins: have {address} exempted from the "
            "inspection, or bodies passed on as they come."
        )
        yield Row(Hop.STREAMS, State.FAILED, "a stream opens and nothing ever comes", remedy)


def _idle(idled: Idled, target: Target) -> Row:
    between, ping_s = hop_between(target), KEEPALIVE_MS / 1000
    if idled.fault is Fault.NONE:
        seen = f"open after {idled.waited_s:.0f} s, {idled.silence_s:.0f} s of them without a byte"
        return Row(Hop.IDLE, State.OK, seen)
    if idled.fault is Fault.REFUSED:
        return Row(Hop.IDLE, State.OK, f"the relay moved the stream after {idled.waited_s:.0f} s")
    if idled.fault is Fault.SILENT:
        remedy = f"{between} forgets a connection that is silent, so that nothing arrives any more: have its idle timeout set above {2 * ping_s:.0f} s."
        return Row(Hop.IDLE, State.FAILED, f"no answer after {idled.waited_s:.0f} s", remedy)
    remedy = (
        f"{between} cuts connections after {idled.silence_s:.0f} s of silence, and suites ping every {ping_s:.0f} s: have its idle timeout "
        f"set above {2 * ping_s:.0f} s."
    )
    return Row(Hop.IDLE, State.FAILED, f"cut after {idled.silence_s:.0f} s of silence", remedy)


def _clock(seen: Observations) -> Row:
    ours = f"{seen.now:%Y-%m-%d %H:%M:%S} UTC"
    asked = seen.asked[-1] if seen.asked else None
    dates = [asked.date if asked else None, seen.proxied.date if seen.proxied else None]
    theirs, whose = next(((date, who) for date, who in zip(dates, ("relay", "proxy"), strict=True) if date), (None, ""))
    if theirs is None and asked and asked.contact and (asked.contact_moved or asked.contact > seen.now):
        theirs, whose = asked.contact, "relay"
    if theirs is None:
        return Row(Hop.CLOCK, State.SKIPPED, f"{ours}; nothing to compare it with")
    behind = theirs - seen.now
    if abs(behind) <= _CLOCK_TOLERANCE:
        return Row(Hop.CLOCK, State.OK, f"{ours}, as the {whose}'s")
    word = "behind" if behind > timedelta(0) else "ahead of"
    by = f"{abs(behind).total_seconds() / 60:.0f} min"
    remedy = f"this machine's clock is {by} {word} the {whose}'s: set it, by NTP for example."
    about = seen.secured.certificate if seen.secured else None
    spoils = bool(
        seen.secured and seen.secured.verify_code in {9, 10} and about and about.not_before <= theirs <= about.not_after
    )
    return Row(Hop.CLOCK, State.FAILED if spoils else State.NOTE, f"{ours}, {by} {word} the {whose}'s", remedy)
