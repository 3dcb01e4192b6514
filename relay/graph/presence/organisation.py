"""Reads an organisation itself: the tenant of a domain, and some of its users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from relay.core import names
from relay.core.presence import TenantId, UserId
from relay.errors import RequestRefused, SourceUnreachable
from relay.graph.client import GraphClient, TokenSource
from relay.graph.errors import UNREADABLE

MAX_DISPLAY_NAME_CHARS: Final = 256
"""Entra's own limit; longer texts are cut."""


@dataclass(frozen=True, slots=True)
class Colleague:
    """A user, with the names that people use."""

    user_id: UserId
    display_name: str
    upn: str


async def tenant_of(client: GraphClient, domain: str) -> TenantId | None:
    """Return the tenant that a domain is registered in, from Entra's discovery document of the domain; None without one.

    The document is public, so it proves nothing about the caller.

    Raises:
        Retryable: Entra does not answer, or its answer does not have the documented form.
    """
    authority = client.settings.authority_url
    try:
        body = await client.fetch(f"{authority}/{quote(domain, safe='')}/v2.0/.well-known/openid-configuration")
        issuer = msgspec.json.decode(body, type=_Discovery).issuer
    except RequestRefused:
        return None
    except UNREADABLE:
        raise SourceUnreachable("Entra's discovery document does not have the documented form") from None
    # https://login.microsoftonline.com/{tenant}/v2.0
    tenant = names.tenant_id(issuer.removesuffix("/v2.0").rpartition("/")[2])
    if tenant is None:
        raise SourceUnreachable("Entra's discovery document names no tenant")
    return tenant


async def some_users(client: GraphClient, token: TokenSource, most: int) -> list[Colleague]:
    """Return up to `most` of the users that the account may see, in Graph's order; unreadable entries are left out.

    Raises:
        RelayError: as `GraphClient` says.
    """
    query = urlencode({"$select": "id,displayName,userPrincipalName", "$top": most}, safe="$,")
    body = await client.get(token, f"/v1.0/users?{query}")
    try:
        users = msgspec.json.decode(body, type=_Users).value
    except UNREADABLE:
        raise SourceUnreachable("Graph's list of users does not have the documented form") from None
    return [colleague for user in users[:most] if (colleague := _colleague(user)) is not None]


class _Discovery(msgspec.Struct):
    issuer: str


class _User(msgspec.Struct, rename="camel"):
    id: str
    display_name: str | None = None
    user_principal_name: str | None = None


class _Users(msgspec.Struct):
    value: list[msgspec.Raw]


def _colleague(raw: msgspec.Raw) -> Colleague | None:
    try:
        user = msgspec.json.decode(raw, type=_User)
    except UNREADABLE:
        return None
    user_id = names.user_id(user.id)
    if user_id is None:
        return None
    upn = (user.user_principal_name or "")[: names.MAX_NAME_CHARS]
    return Colleague(user_id, (user.display_name or upn)[:MAX_DISPLAY_NAME_CHARS], upn)
