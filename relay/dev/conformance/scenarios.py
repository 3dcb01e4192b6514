"""The scenarios, one function each. Each returns its actions and their times, which the rules judge."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from relay.dev.conformance.record import ENOUGH_S, Episode
from relay.dev.conformance.relay import NoStream
from relay.edge.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from relay.dev.conformance.relay import PlayedRelay

CUTS: Final = 5
REFUSALS: Final = 2
DRAINS: Final = 6


@dataclass(slots=True)
class Disturbance:
    """The actions of a scenario; see `Episode`."""

    done_s: list[float] = field(default_factory=list)
    limit_s: float = 0.0
    over_s: float | None = None
    kept_s: tuple[float, float] | None = None
    renamed: dict[str, str] = field(default_factory=dict)


Play: TypeAlias = "Callable[[PlayedRelay, Disturbance], Awaitable[None]]"


async def play(name: str, relay: PlayedRelay) -> Episode:
    """Run one scenario, and return its record. A suite that does not take part is recorded, and no error."""
    began_s, done, trouble = relay.now_s(), Disturbance(), ""
    try:
        await SCENARIOS[name](relay, done)
    except NoStream as error:
        trouble = str(error)
    finally:
        relay.close(on=False)
        relay.slow_down(0.0)
        relay.observer.refusals.clear()
    return Episode(
        scenario=name,
        began_s=began_s,
        ended_s=relay.now_s(),
        calls=[*relay.observer.calls],
        connections=[*relay.observer.connections],
        done_s=done.done_s,
        limit_s=done.limit_s,
        over_s=done.over_s,
        kept_s=done.kept_s,
        renamed=done.renamed,
        trouble=trouble,
    )


async def _start(relay: PlayedRelay, done: Disturbance) -> None:
    """The suite connects and gets everything."""
    await relay.settled()
    done.done_s.append(relay.now_s())
    await asyncio.sleep(relay.times.settle_s)


async def _drain(relay: PlayedRelay, done: Disturbance) -> None:
    """The relay process stops, as at each update: it asks the suite to move."""
    for _ in range(DRAINS):
        call = await relay.ready()
        done.done_s[:] = [relay.now_s()]
        await relay.move()
        await relay.settled(done.done_s[0])
        if call.drain_delay_s >= ENOUGH_S:
            break  # the relay gives each suite a random time, and a tenth of a second is too short to judge


async def _cut(relay: PlayedRelay, done: Disturbance) -> None:
    """The connection breaks, several times."""
    for _ in range(CUTS):
        await relay.ready()
        done.done_s.append(relay.now_s())
        relay.cut()
        await relay.settled(done.done_s[-1])


async def _busy(relay: PlayedRelay, done: Disturbance) -> None:
    """The connection breaks, and the relay refuses the next streams: retry after a second."""
    await relay.ready()
    done.done_s.append(relay.now_s())
    relay.refuse(Busy("The relay has too much to do; played by the conformance kit"), REFUSALS)
    relay.cut()
    await relay.settled(done.done_s[0])


async def _reset(relay: PlayedRelay, done: Disturbance) -> None:
    """The relay's store loses its history, and later the connection breaks."""
    call, lost_s = await relay.ready(), relay.now_s()
    await relay.microsoft.lose_history()
    await relay.until(
        lambda: not call.is_open or (call.outcomes[-1][0] > lost_s and call.is_settled), "the relay did not reset"
    )
    await relay.ready()
    done.done_s.append(relay.now_s())
    done.kept_s = lost_s, done.done_s[0]
    relay.cut()
    await relay.settled(done.done_s[0])


async def _rename(relay: PlayedRelay, done: Disturbance) -> None:
    """One name changes to another user and another name to no user; later the connection breaks."""
    call = await relay.ready()
    # A name that is an object id cannot change its user.
    names = sorted(name for name, to in call.known.items() if "-" in to and to != name.strip().lower())
    if not names:
        raise NoStream("the suite watches no user who could be renamed")
    for name, to_nobody in zip(names[:2], (False, True), strict=False):
        done.renamed[name] = await relay.microsoft.rename(name, to_nobody=to_nobody)
    await relay.until(
        lambda: not call.is_open or all(call.told.get(name) == new for name, new in done.renamed.items()),
        "the relay did not report the renaming",
    )
    await relay.ready()
    done.done_s.append(relay.now_s())
    relay.cut()
    await relay.settled(done.done_s[0])


async def _throttle(relay: PlayedRelay, done: Disturbance) -> None:
    """Microsoft throttles the organisation for a while."""
    call = await relay.ready()
    done.done_s.append(relay.now_s())
    done.limit_s = relay.times.throttle_s
    await relay.microsoft.throttle(on=True)
    try:
        await relay.until(lambda: not call.is_open or any(call.reasons[-1:]), "the relay did not report the throttling")
        await asyncio.sleep(relay.times.throttle_s)
    finally:
        await relay.microsoft.throttle(on=False)
    done.kept_s = done.done_s[0], relay.now_s()
    await relay.until(
        lambda: not call.is_open or call.reasons[-1:] == [""], "the relay did not report the end of the throttling"
    )


async def _slow(relay: PlayedRelay, done: Disturbance) -> None:
    """The connection breaks, and the next one is slow: each piece of an answer is delayed."""
    await relay.ready()
    done.limit_s = relay.times.slow_s
    done.done_s.append(relay.now_s())
    relay.slow_down(relay.times.slow_s)
    relay.cut()
    await relay.settled(done.done_s[0])
    await asyncio.sleep(2 * relay.times.slow_s)  # the edge has sent everything, but the suite has not received it yet


async def _gone(relay: PlayedRelay, done: Disturbance) -> None:
    """The relay is unreachable for a while: each connection is reset at once."""
    await relay.ready()
    done.done_s.append(relay.now_s())
    done.limit_s = relay.times.gone_s
    relay.close(on=True)
    await asyncio.sleep(relay.times.gone_s)
    relay.close(on=False)
    done.over_s = relay.now_s()
    await relay.settled(done.over_s)


async def _silent(relay: PlayedRelay, done: Disturbance) -> None:
    """The connection stays open, but nothing arrives any more."""
    await relay.ready()
    done.done_s.append(relay.now_s())
    done.limit_s = relay.times.silent_s
    relay.freeze()
    await relay.until(
        lambda: relay.observer.calls[-1].opened_s > done.done_s[0], "no stream was opened", relay.times.silent_s
    )
    await relay.settled(done.done_s[0])


async def _revoke(relay: PlayedRelay, done: Disturbance) -> None:
    """An administrator revokes the suite key."""
    call = await relay.ready()
    await relay.revoke()
    await relay.until(lambda: not call.is_open, "the relay did not end the stream")
    done.done_s.append(relay.now_s())
    done.limit_s = relay.times.revoked_s
    # Many suites end then; do not wait for them.
    await relay.observer.until(relay.given_up, relay.times.revoked_s)


SCENARIOS: Final[Mapping[str, Play]] = {
    "start": _start,
    "drain": _drain,
    "cut": _cut,
    "busy": _busy,
    "reset": _reset,
    "rename": _rename,
    "throttle": _throttle,
    "slow": _slow,
    "gone": _gone,
    "silent": _silent,
    "revoke": _revoke,
}
"""The scenarios in their order. The last one ends the suite."""


def meaning(name: str) -> str:
    """Return a description of a scenario, in one sentence."""
    return (SCENARIOS[name].__doc__ or "").split("\n")[0]
