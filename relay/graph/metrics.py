"""The metrics of calls to Graph and Entra, and the operation that a call counts as."""

from __future__ import annotations

import enum
from typing import Final
from urllib.parse import urlsplit

from relay.ops.instruments import Counter, Histogram
from relay.ops.metric import WEB, WEBHOOK, WORKER, Metric, MetricKind

_CALLERS: Final = (WEB, WEBHOOK, WORKER)


class Operation(enum.StrEnum):
    """An operation of Graph or Entra; its route is in `ROUTES`."""

    READ_PRESENCES = "read_presences"
    RESOLVE_NAMES = "resolve_names"
    FIND_USERS = "find_users"
    LIST_SUBSCRIPTIONS = "list_subscriptions"
    CREATE_SUBSCRIPTION = "create_subscription"
    RENEW_SUBSCRIPTION = "renew_subscription"
    DELETE_SUBSCRIPTION = "delete_subscription"
    GET_TOKEN = "get_token"  # noqa: S105 - a name
    DISCOVER = "discover"
    OTHER = "_OTHER"


class AnswerClass(enum.StrEnum):
    """The meaning of an answer for its caller."""

    ANSWERED = "answered"
    THROTTLED = "throttled"
    UNAUTHORIZED = "unauthorized"
    DENIED = "denied"
    REFUSED = "refused"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


ROUTES: Final = {
    Operation.READ_PRESENCES: "/v1.0/communications/getPresencesByUserId",
    Operation.RESOLVE_NAMES: "/v1.0/$batch",
    Operation.FIND_USERS: "/v1.0/users",
    Operation.LIST_SUBSCRIPTIONS: "/v1.0/subscriptions",
    Operation.CREATE_SUBSCRIPTION: "/v1.0/subscriptions",
    Operation.RENEW_SUBSCRIPTION: "/v1.0/subscriptions/{id}",
    Operation.DELETE_SUBSCRIPTION: "/v1.0/subscriptions/{id}",
    Operation.GET_TOKEN: "/{tenant}/oauth2/v2.0/token",
    Operation.DISCOVER: "/{tenant}/v2.0/.well-known/openid-configuration",
}
"""Operation -> the template of its path."""

_METHODS: Final = {
    "GET": Operation.LIST_SUBSCRIPTIONS,
    "POST": Operation.CREATE_SUBSCRIPTION,
    "PATCH": Operation.RENEW_SUBSCRIPTION,
    "DELETE": Operation.DELETE_SUBSCRIPTION,
}

REQUESTS: Final = Counter(
    Metric(
        name="relay.graph.requests",
        kind=MetricKind.COUNTER,
        unit="{request}",
        meaning="Requests to Graph and Entra, by operation and class of answer: `unauthorized` 401, `denied` 403, `throttled` 429 and 503 "
        "with `Retry-After`, `refused` other 4xx, `failed` other 5xx, `unreachable` no answer",
        question="What does Microsoft refuse, and is the relay throttled?",
        roles=_CALLERS,
        labels={
            "operation": tuple(operation.value for operation in Operation),
            "class": tuple(each.value for each in AnswerClass),
        },
    )
)
DURATION: Final = Histogram(
    Metric(
        name="http.client.request.duration",
        kind=MetricKind.HISTOGRAM,
        unit="s",
        meaning="Duration of a request to Graph or Entra, from sending it to the end of its answer",
        question="Are Graph or Entra slow?",
        roles=_CALLERS,
        labels={
            "http.request.method": ("DELETE", "GET", "PATCH", "POST"),
            "server.address": "hosts of Graph and Entra",
            "url.template": tuple(dict.fromkeys(ROUTES.values())),
            "http.response.status_code": "statuses of HTTP; absent without an answer",
            "error.type": "the status from 400 on, else the class of the error; absent when all went well",
        },
    )
)
TOKENS: Final = Counter(
    Metric(
        name="relay.entra.tokens",
        kind=MetricKind.COUNTER,
        unit="{token}",
        meaning="Access tokens that were requested from Entra for grants, by outcome",
        question="Does Entra give tokens, and if not, must the tenant or the operator act?",
        roles=(WEB, WORKER),
        labels={"outcome": ("given", "consent_required", "credential_rejected", "throttled", "unreachable")},
    )
)
UNSAVED: Final = Counter(
    Metric(
        name="relay.entra.tokens.unsaved",
        kind=MetricKind.COUNTER,
        unit="{token}",
        meaning="Renewed refresh tokens that could not be written; each is written with the next token",
        question="Would a restart lose renewed refresh tokens?",
        roles=(WEB, WORKER),
    )
)


def operation_of(method: str, url: str) -> Operation:
    """Return the operation of a request; `url` may be a path."""
    path = urlsplit(url).path
    if path.endswith("/token"):
        return Operation.GET_TOKEN
    if "/.well-known/" in path or path.endswith("/keys"):
        return Operation.DISCOVER
    if path.startswith("/v1.0/subscriptions"):
        return _METHODS.get(method, Operation.OTHER)
    if path.startswith("/v1.0/users"):
        return Operation.FIND_USERS
    known = (Operation.READ_PRESENCES, Operation.RESOLVE_NAMES)
    return next((one for one in known if path == ROUTES[one]), Operation.OTHER)


def class_of(status: int, *, has_retry_after: bool) -> AnswerClass:
    """Return the class of an answer; status 0 means no answer."""
    if not status:
        return AnswerClass.UNREACHABLE
    if status in (429, 509) or (status == 503 and has_retry_after):
        return AnswerClass.THROTTLED
    if status < 400:
        return AnswerClass.ANSWERED
    special = {401: AnswerClass.UNAUTHORIZED, 403: AnswerClass.DENIED}
    return special.get(status, AnswerClass.REFUSED if status < 500 else AnswerClass.FAILED)


def note(
    method: str, url: str, status: int, duration_s: float, *, has_retry_after: bool = False, error: str = ""
) -> None:
    """Count a request and record its duration.

    Args:
        method: of the request.
        url: whole.
        status: of the answer; 0 when there was none.
        duration_s: from sending it to the end of its answer.
        has_retry_after: whether the answer asks to wait.
        error: the class of the error when there was no answer.
    """
    REQUESTS.add(1, operation_of(method, url).value, class_of(status, has_retry_after=has_retry_after).value)
    _record(method, url, status, duration_s, error)


def note_in_thread(
    method: str, url: str, status: int, duration_s: float, *, has_retry_after: bool = False, error: str = ""
) -> None:
    """Do the same in another thread than the event loop's."""
    REQUESTS.add_in_thread(1, operation_of(method, url).value, class_of(status, has_retry_after=has_retry_after).value)
    _record(method, url, status, duration_s, error)


def _record(method: str, url: str, status: int, duration_s: float, error: str) -> None:
    route = ROUTES.get(operation_of(method, url), "")
    trouble = str(status) if status >= 400 else error
    DURATION.record(duration_s, method, urlsplit(url).hostname or "", route, str(status or ""), trouble)
