"""Who there is: tenants, people, applications and what they agreed on."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator.clock import Due


class Shown(NamedTuple):
    """A presence's two strings, in the older pages' spelling."""

    availability: str
    activity: str


OFFLINE = Shown("Offline", "Offline")

EVERYBODY = "*"
"""In place of an object id in a consent: an administrator consented for the whole tenant."""

PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant that Microsoft keeps personal accounts in: https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference"""


class Person:
    """One person: an account, devices, and what others see."""

    __slots__ = (
        "access_valid_from", "desktop", "display_name", "doing", "enabled", "fade", "fragment", "home", "last_read", "licensed",
        "living", "mobile", "oid", "out_of_office", "out_of_office_message", "password", "preferred", "refusal", "role",
        "sequence", "shown", "status_message", "tenant", "tokens_valid_from", "upn",
    )  # fmt: skip

    def __init__(
        self, tenant: Tenant, oid: str, upn: str, display_name: str, *, password: str = "", role: str = "user",
        licensed: bool = True, home: str = "",
    ) -> None:  # fmt: skip
        self.tenant = tenant
        self.oid = oid
        self.upn = upn
        self.display_name = display_name
        self.password = password
        self.role = role
        self.licensed = licensed
        self.home = home  # of a guest, the UPN in the tenant where the account is at home; there is its password
        self.enabled = True
        self.refusal = ""  # a name of entra.refusals: why refresh tokens of this account are refused
        self.tokens_valid_from = 0.0  # when `refusal` began, in seconds since 1970
        self.access_valid_from = 0.0  # access tokens issued before are refused by Graph
        self.desktop = ""  # "" off, "active", "locked"
        self.mobile = False
        self.doing = ""  # what Teams itself knows: call, meeting, present, focus
        self.preferred = ""  # what the person chose: busy, dnd, brb, away, appear_offline
        self.out_of_office = False
        self.out_of_office_message = ""
        self.status_message = ""
        self.living = False  # whether `day` drives this person
        self.shown = OFFLINE
        self.sequence = ""
        self.fade: Due | None = None
        self.fragment = b""  # the presence as JSON; empty: to be encoded at the next read
        self.last_read = -1.0

    def __repr__(self) -> str:
        return f"<Person {self.upn}>"


@dataclass(slots=True, kw_only=True)
class Tenant:
    """One organisation. `consents`: (client id, object id or EVERYBODY) -> scopes in lower case."""

    tenant_id: str
    domain: str
    name: str
    people: dict[str, Person] = field(default_factory=dict)
    """Object id in lower case -> person."""
    upns: dict[str, Person] = field(default_factory=dict)
    """UPN in lower case -> person."""
    consents: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    unlicensed: int = 0
    """How many of the people have no licence; when nobody, bulk reads need not look."""
    admin_consent_only: bool = False
    """Whether users may not consent for themselves."""

    def add(self, person: Person) -> Person:
        """Take a person in.

        Raises:
            ValueError: the object id or the UPN is taken.
        """
        oid, upn = person.oid.lower(), person.upn.lower()
        if oid in self.people or upn in self.upns:
            raise ValueError(f"{person.upn} or its object id is taken")
        self.people[oid], self.upns[upn] = person, person
        self.unlicensed += not person.licensed
        return person

    def rename(self, person: Person, upn: str) -> None:
        """Give a person another UPN; the old one is nobody's then."""
        if self.upns.get(upn.lower(), person) is not person:
            raise ValueError(f"{upn} is taken")
        del self.upns[person.upn.lower()]
        person.upn = upn
        self.upns[upn.lower()] = person

    def remove(self, person: Person) -> None:
        """Delete a person."""
        del self.people[person.oid.lower()], self.upns[person.upn.lower()]
        self.unlicensed -= not person.licensed

    def find(self, who: str) -> Person | None:
        """The person of an object id or UPN, in any case."""
        key = who.lower()
        return self.people.get(key) or self.upns.get(key)

    def guest(self, home: str) -> Person | None:
        """The guest whose account is at home under this UPN elsewhere."""
        return next((person for person in self.people.values() if person.home.lower() == home.lower() != ""), None)

    def consented(self, client_id: str, person: Person) -> set[str]:
        """The scopes that an application has for a person, by itself or by an administrator, in lower case."""
        own = self.consents.get((client_id, person.oid.lower()), set())
        return own | self.consents.get((client_id, EVERYBODY), set())


@dataclass(slots=True, kw_only=True)
class Application:
    """One app registration: multi-tenant, web redirect URIs."""

    client_id: str
    name: str
    publisher: str = ""
    redirect_uris: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    certificates: list[str] = field(default_factory=list)
    """PEM, public part."""
    scopes: list[str] = field(default_factory=list)
    """The delegated permissions that it may ask for; empty: any that Graph has."""
    refusal: str = ""
    """A name of entra.refusals: why every credential of it is refused; empty: they are not."""


class World:
    """All tenants and applications. Ids and domains are found in any case."""

    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {}
        self.applications: dict[str, Application] = {}
        self._domains: dict[str, Tenant] = {}
        self._sequence = itertools.count(int(time.time() * 4))

    @staticmethod
    def generate(*, tenants: int = 200, people: int = 500, seed: int = 1) -> World:
        """A world of `tenants` with `people` each; the same seed makes the same world."""
        from emulator.generate import generate  # here, for it builds on this module

        return generate(tenants=tenants, people=people, seed=seed)

    def add_tenant(self, tenant: Tenant) -> Tenant:
        """Take a tenant in."""
        self.tenants[tenant.tenant_id.lower()] = tenant
        self._domains[tenant.domain.lower()] = tenant
        return tenant

    def add_application(self, application: Application) -> Application:
        """Take an application in."""
        self.applications[application.client_id.lower()] = application
        return application

    def tenant(self, key: str) -> Tenant | None:
        """The tenant of a tenant id or domain."""
        return self.tenants.get(key.lower()) or self._domains.get(key.lower())

    def application(self, client_id: str) -> Application | None:
        """The application of a client id."""
        return self.applications.get(client_id.lower())

    def account(self, upn: str) -> Person | None:
        """The person of a UPN, in whatever tenant."""
        return next((tenant.upns[upn.lower()] for tenant in self.tenants.values() if upn.lower() in tenant.upns), None)

    def people(self) -> Iterator[Person]:
        """Everybody."""
        return itertools.chain.from_iterable(tenant.people.values() for tenant in self.tenants.values())

    def person(self, who: str, tenant: str = "") -> Person:
        """The person of an object id or UPN, in a tenant or anywhere.

        Raises:
            LookupError: there is none.
        """
        for candidate in self.tenants.values():
            if tenant.lower() in {"", candidate.tenant_id.lower(), candidate.domain.lower()}:
                person = candidate.find(who)
                if person is not None:
                    return person
        raise LookupError(f"nobody is called {who}")

    def next_sequence(self) -> str:
        """A sequence number greater than any before, also than those of an earlier run.

        Microsoft's sample is a letter and ten digits. Counting from quarters of seconds since 1970 grows over restarts
        as long as people change less than four times a second on average, and reaches the eleventh digit in 2049.
        """
        number = next(self._sequence)
        return f"{chr(ord('A') + number // 10**10)}{number % 10**10:010d}"
