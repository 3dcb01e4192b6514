"""`presence-suite doctor` as people and scripts meet it."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest
import trustme
from typer.testing import CliRunner

from suite.cli import app
from tests.suite.scripted_relay import ScriptedRelay

KEY = "psk_1f2e3d4c_secret"


@pytest.fixture
def files(tmp_path, ca_pem):
    (tmp_path / "key").write_text(f"{KEY}\n")
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "ca.pem").write_bytes(ca_pem)
    return tmp_path


@pytest.fixture
def run(files):
    async def run(*arguments: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "suite.cli", "doctor", "--ca-file", str(files / "ca.pem"), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await process.communicate()
        return process.returncode or 0, out.decode(), errors.decode()

    return run


async def test_a_table_and_a_verdict_for_people(relay, run, files):
    running = asyncio.create_task(
        run("--address", f"localhost:{relay.port}", "--key-file", str(files / "key"), "--idle", "0.1")
    )
    (await relay.stream()).started()
    code, out, errors = await running
    lines = out.splitlines()
    assert (code, errors) == (0, "")
    assert lines[0] == f"localhost:{relay.port}"
    assert [line.split()[0] for line in lines if " ok " in line] == [
        "name", "route", "proxy", "TLS", "certificate", "HTTP/2", "relay", "streams", "key", "organisation", "idle",
    ]  # fmt: skip
    assert lines[-1].startswith("All is well")


@pytest.mark.long
async def test_a_signer_whose_name_the_terminal_cannot_show(run, monkeypatch):
    relay = ScriptedRelay()
    await relay.listen(trustme.CA(organization_name="Prüfstelle Ω").issue_cert("localhost"))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    code, out, errors = await run("--address", f"localhost:{relay.port}")
    await relay.kill()
    assert (code, errors) == (3, "")
    assert "Pr?fstelle ?" in out
    assert "FAILED" in out


@pytest.mark.long
async def test_an_object_for_support(run, files, unused_tcp_port):
    code, out, errors = await run(
        "--address", f"localhost:{unused_tcp_port}", "--key-file", str(files / "key"), "--json"
    )
    found = json.loads(out)
    assert (code, errors) == (3, "")
    assert (found["works"], found["hop"], found["address"]) == (False, "route", f"localhost:{unused_tcp_port}")
    assert {row["hop"]: row["state"] for row in found["hops"]}["route"] == "failed"
    assert found["seen"]["routed"]["tries"][0]["fault"] == "refused"
    assert KEY not in out


@pytest.mark.long
async def test_a_relay_that_is_exempt_from_the_proxy_of_the_environment(run, monkeypatch, unused_tcp_port):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "localhost")
    _, out, _ = await run("--address", f"localhost:{unused_tcp_port}", "--json")
    found = json.loads(out)
    assert (found["proxy"], found["hops"][2]["seen"]) == (None, "none: NO_PROXY exempts the relay from it")


def test_wrong_usage(files):
    def fails(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["doctor", *arguments])
        assert result.exit_code == 2
        return result.output

    assert "must be host:port" in fails("--address", "https://relay.example.com")
    (files / "bad").write_text("geheim")
    said = fails("--address", "relay.example.com", "--key-file", str(files / "bad"))
    assert "not a suite key" in said
    assert "geheim" not in said
    assert "cannot be read" in fails("--address", "relay.example.com", "--ca-file", str(files / "none"))
    assert "is not supported" in fails("--address", "relay.example.com", "--proxy", "socks5://127.0.0.1:1")


@pytest.mark.long
async def test_a_key_that_others_can_read_is_warned_about(run, files, unused_tcp_port):
    (files / "key").chmod(0o644)
    _, _, errors = await run("--address", f"localhost:{unused_tcp_port}", "--key-file", str(files / "key"))
    assert errors.startswith("Warning: The key file")


@pytest.mark.long
async def test_the_settings_file_of_the_agent_says_where_to(run, files, unused_tcp_port):
    lines = [
        f"Address = localhost:{unused_tcp_port}",
        f"KeyFile = {files / 'key'}",
        f"Proxy = http://127.0.0.1:{unused_tcp_port}",
    ]
    (files / "Presence.ini").write_text("\n".join(["[Relay]", *lines]))
    code, out, errors = await run("--settings", str(files / "Presence.ini"), "--json")
    found = json.loads(out)
    assert (code, errors, found["hop"], found["proxy"]) == (3, "", "route", f"127.0.0.1:{unused_tcp_port}")
    assert found["verdict"].endswith("start it, or correct HTTPS_PROXY or the setting Relay.Proxy.")
    code, out, _ = await run(
        "--settings", str(files / "Presence.ini"), "--json", "--proxy", "", "--address", "nosuch.invalid"
    )
    assert (json.loads(out)["hop"], json.loads(out)["proxy"]) == ("name", None)


def test_a_settings_file_that_is_of_no_use(files):
    def fails(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["doctor", *arguments])
        assert result.exit_code == 2
        return result.output

    (files / "Presence.ini").write_text("[Relay]\nAddress = https://relay.example.com\n")
    assert "settings check shows why" in fails("--settings", str(files / "Presence.ini"))
    (files / "Presence.ini").write_text("[MSTeamsPresence]\nEnable = 1\n")
    assert "Give the address of the relay" in fails("--settings", str(files / "Presence.ini"))
