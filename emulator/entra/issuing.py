"""The answer to a token request: access, refresh and id tokens of one grant."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from emulator.entra.refusals import NOT_STORED
from emulator.entra.scopes import scope_text
from emulator.entra.tokens import client_info, identity_provider
from emulator.exchange import Answer, json_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.cloud import Cloud
    from emulator.entra.flows import Flow
    from emulator.exchange import Request
    from emulator.world import Application, Person

_CAE: Final = "cp1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The grant that tokens are issued for: person, application, permissions, and the original sign-in.

    Attributes:
        person: the person.
        application: the application.
        permissions: all Graph permissions that were ever granted.
        openid: the scopes of OpenID Connect, in lower case.
        own: whether the access token is for the application itself, not for Graph.
        amr: the methods of the sign-in.
        family: identifies the refresh tokens that derive from one sign-in.
        capabilities: the capabilities that the application states.
        nonce: for the id token; empty: none was sent.
        auth_time: the time when the password was typed, in seconds since 1970; 0: not in the token.
    """

    person: Person
    application: Application
    permissions: set[str]
    openid: frozenset[str]
    own: bool = False
    amr: tuple[str, ...]
    family: str = ""
    capabilities: tuple[str, ...] = ()
    nonce: str = ""
    auth_time: float = 0.0


class Issuer:
    """Makes the tokens of a grant."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def answer(self, request: Request, grant: Grant, asked: Sequence[str]) -> Answer:
        """Return the token endpoint's answer. The scopes of OpenID Connect determine the tokens in addition to the access token.

        Args:
            request: the token request.
            grant: the grant of the tokens.
            asked: the scopes of the request.
        """
        body = self.access(request, grant, asked)
        body["client_info"] = client_info(self._cloud.world.home_of(grant.person))
        if "offline_access" in grant.openid:
            body["refresh_token"] = self._cloud.tokens.refresh_token(
                grant.person, grant.application, amr=grant.amr, family=grant.family, openid=sorted(grant.openid),
                graph=bool(grant.permissions),
            )  # fmt: skip
        if "openid" in grant.openid:
            body["id_token"] = self.id_token(request, grant)
        return token_answer(body)

    def access(self, request: Request, grant: Grant, asked: Sequence[str]) -> dict[str, Any]:
        """Return the fields of an answer with an access token."""
        lifetime_s = self.lifetime_s(grant.capabilities)
        permissions = set() if grant.own else grant.permissions
        openid = grant.openid - {"offline_access"}
        token = self._cloud.tokens.access_token(
            grant.person, grant.application, set() if grant.own else permissions | openid, lifetime_s,
            version=self.version(grant.application, own=grant.own), authority=request.authority, amr=grant.amr,
            capabilities=grant.capabilities, own=grant.own, idp=self._provider(grant.person),
        )  # fmt: skip
        return {
            "token_type": "Bearer", "scope": scope_text(asked, permissions, openid), "expires_in": lifetime_s,
            "ext_expires_in": lifetime_s, "access_token": token,
        }  # fmt: skip

    def id_token(self, request: Request, grant: Grant, *, access_token: str = "", code: str = "") -> str:
        """Return an id token, with the hashes of the token and code that the authorize endpoint sends with it."""
        return self._cloud.tokens.id_token(
            grant.person, grant.application, grant.nonce, request.authority, openid=grant.openid,
            idp=self._provider(grant.person), auth_time=grant.auth_time,
            with_roles=self._cloud.switches.directory_roles_claim,
            hashes={name: _hash(text) for name, text in (("at_hash", access_token), ("c_hash", code)) if text},
        )  # fmt: skip

    def auth_time(self, flow: Flow) -> float:
        """Return the time when the password was typed, if the id token contains it; else 0."""
        switch = self._cloud.switches.auth_time_claim
        is_told = switch == "always" or (switch == "with_max_age" and flow.max_age_s is not None)
        return flow.auth_time if is_told else 0.0

    def lifetime_s(self, capabilities: Sequence[str]) -> int:
        """Return the lifetime of an access token, in seconds."""
        switches = self._cloud.switches
        return switches.cae_token_s if _CAE in capabilities else switches.access_token_s

    def version(self, application: Application, *, own: bool) -> Literal[1, 2]:
        """Return the version of an access token."""
        version = application.access_token_version if own else self._cloud.switches.graph_token_version
        return 1 if version == 1 else 2

    def _provider(self, person: Person) -> str:
        return identity_provider(self._cloud.world.home_of(person), person.tenant)


def token_answer(body: dict[str, Any]) -> Answer:
    """Return an answer with tokens, which caches must not store."""
    answer = json_answer(body)
    answer.headers += NOT_STORED
    return answer


def _hash(text: str) -> str:
    """Return the left half of a text's hash: https://openid.net/specs/openid-connect-core-1_0.html#HybridIDToken"""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()
