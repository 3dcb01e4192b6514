"""The settings of the SIP source: what is read, what follows from others, and what is refused; and `--check`."""

from __future__ import annotations

import importlib.util
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suite.agent.board import Board
from suite.agent.core.values import SourceName
from suite.agent.settings.groups.sip_simple import SipSimpleSettings
from suite.agent.settings.load import LoadedSettings, load
from suite.agent.sources.sip.opening import sip_source
from suite.agent.sources.source import Connector
from suite.cli import app


def loaded(folder: Path, *lines: str) -> LoadedSettings:
    file = folder / "Presence.ini"
    file.touch(0o600)
    file.write_text("\n".join(["[SipSimple]", *lines]) + "\n")
    return load(file)


def read(folder: Path, *lines: str) -> SipSimpleSettings:
    found = loaded(folder, *lines)
    assert found.settings is not None, found.faults
    return found.settings.sip


def test_it_is_off_by_default(tmp_path: Path):
    assert read(tmp_path) == SipSimpleSettings()


def test_everything_is_read(tmp_path: Path):
    (tmp_path / "sip.password").touch(0o600)
    (tmp_path / "sip.password").write_text("a b; c\n")
    found = read(
        tmp_path,
        "Enable = 1", "Address = 192.0.2.7:5070, pbx.example , [2001:db8::1]:5061", "Protocol = TLS",
        "Uri = suite@pbx.example", "AuthId = account", "PasswordFile = sip.password", "Domain = ext.example",
        "ServerName = pbx.example", "PresenceServer = 0", "ListUri = sip:all@pbx.example", "SubscriptionsPerSecond = 5",
        "Expires = 10m", "NotifyFrom = 192.0.2.0/24, 2001:db8::/32", "LocalAddress = 192.0.2.9", "LocalPort = 5062",
    )  # fmt: skip
    assert found.servers == ("192.0.2.7:5070", "pbx.example", "[2001:db8::1]:5061")
    assert (found.protocol, found.uri, found.user, found.password) == (
        "tls",
        "sip:suite@pbx.example",
        "account",
        "a b; c",
    )
    assert (found.domain, found.server_name, found.is_by_uri, found.phone_event) == (
        "ext.example", "pbx.example", False, "dialog",
    )  # fmt: skip
    assert (found.list_uri, found.per_s, found.expires) == ("sip:all@pbx.example", 5, timedelta(minutes=10))
    assert [str(each) for each in found.notify_from] == ["192.0.2.0/24", "2001:db8::/32"]
    assert (found.local_address, found.local_port) == ("192.0.2.9", 5062)


@pytest.mark.parametrize(
    ("lines", "uri", "user", "domain"),
    [
        ("Uri = sip:suite@pbx.example:5080", "sip:suite@pbx.example:5080", "suite", "pbx.example"),
        ("AuthId = suite\nDomain = pbx.example", "sip:suite@pbx.example", "suite", "pbx.example"),
        ("AuthId = suite\nAddress = 192.0.2.7:5070", "sip:suite@192.0.2.7", "suite", "192.0.2.7"),
        ("Uri = sip:1000@[2001:db8::1]", "sip:1000@[2001:db8::1]", "1000", "[2001:db8::1]"),
        ("Address = pbx.example", "", "", "pbx.example"),
    ],
)
def test_who_the_agent_is_follows_from_what_is_set(tmp_path: Path, lines: str, uri: str, user: str, domain: str):
    found = read(tmp_path, lines)
    assert (found.uri, found.user, found.domain) == (uri, user, domain)


@pytest.mark.parametrize(
    "line",
    [
        "Address = pbx.example:0",
        "Address = pbx.example:65536",
        "Address = sip:pbx.example",
        "Address = ,",
        "Address = " + ",".join(f"192.0.2.{number}" for number in range(9)),
        "Protocol = sctp",
        "Uri = suite",
        "Uri = sip:suite@pbx.example;transport=tcp",
        "ListUri = http://pbx.example",
        "Domain = a b",
        "PhoneEvent = message-summary",
        "SubscriptionsPerSecond = 0",
        "NotifyFrom = 192.0.2.0/99",
        "LocalAddress = eth0",
        "LocalPort = 70000",
        "PasswordFile = nowhere",
        "CaFile = nowhere.pem",
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(tmp_path: Path, line: str):
    found = loaded(tmp_path, "Enable = 1", line)
    assert found.settings is None
    assert [fault.line for fault in found.faults if fault.breaks] == [3]


@pytest.mark.parametrize("text", ["", "\n", "one\ntwo\n"])
def test_a_password_file_has_one_line(tmp_path: Path, text: str):
    (tmp_path / "sip.password").touch(0o600)
    (tmp_path / "sip.password").write_text(text)
    assert loaded(tmp_path, "PasswordFile = sip.password").settings is None


def test_a_password_file_that_others_can_read_is_refused_and_a_password_in_such_settings_is_told(tmp_path: Path):
    (tmp_path / "sip.password").write_text("secret")
    (tmp_path / "sip.password").chmod(0o644)
    found = loaded(tmp_path, "PasswordFile = sip.password")
    assert found.settings is None
    assert "secret" not in str(found.faults)
    (tmp_path / "Presence.ini").chmod(0o644)
    told = loaded(tmp_path, "Password = secret")
    assert told.settings is not None
    assert told.settings.sip.password == "secret"
    assert [fault.line for fault in told.faults] == [2]
    assert "secret" not in repr(told.settings)


def test_what_is_missing_is_told_and_check_says_it_too(tmp_path: Path):
    def checked(*lines: str) -> str:
        loaded(tmp_path, *lines)
        return CliRunner().invoke(app, ["agent", "--settings", str(tmp_path / "Presence.ini"), "--check"]).output

    assert " sip " not in checked("Enable = 0")
    assert "SipSimple.Address is not set" in str(loaded(tmp_path, "Enable = 1").faults)
    assert "set SipSimple.Address" in checked("Enable = 1")
    assert "set SipSimple.Uri" in checked("Enable = 1", "Address = pbx.example")
    said = checked("Enable = 1", "Address = pbx.example", "Uri = sip:suite@pbx.example", "Password = secret")
    assert "pbx.example (udp) was not contacted. The agent subscribes as sip:suite@pbx.example." in said
    assert "There is a password for suite." in said
    assert "secret" not in said


def test_without_its_libraries_the_source_says_how_to_install_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    source = sip_source(SipSimpleSettings(enabled=True), Board(SourceName.SIP), lambda: None, None)
    assert source.connector.state is Connector.NOT_CONFIGURED
    assert "pip install 'presence-suite[sip]'" in source.connector.detail
    loaded(tmp_path, "Enable = 1", "Address = pbx.example", "Uri = sip:suite@pbx.example")
    checked = CliRunner().invoke(app, ["agent", "--settings", str(tmp_path / "Presence.ini"), "--check"])
    assert "pip install 'presence-suite[sip]'" in checked.output


def test_missing_packages_of_sip_are_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "dns", None)
    found = loaded(tmp_path, "Enable = 1", "Address = pbx.example", "AuthId = suite")
    assert found.settings is not None
    assert "pip install 'presence-suite[sip]'" in str(found.faults)


def test_an_address_with_a_scheme_is_told_once(tmp_path: Path):
    faults = loaded(tmp_path, "Enable = 1", "Address = sip:pbx.example", "AuthId = suite").faults
    assert [fault.text for fault in faults] == [
        "SipSimple.Address cannot be used. It must be host or host:port, such as pbx.example, 192.168.1.5:5060 or [fd00::5]:5060, without a scheme."
    ]
