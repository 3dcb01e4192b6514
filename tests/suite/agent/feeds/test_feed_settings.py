"""The sections [Asterisk] and [SipPublish] of the settings, and what `--check` says of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from suite.agent.checking import CheckState, check
from suite.agent.settings.load import AgentSettings, load


def loaded(folder: Path, lines: str) -> tuple[AgentSettings | None, str]:
    """Return the settings of a file, and what was told of it."""
    file = folder / "Presence.ini"
    file.write_text(lines)
    file.chmod(0o600)
    found = load(file)
    return found.settings, "\n".join(str(fault) for fault in found.faults)


def secret_file(folder: Path, text: str = "hidden\n", mode: int = 0o600) -> None:
    path = folder / "a.secret"
    path.touch(0o600)
    path.write_text(text)
    path.chmod(mode)


ASTERISK = "[Asterisk]\nEnable=1\nAddress=pbx.example\nUser=presence\nSecretFile=a.secret\n"
PUBLISH = "[SipPublish]\nEnable=1\nAddress=pbx.example\nUser=suite\nPasswordFile=a.secret\n"


def test_what_is_left_out_has_a_default(tmp_path: Path):
    secret_file(tmp_path)
    settings, told = loaded(tmp_path, ASTERISK + PUBLISH)
    assert settings is not None, told
    asterisk, publish = settings.asterisk, settings.sip_publish
    assert (asterisk.host, asterisk.port, asterisk.secret) == ("pbx.example", 5038, "hidden")
    assert (asterisk.device, asterisk.presence) == ("Custom:teams-{extension}", "CustomPresence:teams-{extension}")
    assert (publish.host, publish.port, publish.protocol, publish.password) == ("pbx.example", None, "udp", "hidden")
    assert (publish.user_template, publish.events, publish.expires) == ("{sip}", ("presence",), timedelta(minutes=10))
    assert "hidden" not in repr(settings)


def test_tls_has_a_port_of_its_own_and_one_kind_of_state_leaves_the_other_out(tmp_path: Path):
    secret_file(tmp_path)
    settings, _ = loaded(tmp_path, f"{ASTERISK}Tls=1\nFeed=device\n{PUBLISH}Events=both\nAddress=[fd00::5]:5070\n")
    assert settings is not None
    assert (settings.asterisk.port, settings.asterisk.presence) == (5039, None)
    assert (settings.sip_publish.events, settings.sip_publish.host) == (("presence", "dialog"), "fd00::5")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"{ASTERISK}Device=PJSIP/{{extension}}", "must begin with Custom:"),
        (f"{ASTERISK}Device=Custom:teams-{{name}}", "must begin with Custom:"),
        (f"{ASTERISK}Device=Custom:a)b{{extension}}", "must begin with Custom:"),
        (f"{ASTERISK}Device=Custom:teams", "all colleagues would have one name"),
        (f"{ASTERISK}Presence=Custom:teams-{{extension}}", "must begin with CustomPresence:"),
        (f"{ASTERISK}Address=http://pbx", "host:port"),
        (f"{ASTERISK}ChangesPerSecond=0", "from 1 to 1,000"),
        (f"{PUBLISH}Whose=somebody", "must be {sip}"),
        (f"{PUBLISH}Whose=somebody@pbx.example", "all colleagues would have one address"),
        (f"{PUBLISH}Whose={{extension}}@pbx>example", "must be {sip}"),
        (f"{PUBLISH}Expires=10s", "1m at least"),
        (f"{PUBLISH}Protocol=sctp", "udp, tcp or tls"),
    ],
)
def test_what_cannot_work_is_refused_with_its_line(tmp_path: Path, line: str, told: str):
    secret_file(tmp_path)
    settings, said = loaded(tmp_path, f"{line}\n")
    assert settings is None
    assert told in said


@pytest.mark.parametrize("lines", [ASTERISK, PUBLISH], ids=["Asterisk", "SipPublish"])
def test_a_secret_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path, lines: str):
    secret_file(tmp_path, mode=0o644)
    assert loaded(tmp_path, lines)[0] is None
    for text in ("", "two\nlines\n", "a\0b"):
        secret_file(tmp_path, text)
        settings, said = loaded(tmp_path, lines)
        assert (settings, "must have one line" in said) == (None, True)


@pytest.mark.parametrize(
    ("lines", "what", "state", "told"),
    [
        (
            ASTERISK,
            "asterisk",
            CheckState.OK,
            "pbx.example, port 5038 was not contacted. The agent logs in as presence.",
        ),
        (
            "[Asterisk]\nEnable=1\n",
            "asterisk",
            CheckState.FAILED,
            "set Asterisk.Address and Asterisk.User and Asterisk.SecretFile",
        ),
        (PUBLISH, "publish", CheckState.OK, "was not contacted"),
        ("[SipPublish]\nEnable=1\n", "publish", CheckState.FAILED, "set SipPublish.Address"),
        ("[SipPublish]\nEnable=1\nAddress=a\nUser=b\n", "publish", CheckState.FAILED, "set SipPublish.PasswordFile"),
    ],
)
def test_an_installer_is_told(tmp_path: Path, lines: str, what: str, state: CheckState, told: str):
    secret_file(tmp_path)
    file = tmp_path / "Presence.ini"
    file.write_text(lines)
    [found] = [finding for finding in check(file, load(file)) if finding.what == what]
    assert (found.state, told in found.text) == (state, True), found.text


def test_feeds_that_are_off_are_not_spoken_of(tmp_path: Path):
    file = tmp_path / "Presence.ini"
    file.write_text("")
    assert not {finding.what for finding in check(file, load(file))} & {"asterisk", "publish"}
