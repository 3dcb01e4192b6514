"""Administrators' operations in Entra: consents, revocations, refusals, policies and signing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from emulator.entra.refusals import APPLICATION_DEATHS, BY_TIME, DEATHS, SURVIVED, TENANT_DEATHS
from emulator.world import EVERYBODY, ConsentRequest, Person, Tenant, UserConsent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emulator.clock import Clock
    from emulator.entra.tokens import Minter
    from emulator.world import Application, World

KEY_OVERLAP_S: Final = 86_400.0
"""Time that a former signing key stays published, in the world's seconds; Microsoft's time is not published."""


class Directory:
    """Entra's side of a cloud, as administrators change it. Each change applies to the next request.

    Args:
        world: the tenants, people and applications that it changes.
        tokens: the maker of tokens, for refresh tokens without a sign-in and for rotated keys.
        clock: the cloud's clock, for the dates of revocations.
        on_change: called after each change of the state that is stored between runs.
        on_revoked: called with each account whose grants were revoked.
    """

    def __init__(
        self, world: World, tokens: Minter, clock: Clock, *, on_change: Callable[[], None],
        on_revoked: Callable[[Person], None],
    ) -> None:  # fmt: skip
        self._world = world
        self._tokens = tokens
        self._clock = clock
        self._on_change = on_change
        self._on_revoked = on_revoked

    # Consents

    def consent(
        self, who: str | Person, application: Application, permissions: set[str], *, everybody: bool = False
    ) -> None:
        """Consent to permissions, for one person or the whole tenant. Also restores a removed application."""
        person = self._world.person(who)
        key = (application.client_id, EVERYBODY if everybody else person.oid.lower())
        person.tenant.consents.setdefault(key, set()).update(name.lower() for name in permissions)
        if person.tenant.app_refusals.get(application.client_id) in _REMOVED:
            del person.tenant.app_refusals[application.client_id]
        self._on_change()

    def consent_app(self, tenant: str | Tenant, application: Application, roles: Iterable[str]) -> None:
        """Grant application permissions as an administrator; an empty set makes the application known to the tenant."""
        self._tenant(tenant).app_consents.setdefault(application.client_id, set()).update(roles)
        self._on_change()

    def request_consent(self, who: str | Person, application: Application, permissions: set[str], reason: str) -> None:
        """Request an administrator's approval of an application; repeating it changes nothing."""
        person = self._world.person(who)
        requests = person.tenant.consent_requests
        if not any((each.client_id, each.oid) == (application.client_id, person.oid) for each in requests):
            requests.append(
                ConsentRequest(
                    client_id=application.client_id, oid=person.oid, scopes=set(permissions), reason=reason
                )
            )  # fmt: skip
            self._on_change()

    def consent_requests(self) -> list[dict[str, Any]]:
        """Return the requests for approval that no administrator has answered, as JSON values."""
        return [
            {
                "tenant": tenant.tenant_id, "client_id": each.client_id, "person": each.oid,
                "scopes": sorted(each.scopes), "reason": each.reason,
                "upn": tenant.people[each.oid.lower()].upn if each.oid.lower() in tenant.people else "",
            }
            for tenant in self._world.tenants.values()
            for each in tenant.consent_requests
        ]  # fmt: skip

    def answer_consent_request(self, tenant: str | Tenant, client_id: str, *, approve: bool = True) -> None:
        """Approve the requested permissions as an administrator, for the whole tenant, or deny them.

        Raises:
            LookupError: the tenant has no request for this application.
        """
        home = self._tenant(tenant)
        answered = [each for each in home.consent_requests if each.client_id == client_id]
        if not answered:
            raise LookupError(f"there is no request of {home.name} for {client_id}")
        home.consent_requests = [each for each in home.consent_requests if each.client_id != client_id]
        if approve:
            scopes = {name.lower() for each in answered for name in each.scopes}
            home.consents.setdefault((client_id, EVERYBODY), set()).update(scopes)
        self._on_change()

    def grant(self, who: str | Person, client_id: str, permissions: set[str]) -> str:
        """Consent, and return a refresh token, without a sign-in.

        Raises:
            LookupError: there is no such person or application.
        """
        person, application = self._world.person(who), self._application(client_id)
        self.consent(person, application, permissions)
        return self._tokens.refresh_token(person, application)

    def grants(self) -> list[dict[str, Any]]:
        """Return all consents of all tenants, as JSON values."""
        return [
            {
                "tenant": tenant.tenant_id, "client_id": client_id, "person": person, "scopes": sorted(scopes),
                "upn": tenant.people[person].upn if person in tenant.people else "",
            }
            for tenant in self._world.tenants.values()
            for (client_id, person), scopes in tenant.consents.items()
        ]  # fmt: skip

    # Refusals

    def revoke(self, who: str | Person, kind: str = "sessions_revoked", *, access_tokens: bool = False) -> None:
        """End an account's grants in one of the documented ways.

        Args:
            who: the account.
            kind: a name of `refusals.DEATHS`, or of `refusals.SURVIVED`, which refresh tokens outlive.
            access_tokens: also refuse access tokens that were already issued. Microsoft does so only for applications with
                continuous access evaluation; others can read for up to another hour.

        Raises:
            ValueError: there is no such kind.
        """
        if kind not in DEATHS and kind not in SURVIVED:
            raise ValueError(f"there is no kind {kind}; there are {', '.join([*DEATHS, *sorted(SURVIVED)])}")
        person = self._world.person(who)
        if kind == "consent_removed":
            for key in [key for key in person.tenant.consents if key[1] in {person.oid.lower(), EVERYBODY}]:
                del person.tenant.consents[key]
        elif kind == "account_disabled":
            person.enabled = False
        elif kind in DEATHS:
            person.refusal = kind
        if kind in BY_TIME:
            person.tokens_valid_from = self._clock.utc()
        if kind in SURVIVED - {"password_expired"}:
            person.cookies_valid_from = self._clock.utc()
        if access_tokens:
            person.access_valid_from = self._clock.utc()
        self._on_change()
        self._on_revoked(person)

    def restore(self, who: str | Person) -> None:
        """Undo `revoke`, except for a consent, which must be given again."""
        self._restored(self._world.person(who))
        self._on_change()

    def put_application(self, application: Application) -> None:
        """Register an application, or replace one with the same client id."""
        known = self._world.application(application.client_id)
        if known is None:
            self._world.add_application(application)
        else:  # keep the same object, because sign-ins in progress refer to it
            for name in _REPLACED:
                setattr(known, name, getattr(application, name))
        self._on_change()

    def refuse_application(self, client_id: str, kind: str, tenant: str | Tenant = "") -> None:
        """Refuse an application: a name of `refusals.APPLICATION_DEATHS`, or empty to stop refusing.

        Args:
            client_id: the application.
            kind: the refusal. Removing the application from a tenant removes its consents there.
            tenant: the tenant; empty: all tenants.

        Raises:
            LookupError: there is no such application or tenant.
            ValueError: there is no such kind.
        """
        if kind and kind not in APPLICATION_DEATHS:
            raise ValueError(f"there is no kind {kind}; there are {', '.join(APPLICATION_DEATHS)}")
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
        self._on_change()

    def refuse_tenant(self, tenant: str | Tenant, kind: str) -> None:
        """Refuse tokens to a tenant's people: a name of `refusals.TENANT_DEATHS`, or empty to stop refusing.

        Raises:
            LookupError: there is no such tenant.
            ValueError: there is no such kind.
        """
        if kind and kind not in TENANT_DEATHS:
            raise ValueError(f"there is no kind {kind}; there are {', '.join(TENANT_DEATHS)}")
        self._tenant(tenant).refusal = kind
        self._on_change()

    # Policies

    def set_policies(
        self, tenant: str | Tenant, *, user_consent: UserConsent | None = None, mfa_required: bool | None = None
    ) -> Tenant:
        """Set a tenant's policies; None changes nothing.

        Raises:
            LookupError: there is no such tenant.
            ValueError: there is no such policy.
        """
        home = self._tenant(tenant)
        if user_consent is not None:
            if user_consent not in get_args(UserConsent):
                raise ValueError(f"user_consent must be one of {', '.join(get_args(UserConsent))}")
            home.user_consent = user_consent
        if mfa_required is not None:
            home.mfa_required = mfa_required
        self._on_change()
        return home

    def set_second_factor(self, who: str | Person, *, registered: bool = True) -> Person:
        """Register a person's second factor, whose code is `Person.mfa_code`, or remove it."""
        person = self._world.person(who)
        person.mfa = registered
        self._on_change()
        return person

    def assign(self, tenant: str | Tenant, client_id: str, people: Iterable[str | Person] | None) -> None:
        """Require assignment to an application, and assign these people; None: assignment is not required.

        Raises:
            LookupError: there is no such tenant, application or person.
        """
        home, application = self._tenant(tenant), self._application(client_id)
        if people is None:
            home.assignments.pop(application.client_id, None)
        else:
            home.assignments[application.client_id] = {self._world.person(who).oid.lower() for who in people}
        self._on_change()

    def give_roles(self, who: str | Person, client_id: str, roles: Iterable[str]) -> Person:
        """Set a person's app roles of an application; an empty set removes all.

        Raises:
            LookupError: there is no such person or application.
        """
        person, application = self._world.person(who), self._application(client_id)
        given = person.tenant.given_roles.setdefault(application.client_id, {})
        given[person.oid.lower()] = set(roles)
        self._on_change()
        return person

    def put_in_groups(self, who: str | Person, groups: Iterable[str]) -> Person:
        """Set a person's groups, given by their object ids."""
        person = self._world.person(who)
        person.groups = list(groups)
        self._on_change()
        return person

    # Keys

    def rotate_keys(self, overlap_s: float = KEY_OVERLAP_S) -> list[str]:
        """Sign with the next key; the former stays published for `overlap_s` of the world's seconds. Return all names."""
        former = self._tokens.key.rotate()

        def retire() -> None:
            self._tokens.key.retire(former)
            self._on_change()

        self._clock.after(overlap_s, retire)
        self._on_change()
        return self._tokens.key.kids

    def _restored(self, person: Person) -> None:
        """Stop refusing an account."""
        person.refusal, person.enabled = "", True
        person.tokens_valid_from = person.access_valid_from = person.cookies_valid_from = 0.0

    def restore_all(self) -> None:
        """Stop refusing accounts, applications and tenants."""
        for person in self._world.people():
            self._restored(person)
        for application in self._world.applications.values():
            application.refusal = ""
        for tenant in self._world.tenants.values():
            tenant.refusal = ""
            tenant.app_refusals.clear()

    def _application(self, client_id: str) -> Application:
        application = self._world.application(client_id)
        if application is None:
            raise LookupError(f"there is no application {client_id}")
        return application

    def _tenant(self, tenant: str | Tenant) -> Tenant:
        found = tenant if isinstance(tenant, Tenant) else self._world.tenant(tenant)
        if found is None:
            raise LookupError(f"there is no tenant {tenant}")
        return found


_REMOVED: Final = {"removed", "not_in_tenant"}
_REPLACED: Final = (
    "name", "publisher", "verified", "redirect_uris", "secrets", "certificates", "scopes", "app_roles",
    "access_token_version", "refusal", "public", "id_tokens", "access_tokens", "groups_claim",
)  # fmt: skip
