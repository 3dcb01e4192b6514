"""Entra's refusals as data, and their two forms: JSON of the token endpoint, parameters of a redirect.

deaths.toml has the refusals of grants, with their meanings; all other refusals of the endpoints are here.
By https://learn.microsoft.com/entra/identity-platform/reference-error-codes, `error` is the contract; numbers and texts
may change.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from importlib.resources import files
from typing import Annotated, Any, Final, Literal

import msgspec

from emulator.exchange import Answer, Request, json_answer


class Refusal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One refusal: Entra's answer, and its meaning. deaths.toml explains the fields."""

    code: int
    error: str
    text: str
    suberror: str = ""
    status: int = 400
    name: str = ""
    meaning: Annotated[
        Literal["", "consent_required", "ours", "temporary", "unreachable"], msgspec.Meta(description="who must act")
    ] = msgspec.field(default="", name="class")
    what_to_do: str = ""
    kind: str = ""
    whose: Literal["", "account", "application", "tenant"] = ""
    passes: bool = False
    cured_by_sign_in: bool = False
    retry_after_s: int = 0
    source: str = ""


class Refused(Exception):
    """Entra refuses with `refusal`. Values in its text that are not given stay empty."""

    def __init__(self, refusal: Refusal, **values: str) -> None:
        super().__init__(refusal.text.format_map(_Values(values)))
        self.refusal = refusal


class _Values(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def shown(refused: Refused) -> str:
    """Return the text of a refusal for a page."""
    return f"AADSTS{refused.refusal.code}: {refused}"


def answer(refused: Refused, request: Request) -> Answer:
    """Return a refusal as the token endpoint's JSON."""
    refusal = refused.refusal
    trace, correlation, stamp = _marks(request)
    body: dict[str, Any] = {
        "error": refusal.error,
        "error_description": _description(refused, trace, correlation, stamp),
        "error_codes": [refusal.code],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={refusal.code}",
    }
    if refusal.suberror:
        body["suberror"] = refusal.suberror
    if refusal.error == "interaction_required":
        body["claims"] = _CLAIMS
    request.reason = f"AADSTS{refusal.code}"
    given = json_answer(body, refusal.status)
    given.headers += NOT_STORED
    if refusal.retry_after_s:
        given.headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
    return given


def parameters(refused: Refused, request: Request) -> dict[str, str]:
    """Return a refusal as the parameters of a redirect."""
    refusal = refused.refusal
    request.reason = f"AADSTS{refusal.code}"
    found = {"error": refusal.error, "error_description": _description(refused, *_marks(request))}
    if refusal.code == DECLINED.code:
        found["error_subcode"] = "cancel"  # seen on redirects, not documented
    return found


NOT_STORED: Final = ((b"cache-control", b"no-store, no-cache"), (b"pragma", b"no-cache"))

_CLAIMS: Final = '{"access_token":{"capolids":{"essential":true,"values":["3f9b0b6c-3f5d-4a5c-9a0f-6a7d4a7f1c55"]}}}'
"""The policies that a new sign-in must satisfy; the form is that of
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow, the policy's id is invented."""


def _marks(request: Request) -> tuple[str, str, str]:
    correlation = _guid(request.header(b"client-request-id")) or str(uuid.uuid4())
    return str(uuid.uuid4()), correlation, f"{datetime.fromtimestamp(request.utc, UTC):%Y-%m-%d %H:%M:%SZ}"


def _guid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return ""


def _description(refused: Refused, trace: str, correlation: str, stamp: str) -> str:
    text = f"AADSTS{refused.refusal.code}: {refused}"
    return f"{text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"


class _Deaths(msgspec.Struct, forbid_unknown_fields=True):
    death: list[Refusal]


ALL_DEATHS: Final = msgspec.toml.decode(
    files("emulator.entra").joinpath("deaths.toml").read_bytes(), type=_Deaths
).death
"""All entries of deaths.toml, in its order."""


def _of(whose: str) -> dict[str, Refusal]:
    return {death.kind: death for death in ALL_DEATHS if death.whose == whose}


DEATHS: Final = _of("account")
"""Reasons for which refresh tokens of an account become invalid: name on the control surface -> Entra's refusal."""

APPLICATION_DEATHS: Final = _of("application")
"""Reasons for which an application is refused, in all tenants or in one."""

TENANT_DEATHS: Final = _of("tenant")
"""Reasons for which a tenant is refused."""

BY_TIME: Final = {kind for kind, death in DEATHS.items() if death.cured_by_sign_in}
"""Reasons that apply only to earlier grants; a later sign-in gives a valid grant. All others hold until restored."""

SURVIVED: Final = {"password_changed", "password_expired", "password_self_service_reset", "password_reset_azure_portal"}
"""The revocations that a confidential client's refresh tokens outlive:
https://learn.microsoft.com/entra/identity-platform/refresh-tokens"""


def _coded(code: int) -> Refusal:
    return next(death for death in ALL_DEATHS if death.code == code)


# Requests
TENANT_UNKNOWN: Final = TENANT_DEATHS["tenant_not_found"]
MISSING: Final = Refusal(
    code=900144, error="invalid_request", text="The request body must contain the following parameter: '{name}'."
)
DUPLICATED: Final = Refusal(
    code=9000411,
    error="invalid_request",
    text="The request is not properly formatted. The parameter '{name}' is duplicated.",
)
TOO_LONG: Final = Refusal(code=90015, error="invalid_request", text="The query string is too long.")
MALFORMED: Final = Refusal(
    code=9002313, error="invalid_request", text="Invalid request. Request is malformed or invalid."
)
GRANT_TYPE: Final = Refusal(
    code=70003, error="unsupported_grant_type", text="The app requested an unsupported grant type '{name}'."
)
GRANT_TYPE_NOT_HERE: Final = Refusal(
    code=9001023,
    error="invalid_request",
    text="The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.",
)
TENANT_MISSING: Final = Refusal(
    code=50059,
    error="invalid_request",
    text="No tenant-identifying information found in either the request or implied by any provided credentials.",
)
RESPONSE_TYPE: Final = Refusal(
    code=700054,
    error="unsupported_response_type",
    text="response_type '{name}' is not enabled for the application.",
)
RESPONSE_MODE_OF_TOKENS: Final = Refusal(
    code=70007,
    error="unsupported_response_mode",
    text="'{name}' is not a supported value of 'response_mode' when requesting a token.",
)
OPENID_NEEDED: Final = Refusal(
    code=70011,
    error="invalid_request",
    text="The provided value for the input parameter 'scope' is not valid. An id token needs the scope 'openid'.",
)
RESPONSE_MODE: Final = Refusal(
    code=70007,
    error="unsupported_response_mode",
    text="'{name}' is not a supported value of 'response_mode' when requesting a code.",
)
PROMPT: Final = Refusal(code=90023, error="invalid_request", text="Unsupported 'prompt' value '{name}'.")
MAX_AGE: Final = Refusal(code=90023, error="invalid_request", text="Unsupported 'max_age' value '{name}'.")
SCOPE: Final = _coded(70011)
SCOPE_NOT_DEFAULT: Final = Refusal(
    code=1002012,
    error="invalid_scope",
    text="The provided value for scope {name} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).",
)
SCOPE_MIXED: Final = Refusal(
    code=70011,
    error="invalid_scope",
    text="The provided value for the input parameter 'scope' is not valid. .default scope can't be combined with resource-specific scopes.",
)
SCOPE_OF_SEVERAL: Final = Refusal(
    code=28000,
    error="invalid_request",
    text="Provided value for the input parameter scope is not valid because it contains more than one resource. Scope {name} is not valid.",
)
RESOURCE_UNKNOWN: Final = Refusal(
    code=500011,
    error="invalid_resource",
    text="The resource principal named {name} was not found in the tenant named {tenant}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.",
)
CLAIMS: Final = Refusal(code=50148, error="invalid_request", text="The 'claims' parameter is not valid JSON.")
CHALLENGE: Final = Refusal(
    code=501491, error="invalid_request", text="Invalid size or method of the Code_Challenge parameter."
)
METHOD: Final = Refusal(
    code=900561, error="invalid_request", text="The endpoint only accepts {name} requests.", status=405
)
NOTHING_THERE: Final = Refusal(
    code=9002313, error="invalid_request", text="Invalid request. There is nothing at '{name}'.", status=404
)
INSTANCE: Final = Refusal(code=50049, error="invalid_instance", text="Unknown or invalid instance.")
DISCOVERY_MALFORMED: Final = Refusal(
    code=50050, error="invalid_request", text="The discovery request is malformed: '{name}' is missing."
)
NOT_OVER_COMMON: Final = Refusal(
    code=90130,
    error="invalid_request",
    text="Application '{client}' is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.",
)

# Applications
APP_UNKNOWN: Final = APPLICATION_DEATHS["removed"]
REDIRECT_UNKNOWN: Final = Refusal(
    code=50011,
    error="invalid_request",
    text="The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the application '{client}'.",
)
SECRET_WRONG: Final = APPLICATION_DEATHS["secret_wrong"]
CREDENTIAL_MISSING: Final = APPLICATION_DEATHS["credential_missing"]
CREDENTIAL_OF_PUBLIC: Final = Refusal(
    code=700025,
    error="invalid_client",
    text="Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
    status=401,
)
ASSERTION_KEY: Final = APPLICATION_DEATHS["assertion_invalid"]
ASSERTION_BAD: Final = Refusal(
    code=50027, error="invalid_client", text="JWT token is invalid or malformed.", status=401
)
ASSERTION_TIME: Final = Refusal(
    code=700024, error="invalid_client", text="Client assertion is not within its valid time range.", status=401
)
ASSERTION_AUDIENCE: Final = Refusal(
    code=700023,
    error="invalid_client",
    text="Client assertion audience claim does not match Realm issuer.",
    status=401,
)
ASSERTION_ISSUER: Final = Refusal(
    code=700021,
    error="invalid_client",
    text="Client assertion application identifier does not match 'client_id' parameter.",
    status=401,
)

# Codes and refresh tokens
CODE_UNKNOWN: Final = Refusal(
    code=9002313,
    error="invalid_grant",
    text="Invalid request. Request is malformed or invalid.",
    suberror="bad_token",
)
CODE_EXPIRED: Final = msgspec.structs.replace(_coded(70008), suberror="bad_token")
CODE_REUSED: Final = _coded(54005)
CODE_OTHER_CLIENT: Final = Refusal(
    code=700003,
    error="invalid_grant",
    text="The code or refresh token was issued to another client.",
    suberror="client_mismatch",
)
CODE_OTHER_REDIRECT: Final = Refusal(
    code=500112,
    error="invalid_grant",
    text="The reply address '{uri}' does not match the reply address provided when requesting the authorization code.",
)
CODE_OTHER_TENANT: Final = _coded(700005)
VERIFIER: Final = _coded(501481)
REFRESH_INVALID: Final = DEATHS["grant_invalid"]
UNUSED: Final = DEATHS["unused"]
NOT_CONSENTED: Final = DEATHS["consent_removed"]

# Devices: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
DEVICE_PENDING: Final = Refusal(
    code=70016,
    error="authorization_pending",
    text="OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
)
SLOW_DOWN: Final = Refusal(
    code=70016, error="slow_down", text="OAuth 2.0 device flow error. Authorization is pending. Poll less often."
)
DEVICE_CODE_UNKNOWN: Final = Refusal(
    code=70018,
    error="bad_verification_code",
    text="The provided value for the input parameter 'device_code' is not valid.",
)
DEVICE_CODE_EXPIRED: Final = Refusal(
    code=70020,
    error="expired_token",
    text="The provided value for the input parameter 'device_code' is not valid. This device code has expired.",
)
USER_CODE_UNKNOWN: Final = Refusal(
    code=70018, error="invalid_grant", text="That code didn't work. Check the code and try again."
)
USER_CODE_EXPIRED: Final = Refusal(
    code=70019, error="invalid_grant", text="Verification code expired. Have the user retry the sign-in."
)

# On behalf of a user: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
TOKEN_USE: Final = Refusal(
    code=70003, error="unsupported_grant_type", text="'requested_token_use' has to be 'on_behalf_of'."
)
ASSERTION_INVALID: Final = Refusal(
    code=50013, error="invalid_grant", text="Assertion failed signature validation, or is no access token of a user."
)
ASSERTION_OF_OTHERS: Final = Refusal(
    code=500131,
    error="invalid_grant",
    text="Assertion audience does not match the Client app presenting the assertion.",
)
ASSERTION_OVER: Final = Refusal(
    code=500133, error="invalid_grant", text="Assertion is not within its valid time range."
)

# People
USER_UNKNOWN: Final = DEATHS["account_deleted"]
USER_OF_ANOTHER_TENANT: Final = DEATHS["account_of_another_tenant"]
PERSONAL_ACCOUNT: Final = Refusal(
    code=50020,
    error="invalid_grant",
    text="User account '{who}' from identity provider 'live.com' does not exist in the tenant and cannot be used here: you can't sign in here with a personal account. Use your work or school account instead.",
)
WORK_ACCOUNT: Final = Refusal(
    code=500208,
    error="invalid_grant",
    text="The domain of '{who}' is not a valid login domain for the account type. Sign in with a personal Microsoft account.",
)
PASSWORD_WRONG: Final = Refusal(
    code=50126, error="invalid_grant", text="Error validating credentials due to invalid username or password."
)
CODE_WRONG: Final = Refusal(
    code=500121, error="invalid_grant", text="Authentication failed during strong authentication request."
)
USER_DISABLED: Final = DEATHS["account_disabled"]
NOT_ASSIGNED: Final = DEATHS["not_assigned"]
NOT_SIGNED_IN: Final = Refusal(
    code=50058, error="login_required", text="A silent sign-in request was sent but no user is signed in."
)
CONSENT_NEEDED: Final = msgspec.structs.replace(NOT_CONSENTED, error="consent_required", suberror="")
DECLINED: Final = _coded(65004)
ADMIN_DECLINED: Final = Refusal(
    code=65004,
    error="consent_required",
    text="The resource owner or authorization server denied the request.",
)
ADMIN_NEEDED: Final = _coded(90094)
APPROVAL_NEEDED: Final = _coded(90095)
FORM_EXPIRED: Final = msgspec.structs.replace(DEATHS["flow_token_expired"], error="invalid_request", suberror="")


def spelled(refusal: Refusal, error: str) -> Refusal:
    """Return a refusal with another `error`."""
    return msgspec.structs.replace(refusal, error=error)


def at_sign_in(refusal: Refusal) -> Refusal:
    """Return a policy's refusal for the authorize endpoint: `access_denied`. Assumed; the pages do not mention this case."""
    return msgspec.structs.replace(refusal, error="access_denied")
