"""Run the steps of the examination in order until one fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from suite.doctor import calls
from suite.doctor.http2 import speak
from suite.doctor.idle import Idling, leave_alone
from suite.doctor.line import Failed, Line, Patience, connect, resolve
from suite.doctor.tls import greet, trusting
from suite.doctor.tunnel import ask_to_connect, endpoint
from suite.doctor.values import Fault, Named, Observations, Proxied, Routed, Secured, Try

if TYPE_CHECKING:
    from suite.channel import Target

_MAX_ADDRESSES: Final = 6
_OK: Final = 200
_IDLE_PROGRESS_S: Final = 300.0
"""The longest progress interval that the relay accepts, so that the stream stays idle."""
_PROGRESS_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Examination:
    """The relay to examine, and the extent of the examination.

    Attributes:
        key: the suite key; None to test only the connection.
        idling: the test with an idle stream at the end; None for no such test.
        version: the version of this program.
        is_exempt: True when NO_PROXY exempts the relay from a proxy of the environment.
    """

    target: Target
    key: str | None
    idling: Idling | None = None
    patience: Patience = field(default_factory=Patience)
    version: str = ""
    is_exempt: bool = False


async def examine(examination: Examination) -> Observations:
    """Run the steps until one fails, and return their observations. The key is sent only to a relay whose certificate is trusted."""
    return await _Examiner(examination).run()


class _Examiner:
    def __init__(self, examination: Examination) -> None:
        self._all = examination
        self._target = examination.target
        self._patience = examination.patience
        proxy = self._target.proxy
        self._host, self._port = endpoint(proxy) if proxy else (self._target.host, self._target.port)
        self._open_address = ""
        self._seen = Observations(
            self._target.address,
            datetime.now(UTC),
            has_key=examination.key is not None,
            is_exempt=examination.is_exempt,
        )

    async def run(self) -> Observations:
        addresses = await self._name()
        line = await self._route(addresses) if addresses else None
        if line is not None:
            async with line:
                is_trusted = await self._proxy(line) and await self._tls(line) and await self._http2(line)
            if is_trusted:
                await self._relay()
        return self._seen

    async def _name(self) -> list[str]:
        try:
            addresses = (await resolve(self._host, self._port, self._patience.step_s))[:_MAX_ADDRESSES]
        except Failed as failed:
            self._note(named=Named(self._host, (), failed.fault))
            return []
        self._note(named=Named(self._host, tuple(addresses)))
        return addresses

    async def _route(self, addresses: list[str]) -> Line | None:
        tries: list[Try] = []
        line = None
        loop = asyncio.get_running_loop()
        for address in addresses:
            since = loop.time()
            try:
                line = await connect(address, self._port, self._patience.step_s)
                fault = Fault.NONE
            except Failed as failed:
                fault = failed.fault
            tries.append(Try(address, fault, loop.time() - since))
            if line is not None:
                self._open_address = address
                break
        self._note(routed=Routed(self._port, tuple(tries)))
        return line

    async def _proxy(self, line: Line) -> bool:
        if self._target.proxy is None:
            return True
        proxied = await self._connect_through(line)
        self._note(proxied=proxied)
        return proxied.status == _OK

    async def _connect_through(self, line: Line) -> Proxied:
        assert self._target.proxy is not None
        return await ask_to_connect(line, self._target.proxy, self._target.address, self._patience.step_s)

    async def _again(self) -> Line:
        """Open the same connection once more. Raises Failed."""
        line = await connect(self._open_address, self._port, self._patience.step_s)
        if self._target.proxy is not None:
            proxied = await self._connect_through(line)
            if proxied.status != _OK:
                await line.__aexit__()
                raise Failed(proxied.fault if proxied.fault is not Fault.NONE else Fault.CLOSED)
        return line

    async def _tls(self, line: Line) -> bool:
        secured = await greet(line, self._again, self._name_in_certificate, self._target.ca_pem, self._patience.step_s)
        self._note(secured=secured)
        return is_good(secured)

    @property
    def _name_in_certificate(self) -> str:
        return self._target.server_name or self._target.host

    async def _http2(self, line: Line) -> bool:
        spoken = await speak(line, self._patience.step_s)
        self._note(spoken=spoken)
        return spoken.has_pong

    async def _relay(self) -> None:
        key, within_s = self._all.key, self._patience.call_s
        if key is not None:
            start = calls.start_of(self._all.version, _PROGRESS_S)
            asked = await calls.ask(self._target, key, "watch", start, within_s)
            self._note(asked=(asked,))
            if not asked.has_begun and asked.ending is None:
                await self._find_what_is_held(key)
            elif asked.has_begun and self._all.idling:
                await self._idle(key, self._all.idling)
        else:
            self._note(controls=await calls.control(self._target, within_s))

    async def _find_what_is_held(self, key: str) -> None:
        controls = await calls.control(self._target, self._patience.call_s)
        self._note(controls=controls)
        if controls.answers and not controls.sees_open_requests and controls.sees_open_answers is not False:
            start = calls.start_of(self._all.version, _PROGRESS_S)
            other = await calls.ask(self._target, key, "stream", start, self._patience.call_s)
            self._note(asked=(*self._seen.asked, other))

    async def _idle(self, key: str, idling: Idling) -> None:
        start = calls.first_request(self._all.version, _IDLE_PROGRESS_S)
        try:
            async with await self._again() as line:
                context = trusting(self._target.ca_pem)
                await line.secure(context, self._name_in_certificate, self._patience.step_s)
                idled = await leave_alone(line, self._target.address, key, start, idling)
        except (OSError, EOFError, Failed):
            return  # the second connection failed, so the idle test is not possible
        self._note(idled=idled)

    def _note(self, **seen: object) -> None:
        self._seen = replace(self._seen, **seen)  # type: ignore[arg-type]


def is_good(secured: Secured) -> bool:
    """Return True when the handshake succeeded, the certificate is trusted and HTTP/2 was chosen."""
    return secured.fault is Fault.NONE and not secured.verify_code and secured.alpn == "h2"
