"""Entra's refusals as data, and their two forms: JSON of the token endpoint, parameters of a redirect.

https://learn.microsoft.com/entra/identity-platform/reference-error-codes says that `error` is the contract and that
numbers and texts may change.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from emulator.exchange import Answer, Request, json_answer


@dataclass(frozen=True, slots=True)
class Refusal:
    """One documented refusal."""

    code: int
    error: str
    text: str
    suberror: str = ""
    status: int = 400


class Refused(Exception):
    """Entra refuses; `refusal` is what it says."""

    def __init__(self, refusal: Refusal, **values: str) -> None:
        super().__init__(refusal.text.format(**values))
        self.refusal = refusal


def answer(refused: Refused, request: Request) -> Answer:
    """The token endpoint's form."""
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
    request.reason = f"AADSTS{refusal.code}"
    return json_answer(body, refusal.status)


def parameters(refused: Refused, request: Request) -> dict[str, str]:
    """The redirect's form."""
    refusal = refused.refusal
    request.reason = f"AADSTS{refusal.code}"
    found = {"error": refusal.error, "error_description": _description(refused, *_marks(request))}
    if refusal is DECLINED:
        found["error_subcode"] = "cancel"  # seen on redirects, not documented
    return found


def _marks(request: Request) -> tuple[str, str, str]:
    correlation = request.header(b"client-request-id") or str(uuid.uuid4())
    return str(uuid.uuid4()), correlation, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}"


def _description(refused: Refused, trace: str, correlation: str, stamp: str) -> str:
    text = f"AADSTS{refused.refusal.code}: {refused}"
    return f"{text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"


# Requests
TENANT_UNKNOWN: Final = Refusal(
    90002,
    "invalid_tenant",
    "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.",
)
MISSING: Final = Refusal(900144, "invalid_request", "The request body must contain the following parameter: '{name}'.")
GRANT_TYPE: Final = Refusal(70003, "unsupported_grant_type", "The app requested an unsupported grant type '{name}'.")
RESPONSE_TYPE: Final = Refusal(
    700054, "unsupported_response_type", "response_type '{name}' is not enabled for the application."
)
RESPONSE_MODE: Final = Refusal(
    70007, "unsupported_response_mode", "'{name}' is not a supported value of 'response_mode' when requesting a code."
)
PROMPT: Final = Refusal(90023, "invalid_request", "Unsupported 'prompt' value '{name}'.")
SCOPE: Final = Refusal(
    70011,
    "invalid_scope",
    "The provided request must include a 'scope' input parameter that is valid. The scope '{name}' is not valid.",
)
SCOPE_NOT_REGISTERED: Final = Refusal(
    650057,
    "invalid_resource",
    "Invalid resource. The client has requested access to a resource which is not listed in the requested permissions in the client's application registration: {name}.",
)
CHALLENGE: Final = Refusal(501491, "invalid_request", "Invalid size or method of the Code_Challenge parameter.")
METHOD: Final = Refusal(900561, "invalid_request", "The endpoint only accepts {name} requests.", status=405)

# Applications
APP_UNKNOWN: Final = Refusal(
    700016, "unauthorized_client", "Application with identifier '{client}' was not found in the directory."
)
REDIRECT_UNKNOWN: Final = Refusal(
    50011,
    "invalid_request",
    "The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the application '{client}'.",
)
SECRET_WRONG: Final = Refusal(
    7000215,
    "invalid_client",
    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'.",
    status=401,
)
SECRET_EXPIRED: Final = Refusal(
    7000222, "invalid_client", "The provided client secret keys for app '{client}' are expired.", status=401
)
CREDENTIAL_MISSING: Final = Refusal(
    7000218,
    "invalid_client",
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    status=401,
)
ASSERTION_BAD: Final = Refusal(50027, "invalid_client", "JWT token is invalid or malformed.", status=401)
ASSERTION_KEY: Final = Refusal(
    700027,
    "invalid_client",
    "The certificate with identifier used to sign the client assertion is not registered on application, or the signature is not valid.",
    status=401,
)
ASSERTION_TIME: Final = Refusal(
    700024, "invalid_client", "Client assertion is not within its valid time range.", status=401
)
ASSERTION_AUDIENCE: Final = Refusal(
    700023, "invalid_client", "Client assertion audience claim does not match Realm issuer.", status=401
)
ASSERTION_ISSUER: Final = Refusal(
    700021,
    "invalid_client",
    "Client assertion application identifier does not match 'client_id' parameter.",
    status=401,
)
APP_DISABLED: Final = Refusal(7000112, "unauthorized_client", "Application '{client}' is disabled.")

# Codes and refresh tokens
CODE_UNKNOWN: Final = Refusal(
    9002313, "invalid_grant", "Invalid request. Request is malformed or invalid.", "bad_token"
)
CODE_EXPIRED: Final = Refusal(
    70008,
    "invalid_grant",
    "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.",
    "bad_token",
)
CODE_REUSED: Final = Refusal(
    54005,
    "invalid_grant",
    "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.",
)
CODE_OTHER_CLIENT: Final = Refusal(
    700003, "invalid_grant", "The code or refresh token was issued to another client.", "client_mismatch"
)
CODE_OTHER_REDIRECT: Final = Refusal(
    500112,
    "invalid_grant",
    "The reply address '{uri}' does not match the reply address provided when requesting the authorization code.",
)
CODE_OTHER_TENANT: Final = Refusal(
    700005, "invalid_grant", "The provided authorization code is intended to use against another tenant, thus rejected."
)
VERIFIER: Final = Refusal(
    501481,
    "invalid_grant",
    "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
)
REFRESH_INVALID: Final = Refusal(70000, "invalid_grant", "The provided refresh token is not valid.", "bad_token")
UNUSED: Final = Refusal(
    700082,
    "invalid_grant",
    "The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for 90.00:00:00.",
    "bad_token",
)
NOT_CONSENTED: Final = Refusal(
    65001,
    "invalid_grant",
    "The user or administrator has not consented to use the application with ID '{client}'. Send an interactive authorization request for this user and resource.",
    "consent_required",
)

# People
USER_UNKNOWN: Final = Refusal(50034, "invalid_grant", "The user account {who} does not exist in the directory.")
USER_OF_ANOTHER_TENANT: Final = Refusal(
    50020,
    "invalid_grant",
    "User account '{who}' from identity provider does not exist in tenant '{tenant}' and cannot access the application in that tenant.",
)
PERSONAL_ACCOUNT: Final = Refusal(
    50020,
    "invalid_grant",
    "User account '{who}' from identity provider 'live.com' cannot be used here: you can't sign in with a personal account. Use your work or school account instead.",
)
PASSWORD_WRONG: Final = Refusal(
    50126, "invalid_grant", "Error validating credentials due to invalid username or password."
)
USER_DISABLED: Final = Refusal(50057, "invalid_grant", "The user account is disabled.")
NOT_SIGNED_IN: Final = Refusal(50058, "login_required", "A silent sign-in request was sent but no user is signed in.")
CONSENT_NEEDED: Final = Refusal(
    65001, "consent_required", "The user or administrator has not consented to use the application with ID '{client}'."
)
DECLINED: Final = Refusal(65004, "access_denied", "User declined to consent to access the app.")
ADMIN_NEEDED: Final = Refusal(
    90094, "access_denied", "Admin consent is required for the permissions requested by this application."
)
BLOCKED: Final = Refusal(
    53003,
    "access_denied",
    "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    "message_only",
)
FORM_EXPIRED: Final = Refusal(50089, "invalid_request", "Authentication failed due to flow token expired.")

DEATHS: Final[dict[str, Refusal]] = {
    "sessions_revoked": Refusal(50173, "invalid_grant", "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password.", "bad_token"),
    "password_reset": Refusal(50173, "invalid_grant", "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password.", "bad_token"),
    "password_expired": Refusal(50132, "invalid_grant", "The session is not valid due to the following reasons: password expiration or recent password change.", "user_password_expired"),
    "account_disabled": USER_DISABLED,
    "account_deleted": Refusal(50034, "invalid_grant", "The user account does not exist in the directory."),
    "consent_removed": NOT_CONSENTED,
    "mfa_required": Refusal(50076, "interaction_required", "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '00000003-0000-0000-c000-000000000000'.", "basic_action"),
    "mfa_enrolment_required": Refusal(50079, "interaction_required", "Due to a configuration change made by your administrator, or because you moved to a new location, you must enroll in multi-factor authentication.", "basic_action"),
    "conditional_access": Refusal(53003, "invalid_grant", "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.", "message_only"),
    "sign_in_frequency": Refusal(70043, "invalid_grant", "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.", "bad_token"),
    "unused": Refusal(700082, "invalid_grant", "The refresh token has expired due to inactivity.", "bad_token"),
    "not_assigned": Refusal(50105, "invalid_grant", "The signed in user is not assigned to a role for the application."),
}  # fmt: skip
"""Why refresh tokens of an account die: what control calls it -> what Entra says."""

BY_TIME: Final = {
    "sessions_revoked", "password_reset", "password_expired", "mfa_required", "mfa_enrolment_required", "sign_in_frequency",
    "unused",
}  # fmt: skip
"""Deaths of what was given before them; what a later sign-in gives lives. The others hold until restored."""

APPLICATION_DEATHS: Final[dict[str, Refusal]] = {
    "secret_wrong": SECRET_WRONG,
    "secret_expired": SECRET_EXPIRED,
    "disabled": APP_DISABLED,
    "removed": APP_UNKNOWN,
}
"""Why an application is refused for everybody."""
