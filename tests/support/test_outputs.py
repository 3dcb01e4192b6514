"""The search for secrets and presence finds what a relay really uses, and takes nothing else for it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emulator import Config, Emulator
from emulator.demo import CLIENT_ID
from relay.graph.push.certificates import make
from tests.graph.conftest import RELAY, SCOPES, settings_for
from tests.graph.consents import consent_at_once
from tests.support.otlp import STEP, collecting, telling
from tests.support.outputs import KNOWN, said, said_by

LINE = '{"error": "%s", "event": "tenant_failing", "level": "warning"}'


async def real() -> dict[str, str]:
    """Return words for each kind of secret -> one as the local cloud and the relay make them."""
    async with Emulator.start(Config()) as cloud:
        application = cloud.world.application(CLIENT_ID)
        assert application is not None
        person = cloud.person(RELAY)
        return {
            "access token": cloud.tokens.access_token(person, application, SCOPES, 3599),
            "refresh token": cloud.tokens.refresh_token(person, application),
            "token cache": consent_at_once(cloud, settings_for(cloud), RELAY).token_cache,
            "suite key": f"psk_{secrets.token_hex(8)}_{secrets.token_urlsafe(32)}",
            "private key": make("first", datetime.now(UTC)).decode(),
            **KNOWN,
        }


async def test_every_kind_of_secret_is_found_in_a_log_and_in_a_span():
    for what, secret in (await real()).items():
        assert said(LINE % secret), what
        with collecting() as collector:
            with telling(collector), STEP.begins() as span:
                span.note("tests.text", secret[-200:] if what == "private key" else secret)
            if what != "private key":  # an attribute is cut after 200 characters
                assert said_by(collector.spans), what


@pytest.mark.parametrize("word", ["Busy", "AvailableIdle", "DoNotDisturb", "inACall", "Presenting", "Offline"])
def test_a_presence_is_found(word: str):
    assert said(LINE % f"user is {word}")


@pytest.mark.parametrize(
    "line",
    [
        LINE % "Graph answered 503 ServiceUnavailable",
        '{"event": "store_available_again", "trace_id": "0af7651916cd43dd8448eb211c80319c"}',
        '{"event": "stream_opened", "tenant_id": "f24e6dad-8457-503f-acad-54d80c10512c", "key_id": "242da1365c633094"}',
        LINE % "the store is busy or away",
    ],
)
def test_what_an_operator_needs_is_no_leak(line: str):
    assert said(line) == []


def test_a_span_that_names_somebody_is_found():
    for text in ("ada@contoso.example", "f24e6dad-8457-503f-acad-54d80c10512c"):
        with collecting() as collector:
            with telling(collector), STEP.begins() as span:
                span.note("tests.text", text)
                span.note("relay.microsoft.request_id", "f24e6dad-8457-503f-acad-54d80c10512c")
            [found] = said_by(collector.spans)
            assert text in found


def test_the_logs_of_processes_in_a_tests_folder_are_searched_after_the_test(pytester: pytest.Pytester):
    pytester.makeconftest('pytest_plugins = ["tests.support.outputs"]')
    pytester.makepyfile(
        """
        def test_leaks(tmp_path):
            (tmp_path / "worker-1.log").write_text("started\\nada is Busy\\n")

        def test_does_not(tmp_path):
            (tmp_path / "worker-1.log").write_text("started\\n")
            (tmp_path / "cloud.log").write_text("ada is Busy\\n")
        """
    )
    root = Path(__file__).resolve().parents[2]
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider", "--rootdir", str(root))
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ada is Busy*"])
