"""Where the pages are served and what they say of the operator."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from relay.core.consent.tenant import SignUp
from relay.http.limits import HttpLimits
from relay.http.paths import CALLBACK, LOCAL_HOSTS, ONBOARDING, check_public_url
from relay.settings.validators import key_bytes, listed, pem_bytes
from relay.store.custody.sign_ups import SignUpLimits
from relay.store.sealing.rooms import Room

if TYPE_CHECKING:
    from relay.graph.push.settings import PushSettings
    from relay.settings.groups.http import HttpConfig
    from relay.settings.groups.web import WebConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often one network may ask, counted in each process by itself. An IPv4 address, or an IPv6 network of 64 bits, is one.

    Nothing is counted for everybody together: whoever uses up such a count locks everybody else out.

    Attributes:
        requests: of any kind in `window`. A whole onboarding takes about ten, style sheet included; a proof that is waited for, one a second.
        sign_ups: forms in `window` that begin an onboarding or make a link; each makes a flow in Redis.
        sign_ins: the same, that lead from a tenant's page to Microsoft: a sign-in, a consent, a password asked for again.
        changes: other forms of a tenant's page.
        block: how many times as much an IPv6 network of 48 bits may, which is what one customer of a provider has at the most.
        window: the span that is counted in.
        networks: how many are counted at once, some 300 bytes each; beyond, those that asked longest ago are forgotten.
    """

    requests: int = 240
    sign_ups: int = 10
    sign_ins: int = 10
    changes: int = 60
    block: int = 4
    window: timedelta = timedelta(minutes=1)
    networks: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """How many flows there may be in Redis at once, of each kind. Beyond that those go that nobody has gone on with for longest.

    Attributes:
        most: onboardings that were begun; ways to Microsoft; links. Each has about 1 KB.
    """

    most: int = 20_000

    @property
    def begun(self) -> Room:
        """Onboardings of which nothing but a form is there."""
        return Room("flows-begun", self.most)

    @property
    def waiting(self) -> Room:
        """Onboardings that wait for somebody else, for days."""
        return Room("flows-waiting", self.most)

    @property
    def under_way(self) -> Room:
        """Onboardings with a consent that Microsoft gave: some 15 KB each, and whoever has one signed in."""
        return Room("flows-under-way", max(self.most // 10, 1))

    @property
    def trips(self) -> Room:
        """Ways to Microsoft in the course of an onboarding."""
        return Room("trips-onboarding", self.most)

    @property
    def sign_ins(self) -> Room:
        """Ways to Microsoft to a tenant's page."""
        return Room("trips-tenant", self.most)

    @property
    def sessions(self) -> Room:
        """Sessions on tenants' pages."""
        return Room("sessions", self.most)

    @property
    def links(self) -> Room:
        """Links that onboardings made for somebody else."""
        return Room("links", self.most)

    @property
    def of_flows(self) -> tuple[Room, ...]:
        """Those that an onboarding moves through."""
        return (self.begun, self.waiting, self.under_way)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """The role `web`.

    Attributes:
        public_url: where browsers reach the pages, without a path. The redirect URI follows from it and from nothing
            else, and a request for another host is refused.
        suite_address: where suites connect, `host:port`, for the lines to paste.
        operator: who runs the relay, as the pages say it.
        support: an e-mail address or web address for whoever is stuck; empty shows none.
        host: address to listen on.
        port: its port; 0 takes a free one.
        tls_cert_pem: certificate chain; None serves plain HTTP, which belongs behind an ingress that speaks TLS.
        tls_key_pem: its private key.
        trusted_proxies: addresses whose `X-Forwarded-For` is believed, as uvicorn's `forwarded_allow_ips`; empty: none.
        suite_ca_file: shown in the command to try, when suites must trust a CA of their own; empty: the system's.
        manager_roles: directory roles whose holders look after their tenant, as Entra's role template ids; none: off.
        egress_addresses: from which the relay reaches Microsoft, for an organisation's named location; empty: not told.
        push: what a subscription needs; None: none is tried, for this relay asks for none.
        trial_alive: how long a proof under way counts as alive without a sign of life. 5 s: what a killed process costs
            whoever waits in front of the page.
        limits: of connections and requests.
        pace: limits on how often one network may ask.
        rooms: limits on what is begun.
        has_mail: whether workers send e-mail, so that the pages may promise it.
        sign_up: who may become a tenant.
        sign_up_limits: how many tenants may come by themselves.
        max_body_bytes: longer bodies are refused with a page. Most forms have 1 KB, Microsoft's answer 3 KB, and the lists of
            whom suites may watch some 150 KB at the most, as browsers spell them.
        max_held_bytes: of all bodies together; beyond, the one that has been arriving for longest is refused. 16 MiB: 60 of the
            longest at once, or 10,000 ordinary forms.
        request_time: for a request to arrive whole.
        grace: for requests under way when the server stops. A sign-in takes a few seconds.
    """

    public_url: str
    suite_address: str
    operator: str = "Presence relay"
    support: str = ""
    host: str = "0.0.0.0"  # noqa: S104  browsers come from outside
    port: int = 8080
    tls_cert_pem: bytes | None = None
    tls_key_pem: bytes | None = field(default=None, repr=False)
    trusted_proxies: str = ""
    suite_ca_file: str = ""
    egress_addresses: tuple[str, ...] = ()
    manager_roles: frozenset[str] = frozenset()
    push: PushSettings | None = None
    trial_alive: timedelta = timedelta(seconds=5)
    limits: HttpLimits = field(default_factory=HttpLimits)
    pace: Pace = field(default_factory=Pace)
    rooms: Rooms = field(default_factory=Rooms)
    has_mail: bool = False
    sign_up: SignUp = SignUp.APPROVAL
    sign_up_limits: SignUpLimits = field(default_factory=SignUpLimits)
    max_body_bytes: int = 256 * 1024
    max_held_bytes: int = 16 * 1024 * 1024
    request_time: timedelta = timedelta(seconds=20)
    grace: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        check_public_url(self.public_url)
        if (self.tls_cert_pem is None) != (self.tls_key_pem is None):
            raise ValueError("certificate and private key belong together")

    @property
    def redirect_uri(self) -> str:
        """Where Microsoft sends its answer; to be registered, type Web."""
        return self.public_url + CALLBACK

    @property
    def start_url(self) -> str:
        """Where a tenant admin begins."""
        return self.public_url + ONBOARDING

    @property
    def hosts(self) -> frozenset[str]:
        """What a browser's Host header may say: with the port, or without when it is the scheme's own."""
        parts = urlsplit(self.public_url)
        netloc = parts.netloc.lower()
        own = {"https": 443, "http": 80}[parts.scheme]
        if parts.port in (None, own):
            bare = netloc.removesuffix(f":{own}")
            return frozenset({bare, f"{bare}:{own}"})
        return frozenset({netloc})

    @property
    def is_local(self) -> bool:
        """Whether the pages are for this machine only."""
        return urlsplit(self.public_url).hostname in LOCAL_HOSTS


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
        push=push,
        limits=http.limits(),
        pace=Pace(requests=web.requests_per_minute, sign_ups=web.forms_per_minute, sign_ins=web.forms_per_minute),
        rooms=Rooms(most=web.flows),
        has_mail=has_mail,
        sign_up=SignUp(web.sign_up),
        sign_up_limits=SignUpLimits(hourly=web.sign_ups_per_hour, pending=web.pending_most, waits=web.pending_for),
    )
