"""Id, access and refresh tokens, minted and looked at."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.entra.keys import SigningKey

if TYPE_CHECKING:
    from emulator.world import Application, Person

GRAPH: Final = "https://graph.microsoft.com"
UNUSED_S: Final = 90 * 86_400
"""How long a refresh token lives unused: https://learn.microsoft.com/entra/identity-platform/refresh-tokens"""


class RefreshToken(msgspec.Struct, frozen=True):
    """What a refresh token stands for. It is in the token itself, so that no number of them fills any store."""

    client_id: str
    tenant_id: str
    oid: str
    issued: float
    number: str
    """Makes each token another one."""


class Minter:
    """Makes tokens. `origin` is where this cloud is reached, `https://127.0.0.1:8400`."""

    def __init__(self, key: SigningKey, seal: bytes, origin: str) -> None:
        self.key = key
        self.seal = seal
        self._origin = origin

    def issuer(self, tenant_id: str) -> str:
        """Who issues the id tokens of a tenant."""
        return f"{self._origin}/{tenant_id}/v2.0"

    def id_token(self, person: Person, application: Application, nonce: str) -> str:
        """An id token; it carries the nonce exactly as it was sent."""
        tid, now = person.tenant.tenant_id, int(time.time())
        claims: dict[str, Any] = {
            "ver": "2.0", "iss": self.issuer(tid), "sub": _subject(person, application), "aud": application.client_id,
            "exp": now + 86_400, "iat": now, "nbf": now, "name": person.display_name, "preferred_username": person.home or person.upn,
            "oid": person.oid, "tid": tid, "uti": secrets.token_urlsafe(12), "rh": "1.AAAA.",
        }  # fmt: skip
        if nonce:
            claims["nonce"] = nonce
        return self.key.sign(claims)

    def access_token(self, person: Person, application: Application, scopes: set[str], lifetime_s: int) -> str:
        """An access token for Graph, of version 1.0 as Graph's are."""
        tid, now = person.tenant.tenant_id, int(time.time())
        claims = {
            "ver": "1.0", "iss": f"https://sts.windows.net/{tid}/", "aud": GRAPH, "appid": application.client_id,
            "appidacr": "1", "idtyp": "user", "sub": _subject(person, application), "name": person.display_name,
            "exp": now + lifetime_s, "iat": now, "nbf": now, "oid": person.oid, "tid": tid, "upn": person.upn,
            "scp": " ".join(sorted(scopes)), "uti": secrets.token_urlsafe(12), "iat_exact": time.time(),
        }  # fmt: skip
        return self.key.sign(claims)

    def refresh_token(self, person: Person, application: Application) -> str:
        """A refresh token, another one each time; earlier ones stay valid, as Microsoft's do."""
        content = msgspec.json.encode(
            RefreshToken(application.client_id, person.tenant.tenant_id, person.oid, time.time(), uuid.uuid4().hex)
        )
        return f"1.{_text(content)}.{_text(self._mac(content))}"

    def read_refresh_token(self, token: str) -> RefreshToken | None:
        """What a refresh token stands for; None when it is none of ours."""
        try:
            _, content, mac = token.split(".")
            raw = base64.urlsafe_b64decode(content + "==")
            if hmac.compare_digest(_text(self._mac(raw)), mac):
                return msgspec.json.decode(raw, type=RefreshToken)
        except (ValueError, TypeError, msgspec.DecodeError):
            return None
        return None

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self.seal, content, "sha256")


def client_info(person: Person) -> str:
    """The account's home, as MSAL wants it."""
    return _text(msgspec.json.encode({"uid": person.oid, "utid": person.tenant.tenant_id}))


def _subject(person: Person, application: Application) -> str:
    """A pairwise subject: stable for one person and one application."""
    return _text(hashlib.sha256(f"{person.oid}|{application.client_id}".encode()).digest())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
