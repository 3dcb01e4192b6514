"""The addresses on which the SIP server listens, opened and closed as the settings change."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING, Final

from suite.agent.certificate import load_certificate, server_context
from suite.sip.flows import DatagramFlow, Flow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from suite.agent.settings.groups.sip_server import SipAddress, SipServerSettings
    from suite.sip.user_agent import UserAgent

log = logging.getLogger(__name__)

LISTEN_AGAIN_S: Final = 5.0


class SipListening:
    """The open addresses of a user agent.

    Attributes:
        open: the addresses on which it listens.
        trouble: a sentence about the addresses that cannot be opened; empty when all are open.
    """

    def __init__(self, agent: UserAgent, again_s: float, over: Callable[[SipAddress, bool], Awaitable[None]]) -> None:
        """Open no address yet.

        Args:
            agent: the user agent.
            again_s: seconds between two attempts to open an address.
            over: awaited before an address is closed; its second argument is True if the connections are closed too.
        """
        self.open: dict[SipAddress, bytes | None] = {}
        """Address -> PEM of the CA that must have issued the clients' certificates; None for no certificates."""
        self.trouble = ""
        self._agent = agent
        self._again_s = again_s
        self._over = over
        self._changed = asyncio.Event()
        self._contexts: dict[SipAddress, ssl.SSLContext] = {}

    def changed(self) -> None:
        """Notify `run` that the settings changed."""
        self._changed.set()

    async def run(self, settings: Callable[[], SipServerSettings]) -> None:
        """Listen as the settings say, until cancelled."""
        while True:
            self._changed.clear()
            wanted = settings()
            await self._close(wanted)
            await self._open(wanted)
            try:
                async with asyncio.timeout(self._again_s if self.trouble else None):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _close(self, wanted: SipServerSettings) -> None:
        """Close addresses that are not wanted, and a TLS address with a new client CA, against which its connections were not checked."""
        for address, client_ca in list(self.open.items()):
            is_another_ca = address.protocol == "tls" and client_ca != wanted.client_ca_pem
            if address not in wanted.addresses or is_another_ca:
                await self._over(address, is_another_ca)
                transport = self._agent.transport
                transport.unlisten(address.protocol, address.host, address.port, connections=is_another_ca)
                del self.open[address]
                self._contexts.pop(address, None)
                log.info("sip server: no longer listening on %s", address)

    async def _open(self, wanted: SipServerSettings) -> None:
        troubles: list[str] = []
        for address in wanted.addresses:
            if address in self.open:
                self._renew(address, wanted)
                continue
            try:
                context = self._context(address, wanted)
                await self._agent.listen(address.protocol, address.host, address.port, context)
            except (OSError, ValueError) as error:
                troubles.append(f"{address}: {getattr(error, 'strerror', None) or error}")
                continue
            self.open[address] = wanted.client_ca_pem
            if context is not None:
                self._contexts[address] = context
            log.info("sip server: listening on %s", address)
        before, self.trouble = self.trouble, "; ".join(troubles)
        if self.trouble and self.trouble != before:
            log.error("sip server: cannot listen on %s. The agent tries again.", self.trouble)

    def _renew(self, address: SipAddress, wanted: SipServerSettings) -> None:
        """Use a renewed certificate for new connections."""
        context = self._contexts.get(address)
        if context is not None and wanted.certificate is not None:
            try:
                load_certificate(context, wanted.certificate)
            except ValueError as error:  # it was valid when it was read: the temporary file could not be written
                log.warning("sip server: the certificate stays as it was. %s", error)

    @staticmethod
    def _context(address: SipAddress, wanted: SipServerSettings) -> ssl.SSLContext | None:
        if address.protocol != "tls" or wanted.certificate is None:
            return None
        context = server_context(wanted.certificate)
        if wanted.client_ca_pem is not None:
            context.load_verify_locations(cadata=wanted.client_ca_pem.decode("ascii", "replace"))
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def needs(flow: Flow, address: SipAddress, *, connections: bool = False) -> bool:
    """Return True if a flow ends when an address is closed. UDP ends with its socket, connections only if they are closed too."""
    if isinstance(flow, DatagramFlow):
        return flow.endpoint.address == (address.host, address.port)
    return connections and flow.is_of(address.protocol, address.host, address.port)
