"""The preflight: checks the relay's surroundings before it starts, and changes nothing."""

from __future__ import annotations

import json
import secrets
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import httpx
from cryptography import x509

from relay.core.consent.tenant import TenantState
from relay.diagnosis.workers import describe_workers
from relay.errors import NotPermitted, RelayError, SourceUnreachable, StoreUnavailable
from relay.graph.client import GraphClient
from relay.graph.errors import date_of
from relay.http.paths import NOTIFICATIONS
from relay.ops.expiry import SOON
from relay.ops.private_files import exposed
from relay.store.custody.marking import Marking
from relay.store.custody.proxies import Proxies
from relay.store.custody.tenants import Tenants
from relay.store.sealing.marks import RingMarks
from relay.store.server.connection import Store
from relay.store.server.user_rights import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from relay.graph.settings import GraphSettings
    from relay.settings.load import Settings
    from relay.store.server.layout import Client

EXPIRES_SOON: Final = timedelta(days=14)
"""Warning time for certificates that are renewed automatically, such as those of TLS; the relay's own credential has `SOON`."""
_CLOCK_S: Final = 30
"""Tolerance: answers take seconds, synchronised clocks differ by less than one, and the relay's credentials are valid
for minutes."""
_CHECK_THE_WAY: Final = "check the address, the network and the proxy (HTTPS_PROXY)"
_HANDSHAKE_S: Final = 10.0  # what Graph allows


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """The result of one check; the text names its subject and, if it failed, the remedy.

    Attributes:
        is_good: False if an action is necessary.
        can_wait: True if processes that start now still work, or may solve it.
    """

    is_good: bool
    text: str
    can_wait: bool = False


async def run_checks(settings: Settings, roles: Sequence[Client] = ()) -> list[CheckFinding]:
    """Check certificates, Redis, Microsoft's side, and the path of its notifications."""
    findings = list(_certificates(settings, datetime.now(UTC)))
    findings += [CheckFinding(is_good=False, text=file.text) for file in exposed(settings.private_files())]
    findings += await _store(settings, roles)
    findings += await _sign_ups(settings)
    findings += await _cloud(settings.graph_settings())
    findings += await _webhook(settings)
    return findings


def _certificates(settings: Settings, now: datetime) -> Iterator[CheckFinding]:
    given = {
        "RELAY_EDGE_TLS_CERT": settings.edge.tls_cert,
        "RELAY_WEBHOOK_TLS_CERT": settings.webhook.tls_cert,
        "RELAY_WEB_TLS_CERT": settings.web.tls_cert,
        "RELAY_CLOUD_CERTIFICATE": settings.cloud.certificate,
        "RELAY_CLOUD_SECOND_CERTIFICATE": settings.cloud.second_certificate,
    }
    for name, pem in given.items():
        if pem is not None:
            certificate = x509.load_pem_x509_certificates(pem.encode())[0]
            soon = SOON if name.startswith("RELAY_CLOUD") else EXPIRES_SOON
            yield _validity(name, certificate.not_valid_before_utc, certificate.not_valid_after_utc, now, soon)
    push = settings.webhook.push_settings()
    if push is not None:
        newest = push.certificates.newest
        name = f"RELAY_WEBHOOK_CERTIFICATES, {newest.name}"
        yield _validity(name, newest.begins, newest.ends, now)


def _validity(
    name: str, begins: datetime, ends: datetime, now: datetime, soon: timedelta = EXPIRES_SOON
) -> CheckFinding:
    if not begins <= now < ends:
        return CheckFinding(is_good=False, text=f"{name}: is valid from {begins} to {ends}; renew it")
    if ends - now < soon:
        return CheckFinding(is_good=False, text=f"{name}: expires on {ends:%Y-%m-%d}; renew it", can_wait=True)
    return CheckFinding(is_good=True, text=f"{name}: valid until {ends:%Y-%m-%d}")


async def _webhook(settings: Settings) -> list[CheckFinding]:
    """Try Graph's handshake from this machine, which does not show whether the host can be reached from the internet."""
    if settings.webhook.url is None:
        return []
    if not settings.cloud.notifies:
        return [
            CheckFinding(is_good=True, text=f"RELAY_WEBHOOK_URL: not used, {settings.cloud.name} has no notifications")
        ]
    name, token = f"RELAY_WEBHOOK_URL {settings.webhook.url}", f"Validation: {secrets.token_hex(16)} <&>"
    url = f"{settings.webhook.url}{NOTIFICATIONS}00-{secrets.token_hex(16)}"
    trust = ssl.create_default_context(cadata=settings.cloud.ca)
    is_local = settings.cloud.public_settings().is_local  # proxies of the environment are not used then
    try:
        async with httpx.AsyncClient(verify=trust, timeout=_HANDSHAKE_S, trust_env=not is_local) as client:
            answer = await client.post(url, params={"validationToken": token}, headers={"Content-Type": "text/plain"})
    except httpx.HTTPError as error:
        said = f"does not answer ({type(error).__name__}); check that the role webhook runs and can be reached"
        return [CheckFinding(is_good=False, text=f"{name}: {said}", can_wait=True)]
    is_plain = answer.headers.get("content-type", "").partition(";")[0] == "text/plain"
    if answer.status_code != 200 or not is_plain or answer.text != token:
        said = f"something other than the webhook answers there (status {answer.status_code}); check proxy and ingress"
        return [CheckFinding(is_good=False, text=f"{name}: {said}", can_wait=True)]
    return [CheckFinding(is_good=True, text=f"{name}: answers a handshake")]


async def _sign_ups(settings: Settings) -> list[CheckFinding]:
    """Report tenants that wait for approval, a missing operator's address, and a proxy that no setting names."""
    findings = list(_mail(settings))
    try:
        async with Store(settings.store_settings()) as store:
            tenants = await Tenants(store).list()
            met = await Proxies(store).last()
    except RelayError:
        return findings  # already reported
    waiting = [tenant for tenant in tenants if tenant.state is TenantState.PENDING]
    if waiting:
        said = "presence-relay tenants list, then tenants approve or tenants refuse"
        findings.append(
            CheckFinding(
                is_good=False, text=f"Tenants that wait for your approval: {len(waiting)}. {said}", can_wait=True
            )
        )
    if met is not None and not settings.web.trusted_proxies:
        said = f"requests came through a proxy on {met:%Y-%m-%d %H:%M} UTC, and none is trusted: all customers share one limit"
        findings.append(
            CheckFinding(
                is_good=False, text=f"RELAY_WEB_TRUSTED_PROXIES: {said}; set the proxies' addresses", can_wait=True
            )
        )
    return findings


def _mail(settings: Settings) -> Iterator[CheckFinding]:
    """Yield a finding if e-mail is set up without the operator's address, so that the operator is not notified of waiting tenants."""
    is_asked = settings.web.public_url is not None and settings.web.sign_up == "approval"
    if is_asked and settings.mail.is_sent and settings.mail.operator is None:
        said = (
            "is not set, so you get no e-mail when an organisation waits for your approval (RELAY_WEB_SIGN_UP=approval)"
        )
        yield CheckFinding(
            is_good=False, text=f"RELAY_MAIL_OPERATOR: {said}; set it to your own address", can_wait=True
        )


async def _store(settings: Settings, roles: Sequence[Client]) -> list[CheckFinding]:
    async with Store(settings.store_settings()) as store:
        try:
            faults = await store.preflight()
        except StoreUnavailable as error:
            away = CheckFinding(is_good=False, text=f"{error}; check the address, and the log of that server")
            return [away, *await _servers(store)]
        if not faults and settings.vault.key_ring is not None:  # a webhook alone has none, and needs none
            faults = await _marks(store, settings)
        servers = await _servers(store)
        asked = await store.compare_rights(roles) if roles else []
        workers = [] if faults else await describe_workers(store)
    permitted = [
        CheckFinding(is_good=good, text=text) for name, one in asked for good, text in describe(one, name, roles)
    ]
    if not roles:
        text = "Redis: `--role` compares the rights of its user with what that role needs"
        permitted = [CheckFinding(is_good=True, text=text)]
    found = [CheckFinding(is_good=False, text=fault) for fault in faults] + servers
    found = found or [CheckFinding(is_good=True, text="Redis: answers, and stores data durably enough")]
    return found + permitted + [CheckFinding(is_good=good, text=text, can_wait=True) for good, text in workers]


async def _servers(store: Store) -> list[CheckFinding]:
    """Findings about sentinels, nodes of a cluster, and replicas."""
    try:
        return [CheckFinding(is_good=False, text=fault) for fault in await store.inspect()]
    except StoreUnavailable:  # already reported
        return []


async def _marks(store: Store, settings: Settings) -> list[str]:
    """Report suite keys that are valid but refused by edges."""
    try:
        census = await Marking(store, RingMarks(settings.key_ring())).census()
    except NotPermitted:  # only the operator's Redis user may read all keys
        return []
    except RelayError as error:
        return [f"Suite keys: their marks cannot be read: {error}"]
    return [f"Suite keys: {fault}; edges refuse such keys: presence-relay suite-keys mark" for fault in census.faults()]


async def _cloud(graph: GraphSettings) -> list[CheckFinding]:
    async with GraphClient(graph) as client:
        return [*await _entra(client, graph), await _graph(client, graph)]


async def _entra(client: GraphClient, graph: GraphSettings) -> list[CheckFinding]:
    """Check Entra's discovery document. The credential itself is only tried with a grant."""
    url = f"{graph.authority_url}/organizations/v2.0/.well-known/openid-configuration"
    try:
        reply = await client.fetch_reply(url)
        theirs, ours = date_of(reply.headers), datetime.now(UTC)
        known = json.loads(reply.body)
        is_good = isinstance(known, dict) and "token_endpoint" in known
        said = "answers" if is_good else "answers something that is not Entra's discovery document; check the address"
    except (RelayError, ValueError) as error:
        is_good, said, theirs, ours = False, f"{error}; {_CHECK_THE_WAY}", None, datetime.now(UTC)
    clock = [] if theirs is None else [clock_finding(theirs, ours)]
    return [CheckFinding(is_good=is_good, text=f"Entra at {graph.authority_url}: {said}"), *clock]


def clock_finding(theirs: datetime, ours: datetime) -> CheckFinding:
    """Compare this machine's clock with the `Date` of an answer of Microsoft."""
    behind_s = round((theirs - ours).total_seconds())
    if abs(behind_s) <= _CLOCK_S:
        return CheckFinding(is_good=True, text="Clock: agrees with Microsoft's")
    way = "behind" if behind_s > 0 else "ahead of"
    said = f"this machine's is {abs(behind_s)} s {way} Microsoft's; set it (NTP). Sign-ins fail from five minutes on"
    return CheckFinding(is_good=False, text=f"Clock: {said}")


async def _graph(client: GraphClient, graph: GraphSettings) -> CheckFinding:
    """Check that Graph answers at all: without a token it refuses, and a refusal is an answer."""
    try:
        await client.fetch(f"{graph.graph_url}/v1.0/me")
    except SourceUnreachable as error:
        said = f"{error}; {_CHECK_THE_WAY}"
        return CheckFinding(is_good=False, text=f"Graph at {graph.graph_url}: {said}")
    except RelayError:
        pass
    return CheckFinding(is_good=True, text=f"Graph at {graph.graph_url}: answers")
