"""One form of log line, and no secret in it."""

from __future__ import annotations

import io
import json
import logging as stdlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from relay.ops import logging

KEY = "psk_0123456789abcdef_" + "s" * 43
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = stdlib.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    stdlib.getLogger("uvicorn.error").setLevel(
        stdlib.NOTSET
    )  # a server of another test in this process may have raised it
    logging.configure("json", "info", stream)
    yield stream
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def test_the_relay_and_its_libraries_write_the_same_form(lines):
    structlog.get_logger("relay.edge").info("stream_opened", tenant_id="t1", users=3)
    stdlib.getLogger("uvicorn.error").warning("slow %s", "client")

    ours, theirs = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert (ours["event"], ours["tenant_id"], ours["users"]) == ("stream_opened", "t1", 3)
    assert (theirs["event"], theirs["level"]) == ("slow client", "warning")
    assert ours.keys() >= {"timestamp", "level", "logger"} <= theirs.keys()


@pytest.mark.parametrize(
    "fields",
    [
        {"suite_key": "anything"},
        {"client_secret": "hunter2"},
        {"Authorization": "Bearer hunter2"},
        {"refresh_token": "hunter2"},
        {"token_cache": "hunter2"},
        {"text": f"called with {KEY}"},
        {"text": f"Bearer {TOKEN}"},
        {"url": "https://localhost/callback?code=0.AAAAhunter2&state=hunter2"},
        {"url": "redis://relay:hunter2@redis:6379/0"},
        {"nested": {"deep": [{"password": "hunter2", "text": KEY}]}},
        {"raw": b"hunter2"},
    ],
)
def test_secrets_are_masked_by_name_and_by_form(lines, fields):
    structlog.get_logger("x").info("event", **fields)
    written = lines.getvalue()
    assert "hunter2" not in written
    assert "anything" not in written
    assert KEY not in written
    assert TOKEN not in written


def test_secrets_in_exceptions_and_library_messages_are_masked(lines):
    try:
        raise ValueError(f"bad key {KEY}")
    except ValueError:
        stdlib.getLogger("library").exception("failed with %s", TOKEN)
    assert KEY not in lines.getvalue()
    assert TOKEN not in lines.getvalue()
    assert "ValueError" in lines.getvalue()


def test_what_an_operator_needs_stays(lines):
    structlog.get_logger("x").info(
        "grant_refused", tenant_id="t1", key_id="1f2e", code="invalid_grant", error="Redis is away"
    )
    written = json.loads(lines.getvalue())
    assert (written["tenant_id"], written["key_id"]) == ("t1", "1f2e")
    assert (written["code"], written["error"]) == ("invalid_grant", "Redis is away")


def test_libraries_that_talk_too_much_are_quiet(lines):
    stdlib.getLogger("httpx").info("HTTP Request: GET …")
    stdlib.getLogger("msal.token_cache").info("event=…")
    assert lines.getvalue() == ""


@pytest.mark.finding(13)
def test_what_grpc_says_of_strangers_is_one_line_a_minute_without_their_words(lines):
    of_grpc = stdlib.getLogger("grpc._cython.cygrpc")
    for number in range(1000):
        try:
            b"\xae".decode()
        except UnicodeDecodeError:
            of_grpc.exception("Invalid encoding on %s", f"hunter{number}")
            of_grpc.exception(f"ExecuteBatchError raised in core by servicer method [/hunter/{number}]")
    of_grpc.error("Unexpected [%s] raised by servicer method [%s]", "TypeError", "/Watch")
    *strangers, ours = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(one["event"], one["level"]) for one in strangers] == [
        ("grpc_metadata_is_no_text count=1", "warning"),
        ("grpc_call_broke_off count=1", "warning"),
    ]
    assert "Traceback" not in lines.getvalue()
    assert "hunter" not in lines.getvalue()
    assert ours["event"] == "Unexpected [TypeError] raised by servicer method [/Watch]"


def test_a_consumer_of_the_log_that_closes_the_pipe_ends_no_process():
    code = """
import sys, structlog
from relay.ops.logging import configure

configure("json", "info")
log = structlog.get_logger("x")
log.info("first")
sys.stdin.readline()
for number in range(100):
    log.info("line", number=number)
print("alive")
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:  # type: ignore[call-overload]
        assert b"first" in process.stderr.readline()
        process.stderr.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.stdout.read() == b"alive\n"
    assert process.returncode == 0
