"""What every surface of the cloud shares, and everything that can be done to it: in a test by method, else by control."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from emulator.clock import Clock
from emulator.day import Day
from emulator.entra.keys import SigningKey
from emulator.entra.refusals import APPLICATION_DEATHS, BY_TIME, DEATHS
from emulator.entra.tokens import Minter
from emulator.faults import Fault, Faults
from emulator.journal import Gaps, Journal
from emulator.life import Life
from emulator.world import EVERYBODY, Person, Shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.config import Config
    from emulator.switches import Switches
    from emulator.world import Application, World


class Cloud:
    """One local Microsoft cloud. Whatever is done takes effect at once, for the next request.

    Attributes:
        url: where it is reached, `https://127.0.0.1:PORT`.
        ca_pem: the certificate that proves its TLS; empty when a certificate was given to it.
        world: who there is.
        on_change: called whenever something changed that is to outlive the process.
    """

    def __init__(self, config: Config, world: World, url: str, ca_pem: bytes, key: SigningKey, seal: bytes) -> None:
        self.config = config
        self.world = world
        self.url = url
        self.ca_pem = ca_pem
        self.tokens = Minter(key, seal, url)
        self.switches = config.switches
        self.clock = Clock(config.speed)
        self.journal = Journal(config.journal_size)
        self.gaps = Gaps()
        self.faults = Faults(random.Random(config.seed))
        self.on_change: Callable[[], None] = lambda: None
        self.on_reset: Callable[[], None] = lambda: None
        self.life = Life(world, self.clock, lambda: self.switches, random.Random(config.seed))
        self.day = Day(self.clock, self.life, random.Random(config.seed))
        self._populate()

    # What people do

    def person(self, who: str | Person, tenant: str = "") -> Person:
        """The person of a UPN or object id.

        Raises:
            LookupError: there is none.
        """
        return who if isinstance(who, Person) else self.world.person(who, tenant)

    def act(self, who: str | Person, action: str, *, device: str = "", text: str = "") -> Person:
        """Let somebody do something: see `life.ACTIONS`. Whoever is told what to do stops living the day.

        `switch_off` switches all devices off, `come` the desktop on, unless `device` says otherwise.
        """
        person = self.person(who)
        person.living = False
        device = device or ("all" if action == "switch_off" else "desktop")
        self.life.act(person, action, device=device, text=text)
        return person

    def live(self, who: str | Person) -> None:
        """Let somebody live the day again."""
        self.day.begin([self.person(who)])

    def set_presence(
        self, who: str | Person, availability: str | None = None, activity: str | None = None, *,
        status_message: str | None = None, out_of_office: bool | None = None, out_of_office_message: str | None = None,
        sequence_number: str | None = None,
    ) -> Person:  # fmt: skip
        """Have others see exactly this of somebody, from now until the person does something.

        Published values are spelled as the switches say; others are sent as they are. What is None stays as it is; an
        activity that is not given is the availability.
        """
        person = self.person(who)
        person.living = False
        if status_message is not None:
            person.status_message = status_message
        if out_of_office is not None:
            person.out_of_office = out_of_office
        if out_of_office_message is not None:
            person.out_of_office_message = out_of_office_message
        self.life.touch(person)
        if availability is not None or activity is not None:
            first = availability if availability is not None else person.shown.availability
            self.life.show(person, Shown(first, first if activity is None else activity))
        if sequence_number is not None:
            person.sequence = sequence_number
        return person

    def add_person(
        self,
        tenant: str,
        oid: str,
        upn: str,
        name: str,
        *,
        password: str = "",
        role: str = "user",
        licensed: bool = True,
    ) -> Person:
        """Let somebody join a tenant.

        Raises:
            LookupError: there is no such tenant.
            ValueError: the UPN or object id is taken.
        """
        home = self.world.tenant(tenant)
        if home is None:
            raise LookupError(f"there is no tenant {tenant}")
        person = home.add(Person(home, oid, upn, name, password=password, role=role, licensed=licensed))
        self.life.act(person, "come")
        self.on_change()
        return person

    def rename_person(self, who: str | Person, upn: str) -> Person:
        """Give somebody another UPN.

        Raises:
            ValueError: it is taken.
        """
        person = self.person(who)
        person.tenant.rename(person, upn)
        self.on_change()
        return person

    def remove_person(self, who: str | Person) -> None:
        """Delete somebody: an unknown id from now on, and a dead grant."""
        person = self.person(who)
        person.living = False
        person.tenant.remove(person)
        self.on_change()

    # Grants

    def consent(
        self, who: str | Person, application: Application, permissions: set[str], *, everybody: bool = False
    ) -> None:
        """Consent to permissions, for one person or the whole tenant."""
        person = self.person(who)
        key = (application.client_id, EVERYBODY if everybody else person.oid.lower())
        person.tenant.consents.setdefault(key, set()).update(name.lower() for name in permissions)
        self.on_change()

    def grant(self, who: str | Person, client_id: str, permissions: set[str]) -> str:
        """Consent, and return a refresh token, without anybody signing in.

        Raises:
            LookupError: there is no such person or application.
        """
        person, application = self.person(who), self._application(client_id)
        self.consent(person, application, permissions)
        return self.tokens.refresh_token(person, application)

    def revoke(self, who: str | Person, kind: str = "sessions_revoked", *, access_tokens: bool = False) -> None:
        """Let an account's grants die in one of the documented ways.

        Args:
            who: whose.
            kind: a name of `refusals.DEATHS`.
            access_tokens: also refuse the access tokens that are out. Microsoft does so only for applications with
                continuous access evaluation; others can read on for up to an hour.

        Raises:
            ValueError: there is no such kind.
        """
        if kind not in DEATHS:
            raise ValueError(f"no such kind: {kind}; there are {', '.join(DEATHS)}")
        person = self.person(who)
        if kind == "consent_removed":
            for key in [key for key in person.tenant.consents if key[1] in {person.oid.lower(), EVERYBODY}]:
                del person.tenant.consents[key]
        elif kind == "account_disabled":
            person.enabled = False
        else:
            person.refusal = kind
        if kind in BY_TIME:
            person.tokens_valid_from = time.time()
        if access_tokens:
            person.access_valid_from = time.time()
        self.on_change()

    def restore(self, who: str | Person) -> None:
        """Undo `revoke`, but for consent, which has to be given anew."""
        person = self.person(who)
        person.refusal, person.enabled, person.tokens_valid_from, person.access_valid_from = "", True, 0.0, 0.0
        self.on_change()

    def put_application(self, application: Application) -> None:
        """Register an application, or replace one with the same client id."""
        known = self.world.application(application.client_id)
        if known is None:
            self.world.add_application(application)
        else:  # the same object stays, for sign-ins under way refer to it
            for name in ("name", "publisher", "redirect_uris", "secrets", "certificates", "scopes", "refusal"):
                setattr(known, name, getattr(application, name))
        self.on_change()

    def refuse_application(self, client_id: str, kind: str) -> None:
        """Refuse an application for everybody: a name of `refusals.APPLICATION_DEATHS`, or empty to stop refusing.

        Raises:
            LookupError: there is no such application.
            ValueError: there is no such kind.
        """
        if kind and kind not in APPLICATION_DEATHS:
            raise ValueError(f"no such kind: {kind}; there are {', '.join(APPLICATION_DEATHS)}")
        self._application(client_id).refusal = kind
        self.on_change()

    def grants(self) -> list[dict[str, Any]]:
        """Everything that was consented to."""
        return [
            {
                "tenant": tenant.tenant_id, "client_id": client_id, "person": person, "scopes": sorted(scopes),
                "upn": tenant.people[person].upn if person in tenant.people else "",
            }
            for tenant in self.world.tenants.values()
            for (client_id, person), scopes in tenant.consents.items()
        ]  # fmt: skip

    # The cloud itself

    def set_switches(self, **changes: Any) -> Switches:
        """Set some switches; the rest stays.

        Raises:
            msgspec.ValidationError: a name or value is none.
        """
        self.switches = self.switches.changed(**changes)
        for person in self.world.people():
            person.fragment = b""
        return self.switches

    def add_fault(self, fault: Fault) -> Fault:
        """Put a fault in force."""
        return self.faults.add(fault)

    def gap_report(self) -> dict[str, Any]:
        """How long users went unread."""
        return self.gaps.report(self.world.people())

    def reset(self) -> None:
        """Everything as at the start: switches, faults, refusals, journal, throttling. Accounts and consents stay."""
        self.set_switches(**{name: getattr(self.config.switches, name) for name in self.switches.__struct_fields__})
        self.faults.remove()
        self.journal.clear()
        self.gaps.reset()
        self.clock.set_speed(self.config.speed)
        for person in self.world.people():
            person.refusal, person.enabled, person.tokens_valid_from, person.access_valid_from = "", True, 0.0, 0.0
            person.out_of_office, person.status_message = False, ""
        for application in self.world.applications.values():
            application.refusal = ""
        self._populate()
        self.on_reset()
        self.on_change()

    def _populate(self) -> None:
        """Put everybody where they begin."""
        if self.config.day:
            self.day.begin(self.world.people())
            return
        for person in self.world.people():
            self.life.act(person, "come")

    def _application(self, client_id: str) -> Application:
        application = self.world.application(client_id)
        if application is None:
            raise LookupError(f"there is no application {client_id}")
        return application
