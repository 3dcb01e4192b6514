"""Settings of the pages: addresses, texts about the operator, limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from relay.core.consent.tenant import SignUp
from relay.http.limits import HttpLimits
from relay.http.paths import CALLBACK, ONBOARDING, check_public_url, is_local
from relay.settings.validators import key_bytes, listed, pem_bytes
from relay.store.custody.sign_ups import SignUpLimits
from relay.store.sealing.quotas import Quota

if TYPE_CHECKING:
    from pathlib import Path

    from relay.graph.push.settings import PushSettings
    from relay.settings.groups.http import HttpConfig
    from relay.settings.groups.web import WebConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Requests that one network may make, counted in each process by itself. A network is an IPv4 address or 64 bits of an IPv6 one.

    No limit is shared by all networks: one network could use it up and lock everybody out.

    Attributes:
        requests: all requests in `window`. A whole onboarding takes about ten, style sheet included; waiting for the verification
            takes one a second.
        sign_ups: forms in `window` that begin an onboarding or make a link; each makes a flow in Redis.
        sign_ins: forms in `window` that lead from a tenant's page to Microsoft: a sign-in, a consent, or the password again.
        changes: other forms of a tenant's page in `window`.
        block: multiple of these limits for an IPv6 network of 48 bits, the most that one customer of a provider has.
        window: the length of the window.
        networks: networks counted at once, some 300 bytes each; beyond, those that asked longest ago are dropped.
    """

    requests: int = 240
    sign_ups: int = 10
    sign_ins: int = 10
    changes: int = 60
    block: int = 4
    window: timedelta = timedelta(minutes=1)
    networks: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """The number of entries of each kind that may be in Redis at once. Beyond, the least recently used are dropped.

    Attributes:
        most: onboardings that were begun; sign-ins; links. Each takes about 1 KB.
    """

    most: int = 20_000

    @property
    def begun(self) -> Quota:
        """Onboardings with nothing but the first form."""
        return Quota("flows-begun", self.most)

    @property
    def waiting(self) -> Quota:
        """Onboardings that wait for somebody else, for days."""
        return Quota("flows-waiting", self.most)

    @property
    def under_way(self) -> Quota:
        """Onboardings with a consent that Microsoft gave: some 15 KB each, and only a signed-in person can have one."""
        return Quota("flows-under-way", max(self.most // 10, 1))

    @property
    def wizard_sign_ins(self) -> Quota:
        """Sign-ins of the wizard under way."""
        return Quota("trips-onboarding", self.most)

    @property
    def tenant_sign_ins(self) -> Quota:
        """Sign-ins of tenants' pages under way."""
        return Quota("trips-tenant", self.most)

    @property
    def sessions(self) -> Quota:
        """Sessions on tenants' pages."""
        return Quota("sessions", self.most)

    @property
    def links(self) -> Quota:
        """Links that onboardings made for somebody else."""
        return Quota("links", self.most)

    @property
    def of_flows(self) -> tuple[Quota, ...]:
        """The quotas that an onboarding moves through."""
        return (self.begun, self.waiting, self.under_way)


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesSettings:
    """Settings of any site of pages: this one, and the operator's console.

    Attributes:
        public_url: the address of the pages for browsers, without a path. A request for another host is refused.
        operator: the name of the operator on the pages.
        support: an e-mail or web address for people who need help; empty shows none.
        host: address to listen on.
        port: its port; 0 takes a free one.
        tls_cert_pem: certificate chain; None serves plain HTTP, which belongs behind a proxy that speaks TLS.
        tls_key_pem: its private key.
        tls_files: files of both, which are read again when they change.
        trusted_proxies: addresses whose `X-Forwarded-For` is believed, as uvicorn's `forwarded_allow_ips`; empty: none.
        limits: of connections and requests.
        rate_limits: limits on how often one network may ask.
        max_body_bytes: longer bodies are refused with a page. Most forms have 1 KB, Microsoft's answer 3 KB, and the lists of
            people some 150 KB at the most, as browsers spell them.
        max_held_bytes: of all bodies together; beyond, the one that has been arriving for longest is refused. 16 MiB: 60 of the
            longest at once, or 10,000 ordinary forms.
        request_time: for a request to arrive whole.
        grace: for requests under way when the server stops. A sign-in takes a few seconds.
    """

    ROLE: ClassVar[str]
    """Its role, in logs and metrics and in the names of its settings."""
    HOME: ClassVar[str]
    """The path of the first page, below which all others are."""
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
        """The accepted values of the Host header: with the port, and without when it is the scheme's own."""
        parts = urlsplit(self.public_url)
        netloc = parts.netloc.lower()
        own = {"https": 443, "http": 80}[parts.scheme]
        if parts.port in (None, own):
            bare = netloc.removesuffix(f":{own}")
            return frozenset({bare, f"{bare}:{own}"})
        return frozenset({netloc})

    @property
    def is_local(self) -> bool:
        """True when the pages are for this machine only."""
        return is_local(self.public_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings(PagesSettings):
    """Settings of the role `web`, beside those of any pages.

    Attributes:
        suite_address: the address that suites connect to, `host:port`, for the lines to paste.
        suite_ca_file: shown in the command to try, when suites must trust a CA of their own; empty: the system's.
        manager_roles: directory roles whose holders manage their tenant, as Entra's role template ids; none: off.
        egress_addresses: addresses from which the relay reaches Microsoft, for an organisation's named location; empty: not shown.
        has_identity_association: whether the file is served by which Microsoft verifies the domain of the pages.
        push: for the subscription that the verification tries; None: the relay uses no change notifications.
        heartbeat_timeout: time without a heartbeat after which a verification counts as dead: the delay for a person who waits for the
            page when the process is killed.
        quotas: limits on entries in Redis.
        has_mail: whether workers send e-mail, so that the pages may promise it.
        sign_up: the policy for new tenants.
        sign_up_limits: limits on tenants that come without an invitation.
    """

    ROLE: ClassVar[str] = "web"
    HOME: ClassVar[str] = ONBOARDING
    suite_address: str
    suite_ca_file: str = ""
    egress_addresses: tuple[str, ...] = ()
    manager_roles: frozenset[str] = frozenset()
    has_identity_association: bool = False
    push: PushSettings | None = None
    heartbeat_timeout: timedelta = timedelta(seconds=5)
    quotas: Quotas = field(default_factory=Quotas)
    has_mail: bool = False
    sign_up: SignUp = SignUp.APPROVAL
    sign_up_limits: SignUpLimits = field(default_factory=SignUpLimits)

    @property
    def redirect_uri(self) -> str:
        """The redirect URI to register at Microsoft, type Web. It follows from `public_url` and from nothing else."""
        return self.public_url + CALLBACK


def web_settings(web: WebConfig, http: HttpConfig, *, push: PushSettings | None, has_mail: bool) -> WebSettings:
    """Return the settings of the pages, from the operator's; the public address must be set.

    Args:
        web: the settings of the pages.
        http: bounds on strangers.
        push: what workers subscribe with, so that the pages try the same.
        has_mail: whether workers send e-mail.
    """
    return WebSettings(
        public_url=web.public_url or "",
        suite_address=web.suite_address or "",
        operator=web.operator,
        support=web.support,
        host=web.host,
        port=web.port,
        tls_cert_pem=pem_bytes(web.tls_cert),
        tls_key_pem=key_bytes(web.tls_key),
        trusted_proxies=web.trusted_proxies,
        suite_ca_file=web.suite_ca_file,
        egress_addresses=listed(web.egress_addresses),
        manager_roles=frozenset(role.lower() for role in listed(web.manager_roles)),
        has_identity_association=web.identity_association,
        push=push,
        limits=http.limits(),
        rate_limits=RateLimits(
            requests=web.requests_per_minute, sign_ups=web.forms_per_minute, sign_ins=web.forms_per_minute
        ),
        quotas=Quotas(most=web.flows),
        has_mail=has_mail,
        sign_up=SignUp(web.sign_up),
        sign_up_limits=SignUpLimits(hourly=web.sign_ups_per_hour, pending=web.pending_most, waits=web.pending_for),
    )
