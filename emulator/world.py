"""The world: tenants, people, applications and their consents."""

from __future__ import annotations

import hashlib
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator.clock import Due
    from emulator.hosts import CloudName


class Shown(NamedTuple):
    """A presence's two strings, in the older pages' spelling."""

    availability: str
    activity: str


OFFLINE = Shown("Offline", "Offline")

EVERYBODY = "*"
"""Replaces the object id in a consent if an administrator consented for the whole tenant."""

PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""Microsoft's tenant for personal accounts: https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference"""


class Person:
    """One person: an account, devices, and the presence that others see."""

    __slots__ = (
        "access_valid_from", "app_session", "changed", "cookies_valid_from", "desktop", "display_name", "doing", "enabled", "fade", "faded", "fragment", "groups", "home", "last_read", "licensed",
        "living", "mfa", "mobile", "next_step", "oid", "oof_event", "out_of_office", "out_of_office_message", "password", "preferred", "refusal", "role",
        "sequence", "shown", "status_message", "status_published", "tenant", "timers", "tokens_valid_from", "upn", "visits", "zone_s",
    )  # fmt: skip

    def __init__(
        self, tenant: Tenant, oid: str, upn: str, display_name: str, *, password: str = "", role: str = "user",
        licensed: bool = True, home: str = "", mfa: bool = False, visits: str = "",
    ) -> None:  # fmt: skip
        self.tenant = tenant
        self.oid = oid
        self.upn = upn
        self.display_name = display_name
        self.password = password
        self.role = role
        self.licensed = licensed
        self.home = home  # of a guest, the UPN in the home tenant, which also has the password
        self.mfa = mfa  # whether a second factor is registered; then every sign-in requires it
        self.visits = (
            visits  # a name of plan.VISITS: instead of a day, the person repeatedly comes, does this and switches off
        )
        self.groups: list[str] = []  # object ids of the groups that the person is in
        self.enabled = True
        self.refusal = ""  # a name of entra.refusals: the reason why refresh tokens of this account are refused
        self.tokens_valid_from = 0.0  # the time when `refusal` began, in seconds since 1970
        self.access_valid_from = 0.0  # access tokens issued before are refused by Graph
        self.cookies_valid_from = 0.0  # earlier browser sessions have ended; refresh tokens may outlive them
        self.desktop = ""  # "" off, "active", "idle", "locked"
        self.mobile = False
        self.app_session: Shown | None = None  # the state of an application's presence session
        self.doing = ""  # the activity that Teams detects: a name of sessions.DOING
        self.preferred = ""  # the state that the person chose: a name of sessions.PREFERRED
        self.out_of_office = False
        self.oof_event = False  # a calendar event that is shown as out of office, rather than an automatic reply
        self.out_of_office_message = ""
        self.status_message = ""
        self.status_published = 0.0  # when it was set, in seconds since 1970
        self.living = False  # whether `day` drives this person
        self.shown = OFFLINE
        self.sequence = ""
        self.fade: Due | None = None
        self.faded = 0  # how often fading began: the duration differs each time
        self.next_step: Due | None = None  # the next step of the day's plan
        self.timers: dict[str, Due] | None = None  # automatic ends: a name of `life.Life` -> its entry in the queue
        self.zone_s = 0  # seconds that this person's clock is ahead of UTC
        self.changed = 0  # number of the last change that control shows
        self.fragment = b""  # the presence as JSON; empty: to be encoded at the next read
        self.last_read = -1.0

    def __repr__(self) -> str:
        return f"<Person {self.upn}>"

    @property
    def mfa_code(self) -> str:
        """Return the code of the second factor: six digits that stay the same, so that a test can know them."""
        return f"{int(hashlib.sha256(self.oid.lower().encode()).hexdigest()[:12], 16) % 1_000_000:06d}"


UserConsent = Literal["allowed", "verified_publishers_only", "off", "request_approval"]
"""Whether users may consent for themselves: to everything that needs no administrator, to verified publishers only,
or not at all, with or without requests to an administrator.
https://learn.microsoft.com/entra/identity/enterprise-apps/configure-user-consent"""


@dataclass(slots=True, kw_only=True)
class ConsentRequest:
    """A user's request for an administrator's approval of an application."""

    client_id: str
    oid: str
    scopes: set[str]
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class Tenant:
    """One organisation with its people, consents and policies.

    `consents`: (client id, object id or EVERYBODY) -> scopes in lower case. Client ids are keys as they are registered.
    """

    tenant_id: str
    domain: str
    name: str
    cloud: CloudName = "global"
    """Its cloud, a name of `hosts.CLOUDS`."""
    people: dict[str, Person] = field(default_factory=dict)
    """Object id in lower case -> person."""
    upns: dict[str, Person] = field(default_factory=dict)
    """UPN in lower case -> person."""
    consents: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    app_consents: dict[str, set[str]] = field(default_factory=dict)
    """Client id -> application permissions, as Graph spells them; only administrators give them."""
    consent_requests: list[ConsentRequest] = field(default_factory=list)
    """Unanswered requests of users to an administrator."""
    user_consent: UserConsent = "allowed"
    mfa_required: bool = False
    """Whether all people must sign in with a second factor; people without one must register one."""
    assignments: dict[str, set[str]] = field(default_factory=dict)
    """Client id -> object ids, in lower case, of the people who may use the application; absent: all may."""
    given_roles: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    """Client id -> (object id in lower case -> values of the person's app roles):
    https://learn.microsoft.com/entra/identity-platform/howto-add-app-roles-in-apps"""
    refusal: str = ""
    """A name of entra.refusals.TENANT_DEATHS: the reason why the tenant gets no tokens; empty: it gets them."""
    app_refusals: dict[str, str] = field(default_factory=dict)
    """Client id -> a name of entra.refusals.APPLICATION_DEATHS: the reason why this tenant refuses the application."""
    deleted: set[str] = field(default_factory=set)
    """Object ids, in lower case, of deleted people."""
    unlicensed: int = 0
    """Number of people without a licence; if it is 0, bulk reads need not check."""

    @property
    def admin_consent_only(self) -> bool:
        """True if users may not consent for themselves."""
        return self.user_consent in {"off", "request_approval"}

    @admin_consent_only.setter
    def admin_consent_only(self, only: bool) -> None:
        self.user_consent = "off" if only else "allowed"

    def add(self, person: Person) -> Person:
        """Add a person to the tenant.

        Raises:
            ValueError: the object id or the UPN is taken.
        """
        oid, upn = person.oid.lower(), person.upn.lower()
        if oid in self.people or upn in self.upns:
            raise ValueError(f"{person.upn} or its object id is taken")
        self.people[oid], self.upns[upn] = person, person
        self.deleted.discard(oid)
        self.unlicensed += not person.licensed
        return person

    def rename(self, person: Person, upn: str) -> None:
        """Change the UPN of a person; the old one becomes free."""
        if self.upns.get(upn.lower(), person) is not person:
            raise ValueError(f"the UPN {upn} is taken")
        del self.upns[person.upn.lower()]
        person.upn = upn
        self.upns[upn.lower()] = person

    def remove(self, person: Person) -> None:
        """Delete a person from the tenant."""
        del self.people[person.oid.lower()], self.upns[person.upn.lower()]
        self.deleted.add(person.oid.lower())
        self.unlicensed -= not person.licensed

    def find(self, who: str) -> Person | None:
        """Return the person with this object id or UPN, in any case; None when there is none."""
        key = who.lower()
        return self.people.get(key) or self.upns.get(key)

    def guest(self, home: str) -> Person | None:
        """Return the guest whose account has this UPN in its home tenant."""
        return next((person for person in self.people.values() if person.home.lower() == home.lower() != ""), None)

    def consented(self, client_id: str, person: Person) -> set[str]:
        """Return the scopes, in lower case, that the person or an administrator consented to for an application."""
        own = self.consents.get((client_id, person.oid.lower()), set())
        return own | self.consents.get((client_id, EVERYBODY), set())

    def knows(self, client_id: str) -> bool:
        """Return whether an application was ever consented to here, and so has a service principal."""
        return client_id in self.app_consents or any(known == client_id for known, _ in self.consents)

    def may_use(self, client_id: str, person: Person) -> bool:
        """Return whether a person is assigned to an application, or assignment is not required."""
        assigned = self.assignments.get(client_id)
        return assigned is None or person.oid.lower() in assigned

    def forget(self, client_id: str) -> None:
        """Remove an application with all its consents and permissions."""
        for key in [key for key in self.consents if key[0] == client_id]:
            del self.consents[key]
        self.app_consents.pop(client_id, None)
        self.given_roles.pop(client_id, None)


@dataclass(slots=True, kw_only=True)
class Application:
    """One app registration, for all tenants.

    It may request a token for itself (`api://{client id}/.default`); `access_token_version` applies to such tokens.
    """

    client_id: str
    name: str
    publisher: str = ""
    verified: bool = False
    """Whether the publisher is verified: https://learn.microsoft.com/entra/identity-platform/publisher-verification-overview"""
    redirect_uris: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    certificates: list[str] = field(default_factory=list)
    """PEM, public part."""
    scopes: list[str] = field(default_factory=list)
    """The registered delegated permissions, which `.default` requests; empty: `entra.scopes.UNREGISTERED`. A sign-in can
    request others too."""
    app_roles: list[str] = field(default_factory=list)
    """The application permissions that it may request."""
    access_token_version: int = 2
    refusal: str = ""
    """A name of entra.refusals: the reason why all its credentials are refused; empty: they are accepted."""
    public: bool = False
    """Whether it may be a public client, which has no secret: https://learn.microsoft.com/entra/identity-platform/msal-client-applications"""
    id_tokens: bool = False
    """Whether the authorize endpoint may send it id tokens: https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc"""
    groups_claim: bool = False
    """Whether tokens contain the groups of a person (`groupMembershipClaims`):
    https://learn.microsoft.com/entra/identity-platform/reference-app-manifest"""
    access_tokens: bool = False
    """Whether the authorize endpoint may send it access tokens: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-implicit-grant-flow"""


class World:
    """All tenants and applications. Ids and domains are case-insensitive."""

    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {}
        self.applications: dict[str, Application] = {}
        self._domains: dict[str, Tenant] = {}
        self._sequence = itertools.count(int(time.time() * 4))

    def add_tenant(self, tenant: Tenant) -> Tenant:
        """Add a tenant to the world."""
        self.tenants[tenant.tenant_id.lower()] = tenant
        self._domains[tenant.domain.lower()] = tenant
        return tenant

    def add_application(self, application: Application) -> Application:
        """Add an application to the world."""
        self.applications[application.client_id.lower()] = application
        return application

    def tenant(self, key: str) -> Tenant | None:
        """Return the tenant with this id or domain; None when there is none."""
        return self.tenants.get(key.lower()) or self._domains.get(key.lower())

    def application(self, client_id: str) -> Application | None:
        """Return the application with this client id; None when there is none."""
        return self.applications.get(client_id.lower())

    def account(self, upn: str) -> Person | None:
        """Return the person with this UPN in any tenant; None when there is none."""
        return next((tenant.upns[upn.lower()] for tenant in self.tenants.values() if upn.lower() in tenant.upns), None)

    def people(self) -> Iterator[Person]:
        """Return the people of all tenants."""
        return itertools.chain.from_iterable(tenant.people.values() for tenant in self.tenants.values())

    def person(self, who: str | Person, tenant: str = "") -> Person:
        """Return the person with this object id or UPN, in one tenant or in any; a `Person` is returned unchanged.

        Raises:
            LookupError: there is no such person.
        """
        if isinstance(who, Person):
            return who
        for candidate in self.tenants.values():
            if tenant.lower() in {"", candidate.tenant_id.lower(), candidate.domain.lower()}:
                person = candidate.find(who)
                if person is not None:
                    return person
        raise LookupError(f"there is no person {who}")

    def home_of(self, person: Person) -> Person:
        """Return a guest's account in its home tenant; for all others, the person."""
        return (self.account(person.home) or person) if person.home else person

    def next_sequence(self) -> str:
        """Return a sequence number greater than all before, also than those of an earlier run.

        Microsoft's sample is a letter and ten digits. A count that starts from quarters of seconds since 1970 grows over restarts
        if people change less than four times a second on average, and reaches the eleventh digit in 2049.
        """
        number = next(self._sequence)
        return f"{chr(ord('A') + number // 10**10)}{number % 10**10:010d}"
