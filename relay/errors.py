"""The relay's errors, grouped by what the caller must do.

RelayError
├── Retryable             try again later; `retry_after` says when, if known
│   ├── SourceThrottled     the cloud asked the relay to wait
│   ├── SourceUnreachable   network, timeout, 5xx, or an invalid answer
│   ├── StoreUnavailable    Redis does not answer, or cannot serve now
│   │   ├── NotPrimary        the server is a replica: reconnect
│   │   └── NotPermitted      the Redis user lacks rights: the operator must act
│   ├── NotSaved            Redis did not confirm that a write would survive a crash
│   ├── HistoryLost         the store lost history since this was read: read again
│   └── LeaseLost           another replica owns this partition now: stop quietly
├── ConsentRequired       this grant is dead until an administrator acts; `code` is Microsoft's
├── CredentialRejected    Entra refuses the relay's own credential: the operator must act, not the tenant
├── Rejected              the caller made a mistake
│   ├── ResumeTokenOfAnotherTenant
│   ├── StartExpected, ActionExpected
│   ├── SuiteKeyUnknown, SuiteKeyRevoked, TenantRemoved
│   └── TooManyUsers, TooManyWatches
├── RequestRefused        the cloud rejected the request (400, 404): do not repeat it unchanged
│   ├── SubscriptionExists  the account has a subscription already (409)
│   ├── SubscriptionGone    there is no such subscription (404)
│   └── WebhookUnreachable  Graph's handshake with our webhook failed
├── AccessDenied          the cloud refuses this request for this grant (403)
│   └── SubscriptionRefused  a limit of subscriptions is reached
├── Replaced              a newer stream of the same program replaced this one
├── SlowWatcher           the suite did not read fast enough: end its stream, it may resume
└── Bug                   an invariant broke: fail the unit of work, not the process
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from relay.core.consent.microsoft_error import NO_ERROR, MicrosoftError

if TYPE_CHECKING:
    from datetime import timedelta

    from relay.core.consent.refusals import Refusal


E = TypeVar("E", bound="RelayError")


class RelayError(Exception):
    """Base class of the errors that the relay raises.

    Attributes:
        said: Microsoft's ids of the failed request, and its time; empty for errors that are not from Microsoft.
    """

    said: MicrosoftError = NO_ERROR


def marked(error: E, said: MicrosoftError) -> E:
    """Return the error with Microsoft's ids of the request."""
    error.said = said
    return error


def support_fields(error: BaseException) -> dict[str, str]:
    """Return the fields by which Microsoft's support finds a failed request, for a log line; unknown ones are left out."""
    return support_fields_of(error.said) if isinstance(error, RelayError) else {}


def support_fields_of(said: MicrosoftError) -> dict[str, str]:
    """Return the same fields, from Microsoft's answer."""
    fields = {"request_id": said.trace_id, "correlation_id": said.correlation_id, "microsoft_time": said.time}
    return {name: text for name, text in fields.items() if text}


def with_marks(error: RelayError) -> str:
    """Return the error's text for people, with the ids that Microsoft's support asks for."""
    said = error.said
    marks = [("request id", said.trace_id), ("correlation id", said.correlation_id), ("time", said.time)]
    told = ", ".join(f"{name} {text}" for name, text in marks if text)
    return f"{error} ({told})" if told else str(error)


class Retryable(RelayError):
    """A later retry may succeed.

    Attributes:
        retry_after: the wait that the other side asked for; None without one.
        refusal: Entra's refusal; None if the error is not Entra's or has no details.
    """

    def __init__(self, message: str, *, retry_after: timedelta | None = None, refusal: Refusal | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.refusal = refusal


class SourceThrottled(Retryable):
    """The cloud answered 429, or 503 with Retry-After."""


class SourceUnreachable(Retryable):
    """The cloud did not answer, answered 5xx, or its answer does not have the documented form."""


class StoreUnavailable(Retryable):
    """Redis does not answer, or reports that it cannot serve now; the outcome of the call is unknown.

    Attributes:
        code: Redis' error code, such as `LOADING`; empty without one.
    """

    code: str = ""


class NotPrimary(StoreUnavailable):
    """The server is a replica, perhaps since a moment ago; nothing was done. After a reconnect the address may lead to the primary."""


class NotPermitted(StoreUnavailable):
    """Redis refuses a key, a command or the user in the relay's URL; nothing was done. An operator may permit it at any time."""


class NotSaved(Retryable):
    """A durable write was not acknowledged as synced to disk (and replicas): it must not be reported as saved."""


class HistoryLost(Retryable):
    """A write belonged to an epoch that is over, because the store lost history; nothing was written."""


class LeaseLost(Retryable):
    """A write carried a lease that no longer holds the partition; nothing was written."""


class ConsentRequired(RelayError):
    """A grant no longer works until an administrator of the tenant acts.

    Attributes:
        code: Microsoft's short name for the cause (`error`, or `error/suberror`), for the operator and the admin's page.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class CredentialRejected(RelayError):
    """Entra refuses the relay's own client credential. It affects every tenant, and no tenant caused it.

    Attributes:
        refusal: Entra's refusal; None without details.
    """

    def __init__(self, message: str, *, refusal: Refusal | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal


class Rejected(RelayError):
    """The relay rejects the caller's request; `metadata` contains the limit or the id, never a secret."""

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.metadata = metadata


class ResumeTokenOfAnotherTenant(Rejected):
    """A resume token names a tenant that the suite key does not belong to."""


class StartExpected(Rejected):
    """A stream did not begin with a (whole) start."""


class ActionExpected(Rejected):
    """A request after the start was not a change."""


class SuiteKeyUnknown(Rejected):
    """No suite key, or one that was not issued."""


class SuiteKeyRevoked(Rejected):
    """The suite key was revoked."""


class TenantRemoved(Rejected):
    """The tenant has left the relay."""


class TooManyUsers(Rejected):
    """More users than a message or a stream may name."""


class TooManyWatches(Rejected):
    """The tenant has reached its limit of open streams."""


class RequestRefused(RelayError):
    """The cloud answered 400 or 404 to a request."""


class AccessDenied(RelayError):
    """The cloud answered 403 to a request.

    Attributes:
        refusal: its refusal, for the grant's health; None when not known.
    """

    def __init__(self, message: str = "", *, refusal: Refusal | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal


class SubscriptionExists(RequestRefused):
    """Graph has a subscription of this account and application already; it must be deleted first, or taken over."""


class SubscriptionGone(RequestRefused):
    """Graph has no subscription with this id: it expired or was deleted, or never existed."""


class WebhookUnreachable(RequestRefused):
    """Graph could not validate the notification address: our webhook did not answer, or not in time."""


class SubscriptionRefused(AccessDenied):
    """Graph allows no further subscription; the text says which limit."""


class Replaced(RelayError):
    """A newer stream of the same program replaced this one."""


class SlowWatcher(RelayError):
    """A stream's write was blocked past the limit."""


class Bug(RelayError):
    """An invariant of the relay is broken."""
