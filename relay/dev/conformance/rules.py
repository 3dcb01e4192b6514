"""The rules: record of a suite -> findings. Each is a function of one episode, and checks a requirement of docs/suites.md.

Rules about random times have a tolerance. A suite that follows the guide fails one of them once in a thousand runs.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from relay.dev.conformance.record import ENOUGH_S, OK

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.dev.conformance.record import Episode, SeenCall


class Judged(enum.StrEnum):
    """A rule's verdict."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNSEEN = "not seen"
    """The rule could not be judged; the reason states what was missing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's verdict and its reason."""

    verdict: Judged
    why: str


Judge: TypeAlias = "Callable[[Episode], Finding]"

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0
AT_ONCE_S: Final = 0.05
"""A lower average counts as no wait: a random wait of at most 0.5 s has 0.25 s."""
FEW: Final = 4
"""Attempts that are always allowed while the relay is gone: for chance, and for more than one stream."""
_ALLOWANCE_S: Final = 1.0
"""Tolerance for opening a connection on a busy machine."""
_EARLY_S: Final = 0.05
"""Tolerance for clocks and timers."""
_APPLIED_S: Final = 0.5
"""Time after which a suite must have applied a token."""
INVALID: Final = {
    "ERROR_REASON_START_EXPECTED": "a first request that is no valid start",
    "ERROR_REASON_ACTION_EXPECTED": "a later request that is no valid change",
    "ERROR_REASON_TOO_MANY_USERS": "more users than one message or stream may have",
    "ERROR_REASON_METADATA_TOO_LARGE": "more metadata than a call may have",
    "ERROR_REASON_SUITE_KEY_UNKNOWN": "no suite key, or a wrong one",
    "ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT": "a resume token of another organisation",
}
_LEFT_TOO_LATE: Final = ("ERROR_REASON_SHUTDOWN", "ERROR_REASON_REBALANCE")


def passed(why: str) -> Finding:
    """Return a pass."""
    return Finding(Judged.PASS, why)


def failed(why: str) -> Finding:
    """Return a failure."""
    return Finding(Judged.FAIL, why)


def unseen(why: str) -> Finding:
    """Return that the rule could not be judged."""
    return Finding(Judged.UNSEEN, why)


# Every scenario


def valid_requests(episode: Episode) -> Finding:
    """The relay refused none of its requests as wrong."""
    calls = episode.opened_after(episode.began_s) or episode.calls
    for call in calls:
        if call.ending in INVALID:
            return failed(f"Stream {call.number + 1} sent {INVALID[call.ending]} ({call.ending}).")
    return (
        passed(f"{_count(len(calls), 'stream')}, none refused as wrong.") if calls else unseen("No stream was opened.")
    )


# Connecting


def names_users(episode: Episode) -> Finding:
    """Its first request names users."""
    if not episode.calls:
        return unseen(episode.trouble or "No stream was opened.")
    asked = len(episode.calls[0].start.names)
    return passed(f"It asks for {_count(asked, 'user')}.") if asked else failed("The first start names no users.")


def keeps_requests_open(episode: Episode) -> Finding:
    """It keeps the request stream open as long as it wants answers."""
    calls = [call for call in episode.calls if call.method == "WatchPresence"]
    if not episode.calls:
        return unseen(episode.trouble or "No stream was opened.")
    if not calls:
        return passed("It uses StreamPresence, which has one request.")
    for call in calls:
        if call.half_closed_s is not None and call.ending in ("", OK):
            after = call.half_closed_s - call.opened_s
            return failed(f"Stream {call.number + 1} half-closed {after:.2f} s after it was opened, which ends it.")
    return passed("No stream half-closed.")


# After a stream that ended


def resumes(episode: Episode) -> Finding:
    """It starts again with the newest resume token that it was given."""
    pairs = _pairs(episode)
    if not pairs:
        return _nobody(episode)
    for done_s, before, after in pairs:
        given = [
            (at, token)
            for call in episode.calls
            if call is not after
            for at, token in call.tokens
            if at < after.opened_s
        ]
        if not after.start.token:
            return failed(f"Stream {after.number + 1} came without a resume token: everything had to be sent again.")
        times = [at for at, token in given if token == after.start.token]
        if not times:
            return failed(f"Stream {after.number + 1} came with a resume token that the relay never gave.")
        applied = [at for at, _ in before.tokens if at < done_s - _APPLIED_S]
        if applied and max(times) < applied[-1]:
            old = _count(sum(at > max(times) for at, _ in before.tokens), "newer one")
            return failed(f"Stream {after.number + 1} came with an old resume token; it had been given {old}.")
    return passed(f"{_count(len(pairs), 'stream')} came with the newest token.")


def holds_users(episode: Episode) -> Finding:
    """It names the users whose answers it holds, with their ids, and requests all others."""
    pairs = _pairs(episode)
    if not pairs:
        return _nobody(episode)
    for _, before, after in pairs:
        stream, start = f"Stream {after.number + 1}", after.start
        if missing := before.start.names - start.names:
            return failed(f"{stream} no longer requests {_some(missing)}, which the one before did.")
        if start.token and not start.held:
            return failed(f"{stream} came with a token and no held users: every answer had to be sent again.")
        wrong = {name for name, to in start.held.items() if before.known.get(name, to) != to}
        if wrong:
            return failed(f"{stream} holds {_some(wrong)} as a different user than the relay reported.")
    held = min(len(after.start.held) for _, _, after in pairs)
    return passed(f"{_count(held, 'user')} held." if held else "It holds nothing, and requests all users again.")


def waits(episode: Episode) -> Finding:
    """It waits before it connects again."""
    seen = episode.waits()
    if not seen:
        return _nobody(episode)
    mean = sum(seen) / len(seen)
    if mean < AT_ONCE_S:
        return failed(f"It connects again {1000 * mean:.0f} ms after a break on average: that is at once. {_WAIT}")
    return passed(f"It waited {_seconds(seen)}.")


def waits_at_random(episode: Episode) -> Finding:
    """Its waits differ, so that suites that lost the relay together do not reconnect together."""
    seen = episode.waits()
    if len(seen) < 3:
        return unseen(episode.trouble or "Too few breaks to judge.")
    mean = sum(seen) / len(seen)
    if mean < AT_ONCE_S:
        return unseen("It does not wait.")
    if max(seen) - min(seen) < max(AT_ONCE_S, mean / 10):
        return failed(f"It always waits the same: {_seconds(seen)}. {_WAIT}")
    return passed(f"It waited {_seconds(seen)}.")


def comes_back(episode: Episode) -> Finding:
    """It opens a stream again."""
    since = episode.done_s[-1] if episode.over_s is None else max(episode.over_s, episode.done_s[-1])
    later = [call for call in episode.opened_after(since) if call.complete_s is not None]
    if later:
        return passed(f"It had everything again after {later[0].opened_s - since:.1f} s.")
    return failed(f"It did not come back: {episode.trouble or 'no stream was complete'}.")


def obeys_retry_info(episode: Episode) -> Finding:
    """It waits as long as the relay requests when it refuses a stream (`RetryInfo`)."""
    refused = [call for call in episode.opened_after(episode.done_s[0]) if call.retry_s and call.ended_s is not None]
    pairs = [(call, next((later for later in episode.calls if later.number > call.number), None)) for call in refused]
    found = [(call, later) for call, later in pairs if later is not None]
    if not found:
        return _nobody(episode)
    for call, later in found:
        waited = later.opened_s - (call.ended_s or 0.0)
        if waited < call.retry_s - _EARLY_S:
            return failed(f"It was asked to wait {call.retry_s:g} s, and came back after {waited:.2f} s.")
    return passed(f"It waited at least {refused[0].retry_s:g} s each time.")


def does_not_hammer(episode: Episode) -> Finding:
    """It retries less and less often while the relay is unreachable."""
    if episode.over_s is None:
        return _nobody(episode)
    tries = sum(episode.done_s[0] < at <= episode.over_s for at in episode.connections)
    away_s = episode.over_s - episode.done_s[0]  # longer than planned on a busy machine
    most = most_tries(away_s)
    if tries > most:
        return failed(f"It tried {tries} times in {away_s:.1f} s; waits that double make at most {most}. {_WAIT}")
    return passed(f"It tried {_count(tries, 'time')} in {away_s:.1f} s.")


def most_tries(window_s: float) -> int:
    """Return how many attempts a suite may make in a time: twice as many as with waits that double from 0.5 s, and some more for chance."""
    return FEW + math.ceil(2 * math.log2(window_s / FIRST_WAIT_S + 1)) + int(window_s / LONGEST_WAIT_S)


# Drain


def leaves(episode: Episode) -> Finding:
    """It leaves a stream that is drained before the relay ends it."""
    drained = [call for call in episode.calls if call.drain_s is not None and call.drain_s >= episode.done_s[0]]
    if not drained:
        return unseen(episode.trouble or "No stream was open that could be drained.")
    for call in drained:
        is_enough = call.drain_delay_s >= ENOUGH_S
        if is_enough and (call.ending in _LEFT_TOO_LATE or call.ended_s is None):
            return failed(
                f"Stream {call.number + 1} was asked to leave within {call.drain_delay_s:.1f} s and stayed until the relay ended it."
            )
    call = drained[-1]
    if call.drain_delay_s < ENOUGH_S:
        return unseen("The relay gave it too little time each time.")
    return passed(f"It left {(call.ended_s or 0.0) - (call.drain_s or 0.0):.1f} s after it was asked to.")


def moves_in_time(episode: Episode) -> Finding:
    """It opens another stream within the time that the drain gives, or right after it left."""
    drained = [call for call in episode.calls if call.drain_s is not None and call.drain_s >= episode.done_s[0]]
    if not drained:
        return unseen(episode.trouble or "No stream was open that could be drained.")
    call = drained[-1]
    asked_s = call.drain_s or 0.0
    later = episode.opened_after(asked_s)
    if not later:
        return failed("It opened no other stream.")
    took = later[0].opened_s - asked_s
    until = max(asked_s + call.drain_delay_s, (call.ended_s or asked_s) + FIRST_WAIT_S) + _ALLOWANCE_S
    if later[0].opened_s > until:
        return failed(f"It had {call.drain_delay_s:.1f} s, and opened another stream after {took:.1f} s.")
    return passed(f"It had {call.drain_delay_s:.1f} s, and opened another stream after {took:.1f} s.")


# Streams that go on


def keeps_stream(episode: Episode) -> Finding:
    """It keeps its stream: this is no reason to open another."""
    if episode.kept_s is None:
        return _nobody(episode)
    since_s, until_s = episode.kept_s
    opened = [call for call in episode.opened_after(since_s) if call.opened_s < until_s]
    if opened:
        return failed(f"It opened {_count(len(opened), 'stream')} although the one that it had went on.")
    return passed("It kept its stream.")


def is_patient(episode: Episode) -> Finding:
    """It waits for a slow answer instead of opening stream after stream."""
    if not episode.done_s:
        return _nobody(episode)
    opened = episode.opened_after(episode.done_s[0])
    if not opened:
        return _nobody(episode)
    if len(opened) > 1:
        return failed(f"It opened {len(opened)} streams while the answer to the first was on its way.")
    return passed("It opened one stream and waited for it.")


def follows_names(episode: Episode) -> Finding:
    """It applies the relay's changes of names: to another user, or to no user."""
    pairs = _pairs(episode)
    if not pairs or not episode.renamed:
        return _nobody(episode)
    start = pairs[-1][2].start
    for name, new in episode.renamed.items():
        held = start.held.get(name)
        if held is not None and held != new:
            told = "no user" if new.startswith("UNKNOWN_REASON_") else "another user"
            return failed(f"{name} now stands for {told}, and the suite still holds its former meaning.")
        if held is None and name not in start.subscribed:
            return failed(f"{name} was given to another user, and the suite no longer requests it.")
    return passed(f"{_count(len(episode.renamed), 'name')} changed, and it holds none of them wrongly.")


def notices_silence(episode: Episode) -> Finding:
    """It detects a connection that broke silently."""
    if not episode.done_s:
        return _nobody(episode)
    later = episode.opened_after(episode.done_s[0])
    if not later:
        return failed(f"It opened no other stream within {episode.limit_s:g} s. Send HTTP/2 pings every 30 s.")
    return passed(f"It opened another stream after {later[0].opened_s - episode.done_s[0]:.0f} s.")


# The end


def stops(episode: Episode) -> Finding:
    """It does not reconnect with a revoked key."""
    if not episode.done_s:
        return _nobody(episode)
    end_s = episode.done_s[0]
    later = episode.opened_after(end_s)
    tries = sum(at > end_s for at in episode.connections)
    if later or tries:
        return failed(
            f"Its key was revoked, and it connected {_count(max(tries, len(later)), 'time')} in {episode.limit_s:g} s."
        )
    return passed("It did not come back.")


_WAIT: Final = "Wait a random time of at most 0.5 s, and double that limit up to 30 s."


def _pairs(episode: Episode) -> list[tuple[float, SeenCall, SeenCall]]:
    """Return each disturbance that was followed by a stream, with the streams before and after it."""
    found: list[tuple[float, SeenCall, SeenCall]] = []
    for done_s in episode.done_s:
        before = episode.open_at(done_s)
        after = [call for call in episode.opened_after(done_s) if call.start.names]
        if before and after:
            found.append((done_s, before[-1], after[0]))
    return found


def _nobody(episode: Episode) -> Finding:
    return unseen(f"{episode.trouble[:1].upper()}{episode.trouble[1:] or 'There was nothing to judge'}.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _seconds(times: list[float]) -> str:
    return f"{', '.join(f'{one:.2f}' for one in times)} s"


def _some(names: set[str]) -> str:
    first, *others = sorted(names)
    return f"{first} and {len(others)} others" if others else first
