"""The search of everything that the relay says for secrets and for presence.

It is made at three places, so that it holds for each test that runs the relay, those to come included:

    this module            after each test: the logs of real processes in the test's folder
    tests.chaos.processes  when a relay of real processes ends: its logs and the spans of all its processes, for its own secrets too
    tests.e2e.conftest     after each test from end to end: what the roles of the test's own process logged, and their spans

A secret is found by its form, whoever made it and whenever it was in force, and those that are known in advance by themselves.
A presence is found by Microsoft's words; no line of ours has one of them, so a line that has is a leak.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from emulator.demo import SECRET
from emulator.generate import PASSWORD
from tests.support.otlp import CollectedSpan
from tests.support.ring import RING_JSON

FORMS: Final = {
    "a suite key": re.compile(r"psk_[0-9a-f]+_[A-Za-z0-9_-]{16,}"),
    "a token or a sealed value": re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"),
    "a refresh token or a code": re.compile(r"\b[01]\.A[A-Za-z0-9_-]{40,}"),
    "a private key": re.compile(r"PRIVATE KEY-----"),
    "a bearer": re.compile(r"[Bb]earer [A-Za-z0-9_-]{16,}"),
}
KNOWN: Final = {
    "the relay's client secret": SECRET,
    "the key ring": RING_JSON.partition('"k": "')[2].partition('"')[0],
    "a person's password": PASSWORD,
}
_WORDS: Final = (
    "Available", "AvailableIdle", "Away", "BeRightBack", "Busy", "BusyIdle", "DoNotDisturb", "Offline", "PresenceUnknown", "InACall",
    "InAConferenceCall", "Inactive", "InAMeeting", "OffWork", "OutOfOffice", "Presenting", "UrgentInterruptionsOnly", "Focusing",
)  # fmt: skip
_CAMELS: Final = tuple(word[:1].lower() + word[1:] for word in _WORDS if re.search("[a-z][A-Z]", word))
PRESENCE: Final = re.compile(rf"\b(?:{'|'.join((*_WORDS, *_CAMELS))})\b")
_NOT_OURS: Final = re.compile(r"cloud|valkey|redis|sentinel|node|stunnel|haproxy|prometheus|tls|lock")
"""Beginnings of the names of logs of other programs."""
_ID: Final = re.compile(r"@|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def said(text: str, known: Mapping[str, str] = KNOWN) -> list[str]:
    """Return what a text says of secrets and of presence, each with the line; empty when it says nothing.

    Args:
        text: of a log.
        known: words for a secret -> the secret.
    """
    found = [f"{what}: {_line(text, secret)}" for what, secret in known.items() if secret and secret in text]
    for what, form in {**FORMS, "a presence": PRESENCE}.items():
        if (match := form.search(text)) is not None:
            found.append(f"{what}: {_line(text, match.group())}")
    return found


def said_by(spans: Iterable[CollectedSpan], known: Mapping[str, str] = KNOWN) -> list[str]:
    """Return what spans say of secrets, of presence and of people; empty when they say nothing."""
    found: dict[str, None] = {}
    for span in spans:
        for name, value in {"": span.name, **span.attributes}.items():
            told = said(str(value), known)
            # Ids of tenants are for tests that name them; Microsoft's ids of requests are nobody's.
            if not name.startswith(("relay.microsoft.", "relay.tenant_id")) and _ID.search(str(value)):
                told.append(f"somebody: {value}")
            found.update(dict.fromkeys(f"{span.name} {name}: {each}" for each in told))
    return list(found)


def _line(text: str, part: str) -> str:
    at = text.index(part)
    return text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0][:300]


class Heard(io.StringIO):
    """A stream for a log, which is shown where the test's output is and kept to be searched."""

    def write(self, text: str) -> int:
        sys.stdout.write(text)
        return super().write(text)


@pytest.fixture(autouse=True)
def _logs_are_searched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose processes said a secret or a presence in a log in the test's folder."""
    folder: Path | None = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is None:
        return
    found = {
        log.name: told
        for log in folder.rglob("*.log")
        if not _NOT_OURS.match(log.name) and (told := said(log.read_text(errors="replace")))
    }
    assert found == {}
