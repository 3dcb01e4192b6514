"""Settings of the wizard and of tenants' pages: addresses, limits, the policy for sign-ups."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from pages.settings import PagesSettings, RateLimits
from relay.core.consent.tenant import SignUp
from relay.http.paths import CALLBACK, ONBOARDING
from relay.settings.validators import key_bytes, listed, pem_bytes
from relay.store.custody.sign_ups import SignUpLimits
from relay.store.sealing.quotas import Quota

if TYPE_CHECKING:
    from relay.graph.push.settings import PushSettings
    from relay.settings.groups.http import HttpConfig
    from relay.settings.groups.web import WebConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """The number of entries of each kind that may be in Redis at once. Beyond, the least recently used are dropped.

    Attributes:
        most: limit on onboardings at the first step, on sign-ins and on links, each. An entry takes about 1 KB.
    """

    most: int = 20_000

    @property
    def begun(self) -> Quota:
        """Onboardings that have completed only the first form."""
        return Quota("flows-begun", self.most)

    @property
    def waiting(self) -> Quota:
        """Onboardings that wait for another person, for days."""
        return Quota("flows-waiting", self.most)

    @property
    def under_way(self) -> Quota:
        """Onboardings with a consent from Microsoft: some 15 KB each, and only after a sign-in."""
        return Quota("flows-under-way", max(self.most // 10, 1))

    @property
    def wizard_sign_ins(self) -> Quota:
        """Sign-ins of the wizard in progress."""
        return Quota("trips-onboarding", self.most)

    @property
    def tenant_sign_ins(self) -> Quota:
        """Sign-ins of tenants' pages in progress."""
        return Quota("trips-tenant", self.most)

    @property
    def sessions(self) -> Quota:
        """Sessions on tenants' pages."""
        return Quota("sessions", self.most)

    @property
    def links(self) -> Quota:
        """Links that onboardings made for another person."""
        return Quota("links", self.most)

    @property
    def of_flows(self) -> tuple[Quota, ...]:
        """The quotas of an onboarding's successive stages."""
        return (self.begun, self.waiting, self.under_way)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings(PagesSettings):
    """Settings of the role `web`, in addition to those of any pages.

    Attributes:
        suite_address: the address that suites connect to, `host:port`, for the example commands.
        suite_ca_file: shown in the example command if suites must trust a private CA; empty: the system's CAs.
        manager_roles: directory roles whose holders manage their tenant, as Entra's role template ids; none: off.
        egress_addresses: addresses from which the relay reaches Microsoft, for an organisation's named location; empty: not shown.
        has_identity_association: whether to serve the file with which Microsoft verifies the domain of the pages.
        push: settings of the trial subscription during verification; None: the relay uses no change notifications.
        heartbeat_timeout: time without a heartbeat after which a verification counts as dead: how long the page still
            waits after the process was killed.
        quotas: limits on entries in Redis.
        has_mail: whether workers send e-mail; only then do the pages mention it.
        sign_up: the policy for new tenants.
        sign_up_limits: limits on tenants that sign up without an invitation.
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
        """The redirect URI to register at Microsoft, type Web. It depends on `public_url` only."""
        return self.public_url + CALLBACK


def web_settings(web: WebConfig, http: HttpConfig, *, push: PushSettings | None, has_mail: bool) -> WebSettings:
    """Return the pages' settings from the operator's configuration; the public address must be set.

    Args:
        web: the settings of the pages.
        http: limits on unauthenticated clients.
        push: the workers' settings for subscriptions, so that the pages test the same.
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
