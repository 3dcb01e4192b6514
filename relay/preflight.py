"""The preflight: everything around the relay that must be right before it can work, looked at without changing it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509

from relay.errors import RelayError, SourceUnreachable
from relay.graph.client import GraphClient
from relay.store.connection import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.config import Settings
    from relay.graph.settings import GraphSettings

EXPIRES_SOON: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; the text names it and, when it is not good, says what to do."""

    is_good: bool
    text: str


async def checked(settings: Settings) -> list[Finding]:
    """Look at certificates, Redis and Microsoft's side."""
    findings = list(_certificates(settings, datetime.now(UTC)))
    findings += await _store(settings)
    findings += await _cloud(settings.cloud.graph_settings())
    return findings


def _certificates(settings: Settings, now: datetime) -> Iterator[Finding]:
    given = {"RELAY_EDGE_TLS_CERT": settings.edge.tls_cert, "RELAY_CLOUD_CERTIFICATE": settings.cloud.certificate}
    for name, pem in given.items():
        if pem is None:
            continue
        certificate = x509.load_pem_x509_certificates(pem.encode())[0]
        end = certificate.not_valid_after_utc
        if not certificate.not_valid_before_utc <= now < end:
            yield Finding(
                is_good=False, text=f"{name}: is valid from {certificate.not_valid_before_utc} to {end}; renew it"
            )
        elif end - now < EXPIRES_SOON:
            yield Finding(is_good=False, text=f"{name}: expires on {end:%Y-%m-%d}; renew it")
        else:
            yield Finding(is_good=True, text=f"{name}: valid until {end:%Y-%m-%d}")


async def _store(settings: Settings) -> list[Finding]:
    async with Store(settings.store_settings()) as store:
        faults = await store.preflight()
    found = [Finding(is_good=False, text=fault) for fault in faults]
    return found or [Finding(is_good=True, text="Redis: answers and keeps what the relay needs kept")]


async def _cloud(graph: GraphSettings) -> list[Finding]:
    async with GraphClient(graph) as client:
        return [await _entra(client, graph), await _graph(client, graph)]


async def _entra(client: GraphClient, graph: GraphSettings) -> Finding:
    """Entra's discovery document. The credential itself is only ever tried with a grant."""
    url = f"{graph.authority_url}/organizations/v2.0/.well-known/openid-configuration"
    try:
        known = json.loads(await client.fetch(url))
        is_good = isinstance(known, dict) and "token_endpoint" in known
        said = "answers" if is_good else "answers something that is not Entra's discovery document; check the address"
    except (RelayError, ValueError) as error:
        is_good, said = False, f"{error}; check the address, the network and the proxy (HTTPS_PROXY)"
    return Finding(is_good=is_good, text=f"Entra at {graph.authority_url}: {said}")


async def _graph(client: GraphClient, graph: GraphSettings) -> Finding:
    """Whether Graph answers at all: without a token it refuses, which is answer enough."""
    try:
        await client.fetch(f"{graph.graph_url}/v1.0/me")
    except SourceUnreachable as error:
        said = f"{error}; check the address, the network and the proxy (HTTPS_PROXY)"
        return Finding(is_good=False, text=f"Graph at {graph.graph_url}: {said}")
    except RelayError:
        pass
    return Finding(is_good=True, text=f"Graph at {graph.graph_url}: answers")
