"""What administrators and time do to grants: consents, revocations, policies, keys. Methods of `Cloud`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, get_args

from emulator.entra.refusals import APPLICATION_DEATHS, BY_TIME, DEATHS, SURVIVED, TENANT_DEATHS
from emulator.world import EVERYBODY, ConsentRequest, Person, Tenant, UserConsent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emulator.clock import Clock
    from emulator.entra.tokens import Minter
    from emulator.world import Application, World

KEY_OVERLAP_S: Final = 86_400.0
"""How long a key that signs no more stays published, in the world's seconds; how long Microsoft waits is not published."""


class Directory:
    """The part of a cloud that is Entra's; all of it takes effect at once, for the next request."""

    world: World
    tokens: Minter
    clock: Clock
    on_change: Callable[[], None]

    def person(self, who: str | Person, tenant: str = "") -> Person:
        """The person of a UPN or object id.

        Raises:
            LookupError: there is none.
        """
        return who if isinstance(who, Person) else self.world.person(who, tenant)

    def home_of(self, person: Person) -> Person:
        """The account that a guest is at home; everybody else's own."""
        return (self.world.account(person.home) or person) if person.home else person

    # Consents

    def consent(
        self, who: str | Person, application: Application, permissions: set[str], *, everybody: bool = False
    ) -> None:
        """Consent to permissions, for one person or the whole tenant. An application that was removed is there again."""
        person = self.person(who)
        key = (application.client_id, EVERYBODY if everybody else person.oid.lower())
        person.tenant.consents.setdefault(key, set()).update(name.lower() for name in permissions)
        if person.tenant.app_refusals.get(application.client_id) in _REMOVED:
            del person.tenant.app_refusals[application.client_id]
        self.on_change()

    def consent_app(self, tenant: str | Tenant, application: Application, roles: Iterable[str]) -> None:
        """Let an administrator give an application permissions of its own; none at all also makes it known."""
        self._tenant(tenant).app_consents.setdefault(application.client_id, set()).update(roles)
        self.on_change()

    def request_consent(self, who: str | Person, application: Application, permissions: set[str], reason: str) -> None:
        """Ask an administrator to approve an application; asking again changes nothing."""
        person = self.person(who)
        requests = person.tenant.consent_requests
        if not any((each.client_id, each.oid) == (application.client_id, person.oid) for each in requests):
            requests.append(
                ConsentRequest(
                    client_id=application.client_id, oid=person.oid, scopes=set(permissions), reason=reason
                )
            )  # fmt: skip
            self.on_change()

    def consent_requests(self) -> list[dict[str, Any]]:
        """What administrators were asked for and have not answered."""
        return [
            {
                "tenant": tenant.tenant_id, "client_id": each.client_id, "person": each.oid,
                "scopes": sorted(each.scopes), "reason": each.reason,
                "upn": tenant.people[each.oid.lower()].upn if each.oid.lower() in tenant.people else "",
            }
            for tenant in self.world.tenants.values()
            for each in tenant.consent_requests
        ]  # fmt: skip

    def answer_consent_request(self, tenant: str | Tenant, client_id: str, *, approve: bool = True) -> None:
        """Let an administrator approve what was asked for, for the whole tenant, or deny it.

        Raises:
            LookupError: nobody of the tenant asked for this application.
        """
        home = self._tenant(tenant)
        answered = [each for each in home.consent_requests if each.client_id == client_id]
        if not answered:
            raise LookupError(f"nobody of {home.name} asked for {client_id}")
        home.consent_requests = [each for each in home.consent_requests if each.client_id != client_id]
        if approve:
            scopes = {name.lower() for each in answered for name in each.scopes}
            home.consents.setdefault((client_id, EVERYBODY), set()).update(scopes)
        self.on_change()

    def grant(self, who: str | Person, client_id: str, permissions: set[str]) -> str:
        """Consent, and return a refresh token, without anybody signing in.

        Raises:
            LookupError: there is no such person or application.
        """
        person, application = self.person(who), self._application(client_id)
        self.consent(person, application, permissions)
        return self.tokens.refresh_token(person, application)

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

    # Refusals

    def revoke(self, who: str | Person, kind: str = "sessions_revoked", *, access_tokens: bool = False) -> None:
        """Let an account's grants die in one of the documented ways.

        Args:
            who: whose.
            kind: a name of `refusals.DEATHS`, or of `refusals.SURVIVED`, which refresh tokens outlive.
            access_tokens: also refuse the access tokens that are out. Microsoft does so only for applications with
                continuous access evaluation; others can read on for up to an hour.

        Raises:
            ValueError: there is no such kind.
        """
        if kind not in DEATHS and kind not in SURVIVED:
            raise ValueError(f"no such kind: {kind}; there are {', '.join([*DEATHS, *sorted(SURVIVED)])}")
        person = self.person(who)
        if kind == "consent_removed":
            for key in [key for key in person.tenant.consents if key[1] in {person.oid.lower(), EVERYBODY}]:
                del person.tenant.consents[key]
        elif kind == "account_disabled":
            person.enabled = False
        elif kind in DEATHS:
            person.refusal = kind
        if kind in BY_TIME:
            person.tokens_valid_from = time.time()
        if kind in SURVIVED - {"password_expired"}:
            person.cookies_valid_from = time.time()
        if access_tokens:
            person.access_valid_from = time.time()
        self.on_change()

    def restore(self, who: str | Person) -> None:
        """Undo `revoke`, but for consent, which has to be given anew."""
        self._restored(self.person(who))
        self.on_change()

    def put_application(self, application: Application) -> None:
        """Register an application, or replace one with the same client id."""
        known = self.world.application(application.client_id)
        if known is None:
            self.world.add_application(application)
        else:  # the same object stays, for sign-ins under way refer to it
            for name in _REPLACED:
                setattr(known, name, getattr(application, name))
        self.on_change()

    def refuse_application(self, client_id: str, kind: str, tenant: str | Tenant = "") -> None:
        """Refuse an application: a name of `refusals.APPLICATION_DEATHS`, or empty to stop refusing.

        Args:
            client_id: which.
            kind: how. Removing it from a tenant removes its consents there.
            tenant: where; empty: everywhere.

        Raises:
            LookupError: there is no such application or tenant.
            ValueError: there is no such kind.
        """
        if kind and kind not in APPLICATION_DEATHS:
            raise ValueError(f"no such kind: {kind}; there are {', '.join(APPLICATION_DEATHS)}")
        application = self._application(client_id)
        if not tenant:
            application.refusal = kind
        elif kind:
            home = self._tenant(tenant)
            home.app_refusals[application.client_id] = kind
            if kind in _REMOVED:
                home.forget(application.client_id)
        else:
            self._tenant(tenant).app_refusals.pop(application.client_id, None)
        self.on_change()

    def refuse_tenant(self, tenant: str | Tenant, kind: str) -> None:
        """Refuse a tenant's people tokens: a name of `refusals.TENANT_DEATHS`, or empty to stop refusing.

        Raises:
            LookupError: there is no such tenant.
            ValueError: there is no such kind.
        """
        if kind and kind not in TENANT_DEATHS:
            raise ValueError(f"no such kind: {kind}; there are {', '.join(TENANT_DEATHS)}")
        self._tenant(tenant).refusal = kind
        self.on_change()

    # Policies

    def set_policies(
        self, tenant: str | Tenant, *, user_consent: UserConsent | None = None, mfa_required: bool | None = None
    ) -> Tenant:
        """Set a tenant's policies; what is None stays as it is.

        Raises:
            LookupError: there is no such tenant.
            ValueError: there is no such policy.
        """
        home = self._tenant(tenant)
        if user_consent is not None:
            if user_consent not in get_args(UserConsent):
                raise ValueError(f"user_consent is one of {', '.join(get_args(UserConsent))}")
            home.user_consent = user_consent
        if mfa_required is not None:
            home.mfa_required = mfa_required
        self.on_change()
        return home

    def set_second_factor(self, who: str | Person, *, registered: bool = True) -> Person:
        """Register a second factor for somebody, whose code is `Person.mfa_code`, or remove it."""
        person = self.person(who)
        person.mfa = registered
        self.on_change()
        return person

    def assign(self, tenant: str | Tenant, client_id: str, people: Iterable[str | Person] | None) -> None:
        """Demand that people are assigned to an application, and assign these; None: nobody has to be.

        Raises:
            LookupError: there is no such tenant, application or person.
        """
        home, application = self._tenant(tenant), self._application(client_id)
        if people is None:
            home.assignments.pop(application.client_id, None)
        else:
            home.assignments[application.client_id] = {self.person(who).oid.lower() for who in people}
        self.on_change()

    # Keys

    def rotate_keys(self, overlap_s: float = KEY_OVERLAP_S) -> list[str]:
        """Sign with the next key; the former stays published for `overlap_s` of the world's seconds. Returns all names."""
        former = self.tokens.key.rotate()

        def retire() -> None:
            self.tokens.key.retire(former)
            self.on_change()

        self.clock.after(overlap_s, retire)
        self.on_change()
        return self.tokens.key.kids

    def _restored(self, person: Person) -> None:
        """Take back whatever was refused to an account."""
        person.refusal, person.enabled = "", True
        person.tokens_valid_from = person.access_valid_from = person.cookies_valid_from = 0.0

    def _admit_all(self) -> None:
        """Take back whatever is refused to anybody."""
        for person in self.world.people():
            self._restored(person)
        for application in self.world.applications.values():
            application.refusal = ""
        for tenant in self.world.tenants.values():
            tenant.refusal = ""
            tenant.app_refusals.clear()

    def _application(self, client_id: str) -> Application:
        application = self.world.application(client_id)
        if application is None:
            raise LookupError(f"there is no application {client_id}")
        return application

    def _tenant(self, tenant: str | Tenant) -> Tenant:
        found = tenant if isinstance(tenant, Tenant) else self.world.tenant(tenant)
        if found is None:
            raise LookupError(f"there is no tenant {tenant}")
        return found


_REMOVED: Final = {"removed", "not_in_tenant"}
_REPLACED: Final = (
    "name", "publisher", "verified", "redirect_uris", "secrets", "certificates", "scopes", "app_roles",
    "access_token_version", "refusal", "public", "id_tokens", "access_tokens",
)  # fmt: skip
