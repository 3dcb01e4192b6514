"""The maker and reader of id, access and refresh tokens.

https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference and
https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from emulator.entra.keys import SigningKey
from emulator.hosts import CLOUDS
from emulator.world import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from emulator.clock import Clock
    from emulator.world import Application, Person, Tenant

GRAPH: Final = "https://graph.microsoft.com"
GRAPH_ID: Final = "00000003-0000-0000-c000-000000000000"
"""Graph's application id, the audience of its tokens of version 2."""
UNUSED_S: Final = 90 * 86_400
"""Lifetime of an unused refresh token: https://learn.microsoft.com/entra/identity-platform/refresh-tokens"""

_MEMBER: Final = "b79fbf4d-3ef9-4689-8143-76b194e85509"
"""In every `wids`: membership of the tenant, not a role."""
_ROLES: Final = {
    "admin": ("62e90394-69f5-4237-9190-012177145e10",),
    "teams-admin": ("69091246-20e8-4a56-aa4d-066075b2a7a8",),
    "helpdesk": ("729827e3-9c14-49f7-bb1b-9608f156bbb8",),
}
"""A person's role -> template ids of Global, Teams and Helpdesk Administrator:
https://learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference"""

_MOST_GROUPS: Final = 200
"""Groups in a token: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference#groups-overage-claim"""

PASSWORD_ONLY: Final = ("pwd",)
"""The default methods of a sign-in (`amr`)."""


class RefreshToken(msgspec.Struct, frozen=True):
    """The contents of a refresh token. They are in the token itself, so tokens need no store."""

    client_id: str
    tenant_id: str
    oid: str
    issued: float
    number: str
    """Makes each token unique."""
    amr: tuple[str, ...] = PASSWORD_ONLY
    family: str = ""
    """The code that it derives from; empty if there was no sign-in."""
    openid: tuple[str, ...] = ("openid", "profile", "offline_access")
    """The scopes of OpenID Connect that were granted with it."""
    graph: bool = True
    """Whether Graph permissions were granted with it; then it is invalid without any."""


class Minter:
    """Makes access, id and refresh tokens, dated by the cloud's clock."""

    def __init__(self, key: SigningKey, seal: bytes, clock: Clock) -> None:
        self.key = key
        self.seal = seal
        self._clock = clock

    def id_token(
        self, person: Person, application: Application, nonce: str, authority: str, *,
        openid: Iterable[str] = ("openid", "profile"), idp: str = "", auth_time: float = 0.0, with_roles: bool = False,
        hashes: Mapping[str, str] | None = None,
    ) -> str:  # fmt: skip
        """Return an id token, with the nonce exactly as sent.

        Its claims follow the scopes: https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference. The method of the
        sign-in (`amr`) is in access tokens of version 1 only.

        Args:
            person: the person.
            application: the audience.
            nonce: as sent; empty: none was sent.
            authority: the beginning of its issuer.
            openid: the scopes of OpenID Connect that were granted.
            idp: the identity provider of a guest.
            auth_time: the time when the password was typed, in seconds since 1970; 0: not in the token.
            with_roles: whether it contains the person's directory roles (`wids`).
            hashes: `at_hash` and `c_hash` of the token and code that are sent with it.
        """
        tid, now = person.tenant.tenant_id, int(self._clock.utc())
        claims: dict[str, Any] = {
            "ver": "2.0", "iss": f"{authority}/{tid}/v2.0", "sub": subject(person, application), "aud": application.client_id,
            "exp": now + 86_400, "iat": now, "nbf": now, "tid": tid, "uti": secrets.token_urlsafe(12), "rh": "1.AAAA.",
            **_origin(person, idp), **(hashes or {}),
        }  # fmt: skip
        if "profile" in openid:
            claims |= {"name": person.display_name, "preferred_username": person.home or person.upn, "oid": person.oid}
        if "email" in openid:
            claims["email"] = person.home or person.upn
        if nonce:
            claims["nonce"] = nonce
        if auth_time:
            claims["auth_time"] = int(auth_time)
        if with_roles:
            claims["wids"] = [*_ROLES.get(person.role, ()), _MEMBER]
        return self.key.sign(claims | _granted(person, application))

    def access_token(
        self, person: Person, application: Application, scopes: set[str], lifetime_s: int, *, version: Literal[1, 2] = 1,
        authority: str = "", amr: Sequence[str] = PASSWORD_ONLY, capabilities: Sequence[str] = (), own: bool = False,
        idp: str = "",
    ) -> str:  # fmt: skip
        """Return a signed access token of a person for an application.

        Args:
            person: the person.
            application: the application that gets it.
            scopes: permissions of the resource.
            lifetime_s: its lifetime.
            version: its version; Graph's tokens are of version 1.
            authority: the beginning of an issuer of version 2.
            amr: the methods of the sign-in; in version 1 only.
            capabilities: the capabilities that the application states: `cp1` for continuous access evaluation.
            own: for the application itself, not for Graph.
            idp: the identity provider of a guest.
        """
        claims = {
            **_common(person.tenant, application, lifetime_s, version, authority, capabilities, own=own, now=self._clock.utc()),
            "idtyp": "user", "sub": subject(person, application), "name": person.display_name, "oid": person.oid,
            "scp": " ".join(sorted(scopes)), **_origin(person, idp),
        }  # fmt: skip
        name = person.home or person.upn
        claims |= (
            {"upn": person.upn, "unique_name": name, "amr": list(amr)}
            if version == 1
            else {"preferred_username": name, "amr_exact": list(amr)}
        )
        return self.key.sign(claims)

    def app_token(
        self, tenant: Tenant, application: Application, roles: set[str], lifetime_s: int, *, version: Literal[1, 2] = 1,
        authority: str = "", capabilities: Sequence[str] = (), own: bool = False,
    ) -> str:  # fmt: skip
        """Return an access token of the application itself, without a signed-in user."""
        principal = service_principal(tenant, application)
        claims = {
            **_common(tenant, application, lifetime_s, version, authority, capabilities, own=own, now=self._clock.utc()),
            "idtyp": "app", "oid": principal, "sub": principal, "app_displayname": application.name,
        }  # fmt: skip
        if roles:
            claims["roles"] = sorted(roles)
        return self.key.sign(claims)

    def refresh_token(
        self, person: Person, application: Application, *, amr: Sequence[str] = PASSWORD_ONLY, family: str = "",
        openid: Iterable[str] = ("openid", "profile", "offline_access"), graph: bool = True,
    ) -> str:  # fmt: skip
        """Return a new refresh token; earlier ones stay valid, as Microsoft's do."""
        content = RefreshToken(
            application.client_id, person.tenant.tenant_id, person.oid, self._clock.utc(), uuid.uuid4().hex, tuple(amr), family,
            tuple(openid), graph,
        )  # fmt: skip
        return self.seal_refresh_token(content)

    def seal_refresh_token(self, content: RefreshToken) -> str:
        """Return a refresh token with this content."""
        raw = msgspec.json.encode(content)
        return f"1.{_text(raw)}.{_text(self._mac(raw))}"

    def read_refresh_token(self, token: str) -> RefreshToken | None:
        """Return the contents of a refresh token; None if it is not from this cloud."""
        try:
            _, content, mac = token.split(".")
            raw = base64.urlsafe_b64decode(content + "==")
            if hmac.compare_digest(_text(self._mac(raw)).encode(), mac.encode()):
                return msgspec.json.decode(raw, type=RefreshToken)
        except (ValueError, TypeError, msgspec.DecodeError):
            return None
        return None

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self.seal, content, "sha256")


def client_info(home: Person) -> str:
    """Return the home account in MSAL's format."""
    return _text(msgspec.json.encode({"uid": home.oid, "utid": home.tenant.tenant_id}))


def identity_provider(home: Person, tenant: Tenant) -> str:
    """Return the identity provider of an account; empty if it is the tenant itself."""
    if home.tenant.tenant_id == PERSONAL:
        return "live.com"
    return "" if home.tenant is tenant else f"https://{CLOUDS[home.tenant.cloud].sts}/{home.tenant.tenant_id}/"


def service_principal(tenant: Tenant, application: Application) -> str:
    """Return the object id of an application's service principal in a tenant."""
    return str(uuid.uuid5(uuid.UUID(tenant.tenant_id), application.client_id.lower()))


def _common(
    tenant: Tenant, application: Application, lifetime_s: int, version: Literal[1, 2], authority: str,
    capabilities: Sequence[str], *, own: bool, now: float,
) -> dict[str, Any]:  # fmt: skip
    """Return the claims that every access token has."""
    home, client_id = CLOUDS[tenant.cloud], application.client_id
    proof = "0" if application.public and not application.secrets else "1"
    claims: dict[str, Any] = {
        "exp": int(now) + lifetime_s, "iat": int(now), "nbf": int(now), "tid": tenant.tenant_id,
        "uti": secrets.token_urlsafe(12), "iat_exact": now,
    }  # fmt: skip
    if version == 1:
        claims |= {
            "ver": "1.0", "iss": f"https://{home.sts}/{tenant.tenant_id}/", "appid": client_id, "appidacr": proof,
            "aud": f"api://{client_id}" if own else f"https://{home.graph}",
        }  # fmt: skip
    else:
        claims |= {
            "ver": "2.0", "iss": f"{authority}/{tenant.tenant_id}/v2.0", "azp": client_id, "azpacr": proof,
            "aud": client_id if own else GRAPH_ID,
        }  # fmt: skip
    if capabilities:
        claims["xms_cc"] = list(capabilities)
    return claims


def _granted(person: Person, application: Application) -> dict[str, Any]:
    """Return a person's app roles (`roles`) and groups (`groups`), which are omitted if there are too many.

    https://learn.microsoft.com/entra/identity-platform/howto-add-app-roles-in-apps and, for groups,
    https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference#groups-overage-claim
    """
    claims: dict[str, Any] = {}
    roles = person.tenant.given_roles.get(application.client_id, {}).get(person.oid.lower())
    if roles:
        claims["roles"] = sorted(roles)
    if not application.groups_claim or not person.groups:
        return claims
    if len(person.groups) <= _MOST_GROUPS:
        return {**claims, "groups": list(person.groups)}
    graph = CLOUDS[person.tenant.cloud].graph
    endpoint = f"https://{graph}/v1.0/users/{person.oid}/getMemberObjects"
    return {**claims, "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": endpoint}}}


def _origin(person: Person, idp: str) -> dict[str, Any]:
    """Return the claims `acct`, whether the person is a guest, and `idp`, the identity provider if it is not the tenant."""
    return {"acct": int(bool(person.home)), **({"idp": idp} if idp else {})}


def subject(person: Person, application: Application) -> str:
    """Return a pairwise subject: stable for one person and one application."""
    return _text(hashlib.sha256(f"{person.oid}|{application.client_id}".encode()).digest())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
