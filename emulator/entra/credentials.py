"""How an application proves itself at the token endpoint: a secret, or an assertion signed with a certificate's key."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from emulator.entra import refusals
from emulator.entra.refusals import Refused

if TYPE_CHECKING:
    from emulator.exchange import Request
    from emulator.world import Application, World

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LEEWAY_S = 300


class _Registry(jws.JWSRegistry):
    """Takes headers that carry a certificate; joserfc's own limit is 512 bytes."""

    max_header_length = 16_384


_registry = _Registry(algorithms=["RS256", "PS256"])


def client_of(world: World, request: Request, form: dict[str, str]) -> Application:
    """The application that a token request names, proven or not.

    Raises:
        Refused: there is no such application, or it is refused altogether.
    """
    if request.header(b"authorization").startswith("Basic "):
        form["client_id"], form["client_secret"] = _basic(request)
    client_id = form.get("client_id", "")
    if not client_id:
        raise Refused(refusals.MISSING, name="client_id")
    application = world.application(client_id)
    if application is None:
        raise Refused(refusals.APP_UNKNOWN, client=client_id)
    if application.refusal:
        raise Refused(refusals.APPLICATION_DEATHS[application.refusal], client=client_id)
    return application


def prove(application: Application, form: dict[str, str], audiences: set[str]) -> None:
    """Check the credential in a token request.

    Raises:
        Refused: it is missing or wrong.
    """
    if "client_assertion" in form:
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise Refused(refusals.MISSING, name="client_assertion_type")
        _check_assertion(application, form["client_assertion"], audiences)
    elif "client_secret" in form:
        given = form["client_secret"].encode()
        if not any(hmac.compare_digest(secret.encode(), given) for secret in application.secrets):
            raise Refused(refusals.SECRET_WRONG, client=application.client_id)
    else:
        raise Refused(refusals.CREDENTIAL_MISSING)


def _basic(request: Request) -> tuple[str, str]:
    try:
        text = base64.b64decode(request.header(b"authorization").removeprefix("Basic ")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _check_assertion(application: Application, assertion: str, audiences: set[str]) -> None:
    claims = _signed_claims(application, assertion)
    now = time.time()
    begin, end = claims.get("nbf", now), claims.get("exp", 0)
    if not isinstance(begin, int | float) or not isinstance(end, int | float):
        raise Refused(refusals.ASSERTION_BAD)
    if end < now - _LEEWAY_S or begin > now + _LEEWAY_S:
        raise Refused(refusals.ASSERTION_TIME)
    if claims.get("aud") not in audiences:
        raise Refused(refusals.ASSERTION_AUDIENCE)
    names = {str(claims.get("iss")).lower(), str(claims.get("sub")).lower()}
    if names != {application.client_id.lower()}:
        raise Refused(refusals.ASSERTION_ISSUER)


def _signed_claims(application: Application, assertion: str) -> dict[str, Any]:
    try:
        jws.extract_compact(assertion.encode(), registry=_registry)
    except (JoseError, ValueError) as error:
        raise Refused(refusals.ASSERTION_BAD) from error
    for pem in application.certificates:
        try:
            return jwt.decode(assertion, _public_key(pem), registry=_registry).claims
        except (JoseError, ValueError):
            continue  # another of its certificates may fit
    raise Refused(refusals.ASSERTION_KEY)


def _public_key(pem: str) -> RSAKey:
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    return RSAKey.import_key(
        key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
