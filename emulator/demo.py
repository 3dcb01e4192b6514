"""The demo world: three organisations, a few personal accounts, and one app registration for the relay."""

from __future__ import annotations

from emulator.generate import PASSWORD, stable_guid
from emulator.world import PERSONAL, Application, Person, Tenant, World

CLIENT_ID = stable_guid("demo-application")
SECRET = "demo-secret"
REDIRECT_URI = "http://localhost/onboarding/callback"
SCOPES = ["Presence.Read.All", "User.ReadBasic.All", "User.Read", "Presence.Read"]

APP_ROLES = ["Presence.Read.All", "User.Read.All"]

_CONTOSO = (
    "Ada Adler", "Ben Brandt", "Chloe Costa", "David Dahl", "Emma Eriksen", "Farid Fontaine", "Grace Garcia", "Hugo Hansen",
    "Ines Ito", "Jonas Jansen", "Kira Keller", "Leo Lindqvist",
)  # fmt: skip
_VISITORS = {"emma@contoso.example": "call", "farid@contoso.example": "available"}
"""The people who repeatedly show BusyIdle and AvailableIdle if people live their days."""
_FABRIKAM = ("Mia Moreau", "Noah Novak", "Olga Olsen", "Paul Petit")
_LITWARE = ("Quinn Quist", "Rosa Rossi", "Sven Sand")


def demo() -> World:
    """Return three tenants; every account's password is `PASSWORD`. First names are UPNs: ada@contoso.example.

    In Litware only administrators may consent. Mia of Fabrikam is a guest of Contoso. Pat has a personal account.
    """
    world = World()
    contoso = world.add_tenant(_tenant("contoso", "Contoso", _CONTOSO))
    fabrikam = world.add_tenant(_tenant("fabrikam", "Fabrikam", _FABRIKAM))
    world.add_tenant(_tenant("litware", "Litware", _LITWARE)).admin_consent_only = True
    _add_guest(contoso, fabrikam.upns["mia@fabrikam.example"])
    personal = world.add_tenant(Tenant(tenant_id=PERSONAL, domain="outlook.example", name="Personal accounts"))
    _add(personal, "pat", "Pat Parker", licensed=False)
    world.add_application(
        Application(
            client_id=CLIENT_ID, name="Presence relay (local)", publisher="Local development",
            redirect_uris=[REDIRECT_URI], secrets=[SECRET], scopes=SCOPES, app_roles=APP_ROLES,
        )
    )  # fmt: skip
    return world


def _tenant(key: str, name: str, people: tuple[str, ...]) -> Tenant:
    domain = f"{key}.example"
    tenant = Tenant(tenant_id=stable_guid(domain), domain=domain, name=name)
    for full_name in people:
        _add(tenant, full_name.split()[0].lower(), full_name)
    _add(tenant, "admin", f"{name} Administrator", role="admin", licensed=False)
    # A service account without a licence can read presence; its own presence is never reported.
    _add(tenant, "presence-relay", "Presence relay service account", licensed=False)
    return tenant


def _add_guest(tenant: Tenant, person: Person) -> None:
    upn = f"{person.upn.replace('@', '_')}#EXT#@{tenant.domain}"
    guest = Person(tenant, stable_guid(upn), upn, person.display_name, licensed=False, home=person.upn)
    tenant.add(guest)


def _add(tenant: Tenant, key: str, name: str, *, role: str = "user", licensed: bool = True) -> Person:
    upn = f"{key}@{tenant.domain}"
    visits = _VISITORS.get(upn, "")
    return tenant.add(
        Person(tenant, stable_guid(upn), upn, name, password=PASSWORD, role=role, licensed=licensed, visits=visits)
    )
