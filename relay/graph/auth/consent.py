"""Obtains grants by the authorization code flow with PKCE and nonce, through MSAL.

    begin ──► authorize_url, shown to a person ──► Entra: signs in, consents ──► redirect URI, by form_post ──► complete

The answer comes as a form post, as MSAL recommends: a code in an address would end up in histories and logs. Between
`begin` and `complete`, the caller stores `ConsentFlow.kept` secretly, for fifteen minutes and one use.

`begin_sign_in` and `identify` use the same flow, without permissions and tokens, to identify a person.
"""

from __future__ import annotations

import asyncio
import enum
import hmac
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import msal
import requests
import structlog

from relay.core import names
from relay.core.consent.microsoft_error import NO_ERROR, MicrosoftError, parse_error
from relay.core.consent.refusals import Refusal, RefusalClass, classify
from relay.core.consent.values import NewGrant
from relay.core.presence import TenantId
from relay.errors import RelayError
from relay.graph.auth.applications import NONSENSE, Applications, refusal_words, translated
from relay.graph.auth.credentials import Credential
from relay.graph.auth.id_tokens import UntrustedIdTokenError, VerifiedIdentity, verify
from relay.graph.auth.signing_keys import FetchIntervals, SigningKeys
from relay.graph.client import GraphClient
from relay.graph.errors import from_refusal
from relay.graph.settings import SCOPES

log = structlog.get_logger(__name__)

ANY_ORGANISATION: Final = "organizations"
"""Used instead of a tenant: any work account may sign in."""

PERSONAL_ACCOUNTS: Final = TenantId("9188040d-6c67-4c5b-b112-36a304b66dad")
"""Microsoft's tenant of personal accounts."""


class ConsentProblem(enum.Enum):
    """The reason why a flow ended without a grant, and the page's reaction."""

    DECLINED = enum.auto()
    """The person declined or cancelled: offer to start again."""
    ADMIN_NEEDED = enum.auto()
    """Only an administrator may consent: offer a link for an administrator."""
    APPROVAL_ASKED = enum.auto()
    """The person requested an administrator's approval on Microsoft's page: offer to come back."""
    NOT_OURS = enum.auto()
    """The answer belongs to no flow under way, was used already, or cannot be read: start again."""
    PERSONAL_ACCOUNT = enum.auto()
    """A personal Microsoft account: ask for a work account."""
    OTHER_TENANT = enum.auto()
    """The account's organisation is not the invited one."""
    PERMISSIONS_MISSING = enum.auto()
    """The consent does not cover what the relay needs."""
    UNTRUSTED = enum.auto()
    """The id token does not prove who signed in; a person cannot repair that."""
    REFUSED = enum.auto()
    """Entra refused for another reason, which `sentence` states."""


class ConsentFailed(RelayError):
    """A flow ended without a grant.

    Attributes:
        problem: the kind of problem.
        code: Microsoft's short name for the cause, or ours.
        sentence: the reason, for the person who uses the page.
        said: Microsoft's error details, if any.
    """

    def __init__(self, problem: ConsentProblem, code: str, sentence: str = "", said: MicrosoftError = NO_ERROR) -> None:
        self.problem = problem
        self.code = code
        self.said = said
        self.sentence = sentence or _SENTENCES[problem]
        super().__init__(f"{self.sentence} ({code})" if code else self.sentence)


@dataclass(frozen=True, slots=True)
class ConsentFlow:
    """An authorization code flow under way.

    Attributes:
        state: identifies the flow in the answer; the caller stores `kept` under it.
        authorize_url: the URL to send the person to.
        kept: the data that `complete` needs, as plain JSON values; contains secrets.
    """

    state: str
    authorize_url: str = field(repr=False)
    kept: dict[str, Any] = field(repr=False)


class Consent:
    """Runs authorization code flows, as an async context manager. It keeps no state of a flow.

    Raises (from both methods): `Retryable` when Entra does not answer, `CredentialRejected` when the relay's
    registration is at fault.
    """

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._applications = Applications(client.settings)
        self._keys = SigningKeys(client, _PATIENT)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="consent")

    async def __aenter__(self) -> Self:
        self._applications.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._applications.__exit__()
        await self._keys.__aexit__(kind, error, trace)

    async def begin(
        self,
        redirect_uri: str,
        *,
        tenant: str = ANY_ORGANISATION,
        prompt: str | None = None,
        login_hint: str | None = None,
        state: str | None = None,
    ) -> ConsentFlow:
        """Begin an authorization code flow; send the person to its `authorize_url`.

        Args:
            redirect_uri: where Entra posts the answer to; registered with type `web`.
            tenant: the id of the only tenant to accept, whose guests then sign in to it; or any organisation.
            prompt: `select_account`, `consent` or `login`; None lets Entra choose.
            login_hint: the account's UPN, if it is known.
            state: the unguessable id of the flow in the answer; None makes one.
        """
        if tenant != ANY_ORGANISATION and names.tenant_id(tenant) is None:
            raise ConsentFailed(ConsentProblem.NOT_OURS, "tenant")
        scopes = self._client.settings.scopes
        kept = await self._in_thread(self._begin, redirect_uri, tenant, prompt, login_hint, state, scopes)
        return ConsentFlow(kept["state"], kept["auth_uri"], {**kept, "tenant": tenant})

    def admin_consent_url(self, redirect_uri: str, tenant: TenantId, state: str) -> str:
        """Return the URL where an administrator consents for all users of a tenant: https://learn.microsoft.com/entra/identity-platform/v2-admin-consent.

        Entra answers with a GET of `redirect_uri`, whose fields prove nothing, because any client can send them. A
        sign-in must follow.
        """
        settings = self._client.settings
        asked = {
            "client_id": settings.client_id,
            "scope": " ".join(settings.scopes),
            "redirect_uri": redirect_uri,
            "state": state,
        }
        return (
            f"{settings.authority_url}/{quote(tenant, safe='')}/v2.0/adminconsent?{urlencode(asked, quote_via=quote)}"
        )

    async def complete(self, kept: Mapping[str, Any], answer: Mapping[str, str]) -> NewGrant:
        """Turn Entra's answer into a grant.

        Args:
            kept: of the flow that the answer's `state` names. Do not use it again, also after an error.
            answer: the fields that Entra posted.

        Raises:
            ConsentFailed: there is no grant; contains the reason.
        """
        result, token_cache = await self._answered(kept, answer)
        who = await self._verified(result, kept)
        return NewGrant(
            tenant_id=who.tenant_id,
            account_id=who.account_id,
            upn=who.upn,
            scopes=_granted(result, token_cache),
            token_cache=token_cache,
        )

    async def begin_sign_in(
        self,
        redirect_uri: str,
        *,
        state: str,
        login_hint: str | None = None,
        is_fresh: bool = False,
        is_silent: bool = False,
        tenant: str = ANY_ORGANISATION,
    ) -> ConsentFlow:
        """Begin a flow that only identifies a person: it requests `openid` and `profile`, and no refresh token.

        Args:
            redirect_uri: as for `begin`.
            state: the unguessable id of the flow in the answer.
            login_hint: the account's UPN, if it is known.
            is_fresh: whether the person must enter the password again. Entra then returns the time
                (`VerifiedIdentity.auth_time`), which the caller must check, because the browser's address can be changed.
            is_silent: whether Entra must not show a page: it answers with an error if it would have to (`prompt=none`).
            tenant: the id of the only tenant to accept, or any organisation.
        """
        prompt, max_age = ("login", 0) if is_fresh else ("none" if is_silent else "select_account", None)
        kept = await self._in_thread(self._begin, redirect_uri, tenant, prompt, login_hint, state, (), max_age)
        # MSAL counts from the answer, so it would refuse people who are slow with a second factor.
        kept.pop("max_age", None)
        return ConsentFlow(kept["state"], kept["auth_uri"], {**kept, "tenant": tenant})

    async def identify(self, kept: Mapping[str, Any], answer: Mapping[str, str]) -> VerifiedIdentity:
        """Return the identity of the person who signed in, and discard the tokens.

        Args:
            kept: of `begin_sign_in`. Do not use it again.
            answer: the fields that Entra posted.

        Raises:
            ConsentFailed: the person is not identified; contains the reason.
        """
        result, _ = await self._answered(kept, answer)
        return await self._verified(result, kept)

    async def _answered(self, kept: Mapping[str, Any], answer: Mapping[str, str]) -> tuple[dict[str, Any], str]:
        """Redeem the code in Entra's answer; return the result and the token cache."""
        state = str(kept.get("state", ""))
        if not state or not hmac.compare_digest(state.encode(), answer.get("state", "").encode(errors="replace")):
            raise ConsentFailed(ConsentProblem.NOT_OURS, "state")
        if "error" in answer:
            raise error_of(answer)
        if not answer.get("code"):
            raise ConsentFailed(ConsentProblem.NOT_OURS, "code")
        result, token_cache = await self._in_thread(self._redeem, dict(kept), dict(answer))
        if "error" in result:
            raise _failed(classify(*refusal_words(result)), "", refusal_words(result)[2])
        return result, token_cache

    def _begin(
        self,
        redirect_uri: str,
        tenant: str,
        prompt: str | None,
        login_hint: str | None,
        state: str | None,
        scopes: Sequence[str],
        max_age: int | None = None,
    ) -> dict[str, Any]:
        """Begin a flow in MSAL; without scopes it requests no permissions."""
        application = self._applications.credentials.call_with_credential(
            lambda credential: self._applications.build(
                tenant, msal.SerializableTokenCache(), credential, lasting=bool(scopes)
            )
        )
        flow: dict[str, Any] = application.initiate_auth_code_flow(
            list(scopes),
            redirect_uri=redirect_uri,
            state=state,
            prompt=prompt,
            login_hint=login_hint,
            max_age=max_age,
            response_mode="form_post",
        )
        return flow

    def _redeem(self, kept: dict[str, Any], answer: dict[str, str]) -> tuple[dict[str, Any], str]:
        # Entra checks the credential before the code, so a refused credential does not use up the code.
        return self._applications.credentials.call_with_credential(
            lambda credential: self._redeemed(credential, kept, answer)
        )

    def _redeemed(
        self, credential: Credential, kept: dict[str, Any], answer: dict[str, str]
    ) -> tuple[dict[str, Any], str]:
        cache = msal.SerializableTokenCache()
        application = self._applications.build(kept["tenant"], cache, credential)
        with translated():
            try:
                result: dict[str, Any] = application.acquire_token_by_auth_code_flow(kept, answer)
            except requests.RequestException:
                raise
            except NONSENSE as error:
                # MSAL's own check of the id token's form and nonce.
                log.warning("id_token_not_trusted", failed=[type(error).__name__])
                raise ConsentFailed(ConsentProblem.UNTRUSTED, type(error).__name__) from None
        if "error" in result and (refusal := classify(*refusal_words(result))).kind is RefusalClass.OURS:
            raise from_refusal(refusal)
        return result, cache.serialize()

    async def _verified(self, result: Mapping[str, Any], kept: Mapping[str, Any]) -> VerifiedIdentity:
        try:
            who = await verify(self._keys, str(result.get("id_token", "")), str(kept.get("nonce", "")))
        except UntrustedIdTokenError as error:
            raise ConsentFailed(ConsentProblem.UNTRUSTED, str(error)) from None
        if who.tenant_id == PERSONAL_ACCOUNTS:
            raise ConsentFailed(ConsentProblem.PERSONAL_ACCOUNT, "personal_account")
        if kept["tenant"] not in (ANY_ORGANISATION, who.tenant_id):
            raise ConsentFailed(ConsentProblem.OTHER_TENANT, "other_tenant")
        return who

    async def _in_thread(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, work, *arguments)


def error_of(answer: Mapping[str, str]) -> RelayError:
    """Return the error for a refusal of Entra, to a sign-in or to a request for admin consent."""
    return _failed(classify(*_words_of(answer)), answer.get("error_subcode", ""), _numbers(answer))


def _failed(refusal: Refusal, subcode: str, numbers: list[int]) -> RelayError:
    """Return the error for a refusal in either leg of the flow."""
    if refusal.kind is not RefusalClass.CONSENT_REQUIRED:
        return from_refusal(refusal)
    if subcode == "cancel" or 65004 in numbers:
        problem = ConsentProblem.DECLINED
    elif 90095 in numbers:
        problem = ConsentProblem.APPROVAL_ASKED
    elif 90094 in numbers:
        problem = ConsentProblem.ADMIN_NEEDED
    elif {54005, 501481, 700005} & set(numbers):
        problem = ConsentProblem.NOT_OURS
    elif refusal.code == "access_denied" and not numbers:
        problem = ConsentProblem.DECLINED
    else:
        problem = ConsentProblem.REFUSED
    return ConsentFailed(problem, refusal.code, refusal.sentence, refusal.said)


def _words_of(answer: Mapping[str, str]) -> tuple[str, str, list[int], MicrosoftError]:
    said = parse_error(description=answer.get("error_description", ""))
    return answer["error"], answer.get("suberror", ""), _numbers(answer), said


def _numbers(answer: Mapping[str, str]) -> list[int]:
    """Return the AADSTS numbers of a refusal. A redirect has no `error_codes`; the number is only in the text ("AADSTS65004: ...")."""
    return [int(number) for number in _NUMBER.findall(answer.get("error_description", "")[:2000])]


def _granted(result: Mapping[str, Any], token_cache: str) -> tuple[str, ...]:
    """Return Graph's permissions that the consent covers.

    Raises:
        ConsentFailed: one that the relay needs is missing, or the refresh token.
    """
    scopes = result.get("scope")
    granted = tuple(scope.rpartition("/")[2] for scope in scopes.split()) if isinstance(scopes, str) else ()
    missing = {name.lower() for name in SCOPES} - {name.lower() for name in granted}
    if missing:
        raise ConsentFailed(ConsentProblem.PERMISSIONS_MISSING, " ".join(sorted(missing)))
    cache = msal.SerializableTokenCache()
    cache.deserialize(token_cache)
    if next(cache.search(cache.CredentialType.REFRESH_TOKEN), None) is None:
        raise ConsentFailed(ConsentProblem.PERMISSIONS_MISSING, "offline_access")
    return granted


_PATIENT: Final = FetchIntervals(wait_s=10.0)
"""Time limit of a call: a person waits for the page, and would have to sign in again."""
_THREADS: Final = 4
"""Concurrent calls. Onboarding is rare, and a slow Entra must not take more threads than this."""

_NUMBER: Final = re.compile(r"AADSTS([0-9]{4,9})\b")

_SENTENCES: Final = {
    ConsentProblem.DECLINED: "Consent was declined. Try again and accept the permissions.",
    ConsentProblem.ADMIN_NEEDED: "In this organisation only an administrator can consent.",
    ConsentProblem.APPROVAL_ASKED: "An administrator was asked for approval. Come back when it is given.",
    ConsentProblem.NOT_OURS: "This sign-in has expired, or was started elsewhere. Start again.",
    ConsentProblem.PERSONAL_ACCOUNT: "This is a personal Microsoft account. Sign in with a work account.",
    ConsentProblem.OTHER_TENANT: "This account does not belong to the organisation that was invited.",
    ConsentProblem.PERMISSIONS_MISSING: "The consent does not cover all permissions that the relay needs.",
    ConsentProblem.UNTRUSTED: "Microsoft's answer could not be verified. Start again.",
    ConsentProblem.REFUSED: "Microsoft refused the sign-in.",
}
