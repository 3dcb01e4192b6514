"""A cache of Entra's published signing keys. Only callers that need a new key wait for a fetch."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from relay.core.presence import TenantId
from relay.errors import RelayError, SourceUnreachable, support_fields
from relay.graph.client import GraphClient
from relay.graph.errors import UNREADABLE
from relay.graph.settings import GraphSettings

log = structlog.get_logger(__name__)

_FETCH_S: Final = 15.0

_TENANT: Final = "{tenantid}"
_PATHS: Final = ("/common/.well-known/openid-configuration", "/common/v2.0/.well-known/openid-configuration")
"""Paths of the two forms of tokens; each has an issuer and a key document of its own."""
_KEY_FIELDS: Final = ("kty", "n", "e", "kid")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchIntervals:
    """Intervals between fetches of Entra's keys, in seconds.

    Attributes:
        refresh_s: keys of this age are fetched again in the background, so that a new one is known before it signs
            (Entra
            publishes keys long before it uses them: https://learn.microsoft.com/entra/identity-platform/signing-key-rollover).
        unknown_again_s: a missing key is not requested again sooner than this, regardless of how many tokens name it.
        failed_again_s: pause after a failed fetch.
        wait_s: the longest time that one caller waits for a fetch; the fetch continues without it.
    """

    refresh_s: float = 3600.0
    unknown_again_s: float = 60.0
    failed_again_s: float = 5.0
    wait_s: float = 1.5


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One public key; `only_for` is the only tenant that it may sign for, or None for all tenants.

    Entra's documents also have keys for personal accounts, which are a tenant of their own: such a key proves nothing about
    an organisation.
    """

    key: RSAKey
    only_for: TenantId | None


@dataclass(frozen=True, slots=True)
class Published:
    """The keys and issuers that Entra publishes.

    Attributes:
        keys: kid -> key.
        issuers: the forms of issuers; `{tenantid}` stands for the tenant.
    """

    keys: Mapping[str, SigningKey]
    issuers: tuple[str, ...]

    def issuers_of(self, tenant_id: TenantId) -> set[str]:
        """Return the valid issuers of a tenant."""
        return {issuer.replace(_TENANT, tenant_id) for issuer in self.issuers}


class SigningKeys:
    """The signing keys of one Entra, as an async context manager that ends a fetch under way.

    One fetch is under way at a time. A caller whose key is known does not wait. After a failed fetch the known keys
    stay in use.
    """

    def __init__(self, client: GraphClient, pace: FetchIntervals | None = None) -> None:
        self._client = client
        self._pace = pace or FetchIntervals()
        self._published = Published({}, ())
        self._fetch: asyncio.Task[None] | None = None
        self._fetched_at = self._failed_at = -math.inf
        self.fetches = 0
        """Fetches begun."""

    @property
    def settings(self) -> GraphSettings:
        """The settings of this Entra and our registration there."""
        return self._client.settings

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.gather(self._fetch, return_exceptions=True)

    def warm(self) -> None:
        """Start a fetch if there are no keys, or if they are old."""
        now = time.monotonic()
        is_old = now - self._fetched_at >= self._pace.refresh_s
        if self._fetch is None and is_old and now - self._failed_at >= self._pace.failed_again_s:
            self._begin()

    async def with_key(self, kid: str) -> Published:
        """Return the published keys, after a fetch if the key `kid` is missing. If it is still missing, Entra does not publish it.

        Raises:
            SourceUnreachable: Entra did not answer, or not in time.
        """
        self.warm()
        if kid in self._published.keys:
            return self._published
        now = time.monotonic()
        if self._fetch is None:
            if now - self._failed_at < self._pace.failed_again_s:
                raise SourceUnreachable("Entra's signing keys could not be fetched")
            if now - self._fetched_at < self._pace.unknown_again_s:
                return self._published
        fetch = self._fetch or self._begin()
        await asyncio.wait([fetch], timeout=self._pace.wait_s)
        if not fetch.done() or self._failed_at > self._fetched_at:
            raise SourceUnreachable("Entra's signing keys did not arrive in time")
        return self._published

    def _begin(self) -> asyncio.Task[None]:
        self.fetches += 1
        self._fetch = asyncio.get_running_loop().create_task(self._fetched(), name="signing-keys")
        return self._fetch

    async def _fetched(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_S):
                forms = [await self._form(path) for path in _PATHS]
            keys = {kid: key for found, _ in forms for kid, key in found.items()}
            self._published = Published(keys, tuple(issuer for _, issuer in forms))
            self._fetched_at = time.monotonic()
        except (RelayError, TimeoutError) as error:
            self._failed_at = time.monotonic()
            log.warning(
                "signing_keys_unavailable",
                error=str(error) or "no answer in time",
                known=len(self._published.keys),
                **support_fields(error),
            )
        finally:
            self._fetch = None

    async def _form(self, path: str) -> tuple[dict[str, SigningKey], str]:
        authority = self._client.settings.authority_url
        try:
            document = _DOCUMENT.decode(await self._client.fetch(f"{authority}{path}"))
            if not document.jwks_uri.startswith(f"{authority}/"):
                raise SourceUnreachable("Entra's discovery document names an address for its keys that is not Entra's")
            entries = _KEYS.decode(await self._client.fetch(document.jwks_uri)).keys
        except UNREADABLE as error:
            raise SourceUnreachable("Entra's key documents cannot be read") from error
        found = {str(entry["kid"]): key for entry in entries if (key := _key(entry)) is not None}
        if not found:
            raise SourceUnreachable("Entra's key documents have no key")
        return found, document.issuer


class _Document(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _Keys(msgspec.Struct):
    keys: list[dict[str, Any]]


_DOCUMENT: Final = msgspec.json.Decoder(_Document)
_KEYS: Final = msgspec.json.Decoder(_Keys)


def _key(entry: Mapping[str, Any]) -> SigningKey | None:
    """Return one entry of a key document; None for a key that cannot sign our tokens."""
    if entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig":
        return None
    if not all(isinstance(entry.get(name), str) for name in _KEY_FIELDS):
        return None
    try:
        key = RSAKey.import_key({name: entry[name] for name in _KEY_FIELDS})
    except (JoseError, ValueError):
        return None
    return SigningKey(key, _only_for(entry.get("issuer")))


def _only_for(issuer: object) -> TenantId | None:
    """Return the tenant that a key's issuer names; None for `{tenantid}`, or when there is no issuer."""
    if not isinstance(issuer, str) or _TENANT in issuer:
        return None
    # https://login.microsoftonline.com/<tenant>/v2.0, https://sts.windows.net/<tenant>/
    return TenantId([*issuer.split("/"), "", "", "", ""][3].lower())
