"""Id tokens and validation tokens that are not quite right, and both of their verifiers behind one face.

The attacker may know everything that is public: the keys, the claims of a genuine token, the token itself. Entra's private key signs
some of them all the same, to show that no claim is trusted for its signature alone, and that none makes the verifier stumble.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from emulator import Cloud
from emulator.demo import CLIENT_ID
from relay.core.presence import TenantId
from relay.graph.auth import jwt
from relay.graph.auth.id_tokens import UntrustedIdTokenError, verify
from relay.graph.auth.signing_keys import FetchIntervals, SigningKeys
from relay.graph.client import GraphClient
from relay.graph.push.validation import Validation
from relay.graph.settings import GraphSettings
from tests.webhook.conftest import public
from tests.webhook.graph import claims as validation_claims

TENANT: Final = TenantId("6b5f4a3e-1111-4222-8333-944445555666")
OTHER: Final = TenantId("7c6a5b4f-1111-4222-8333-944445555777")
ACCOUNT: Final = "aaaaaaaa-0000-4000-8000-000000000001"
NONCE: Final = "of a flow under way"


@dataclass(frozen=True, slots=True)
class Verifier:
    """One kind of token.

    Attributes:
        claims: of a genuine one.
        accepts: the tenant of a token; None when it was refused with the verifier's own error, whose reason is in `reasons`.
        keys: whose fetches count.
        reasons: why tokens were refused, in order.
    """

    name: str
    cloud: Cloud
    claims: Mapping[str, Any]
    _tenant: Callable[[str], Awaitable[TenantId]]
    keys: SigningKeys
    reasons: list[str]

    async def accepts(self, token: str) -> TenantId | None:
        try:
            return await self._tenant(token)
        except jwt.NotValid as error:
            self.reasons.append(error.reason)
        except UntrustedIdTokenError as error:
            self.reasons.append(str(error))
        return None

    def genuine(self, **changes: Any) -> str:
        """Signed by Entra, with its claims or others; a claim that is None is absent."""
        found = {name: value for name, value in {**self.claims, **changes}.items() if value is not None}
        return self.signed(json.dumps(found).encode())

    def signed(self, payload: bytes, *, head: bytes | None = None) -> str:
        """Signed by Entra, whatever it says."""
        usual = json.dumps({"alg": "RS256", "typ": "JWT", "kid": self.kid}).encode()
        text = f"{encoded(usual if head is None else head)}.{encoded(payload)}"
        return f"{text}.{encoded(_private(self.cloud.tokens.key.pem).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def with_head(self, head: Mapping[str, Any] | bytes, signature: bytes | None = None) -> str:
        """The genuine one under another header, whose signature says nothing of that header."""
        _, payload, own = self.genuine().split(".")
        raw = head if isinstance(head, bytes) else json.dumps(head).encode()
        return f"{encoded(raw)}.{payload}.{own if signature is None else encoded(signature)}"

    @property
    def kid(self) -> str:
        return self.cloud.tokens.key.kid

    @property
    def public_pem(self) -> bytes:
        """What some verifiers once took for the secret of HS256."""
        return (
            _private(self.cloud.tokens.key.pem)
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )


@functools.cache
def _private(pem: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@asynccontextmanager
async def verifying(kind: str, cloud: Cloud, settings: GraphSettings | None = None) -> AsyncIterator[Verifier]:
    """The verifier of one kind, with Entra's keys from the local cloud."""
    async with GraphClient(settings or public(cloud)) as client, SigningKeys(client, FetchIntervals(wait_s=20)) as keys:
        if kind == "validation token":
            validation = Validation(keys, CLIENT_ID)

            async def tenant(token: str) -> TenantId:
                (found,) = await validation.tenants([token])
                return found

            claims = validation_claims(cloud, TENANT)
        else:

            async def tenant(token: str) -> TenantId:
                return (await verify(keys, token, NONCE)).tenant_id

            claims = id_claims(client.settings.authority_url)
        yield Verifier(kind, cloud, claims, tenant, keys, [])


def id_claims(authority: str) -> dict[str, Any]:
    """What an id token of a sign-in says."""
    now = int(time.time())
    return {
        "aud": CLIENT_ID, "iss": f"{authority}/{TENANT}/v2.0", "tid": TENANT, "oid": ACCOUNT, "ver": "2.0", "iat": now,
        "nbf": now, "exp": now + 3600, "preferred_username": "ada@contoso.example",
        "nonce": hashlib.sha256(NONCE.encode()).hexdigest(),
    }  # fmt: skip


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels
