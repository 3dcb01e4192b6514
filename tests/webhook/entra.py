"""An Entra of a few lines, for documents that the real one would not publish."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme

from emulator import Cloud


@dataclass(slots=True)
class Entra:
    """The answers of this Entra.

    Attributes:
        url: where it is.
        ca: what proves it.
        documents: path -> the document; others do not exist.
        answers: cleared, nothing is answered.
        asked: paths, in their order.
    """

    url: str = ""
    ca: str = ""
    documents: dict[str, bytes] = field(default_factory=dict)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)

    def publish(self, cloud: Cloud, issuer: str = "{tenantid}") -> None:
        """The cloud's keys, said to be of an issuer's tenant."""
        keys = cloud.tokens.key.public("")
        for version, sts in (("", f"https://sts.windows.net/{issuer}/"), ("v2.0/", f"{self.url}/{issuer}/v2.0")):
            jwks = f"/common/discovery/{version}keys"
            told: dict[str, Any] = {"issuer": sts.replace(issuer, "{tenantid}"), "jwks_uri": f"{self.url}{jwks}"}
            self.documents[f"/common/{version}.well-known/openid-configuration"] = json.dumps(told).encode()
            self.documents[jwks] = json.dumps({"keys": [{**key, "issuer": sts} for key in keys]}).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            self.asked.append(path)
            await self.answers.wait()
            body = self.documents.get(path)
            status = b"404 Not Found" if body is None else b"200 OK"
            body = body or b""
            head = b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            writer.write(head % (status, len(body)) + body)
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def entra() -> AsyncIterator[Entra]:
    """One that answers, and has nothing to say yet."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    found = Entra(ca=authority.cert_pem.bytes().decode())
    found.answers.set()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=context)
    found.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        found.answers.set()
        server.close()
