"""MSAL applications: the relay as a client of Entra, on an HTTP session that rejects answers that MSAL cannot handle.

All functions here block and must run in a thread.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Final, Self

import jwt
import msal
import requests

from relay.core.consent.microsoft_error import MicrosoftError, parse_error
from relay.core.consent.refusals import Refusal, RefusalClass, classify
from relay.errors import CredentialRejected, RelayError, SourceThrottled, SourceUnreachable, marked
from relay.graph import spans
from relay.graph.auth.credentials import Credential, Credentials
from relay.graph.client import Gate, open_gate
from relay.graph.errors import from_refusal, marks_of, retry_after
from relay.graph.metrics import note_in_thread
from relay.graph.settings import GraphSettings


class Applications:
    """Builds MSAL applications for one app registration. A context: it closes their sessions, and keeps a file of certificates.

    Each application has a session of its own, so that nothing (cookies, connections, MSAL's memory of refusals) is shared
    between grants.
    """

    def __init__(self, settings: GraphSettings) -> None:
        self._settings = settings
        self.credentials = Credentials(settings)
        self._ca_file: IO[str] | None = None
        self._sessions: weakref.WeakSet[requests.Session] = weakref.WeakSet()

    def __enter__(self) -> Self:
        if self._settings.ca_pem is not None:
            # `requests` takes trusted certificates only as a path.
            self._ca_file = tempfile.NamedTemporaryFile("w", suffix=".pem")
            self._ca_file.write(self._settings.ca_pem)
            self._ca_file.flush()
        return self

    def __exit__(self, *_: object) -> None:
        for session in list(self._sessions):
            session.close()
        if self._ca_file is not None:
            self._ca_file.close()

    def build(
        self,
        tenant: str,
        cache: msal.SerializableTokenCache,
        credential: Credential,
        *,
        lasting: bool = True,
        gate: Gate = open_gate,
    ) -> msal.ConfidentialClientApplication:
        """Return an application for one tenant (or `organizations`) on `cache`. It asks Entra for the tenant's endpoints.

        Args:
            tenant: the tenant, or `organizations`.
            cache: receives the tokens.
            credential: the relay's own credential, from `credentials`.
            lasting: whether it requests refresh tokens, which is MSAL's default.
            gate: called before each of its requests.

        Raises:
            SourceUnreachable, SourceThrottled: Entra did not return the endpoints.
            GrantRefused: Entra does not know the tenant.
            CredentialRejected: our secret or certificate cannot be used.
        """
        settings = self._settings
        with translated():
            try:
                return msal.ConfidentialClientApplication(
                    settings.client_id,
                    client_credential=credential.for_msal,
                    authority=f"{settings.authority_url}/{tenant}",
                    instance_discovery=None if settings.is_microsoft else False,
                    token_cache=cache,
                    http_client=self._session(gate),
                    exclude_scopes=None if lasting else ["offline_access"],
                )
            except ValueError:
                # The session has checked Entra's answers, so our certificate is at fault. The error's text might contain it.
                raise CredentialRejected("MSAL cannot read the relay's certificate") from None

    def _session(self, gate: Gate) -> requests.Session:
        settings = self._settings
        timeout = (settings.connect_timeout.total_seconds(), settings.read_timeout.total_seconds())
        session = _Session(timeout, settings.max_body_bytes, gate, self._ca_file.name if self._ca_file else None)
        # The proxy variables apply, as operators expect, and REQUESTS_CA_BUNDLE if the settings name no CA.
        session.trust_env = not settings.is_local
        self._sessions.add(session)
        return session


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Translates the errors of MSAL and `requests` into the relay's errors."""
    try:
        yield
    except RelayError:
        raise
    except _Refused as refused:
        raise refused.error from None
    except requests.RequestException as error:
        raise SourceUnreachable(f"Entra does not answer ({type(error).__name__})") from error
    except jwt.PyJWTError as error:
        raise CredentialRejected(f"MSAL cannot sign with the relay's private key ({type(error).__name__})") from None
    except NONSENSE as error:
        raise SourceUnreachable(f"Entra's answer makes no sense ({type(error).__name__})") from None


NONSENSE: Final = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    OSError,
    AssertionError,
)
"""MSAL's errors for an answer whose fields have undocumented types. Their texts may contain the answer."""


class _Refused(requests.RequestException):
    """Carries an error of ours through MSAL, which on a network error would serve a token that is still valid."""

    def __init__(self, error: RelayError) -> None:
        super().__init__(str(error))
        self.error = error


class _Session(requests.Session):
    """Has a timeout, follows no redirect with our credential, and passes only answers to MSAL that it can read.

    MSAL would write an answer that is not JSON into its log, token and all, and remember a 5xx of a shared gateway.
    """

    def __init__(self, timeout: tuple[float, float], max_body_bytes: int, gate: Gate, ca_file: str | None) -> None:
        super().__init__()
        self._ca_file = ca_file
        self._gate = gate
        self._timeout = timeout
        self._max_body_bytes = max_body_bytes
        self.max_redirects = 0

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        self._gate()
        kwargs["timeout"] = self._timeout
        kwargs["stream"] = True
        if self._ca_file is not None:
            # Passed with each request, because REQUESTS_CA_BUNDLE overrides the session's own `verify`.
            kwargs["verify"] = self._ca_file
        verb, address, begun = str(method).upper(), str(url), time.monotonic()
        # MSAL gives each request an id, except discovery.
        asked_as = str((kwargs.get("headers") or {}).get("client-request-id", ""))
        with spans.calling(verb, address) as span:
            try:
                with super().request(method, url, *args, **kwargs) as response:
                    self._read(response)
            except Exception as error:
                note_in_thread(verb, address, 0, time.monotonic() - begun, error=type(error).__name__)
                if isinstance(error, _Refused) or not isinstance(error, requests.RequestException):
                    raise
                raise _Refused(_unanswered(error, asked_as)) from error
            spans.note_answer(span, response.status_code, response.headers, asked_as)
        asked_to_wait = "retry-after" in response.headers
        note_in_thread(verb, address, response.status_code, time.monotonic() - begun, has_retry_after=asked_to_wait)
        self.cookies.clear()
        if response.status_code == 429 or response.status_code >= 500:
            raise _Refused(_busy(response))
        answer = _json(response)
        if str(method).upper() == "GET" and response.status_code != 200:
            raise _Refused(_refusal(answer))
        return response

    def _read(self, response: requests.Response) -> None:
        """Read the body, up to the size limit."""
        parts, size = [], 0
        for part in response.iter_content(_CHUNK_BYTES):
            size += len(part)
            if size > self._max_body_bytes:
                raise _Refused(SourceUnreachable("Entra's answer is too long"))
            parts.append(part)
        response._content = b"".join(parts)


_CHUNK_BYTES: Final = 65536
_MOST_DIGITS: Final = 10


def _unanswered(error: Exception, asked_as: str) -> RelayError:
    """Return the error for a request without an answer, with the request's id."""
    marks = MicrosoftError(correlation_id=asked_as, time=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}")
    return marked(SourceUnreachable(f"Entra does not answer ({type(error).__name__})"), marks)


def _busy(response: requests.Response) -> RelayError:
    wait: timedelta | None = retry_after(response.headers)
    said = f"Entra answered {response.status_code}"
    is_wait = response.status_code == 429 or wait is not None
    words = _busy_words(response, RefusalClass.TEMPORARY if is_wait else RefusalClass.UNREACHABLE)
    marks = words.said if words is not None and words.said.trace_id else marks_of(response.headers)
    if is_wait:
        return marked(SourceThrottled(said, retry_after=wait, refusal=words), marks)
    return marked(SourceUnreachable(said, refusal=words), marks)


def _busy_words(response: requests.Response, kind: RefusalClass) -> Refusal | None:
    """Return Entra's error details in a 429 or 5xx, if any; the status alone decides the class."""
    try:
        answer = _json(response)
    except _Refused:
        return None
    return replace(classify(*refusal_words(answer)), kind=kind) if _text(answer, "error") else None


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise _Refused(SourceUnreachable(f"Entra's answer ({response.status_code}) is not a JSON object"))
    return answer


def _refusal(answer: dict[str, Any]) -> RelayError:
    """Translate a refused discovery: a tenant that Entra does not know is "invalid_tenant", AADSTS90002."""
    return from_refusal(classify(*refusal_words(answer)))


def refusal_words(answer: dict[str, Any]) -> tuple[str, str, list[int], MicrosoftError]:
    """Return the arguments of `classify` from an answer of Entra, whose fields may have any types."""
    codes = answer.get("error_codes")
    numbers = [number for code in codes if (number := _number(code))] if isinstance(codes, list) else []
    said = parse_error(
        number=numbers[0] if numbers else 0,
        description=_text(answer, "error_description"),
        trace_id=_text(answer, "trace_id"),
        correlation_id=_text(answer, "correlation_id"),
        time=_text(answer, "timestamp"),
    )
    return _text(answer, "error"), _text(answer, "suberror"), numbers, said


def _number(code: object) -> int:
    """Return an AADSTS number, which may come as a text; 0 for any other value."""
    text = str(code) if isinstance(code, int | str) and not isinstance(code, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < _MOST_DIGITS else 0


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""
