"""Posts signed events to a tenant's own address."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from relay.alerts import addresses, signature

if TYPE_CHECKING:
    from relay.alerts.settings import AlertSettings

_GONE: Final = 410  # by the specification: "the endpoint should be disabled"


class NotDelivered(Exception):
    """A channel did not accept a notice. The text is for the operator's log and shows nothing secret.

    Attributes:
        is_final: True if a retry is of no use.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class HookSender:
    """Posts to tenants' addresses.

    Each POST has a connection of its own, to a checked address. It uses no proxy, redirect or cookie, and reads only
    the status of the answer.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings
        self._context: ssl.SSLContext | None = None

    async def post(self, url: str, secret: str, message_id: str, body: bytes) -> None:
        """Post one signed message to a tenant's address.

        Raises:
            NotDelivered: the receiver did not answer with a 2xx.
        """
        if reason := addresses.fault(url):
            raise NotDelivered(reason, is_final=True)
        if not signature.is_secret(secret):
            raise NotDelivered("No signing secret is set", is_final=True)
        try:
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                status = await self._post(url, signature.headers(secret, message_id, int(time.time()), body), body)
        except addresses.NotAllowed as error:
            raise NotDelivered(str(error)) from None
        except (OSError, httpx.HTTPError, ValueError) as error:  # errors of ssl and timeouts are OSErrors
            raise NotDelivered(f"The receiver cannot be reached ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise NotDelivered(f"The receiver answered {status}", is_final=status == _GONE)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        found = await addresses.resolve(host, port, private=self._settings.private_addresses)
        target = httpx.URL(url).copy_with(host=found[0])
        request = headers | {"host": parts.netloc, "content-type": "application/json", "user-agent": "presence-relay"}
        async with httpx.AsyncClient(verify=await self._trust(), trust_env=False, timeout=None) as client:  # noqa: S113  bounded as a whole
            # The certificate must match the host, although the connection goes to one of its addresses.
            options = {"sni_hostname": host}
            async with client.stream("POST", target, headers=request, content=body, extensions=options) as answer:
                return answer.status_code

    async def _trust(self) -> ssl.SSLContext:
        """Return the TLS context. It is created at the first use, as few tenants have a hook, and in a thread: it takes some 50 ms."""
        if self._context is None:
            self._context = await asyncio.to_thread(ssl.create_default_context, cadata=self._settings.ca_pem)
        return self._context
