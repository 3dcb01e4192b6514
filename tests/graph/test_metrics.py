"""The operation and the class under which a request to Microsoft is counted."""

from __future__ import annotations

import pytest

from relay.graph.metrics import AnswerClass, Operation, class_of, operation_of

GRAPH = "https://graph.microsoft.com/v1.0"
ENTRA = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("method", "url", "operation"),
    [
        ("POST", f"{GRAPH}/communications/getPresencesByUserId", Operation.READ_PRESENCES),
        (
            "GET",
            f"{GRAPH}/communications/getPresencesByUserId?$skiptoken=ada%40contoso.example",
            Operation.READ_PRESENCES,
        ),
        ("POST", f"{GRAPH}/$batch", Operation.RESOLVE_NAMES),
        ("GET", f"{GRAPH}/users?$filter=ada", Operation.FIND_USERS),
        ("GET", f"{GRAPH}/subscriptions", Operation.LIST_SUBSCRIPTIONS),
        ("POST", f"{GRAPH}/subscriptions", Operation.CREATE_SUBSCRIPTION),
        ("PATCH", f"{GRAPH}/subscriptions/abc", Operation.RENEW_SUBSCRIPTION),
        ("DELETE", f"{GRAPH}/subscriptions/abc", Operation.DELETE_SUBSCRIPTION),
        ("POST", f"{ENTRA}/oauth2/v2.0/token", Operation.GET_TOKEN),
        ("GET", f"{ENTRA}/v2.0/.well-known/openid-configuration", Operation.DISCOVER),
        ("GET", f"{ENTRA}/discovery/v2.0/keys", Operation.DISCOVER),
        ("GET", f"{GRAPH}/me", Operation.OTHER),
        ("PUT", f"{GRAPH}/subscriptions/abc", Operation.OTHER),
    ],
)
def test_a_request_is_counted_by_its_operation_and_never_by_an_id(method: str, url: str, operation: Operation):
    assert operation_of(method, url) is operation


@pytest.mark.parametrize(
    ("status", "has_retry_after", "found"),
    [
        (0, False, AnswerClass.UNREACHABLE),
        (200, False, AnswerClass.ANSWERED),
        (401, False, AnswerClass.UNAUTHORIZED),
        (403, False, AnswerClass.DENIED),
        (404, True, AnswerClass.REFUSED),
        (429, False, AnswerClass.THROTTLED),
        (503, True, AnswerClass.THROTTLED),
        (503, False, AnswerClass.FAILED),
    ],
)
def test_an_answer_is_counted_by_what_it_means(status: int, has_retry_after: bool, found: AnswerClass):
    assert class_of(status, has_retry_after=has_retry_after) is found
