"""Graph's POSTs, as bytes to write to a connection, and a sender that writes them at a rate."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import time
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from relay.http.paths import NOTIFICATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.graph.push.certificates import Certificate
    from relay.store.presence.subscriptions import Subscription

USER: Final = "aaaaaaaa-0000-4000-8000-000000000001"
OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # Graph's choice


def content(certificate: Certificate) -> dict[str, str]:
    """Return the encrypted presence of a user, with the documented five fields."""
    names = {"@odata.id": f"users/{USER}/presence", "@odata.type": "#Microsoft.Graph.presence", "id": USER}
    plain = json.dumps({**names, "availability": "Busy", "activity": "InAMeeting"}).encode()
    key, missing = os.urandom(32), 16 - len(plain) % 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    data = encryptor.update(plain + bytes([missing]) * missing) + encryptor.finalize()
    return {
        "data": base64.b64encode(data).decode(),
        "dataSignature": base64.b64encode(hmac.digest(key, data, "sha256")).decode(),
        "dataKey": base64.b64encode(certificate.private_key.public_key().encrypt(key, OAEP)).decode(),
        "encryptionCertificateId": certificate.certificate_id,
        "encryptionCertificateThumbprint": certificate.thumbprint,
    }


def item(subscription: Subscription, encrypted: dict[str, str]) -> dict[str, Any]:
    """Return one notification as JSON."""
    return {
        "subscriptionId": subscription.subscription_id,
        "clientState": subscription.client_state,
        "changeType": "updated",
        "tenantId": subscription.tenant_id,
        "resource": f"communications/presences/{USER}",
        "subscriptionExpirationDateTime": "2026-11-20T11:00:00.0000000Z",
        "resourceData": {"@odata.id": f"users/{USER}/presence", "@odata.type": "#microsoft.graph.presence", "id": USER},
        "encryptedContent": encrypted,
    }


def request(subscription: Subscription, encrypted: dict[str, str], count: int, token: str) -> bytes:
    """Return a POST of `count` notifications, including the HTTP header."""
    body = json.dumps({"value": [item(subscription, encrypted)] * count, "validationTokens": [token]}).encode()
    head = (
        f"POST {NOTIFICATIONS}{subscription.route_id} HTTP/1.1\r\nHost: hook.example\r\n"
        f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Sender:
    """Connections that send requests in turn, each when it is due, and measure from that time.

    Attributes:
        answer_ms: of each request, in milliseconds from when it was due.
        refused: answers that were not 202.
    """

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._port = port
        self._requests = requests
        self.answer_ms: list[float] = []
        self.refused = 0

    async def send(self, connections: int, seconds: float, rate: float | None) -> None:
        """Send for `seconds` at a rate, or, without one, as fast as answers come."""
        began = time.perf_counter()
        turns = iter(range(10**9))

        async def work() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 16)
            for turn in turns:
                due = time.perf_counter() if rate is None else began + turn / rate
                if due - began >= seconds:
                    break
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                writer.write(self._requests[turn % len(self._requests)])
                await writer.drain()
                head = await reader.readuntil(b"\r\n\r\n")
                self.answer_ms.append(1000 * (time.perf_counter() - due))
                self.refused += not head.startswith(b"HTTP/1.1 202")
            writer.close()

        await asyncio.gather(*[work() for _ in range(connections)])
