"""JSON from outside that nests thousands deep is an answer that makes no sense, and stops nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from emulator import Cloud
from emulator.faults import Fault
from relay.errors import RelayError, SourceUnreachable
from relay.graph.auth.signing_keys import SigningKeys
from relay.graph.client import GraphClient
from relay.graph.errors import error_code, translate
from relay.graph.presence import directory, organisation, presences
from relay.graph.push import notifications, subscriptions
from relay.graph.push.certificates import Certificates, make
from relay.probe import client as probe_client
from relay.webhook.posts import Malformed, parse
from tests.graph.conftest import Tokens

DEEP = b"[" * 5000 + b"]" * 5000
BODIES = [DEEP, b'{"error":{"code":' + DEEP + b"}}", b'{"value":[{"id":' + DEEP + b"}]}", b'{"x":' + DEEP + b"}"]
pytestmark = pytest.mark.parametrize("body", BODIES, ids=["all", "error", "value", "member"])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_refusal_means_what_its_status_means(body: bytes, status: int):
    assert error_code(body) == ""
    assert isinstance(translate(status, body), RelayError)
    assert isinstance(subscriptions._refusal(status, body), RelayError)


@cache
def _certificates() -> Certificates:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "own.pem").write_bytes(make("own", datetime.now(UTC)))
        return Certificates.load(Path(folder))


READERS: list[tuple[Callable[[bytes], object], type[Exception]]] = [
    (subscriptions._decoded, SourceUnreachable),
    (subscriptions._page, SourceUnreachable),
    (presences._split, SourceUnreachable),
    (directory._answers, SourceUnreachable),
    (lambda body: parse(body, max_items=100), Malformed),
    (lambda body: notifications.decrypt_notification(body, _certificates()), RelayError),
    (probe_client._decoded, SourceUnreachable),
]


@pytest.mark.parametrize(("read", "error"), READERS)
def test_an_answer_is_read_or_refused(body: bytes, read: Callable[[bytes], object], error: type[Exception]):
    with suppress(error):
        read(body)


async def test_public_documents_are_refused(cloud: Cloud, client: GraphClient, keys: SigningKeys, body: bytes):
    cloud.add_fault(Fault(contains="/", status=200, body=body.decode()))
    with pytest.raises(SourceUnreachable):
        await organisation.tenant_of(client, "contoso.example")
    cloud.add_fault(Fault(contains="/", status=200, body=body.decode()))
    with pytest.raises(SourceUnreachable):
        await keys.with_key("any")
    cloud.add_fault(Fault(contains="/v1.0/users", status=200, body=body.decode()))
    with suppress(SourceUnreachable):
        assert await organisation.some_users(client, Tokens(cloud), 10) == []
