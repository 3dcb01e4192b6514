"""The credentials of applications at the token endpoint: a secret, or an assertion signed with a certificate's key."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from emulator.entra import refusals
from emulator.entra.refusals import Refused

if TYPE_CHECKING:
    from emulator.exchange import Request
    from emulator.world import Application, World

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LEEWAY_S = 300
_THUMBPRINTS = {"x5t": hashes.SHA1, "x5t#S256": hashes.SHA256}
_SIGNATURE_ONLY: Final[Any] = {f"verify_{name}": False for name in ("aud", "exp", "nbf", "iat", "iss", "sub", "jti")}


def client_of(world: World, request: Request, form: dict[str, str], directory: str) -> Application:
    """Return the application that a token request names; its credential is not checked.

    Args:
        world: the world.
        request: the request.
        form: its parameters; those of an `Authorization` header are added.
        directory: the tenant as the request names it.

    Raises:
        Refused: there is no such application, or it is refused altogether.
    """
    if request.header(b"authorization")[:6].lower() == "basic ":
        form["client_id"], form["client_secret"] = _basic(request)
    client_id = form.get("client_id", "")
    if not client_id:
        raise Refused(refusals.MISSING, name="client_id")
    application = world.application(client_id)
    if application is None:
        raise Refused(refusals.APP_UNKNOWN, client=client_id[:200], tenant=directory)
    if application.refusal:
        raise Refused(refusals.APPLICATION_DEATHS[application.refusal], client=client_id, tenant=directory)
    return application


def prove(
    application: Application, form: dict[str, str], audiences: set[str], now: float, *, always: bool = False
) -> None:
    """Check the credential in a token request.

    Args:
        application: the application.
        form: the request's parameters.
        audiences: the accepted audiences of an assertion.
        now: the current time by the cloud's clock, in seconds since 1970.
        always: whether a public client needs a credential too, because the token is for the application itself.

    Raises:
        Refused: the credential is missing or wrong.
    """
    presented = "client_assertion" in form or form.get("client_secret")
    if application.public and not always:
        if not presented:
            return
        if not application.secrets and not application.certificates:
            raise Refused(refusals.CREDENTIAL_OF_PUBLIC)
    if "client_assertion" in form:
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise Refused(refusals.MISSING, name="client_assertion_type")
        _check_assertion(application, form["client_assertion"], audiences, now)
    elif form.get("client_secret"):
        given = form["client_secret"].encode()
        if not any(hmac.compare_digest(secret.encode(), given) for secret in application.secrets):
            raise Refused(refusals.SECRET_WRONG, client=application.client_id)
    else:
        raise Refused(refusals.CREDENTIAL_MISSING)


def _basic(request: Request) -> tuple[str, str]:
    try:
        text = base64.b64decode(request.header(b"authorization")[6:]).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _check_assertion(application: Application, assertion: str, audiences: set[str], now: float) -> None:
    claims = _signed_claims(application, assertion)
    begin, end = claims.get("nbf", now), claims.get("exp", 0)
    if not isinstance(begin, int | float) or not isinstance(end, int | float):
        raise Refused(refusals.ASSERTION_BAD)
    if end < now - _LEEWAY_S or begin > now + _LEEWAY_S:
        raise Refused(refusals.ASSERTION_TIME)
    if str(claims.get("aud")) not in audiences:
        raise Refused(refusals.ASSERTION_AUDIENCE)
    names = {str(claims.get("iss")).lower(), str(claims.get("sub")).lower()}
    if names != {application.client_id.lower()}:
        raise Refused(refusals.ASSERTION_ISSUER)


def _signed_claims(application: Application, assertion: str) -> dict[str, Any]:
    """Return the claims of an assertion that one of the application's certificates signed; does not check its times.

    Uses PyJWT, because azure-identity writes the parts with padding, which Entra accepts but stricter readers refuse.
    """
    try:
        header = jwt.get_unverified_header(assertion)
    except (jwt.PyJWTError, ValueError) as error:
        raise Refused(refusals.ASSERTION_BAD) from error
    # MSAL for Python writes them with padding, others without.
    named = {name: str(value).rstrip("=") for name, value in header.items() if name in _THUMBPRINTS}
    if not named:
        raise Refused(refusals.ASSERTION_BAD)
    for pem in application.certificates:
        if not all(_thumbprint(pem, name) == value for name, value in named.items()):
            continue
        try:
            return jwt.decode(assertion, _public_key(pem), algorithms=["RS256", "PS256"], options=_SIGNATURE_ONLY)
        except (jwt.PyJWTError, ValueError):
            continue  # another of its certificates may have the same key
    raise Refused(refusals.ASSERTION_KEY)


def _thumbprint(pem: str, name: str) -> str:
    """Return a certificate's thumbprint in the form of the assertion's header."""
    print_ = x509.load_pem_x509_certificate(pem.encode()).fingerprint(_THUMBPRINTS[name]())
    return base64.urlsafe_b64encode(print_).rstrip(b"=").decode()


def _public_key(pem: str) -> RSAPublicKey:
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    if not isinstance(key, RSAPublicKey):
        raise ValueError("only RSA keys sign assertions")  # noqa: TRY004  the caller treats it as a key that does not match
    return key
