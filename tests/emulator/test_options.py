"""How the emulator is started: its options, what is said of bad ones, and its proxy as a program."""

from __future__ import annotations

import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from emulator import Config, Emulator
from emulator.__main__ import main
from tests.emulator.test_program import program

if TYPE_CHECKING:
    from pathlib import Path


def said(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the program says, in this process, to arguments that it refuses."""
    monkeypatch.setattr(sys, "argv", ["emulator", *arguments])
    assert main() == 2
    return capsys.readouterr().err


@pytest.mark.long
async def test_the_program_leads_clients_through_its_proxy(tmp_path: Path) -> None:
    async with program("--proxy-port", "0", "--ca-dir", str(tmp_path)) as (_, ready):
        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        async with httpx.AsyncClient(proxy=ready["proxy"], verify=trusting, timeout=20) as client:
            answer = await client.get("https://graph.microsoft.com/v1.0/me")

    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"


async def test_without_being_asked_for_there_is_no_proxy() -> None:
    async with Emulator.start(Config()) as cloud:
        assert cloud.proxy_url == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "70000"], "the port is 70000; give one from 1 to 65535, or 0"),
        (["--proxy-port", "-1"], "the proxy port is -1; give one from 1 to 65535, or 0"),
        (["--port", "8400", "--proxy-port", "8400"], "give the proxy another port"),
        (["--tls-cert", "x.pem"], "give both, or neither"),
        (["--speed", "-1"], "the speed is -1; give one from 0"),
        (["--world", "/nowhere.json"], "give `demo`, or a JSON file"),
        (["--switches", '{"spelling": "klingon"}'], "emulator/switches.py has all names and values"),
        (["--switches", "{"], "emulator/switches.py has all names and values"),
        (["--ca-dir", "/proc/nowhere"], "give a writable folder"),
        (["--tls-cert", "/dev/null", "--tls-key", "/dev/null"], "readable PEM files that belong together"),
    ],
)
def test_a_bad_option_is_answered_with_what_to_do(
    arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(arguments, monkeypatch, capsys)

    assert told in text
    assert text.startswith("emulator: ")
    assert text.count("\n") == 1


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(["--port", "70000", "--speed", "-1", "--tls-key", "x"], monkeypatch, capsys)

    assert all(part in text for part in ("the port is", "the speed is", "go together"))


@pytest.mark.parametrize("option", ["port", "proxy_port"])
async def test_a_port_that_is_taken_is_named_with_what_to_do(option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options: dict[str, Any] = {option: port}
        with pytest.raises(OSError, match=f"127.0.0.1 port {port}: .* Choose another port"):
            async with Emulator.start(Config(**options)):
                raise AssertionError("it started")


def test_every_option_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["emulator", "--help"])
    with pytest.raises(SystemExit):
        main()
    text = capsys.readouterr().out

    body = text.partition("addresses and certificates:")[2]
    for line in text.partition("options:")[0].split("["):
        option = line.partition("]")[0].split()[0] if line.startswith("--") else ""
        assert f"  {option}" in body
    assert "HTTPS_PROXY=<proxy>" in text
