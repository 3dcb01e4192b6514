"""Settings that every site of pages has: its address, the operator's name, limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from relay.http.limits import HttpLimits
from relay.http.paths import check_public_url, is_local

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Requests that one network may make, counted separately in each process. A network is an IPv4 address or an IPv6 /64 prefix.

    No limit is shared by all networks: one network could use it up and lock out all others.

    Attributes:
        requests: all requests in `window`. A whole onboarding takes about ten, style sheet included; waiting for the verification
            takes one a second.
        sign_ups: forms in `window` that begin an onboarding or make a link; each makes a flow in Redis.
        sign_ins: forms in `window` that lead from a tenant's page to Microsoft: a sign-in, a consent, or the password again.
        changes: other forms of a tenant's page in `window`.
        block: multiple of these limits for an IPv6 /48 prefix, the largest that one customer of a provider has.
        window: the length of the window.
        networks: networks counted at once, some 300 bytes each; beyond, the least recently active are dropped.
    """

    requests: int = 240
    sign_ups: int = 10
    sign_ins: int = 10
    changes: int = 60
    block: int = 4
    window: timedelta = timedelta(minutes=1)
    networks: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesSettings:
    """Settings of any site of pages.

    Attributes:
        public_url: the address of the pages for browsers, without a path. A request for another host is refused.
        operator: the name of the operator on the pages.
        support: an e-mail or web address for people who need help; empty shows none.
        host: address to listen on.
        port: port to listen on; 0 picks a free one.
        tls_cert_pem: certificate chain; None serves plain HTTP, only for use behind a proxy that terminates TLS.
        tls_key_pem: its private key.
        tls_files: the files of both, reloaded when they change.
        trusted_proxies: addresses whose `X-Forwarded-For` is trusted, as uvicorn's `forwarded_allow_ips`; empty: none.
        limits: of connections and requests.
        rate_limits: limits on the requests of one network.
        max_body_bytes: longer bodies are refused with a page. Most forms have 1 KB, Microsoft's answer 3 KB, and the lists of
            people at most some 150 KB, as browsers encode them.
        max_held_bytes: of all bodies together; beyond, the body that began to arrive first is refused. 16 MiB: 60 of the
            longest at once, or 10,000 ordinary forms.
        request_time: time for a request to arrive completely.
        grace: time for requests in progress when the server stops. A sign-in takes a few seconds.
    """

    ROLE: ClassVar[str]
    """The role of the site in logs, metrics and names of settings."""
    HOME: ClassVar[str]
    """The path of the first page; all other pages are below it."""
    public_url: str
    operator: str = "Presence relay"
    support: str = ""
    host: str = "0.0.0.0"  # noqa: S104  browsers come from outside
    port: int = 8080
    tls_cert_pem: bytes | None = None
    tls_key_pem: bytes | None = field(default=None, repr=False)
    tls_files: tuple[Path, Path] | None = None
    trusted_proxies: str = ""
    limits: HttpLimits = field(default_factory=HttpLimits)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    max_body_bytes: int = 256 * 1024
    max_held_bytes: int = 16 * 1024 * 1024
    request_time: timedelta = timedelta(seconds=20)
    grace: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        check_public_url(self.public_url)
        if (self.tls_cert_pem is None) != (self.tls_key_pem is None):
            raise ValueError("certificate and private key belong together")

    @property
    def start_url(self) -> str:
        """The address of the first page."""
        return self.public_url + self.HOME

    @property
    def hosts(self) -> frozenset[str]:
        """The accepted values of the Host header: with the port, and also without it if it is the scheme's default."""
        parts = urlsplit(self.public_url)
        netloc = parts.netloc.lower()
        own = {"https": 443, "http": 80}[parts.scheme]
        if parts.port in (None, own):
            bare = netloc.removesuffix(f":{own}")
            return frozenset({bare, f"{bare}:{own}"})
        return frozenset({netloc})

    @property
    def is_local(self) -> bool:
        """True if the pages are for this machine only."""
        return is_local(self.public_url)
