"""Address and limits of the webhook."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from relay.http.limits import HttpLimits
from relay.settings.validators import key_bytes, listed, pem_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from relay.settings.groups.http import HttpConfig
    from relay.settings.groups.webhook import WebhookConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Address, TLS and limits of the role `webhook`.

    Attributes:
        host: address to listen on.
        port: its port; 0 takes a free one.
        tls_cert_pem: certificate chain; None serves plain HTTP, which belongs behind an ingress that speaks TLS.
        tls_key_pem: its private key.
        tls_files: files of both, which are read again when they change.
        deadline: every request is answered within this time. Graph calls a host slow when one answer in ten takes more
            than 3 s.
        max_body_bytes: longer bodies are refused. 1,000 notifications of the documented form take 1.5 MB, with full presence
            1.9 MB (measured); 4 MiB leave each twice that.
        max_held_bytes: of all bodies together; beyond, the request that has been arriving for longest is answered 503.
        max_items: notifications in one POST.
        max_token_chars: the longest text of a handshake; Graph's has 120 characters.
        limits: of connections and requests.
        proxies: addresses or networks whose connections carry requests of many clients.
        keep_alive: time for which an idle connection stays open. Graph keeps few and uses them often.
        grace: for requests under way when the server stops; `deadline` plus a margin.
        routes: the number of routes that are cached.
        route_kept: time for which a route is cached. Notifications of a deleted subscription are accepted for at most this time.
        absence_kept: time for which the absence of a route is cached.
    """

    host: str = "0.0.0.0"  # noqa: S104  Graph comes from outside
    port: int = 8081
    tls_cert_pem: bytes | None = None
    tls_key_pem: bytes | None = field(default=None, repr=False)
    tls_files: tuple[Path, Path] | None = None
    deadline: timedelta = timedelta(seconds=2)
    max_body_bytes: int = 4 * 1024 * 1024
    max_held_bytes: int = 64 * 1024 * 1024
    max_items: int = 2000
    max_token_chars: int = 2048
    limits: HttpLimits = field(default_factory=HttpLimits)
    proxies: tuple[str, ...] = ()
    keep_alive: timedelta = timedelta(seconds=60)
    grace: timedelta = timedelta(seconds=3)
    routes: int = 10_000
    route_kept: timedelta = timedelta(seconds=10)
    absence_kept: timedelta = timedelta(seconds=2)


def webhook_settings(webhook: WebhookConfig, http: HttpConfig) -> WebhookSettings:
    """Return the settings of the webhook, from the operator's."""
    return WebhookSettings(
        host=webhook.host,
        port=webhook.port,
        tls_cert_pem=pem_bytes(webhook.tls_cert),
        tls_key_pem=key_bytes(webhook.tls_key),
        limits=http.limits(),
        proxies=listed(webhook.trusted_proxies),
    )
