"""The settings of Skype for Business: what is read, what is refused, and that no password is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from suite.agent.settings.groups.sfb import SfbSettings
from suite.agent.settings.load import LoadedSettings, load
from suite.cli import app
from tests.support.valkey import free_port

SECRET = "pass word; & = %s"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "skype.password").touch(0o600)
    (tmp_path / "skype.password").write_text(f"{SECRET}\r\n")
    return tmp_path / "Presence.ini"


def loaded(file: Path, *lines: str) -> LoadedSettings:
    file.touch(0o600)
    file.write_text("\n".join(["[SfB]", *lines]))
    return load(file)


def used(file: Path, *lines: str) -> SfbSettings:
    found = loaded(file, *lines)
    assert found.settings is not None, found.faults
    return found.settings.sfb


def test_it_is_off_and_nothing_is_needed(file: Path):
    assert used(file) == SfbSettings()


def test_the_address_of_the_user_says_the_domain_and_the_user_name(file: Path):
    found = used(file, "Enable = 1", "Uri = sip:Agent@contoso.example", "PasswordFile = skype.password")
    assert (found.uri, found.domain, found.user_name) == (
        "Agent@contoso.example",
        "contoso.example",
        "Agent@contoso.example",
    )
    assert (found.address, found.password) == ("", SECRET)
    assert loaded(file, "Enable = 1", "Uri = agent@contoso.example", "PasswordFile = skype.password").faults == ()
    assert SECRET not in repr(found)


def test_what_is_set_counts_before_what_follows(file: Path):
    found = used(
        file, "Uri=a@x.example", "Domain=y.example", r"UserName=X\a", "Address=https://lync.x.example:4443/root"
    )
    assert (found.domain, found.user_name, found.address) == ("y.example", r"X\a", "https://lync.x.example:4443/root")


@pytest.mark.parametrize(
    "line",
    [
        "Address = http://lync.x.example", "Address = https://u:p@lync.x.example", "Address = lync.x.example:0", "Address = lync.x.example:99999",
        "Address = lync x", "Address = ftp://x", "Domain = x y", "Domain = https://x.example", "Uri = agent", "Uri = agent@", "Uri = a@b/c",
        "Uri = tel:+1425", "PasswordFile = nothing.there", "CaFile = skype.password", "Enable = perhaps",
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_by_its_line(file: Path, line: str):
    found = loaded(file, line)
    assert found.settings is None
    assert [(fault.line, fault.breaks) for fault in found.faults] == [(2, True)]


@pytest.mark.parametrize(
    "address", ["lync.x.example", "lync.x.example:4443", "https://lync.x.example/", "192.168.1.20", "[fe80::1]:443"]
)
def test_an_address_is_a_host_with_or_without_port_and_scheme(file: Path, address: str):
    assert used(file, f"Address = {address}").address == address


def test_a_password_that_others_can_read_is_refused_or_told(file: Path):
    (file.parent / "skype.password").chmod(0o644)
    found = loaded(file, "PasswordFile = skype.password")
    assert found.settings is None
    assert "can be read by others" in found.faults[0].text
    file.touch()
    file.chmod(0o644)
    found = loaded(file, f'Password = "{SECRET}"')
    assert found.settings is not None
    assert [fault.breaks for fault in found.faults] == [False]
    assert SECRET not in found.faults[0].text


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", b"a\0b"])
def test_a_file_that_is_no_password_is_refused(file: Path, content: bytes):
    (file.parent / "skype.password").write_bytes(content)
    assert loaded(file, "PasswordFile = skype.password").settings is None


def test_a_change_of_the_passwords_file_is_a_change_of_the_settings(file: Path):
    before = used(file, "PasswordFile = skype.password")
    (file.parent / "skype.password").write_text("another")
    assert used(file, "PasswordFile = skype.password") != before


def test_what_is_missing_is_told(file: Path):
    texts = [fault.text for fault in loaded(file, "Enable = 1").faults]
    named = {
        name for name in ("SfB.Address", "SfB.UserName", "SfB.PasswordFile") if any(name in text for text in texts)
    }
    assert (len(texts), len(named)) == (3, 3)


def test_settings_explain_shows_no_password_and_says_that_no_server_was_seen(file: Path):
    loaded(file, f'Password = "{SECRET}"')
    shown = CliRunner().invoke(app, ["settings", "explain", str(file)]).output
    assert SECRET not in shown
    assert "never seen against a real server" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("lines", "verdict", "said"),
    [
        ([], "", ""),
        (["Enable=1"], "FAILED", "set SfB.Address or SfB.Domain"),
        (["Enable=1", "Uri=a@x.example"], "FAILED", "set SfB.UserName and SfB.PasswordFile"),
        (["Enable=1", "Uri=a@x.example", "PasswordFile=skype.password"], "note", "x.example was not contacted"),
    ],
)
def test_check_says_whether_it_can_begin_and_asks_nobody(file: Path, lines: list[str], verdict: str, said: str):
    loaded(file, *lines, f"[Agent]\nPort={free_port()}")
    shown = CliRunner().invoke(app, ["agent", "--settings", str(file), "--check"]).output
    found = [line for line in shown.splitlines() if " skype " in line]
    assert [line.split()[0] for line in found] == ([verdict] if verdict else [])
    assert said in "".join(found)
    assert SECRET not in shown
