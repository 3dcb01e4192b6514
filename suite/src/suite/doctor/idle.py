"""Keep a stream idle, and see whether something in between cuts it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from suite.channel import KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS
from suite.doctor.http2 import END_STREAM, FrameType, Http2, is_pong
from suite.doctor.line import Failed
from suite.doctor.values import Fault, Idled

if TYPE_CHECKING:
    from suite.doctor.line import Line

_PATH: Final = "/relay.api.presence.v1.PresenceService/WatchPresence"


@dataclass(frozen=True, slots=True)
class Idling:
    """The parameters of an idle stream.

    Attributes:
        for_s: time for which it is kept idle.
        ping_s: silence after which it is pinged, as gRPC does.
        pong_s: timeout of the answer.
    """

    for_s: float
    ping_s: float = KEEPALIVE_MS / 1000
    pong_s: float = KEEPALIVE_TIMEOUT_MS / 1000


async def leave_alone(line: Line, address: str, key: str, start: bytes, idling: Idling) -> Idled:
    """Open a stream and keep it idle as a suite's client does: ping after silence, and answer the relay's pings.

    Args:
        line: a connection whose certificate is trusted.
        address: the relay's address.
        key: the suite key.
        start: the encoded first request.
        idling: the parameters.
    """
    left = _LeftAlone(line)
    left.stream.begin()
    left.stream.open(_PATH, address, [("authorization", f"Bearer {key}")], start)
    while True:
        fault = await left.watch(max(min(idling.ping_s, idling.for_s - left.age_s), 0.0))
        if fault is Fault.SILENT:  # as it should be
            left.stream.ping()
            fault = await left.watch(idling.pong_s)
        if fault is not Fault.NONE or left.age_s >= idling.for_s:
            return Idled(left.age_s, left.silence_s, fault)


class _LeftAlone:
    """An idle connection, and the time since its last byte."""

    def __init__(self, line: Line) -> None:
        self.stream = Http2(line)
        self.silence_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._since = self._last = self._loop.time()

    @property
    def age_s(self) -> float:
        """Return the time since the beginning."""
        return self._loop.time() - self._since

    async def watch(self, for_s: float) -> Fault:
        """Return NONE when a ping was answered, SILENT when it was not, CLOSED after a cut, REFUSED when the relay ended the stream."""
        try:
            async with asyncio.timeout(for_s):
                return await self._until_pong()
        except TimeoutError:
            self.silence_s = max(self.silence_s, self._loop.time() - self._last)
            return Fault.SILENT
        except Failed as failed:
            self.silence_s = self._loop.time() - self._last
            return failed.fault

    async def _until_pong(self) -> Fault:
        while True:
            frame = await self.stream.next()
            now = self._loop.time()
            self.silence_s, self._last = max(self.silence_s, now - self._last), now
            if is_pong(frame):
                return Fault.NONE
            is_end = frame.type == FrameType.HEADERS and frame.flags & END_STREAM
            if is_end or frame.type == FrameType.RST_STREAM:
                return Fault.REFUSED
