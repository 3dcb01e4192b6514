from __future__ import annotations

import asyncio
import gzip
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from emulator import Cloud
from emulator.faults import Fault
from relay.errors import (
    AccessDenied,
    ConsentRequired,
    RelayError,
    RequestRefused,
    SourceThrottled,
    SourceUnreachable,
    support_fields,
    with_marks,
)
from relay.graph.client import GraphClient
from relay.graph.errors import GrantRefused, error_code, retry_after, translate
from relay.graph.settings import ClientCertificate, GraphSettings
from tests.graph.conftest import Tokens, serving, settings_for

ME = "/v1.0/users/ada@contoso.example"
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait"),
    [
        (400, {}, RequestRefused, None),
        (401, {}, ConsentRequired, None),
        (403, {}, AccessDenied, None),
        (404, {}, RequestRefused, None),
        (408, {}, SourceUnreachable, None),
        (429, {"Retry-After": "10"}, SourceThrottled, 10),
        (429, {"retry-after": "0"}, SourceThrottled, 0),
        (429, {}, SourceThrottled, None),
        (429, {"Retry-After": "soon"}, SourceThrottled, None),
        (500, {}, SourceUnreachable, None),
        (502, {"Retry-After": "7"}, SourceUnreachable, 7),
        (503, {}, SourceUnreachable, None),
        (503, {"Retry-After": "120"}, SourceThrottled, 120),
        (509, {}, SourceThrottled, None),
        (302, {}, SourceUnreachable, None),
        (204, {}, SourceUnreachable, None),
    ],
)
def test_an_answer_that_is_no_success_says_what_to_do(status, headers, kind, wait):
    error = translate(status, b"<html>", headers)
    assert type(error) is kind or issubclass(type(error), kind)
    said = getattr(error, "retry_after", None)
    assert said == (None if wait is None else timedelta(seconds=wait))


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("10", 10),
        (" 10 ", 10),
        ("1.5", 1.5),
        ("Mon, 23 Nov 2026 09:00:30 GMT", 30),
        ("Monday, 23-Nov-26 09:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 08:00:00 GMT", 0),
        ("Mon, 23 Nov 2096 08:00:00 GMT", 600),
        ("999999999", 600),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("١٢", None),
        ("", None),
        ("9" * 5000, None),
        ("Mon, 99 Nov 2026 99:00:30 GMT", None),
        ("Mon, 23 Nov 99999999999999999999 09:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_never_believed_beyond_ten_minutes(text, wait):
    assert retry_after({"Retry-After": text}, NOW) == (None if wait is None else timedelta(seconds=wait))


@pytest.mark.fault("B3")
@pytest.mark.parametrize(
    ("text", "wait"), [("Mon, 23 Nov 2026 08:10:30 GMT", 30), ("Mon, 23 Nov 2026 08:09:00 GMT", 0)]
)
def test_a_date_is_as_far_away_as_by_the_clock_of_the_one_who_says_it(text, wait):
    headers = {"Retry-After": text, "Date": "Mon, 23 Nov 2026 08:10:00 GMT"}  # fifty minutes behind ours
    assert retry_after(headers, NOW) == timedelta(seconds=wait)


@pytest.mark.parametrize("date", ["", "yesterday", "9" * 5000])
def test_without_a_date_of_theirs_a_date_counts_from_ours(date):
    headers = {"Retry-After": "Mon, 23 Nov 2026 09:00:30 GMT", "date": date}
    assert retry_after(headers, NOW) == timedelta(seconds=30)


def test_an_error_tells_graphs_code_and_nothing_that_names_users():
    body = b'{"error": {"code": "Request_ResourceNotFound", "message": "ada@contoso.example does not exist"}}'
    error = translate(404, body)
    assert "Request_ResourceNotFound" in str(error)
    assert "ada" not in str(error)


def test_an_error_carries_microsofts_ids_of_the_request_from_its_body_or_else_its_head():
    head = {"Request-Id": "r-of-head", "client-request-id": "c-of-head", "Date": "Mon, 23 Nov 2026 08:10:00 GMT"}
    body = (
        b'{"error":{"code":"x","innerError":{"request-id":"r","client-request-id":"c","date":"2026-11-23T08:10:01"}}}'
    )
    for status in (400, 401, 403, 404, 429, 500, 503):
        of_head = support_fields(translate(status, b"<html>", head))
        assert of_head == {
            "request_id": "r-of-head", "correlation_id": "c-of-head", "microsoft_time": "2026-11-23 08:10:00Z",
        }  # fmt: skip
        assert support_fields(translate(status, body, head)) == {
            "request_id": "r", "correlation_id": "c", "microsoft_time": "2026-11-23T08:10:01",
        }  # fmt: skip
    assert with_marks(translate(500, body, head)) == (
        "Graph answered 500 x (request id r, correlation id c, time 2026-11-23T08:10:01)"
    )
    assert support_fields(translate(500)) == {}


@pytest.mark.parametrize("wrong", ["ada@contoso.example", "x" * 61, "a\nb", "<b>", "\x00"])
def test_ids_that_are_none_are_not_shown(wrong: str):
    assert support_fields(translate(500, b"", {"request-id": wrong, "client-request-id": wrong, "date": wrong})) == {}


async def test_each_request_has_an_id_that_a_failure_tells_even_without_an_answer(
    cloud: Cloud, client: GraphClient, tokens: Tokens
):
    cloud.add_fault(Fault(path="/v1.0", status=500, body="<html>", count=1))
    with pytest.raises(SourceUnreachable) as broken:
        await client.get(tokens, ME)
    asked = support_fields(broken.value)
    assert UUID(asked["correlation_id"]).version == 4
    cloud.add_fault(Fault(path="/v1.0", reset=True))
    with pytest.raises(SourceUnreachable) as unanswered:
        await client.get(tokens, ME)
    told = support_fields(unanswered.value)
    assert told.keys() == {"correlation_id", "microsoft_time"}
    assert told["correlation_id"] != asked["correlation_id"]


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b'{"error": "x"}', b'{"error": {"code": "a b\\nc"}}', b'{"error": {"code": 5}}']
)
def test_a_senseless_error_body_has_no_code(body):
    assert error_code(body) == ""


@pytest.mark.fault("F12")
@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"code":"x","innerError":null}}',
        b'{"error":{"code":"x","message":null,"innerError":{"request-id":null,"client-request-id":null,"date":null}}}',
        b'{"error":{"code":"x","details":null,"target":null}}',
    ],
)
def test_the_code_of_an_error_survives_members_that_are_null(body: bytes):
    assert error_code(body) == "x"
    assert "x" in str(translate(400, body))
    assert isinstance(translate(401, body), GrantRefused)


async def test_a_refused_token_is_renewed_once(client: GraphClient, tokens: Tokens):
    tokens.spoiled = True
    assert b"ada@contoso.example" in await client.get(tokens, ME)
    assert tokens.refused == ["spoiled"]


async def test_a_second_refusal_is_an_error(cloud: Cloud, client: GraphClient, tokens: Tokens):
    cloud.add_fault(Fault(path="/v1.0", status=401, body='{"error": {"code": "InvalidAuthenticationToken"}}'))
    with pytest.raises(ConsentRequired) as caught:
        await client.get(tokens, ME)
    assert caught.value.code == "InvalidAuthenticationToken"
    assert len(tokens.refused) == 1


async def test_a_missing_permission_is_access_denied(cloud: Cloud, client: GraphClient):
    with pytest.raises(AccessDenied):
        await client.post(
            Tokens(cloud, scopes={"User.ReadBasic.All"}), "/v1.0/communications/getPresencesByUserId", b"{}"
        )


async def test_throttling_carries_how_long_to_wait(cloud: Cloud, client: GraphClient, tokens: Tokens):
    cloud.add_fault(Fault(path="/v1.0", status=429, headers={"Retry-After": "17"}))
    with pytest.raises(SourceThrottled) as caught:
        await client.get(tokens, ME)
    assert caught.value.retry_after == timedelta(seconds=17)


async def test_a_torn_connection_is_unreachable_and_the_next_call_works(
    cloud: Cloud, client: GraphClient, tokens: Tokens
):
    cloud.add_fault(Fault(path="/v1.0", reset=True, count=1))
    with pytest.raises(SourceUnreachable):
        await client.post(tokens, "/v1.0/$batch", b"{}")
    await client.get(tokens, ME)


async def test_nobody_listening_is_unreachable(cloud: Cloud, tokens: Tokens, unused_tcp_port: int):
    async with GraphClient(settings_for(cloud, graph_url=f"https://127.0.0.1:{unused_tcp_port}")) as client:
        with pytest.raises(SourceUnreachable):
            await client.get(tokens, ME)


async def test_a_server_that_nobody_vouches_for_is_unreachable(cloud: Cloud, tokens: Tokens):
    async with GraphClient(settings_for(cloud, ca_pem=None)) as client:
        with pytest.raises(SourceUnreachable):
            await client.get(tokens, ME)


async def test_a_slow_answer_is_given_up(cloud: Cloud, tokens: Tokens):
    cloud.set_switches(graph_latency_ms=60_000)
    async with GraphClient(settings_for(cloud, read_timeout=timedelta(milliseconds=200))) as client:
        with pytest.raises(SourceUnreachable):
            await client.get(tokens, ME)


async def test_an_answer_that_drips_is_given_up(cloud: Cloud, tokens: Tokens):
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            writer.close()

    async with serving(cloud, drip, total_timeout=timedelta(milliseconds=300)) as client:
        with pytest.raises(SourceUnreachable):
            await client.get(tokens, ME)


@pytest.mark.parametrize("compressed", [False, True])
async def test_an_endless_answer_is_cut_off(cloud: Cloud, tokens: Tokens, compressed: bool):
    content = gzip.compress(b" " * 5_000_000) if compressed else b" " * 5_000_000
    encoding = b"Content-Encoding: gzip\r\n" if compressed else b""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (encoding, len(content))
        writer.write(head + content)
        writer.close()

    async with serving(cloud, answer, max_body_bytes=1_000_000) as client:
        with pytest.raises(SourceUnreachable, match="longer than"):
            await client.get(tokens, ME)


@pytest.mark.parametrize(
    "said",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 100_000,
    ],
)
async def test_what_is_not_http_is_unreachable(cloud: Cloud, tokens: Tokens, said: bytes):
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with serving(cloud, answer) as client:
        with pytest.raises(SourceUnreachable):
            await client.get(tokens, ME)


async def test_redirects_are_not_followed(cloud: Cloud, client: GraphClient, tokens: Tokens):
    cloud.add_fault(Fault(path="/v1.0", status=302, headers={"Location": f"{cloud.url}/elsewhere"}, count=1))
    with pytest.raises(SourceUnreachable):
        await client.get(tokens, ME)
    assert not [line for line in cloud.journal.search() if line.path == "/elsewhere"]


async def test_cookies_of_one_call_are_not_sent_with_the_next(cloud: Cloud, tokens: Tokens):
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: tenant=one; Path=/\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
        )
        writer.close()

    async with serving(cloud, answer, host="localhost") as client:  # of an address no jar takes cookies
        await client.get(tokens, ME)
        await client.get(tokens, ME)
    assert len(heads) == 2
    assert b"cookie" not in heads[1].lower()


async def test_a_cancelled_call_lets_go(cloud: Cloud, client: GraphClient, tokens: Tokens):
    cloud.set_switches(graph_latency_ms=60_000)
    call = asyncio.create_task(client.get(tokens, ME))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_token_source_that_fails_is_what_the_caller_sees(client: GraphClient):
    class Broken:
        async def __call__(self, refused: str = "") -> str:
            raise SourceThrottled("later")

    with pytest.raises(SourceThrottled):
        await client.get(Broken(), ME)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": None},
        {"certificate": ClientCertificate(private_key_pem="x", certificate_pem="y")},
        {"bulk_size": 651},
        {"bulk_size": 0},
        {"graph_url": "http://graph.example"},
        {"authority_url": "https://login.example/"},
    ],
)
def test_settings_that_cannot_work_are_refused(changes):
    with pytest.raises(ValueError):
        GraphSettings(**{"client_id": "x", "client_secret": "y", **changes})


def test_secrets_are_not_shown():
    shown = repr(GraphSettings(client_id="x", client_secret="hidden"))
    shown += repr(ClientCertificate(private_key_pem="hidden", certificate_pem="y"))
    assert "hidden" not in shown


def test_only_a_national_cloud_needs_its_name_before_the_permissions():
    at_home = GraphSettings(client_id="x", client_secret="y")
    abroad = GraphSettings(client_id="x", client_secret="y", graph_url="https://graph.microsoft.us")
    assert at_home.scopes == ["Presence.Read.All", "User.ReadBasic.All"]
    assert abroad.scopes[0] == "https://graph.microsoft.us/Presence.Read.All"


def test_every_error_of_the_client_is_one_of_ours():
    assert all(isinstance(translate(status), RelayError) for status in range(100, 600))
