"""A webhook that records what it gets and answers as it is told, and an account that subscribes it."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import jwt
import trustme
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import NameOID

from emulator import Cloud, Config, Emulator, Switches
from tests.emulator.driver import RELAY, bearer, browser
from tests.support.waiting import eventually


@dataclass(slots=True, kw_only=True)
class Got:
    """One request to the webhook."""

    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def token(self) -> str | None:
        """The handshake's validation token, decoded."""
        return dict(parse_qsl(self.query)).get("validationToken")

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json["value"]
        return found


@dataclass(slots=True, kw_only=True)
class Said:
    """An answer of the webhook."""

    status: int = 202
    body: bytes = b""
    content_type: str = "text/plain"


async def _as_documented(got: Got) -> Said:
    """Prove the URL; accept notifications."""
    return Said(status=200, body=got.token.encode()) if got.token is not None else Said()


@dataclass(slots=True)
class Receiver:
    """The webhook. `say` decides about each answer and may wait before it."""

    url: str
    ca_file: Path
    got: list[Got] = field(default_factory=list)
    say: Callable[[Got], Awaitable[Said]] = _as_documented

    def answers(self, status: int) -> None:
        """Answer notifications with a status; prove the URL."""

        async def say(got: Got) -> Said:
            return await _as_documented(got) if got.token is not None else Said(status=status)

        self.say = say

    @property
    def handshakes(self) -> list[Got]:
        return [got for got in self.got if got.token is not None]

    @property
    def posts(self) -> list[Got]:
        return [got for got in self.got if got.token is None]

    @property
    def items(self) -> list[dict[str, Any]]:
        """All notifications, lifecycle ones too, in the order in which they came."""
        return [item for got in self.posts for item in got.items]

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        """The first so many notifications, once they are there."""
        await eventually(
            lambda: len(self.items) >= count, explain=lambda: f"{count} notifications; there are {len(self.items)}"
        )
        return self.items[:count]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        got = Got(path=scope["path"], query=scope["query_string"].decode(), headers=headers, body=body)
        self.got.append(got)
        said = await self.say(got)
        head = [(b"content-type", said.content_type.encode()), (b"content-length", str(len(said.body)).encode())]
        await send({"type": "http.response.start", "status": said.status, "headers": head})
        await send({"type": "http.response.body", "body": said.body})


@asynccontextmanager
async def receiving(folder: Path) -> AsyncIterator[Receiver]:
    """A webhook on a loopback port with TLS of a CA of its own."""
    authority = trustme.CA()
    ca_file = folder / "webhook-ca.pem"
    ca_file.write_bytes(authority.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        receiver = Receiver(f"https://127.0.0.1:{listener.getsockname()[1]}", ca_file)
        config = uvicorn.Config(
            receiver, ssl_context_factory=lambda *_: context, lifespan="off", ws="none", log_config=None, access_log=False,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        try:
            yield receiver
        finally:
            for listening in server.servers:
                listening.close()
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            running = list(server.server_state.tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


@dataclass(slots=True)
class Push:
    """A cloud, a webhook and a client of Graph."""

    cloud: Cloud
    receiver: Receiver
    client: httpx.AsyncClient

    def body(self, *who: str, minutes: float = 60, **changes: Any) -> dict[str, Any]:
        """The body that subscribes to people, with rich notifications; what is None is left out."""
        ids = [self.cloud.person(each).oid for each in who or ("ada@contoso.example",)]
        quoted = ", ".join(f"'{each}'" for each in ids)
        wanted = {
            "changeType": "updated",
            "notificationUrl": f"{self.receiver.url}/notifications",
            "resource": f"/communications/presences?$filter=id in ({quoted})",
            "expirationDateTime": soon(minutes),
            "clientState": "a secret of ours",
            "includeResourceData": True,
            "encryptionCertificate": encryption().public,
            "encryptionCertificateId": "first",
            **changes,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    async def post(self, body: dict[str, Any], account: str = RELAY) -> httpx.Response:
        return await self.client.post("/v1.0/subscriptions", json=body, headers=self.bearer(account))

    async def subscribe(self, *who: str, account: str = RELAY, **changes: Any) -> dict[str, Any]:
        """A subscription, as Graph answers."""
        answer = await self.post(self.body(*who, **changes), account)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def patch(self, subscription_id: str, account: str = RELAY, **body: Any) -> httpx.Response:
        path = f"/v1.0/subscriptions/{subscription_id}"
        return await self.client.patch(path, json=body, headers=self.bearer(account))

    async def get(self, path: str = "", account: str = RELAY) -> httpx.Response:
        return await self.client.get(f"/v1.0/subscriptions{path}", headers=self.bearer(account))

    async def delete(self, subscription_id: str, account: str = RELAY) -> httpx.Response:
        return await self.client.delete(f"/v1.0/subscriptions/{subscription_id}", headers=self.bearer(account))

    async def reauthorize(self, subscription_id: str, account: str = RELAY) -> httpx.Response:
        return await self.client.post(
            f"/v1.0/subscriptions/{subscription_id}/reauthorize", headers=self.bearer(account)
        )

    def bearer(self, account: str = RELAY, *scopes: str) -> dict[str, str]:
        return bearer(self.cloud, account, *scopes)

    async def subscribe_for(self, token_s: int, *who: str, **changes: Any) -> dict[str, Any]:
        """A subscription by an access token that is good for so many seconds only."""
        application = next(iter(self.cloud.world.applications.values()))
        token = self.cloud.tokens.access_token(self.cloud.person(RELAY), application, {"Presence.Read.All"}, token_s)
        headers = {"authorization": f"Bearer {token}"}
        answer = await self.client.post("/v1.0/subscriptions", json=self.body(*who, **changes), headers=headers)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def pushing(folder: Path, *, speed: float = 1.0, day: bool = False, **switches: Any) -> AsyncIterator[Push]:
    """A cloud that sends notifications at once, and a webhook that it trusts."""
    wanted = Switches().changed(**{"notification_delay_s": (0, 0), "notification_gather_ms": 0, **switches})
    async with receiving(folder) as receiver:
        config = Config(notification_ca=receiver.ca_file, switches=wanted, speed=speed, day=day)
        async with Emulator.start(config) as cloud, browser(cloud) as client:
            yield Push(cloud, receiver, client)


def soon(minutes: float) -> str:
    """A date so many minutes from now, as Graph wants it."""
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S.%f}0Z"


# What a receiver does with a notification, written from Microsoft's pages


@dataclass(frozen=True, slots=True)
class Encryption:
    """A key pair for rich notifications."""

    key: rsa.RSAPrivateKey
    der: bytes

    @property
    def public(self) -> str:
        return base64.b64encode(self.der).decode()

    @property
    def thumbprint(self) -> str:
        return hashlib.sha1(self.der).hexdigest().upper()

    def opened(self, item: dict[str, Any]) -> dict[str, Any]:
        """The presence in a rich notification.

        Raises:
            ValueError: it was tampered with.
        """
        content = item["encryptedContent"]
        if content["encryptionCertificateThumbprint"] != self.thumbprint:
            raise ValueError("thumbprint")
        data, signature, wrapped = (base64.b64decode(content[each]) for each in ("data", "dataSignature", "dataKey"))
        key = self.key.decrypt(wrapped, rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
        if hmac.digest(key, data, "sha256") != signature:
            raise ValueError("signature")
        decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
        unpadder = padding.PKCS7(128).unpadder()
        plain = unpadder.update(decryptor.update(data) + decryptor.finalize()) + unpadder.finalize()
        found: dict[str, Any] = json.loads(plain)
        return found


@functools.cache
def encryption(bits: int = 2048, *, another: bool = False) -> Encryption:
    """A key pair; the same one each time, for making one takes long."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return Encryption(key, certificate_of(key))


def certificate_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """A self-signed certificate, as DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
    begin = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=30))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


async def verified(push: Push, token: str, *, keys: str = "/common/discovery/v2.0/keys") -> dict[str, Any]:
    """The claims of a validation token, its signature, audience and lifetime checked.

    Raises:
        jwt.PyJWTError: it is not good.
        LookupError: no published key signed it.
    """
    published = {each["kid"]: each for each in (await push.client.get(keys)).json()["keys"]}
    kid = jwt.get_unverified_header(token).get("kid")
    if kid not in published:
        raise LookupError(f"no key {kid}")
    client_id = next(iter(push.cloud.world.applications.values())).client_id
    found: dict[str, Any] = jwt.decode(token, jwt.PyJWK(published[kid]), algorithms=["RS256"], audience=client_id)
    return found
