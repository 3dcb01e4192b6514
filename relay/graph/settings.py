"""Settings of the Graph adapter: the cloud's addresses, and the relay's credentials there."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

# Graph documents 650 for getPresencesByUserId:
# https://learn.microsoft.com/graph/api/cloudcommunications-getpresencesbyuserid
MAX_BULK_SIZE: Final = 650


SCOPES: Final = ("Presence.Read.All", "User.ReadBasic.All")
"""The delegated permissions that the relay needs; it requests no others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """The relay's certificate in its app registration; preferred over a secret, and required by many organisations."""

    private_key_pem: str = field(repr=False)
    certificate_pem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSettings:
    """One Microsoft cloud and one app registration in it.

    Exactly one of `client_secret` and `certificate` is given, neither when `anonymous`. During a rotation there is a
    second credential; see `credentials`.

    Attributes:
        client_id: the application id of the app registration.
        client_secret: its secret.
        certificate: its certificate with the private key.
        second_client_secret, second_certificate: another credential, tried when the first is refused; one of them, or none.
        credential_files: `client_secret`, `certificate`, `private_key` and their likes with `second_` -> the file that it
            came from, to be read again when it changes.
        anonymous: for a client that reads only public documents, and needs no credential.
        authority_url: Entra's base URL, without a tenant.
        graph_url: Graph's base URL, without a version.
        ca_pem: certificates trusted instead of the system's; None trusts the system's.
        connect_timeout: for a connection, waiting for a free one included.
        read_timeout: for the next bytes of an answer. Graph answers bulk reads within a second or two.
        total_timeout: for a whole call, so that a server that sends bytes slowly cannot hold it open.
        max_connections: concurrent calls of all tenants. Slow ones may have more, see `lanes.EXTRA`.
        max_body_bytes: longer answers are cut off and count as unreachable. 650 presences with the longest status
            messages and automatic replies seen take 6 MiB.
        compress: whether answers may be compressed: a fifth of the bytes for about a millisecond a page.
        bulk_size: users in one bulk read.
        token_threads: concurrent calls of MSAL, for all tenants; a tenant has one at a time. Slow ones may have more.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    certificate: ClientCertificate | None = None
    second_client_secret: str | None = field(default=None, repr=False)
    second_certificate: ClientCertificate | None = None
    credential_files: Mapping[str, Path] = field(default_factory=dict, hash=False)
    anonymous: bool = False
    authority_url: str = "https://login.microsoftonline.com"
    graph_url: str = "https://graph.microsoft.com"
    ca_pem: str | None = None
    connect_timeout: timedelta = timedelta(seconds=5)
    read_timeout: timedelta = timedelta(seconds=10)
    total_timeout: timedelta = timedelta(seconds=20)
    max_connections: int = 200
    max_body_bytes: int = 16 * 1024 * 1024
    compress: bool = True
    bulk_size: int = MAX_BULK_SIZE
    token_threads: int = 32

    def __post_init__(self) -> None:
        given = (self.client_secret is not None) + (self.certificate is not None)
        if given != (0 if self.anonymous else 1):
            raise ValueError("give either a client secret or a certificate, or nothing when anonymous")
        if self.second_client_secret is not None and self.second_certificate is not None:
            raise ValueError("the second credential is either a secret or a certificate")
        if not 1 <= self.bulk_size <= MAX_BULK_SIZE:
            raise ValueError(f"a bulk read has 1 to {MAX_BULK_SIZE} users")
        for url in (self.authority_url, self.graph_url):
            if urlsplit(url).scheme != "https" or url.endswith("/"):
                raise ValueError(f"{url!r} must be an https address without a slash at its end")

    @property
    def scopes(self) -> list[str]:
        """The permissions to request; MSAL adds openid, profile and offline_access itself."""
        # Bare names mean Graph in the global cloud; national clouds need the full address.
        prefix = f"{self.graph_url}/" if self.graph_url in _NATIONAL_GRAPHS else ""
        return [f"{prefix}{name}" for name in SCOPES]

    @property
    def is_microsoft(self) -> bool:
        """True if Microsoft lists the authority, so that MSAL can look it up there."""
        return urlsplit(self.authority_url).hostname in _MICROSOFT_AUTHORITIES

    @property
    def is_local(self) -> bool:
        """True if the cloud is on this machine: proxies of the environment are not used then."""
        host = urlsplit(self.graph_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


_MICROSOFT_AUTHORITIES: Final = frozenset({"login.microsoftonline.com", "login.microsoftonline.us"})
_NATIONAL_GRAPHS: Final = frozenset({"https://graph.microsoft.us", "https://dod-graph.microsoft.us"})
