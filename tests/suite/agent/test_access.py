"""The local API beyond loopback: token, TLS, cookies, and settings that would open it to everybody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from suite.agent.added import AddedColleagues
from suite.agent.api import accepting as accepting_module
from suite.agent.api.accepting import ServerTls
from suite.agent.api.app import LocalApi
from suite.agent.api.guard import Guard
from suite.agent.api.pace import MOST_NETWORKS, Pace, PaceByNetwork
from suite.agent.api.serving import listen, serving
from suite.agent.api.sign_in import WRONG_AT_ONCE, SignIn
from suite.agent.api.token import COOKIE_S, AccessToken
from suite.agent.board import Board
from suite.agent.certificate import server_context
from suite.agent.core.values import SourceName
from suite.agent.notekeeping.clock import NoteClock
from suite.agent.notekeeping.keeper import NoteKeeper
from suite.agent.settings.access import new_token
from suite.agent.settings.load import LoadedSettings, load
from suite.agent.sources.local import LocalStates
from suite.agent.users.reading import Colleague
from suite.cli import app
from tests.suite.agent.agents import LAN, TOKEN, Premises, certificate, write_lan_files
from tests.suite.agent.consoles import Console
from tests.suite.scripted_relay import ScriptedRelay
from tests.support.valkey import free_port
from tests.support.waiting import eventually

OTHER = "psk_agent_another-one-0123456789"


class Lan:
    """An API that is served as on a LAN: any host name, TLS and a token; and a client that trusts its CA."""

    def __init__(self, board: Board, api: LocalApi, url: str, tls: ServerTls, client: httpx.AsyncClient) -> None:
        self.board, self.api, self.url, self.tls, self.client = board, api, url, tls, client

    async def get(self, path: str = "/v1/users", **headers: str) -> httpx.Response:
        return await self.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def sign_in(self, token: str = TOKEN) -> httpx.Response:
        return await self.client.post("/v1/session", json={"token": token})


@pytest.fixture
async def lan(cert: trustme.LeafCert, ca_pem: bytes) -> AsyncIterator[Lan]:
    board = Board(SourceName.TEAMS)
    board.set_colleagues([Colleague(login="ada", upn="ada@x.org")])
    bound = listen("127.0.0.1", 0)
    port = bound.getsockname()[1]
    api = LocalApi(
        board=board,
        local=LocalStates(board, asyncio.get_running_loop().time),
        notes=NoteKeeper(board, None, NoteClock()),
        added=AddedColleagues(board, None),
        connectors=dict,
        version="1",
        consoles=10,
        sign_in=SignIn(TOKEN, port=port, is_secure=True),
    )
    tls = ServerTls(server_context(certificate(cert)))
    trusting = ssl.create_default_context(cadata=ca_pem.decode())
    url = f"https://127.0.0.1:{port}"
    async with (
        serving(Guard(api.app(), port, [], scheme="https", any_host=True), bound, 10, tls),
        httpx.AsyncClient(base_url=url, verify=trusting, trust_env=False) as client,
    ):
        yield Lan(board, api, url, tls, client)
        api.stopping.set()


# Tokens and cookies


async def test_every_path_of_the_api_needs_the_token(lan: Lan):
    for route in lan.api.app().routes:
        for method in route.methods - {"HEAD"}:
            if not route.path.startswith("/v1/") or route.path == "/v1/session":
                continue
            answer = await lan.client.request(method, route.path.replace("{name:path}", "ada"))
            if not route.path.startswith("/v1/"):  # a file of the page, which signs in then
                assert "ada" not in answer.text, route.path
                continue
            assert (answer.status_code, "ada" in answer.text) == (401, False), route.path
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await lan.get("/v1/%75sers")).status_code == 401
    assert (await lan.get("/openapi.json")).status_code == 200
    assert "ada" in (await lan.get(Authorization=f"Bearer {TOKEN}")).text
    assert (await lan.get(Authorization=f"bearer  {TOKEN}")).status_code == 200


@pytest.mark.parametrize("offered", [OTHER, TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ü", "x"])
async def test_another_token_is_none(lan: Lan, offered: str):
    answer = await lan.client.get("/v1/users", headers={"Authorization": f"Bearer {offered}".encode()})
    assert (answer.status_code, "ada" in answer.text) == (401, False)
    assert (await lan.client.get("/v1/users", headers={"Authorization": f"Basic {TOKEN}"})).status_code == 401


async def test_wrong_tokens_are_limited_and_do_not_keep_the_right_one_out(lan: Lan, caplog: pytest.LogCaptureFixture):
    wrong = [await lan.get(Authorization=f"Bearer {OTHER}{number}") for number in range(WRONG_AT_ONCE + 5)]
    assert [answer.status_code for answer in wrong] == [401] * WRONG_AT_ONCE + [429] * 5
    assert wrong[-1].headers["connection"] == "close"
    assert (await lan.sign_in(OTHER)).status_code == 429
    assert (await lan.get(Authorization=f"Bearer {TOKEN}")).status_code == 200
    assert [record.levelno for record in caplog.records] == [logging.WARNING]  # one line, however many there are
    assert OTHER not in caplog.text


async def test_a_browser_signs_in_with_a_cookie_that_scripts_and_other_sites_cannot_use(lan: Lan):
    told = (await lan.get("/v1/session")).json()
    assert told == {"token_needed": True, "signed_in": False, "expires_in_s": None}
    assert (await lan.sign_in(OTHER)).status_code == 401
    assert (await lan.client.post("/v1/session", json={"token": 5})).status_code == 400
    assert (await lan.client.post("/v1/session")).status_code == 401
    signed_in = await lan.sign_in()
    cookie = signed_in.headers["set-cookie"]
    assert cookie.startswith("__Host-presence-agent-")
    assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert TOKEN not in cookie
    assert signed_in.json() == {"token_needed": True, "signed_in": True, "expires_in_s": COOKIE_S}
    assert (await lan.get()).status_code == 200
    assert (await lan.client.post("/v1/session")).headers["set-cookie"]  # renewed
    assert (await lan.get(Origin="https://evil.example")).status_code == 403
    assert (await lan.get(Sec_Fetch_Site="cross-site")).status_code == 403
    assert (await lan.get(Origin=lan.url)).status_code == 200
    await lan.client.delete("/v1/session")
    assert (await lan.get()).status_code == 401


async def test_another_token_ends_what_came_in_with_the_one_before(lan: Lan):
    await lan.sign_in()
    console = Console(lan.url)
    reading = asyncio.create_task(console.listen(headers={"Authorization": f"Bearer {TOKEN}"}, client=lan.client))
    await eventually(lambda: "complete" in console.seen)
    lan.api.sign_in.use(OTHER)
    await asyncio.wait_for(reading, 30)
    assert console.is_over
    assert (await lan.get()).status_code == 401
    assert (await lan.get(Authorization=f"Bearer {OTHER}")).status_code == 200
    await eventually(lambda: lan.board.listeners == 0)


@pytest.mark.parametrize(
    "others",
    [
        'prefs={"a":1}; {}',
        "half; {}",
        "{}; a[b]=\u00e9,",
        'x="un; {}',
        "; ;={}; {}",
        "{name}=1-stale; {}",
        "{}; {name}=2-of-another",
    ],
)
async def test_cookies_of_other_programs_on_the_same_host_do_not_sign_a_browser_out(lan: Lan, others: str):
    own = (await lan.sign_in()).headers["set-cookie"].partition(";")[0]
    lan.client.cookies.clear()
    cookies = others.replace("{name}", own.partition("=")[0]).replace("{}", own)
    assert (await lan.client.get("/v1/users", headers={"Cookie": cookies.encode("latin-1")})).status_code == 200


def test_a_cookie_is_good_for_its_time_and_for_its_token_only():
    token, now = AccessToken(TOKEN), 1_800_000_000.0
    cookie = token.cookie(now)
    assert token.cookie_left_s(cookie, now) == COOKIE_S
    assert AccessToken(TOKEN).cookie_left_s(cookie, now + 60) == COOKIE_S - 60  # after a restart
    assert token.cookie_left_s(cookie, now + COOKIE_S) == 0
    assert token.cookie_left_s(cookie, now - COOKIE_S) == 0  # the clock was set back
    assert AccessToken(OTHER).cookie_left_s(cookie, now) == 0
    expiry, _, signature = cookie.partition("-")
    assert token.cookie_left_s(f"{int(expiry) + 1}-{signature}", now) == 0


@given(st.text(max_size=80))
def test_no_other_text_is_a_cookie(text: str):
    assert AccessToken(TOKEN).cookie_left_s(text, 1_800_000_000.0) == 0


# Paces


@given(st.lists(st.floats(0, 5), min_size=1, max_size=80))
def test_a_pace_never_lets_through_more_than_it_says(pauses: list[float]):
    pace, now, let_through = Pace(5, 2.0), 100.0, []
    for pause in pauses:
        now += pause
        if pace.may(now):
            let_through.append(now)
    for first, later in zip(let_through, let_through[5:], strict=False):
        assert later - first >= 2.0 - 1e-6


def test_paces_of_networks_are_bounded_and_addresses_of_one_machine_share_one():
    paces = PaceByNetwork(1, 1.0)
    for number in range(MOST_NETWORKS + 50):
        paces.of(f"10.0.{number // 256}.{number % 256}")
    assert len(paces) == MOST_NETWORKS
    assert paces.of("127.0.0.1") is paces.of("::1") is paces.of("::ffff:127.0.0.9")
    assert paces.of("2001:db8::1") is paces.of("2001:db8::2") is not paces.of("2001:db8:0:1::1")
    assert paces.of("192.168.1.1") is not paces.of("192.168.1.2")


# TLS


async def test_a_renewed_certificate_is_for_new_connections(lan: Lan, ca_pem: bytes):
    other = trustme.CA()
    renewed = server_context(certificate(other.issue_cert("127.0.0.1")))
    assert (await lan.get("/v1/session")).status_code == 200
    lan.tls.context = renewed
    assert (await lan.get("/v1/session")).status_code == 200  # the connection that was open
    for trusted, is_good in ((ca_pem, False), (other.cert_pem.bytes(), True)):
        context = ssl.create_default_context(cadata=trusted.decode())
        async with httpx.AsyncClient(base_url=lan.url, verify=context, trust_env=False) as client:
            if is_good:
                assert (await client.get("/v1/session")).status_code == 200
            else:
                with pytest.raises(httpx.ConnectError):
                    await client.get("/v1/session")


async def test_half_a_handshake_and_plain_http_are_not_waited_for(lan: Lan, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(accepting_module, "HANDSHAKE_S", 0.2)
    port = httpx.URL(lan.url).port
    for sent in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()
    assert (await lan.get("/v1/session")).status_code == 200


# Settings


@pytest.fixture
def files(tmp_path: Path, cert: trustme.LeafCert) -> Path:
    write_lan_files(tmp_path, cert)
    return tmp_path


def loaded(files: Path, lines: str) -> LoadedSettings:
    (files / "Presence.ini").write_text(f"[Agent]\n{lines}")
    return load(files / "Presence.ini")


def test_the_three_files_open_the_api_to_the_lan(files: Path):
    found = loaded(files, LAN)
    assert found.settings is not None, found.faults
    assert (found.settings.api.host, found.settings.api.token) == ("0.0.0.0", TOKEN)
    assert found.settings.api.certificate is not None
    assert TOKEN not in repr(found)
    assert "PRIVATE KEY" not in repr(found)
    assert {path.name for path in found.files} == {"token", "lan.crt", "lan.key"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("Host=0.0.0.0", "Other machines can reach"),
        ("Host=::", "Agent.TokenFile, Agent.CertificateFile, Agent.PrivateKeyFile"),
        ("Host=192.168.1.20\nTokenFile=token", "Agent.CertificateFile"),
        ("Host=::ffff:10.0.0.1\nCertificateFile=lan.crt\nPrivateKeyFile=lan.key", "Agent.TokenFile"),
        ("Host=intranet", "must be an address"),
        ("TokenFile=missing", "cannot be read"),
        ("TokenFile=open", "chmod 600"),
        ("TokenFile=short", "24 to 512"),
        ("TokenFile=simple", "can be guessed"),
        ("TokenFile=lan.crt", "no blanks"),
        ("CertificateFile=lan.crt", "PrivateKeyFile too"),
        ("PrivateKeyFile=lan.key", "CertificateFile too"),
        ("CertificateFile=lan.crt\nPrivateKeyFile=open", "chmod 600"),
        ("CertificateFile=lan.crt\nPrivateKeyFile=other.key", "does not belong"),
        ("CertificateFile=lan.crt\nPrivateKeyFile=locked.key", "password"),
        ("CertificateFile=token\nPrivateKeyFile=lan.key", "must be PEM files"),
        ("TokenFile=token\n[Relay]\nKeyFile=token", "suite key"),
    ],
)
def test_settings_that_would_open_it_to_everybody_are_refused(files: Path, lines: str, words: str):
    key = trustme.CA().issue_cert("x").private_key_pem.bytes()
    for name, content in (("short", b"hunter2"), ("simple", b"a" * 30), ("other.key", key), ("open", TOKEN.encode())):
        (files / name).touch(0o600)
        (files / name).write_bytes(content)
    (files / "open").chmod(0o644)
    (files / "locked.key").touch(0o600)
    (files / "locked.key").write_bytes(locked_key())
    found = loaded(files, lines)
    assert found.settings is None
    assert any(words in fault.text and fault.breaks for fault in found.faults), found.faults
    assert "hunter2" not in str(found.faults)


def test_a_certificate_needs_no_room_on_the_disk(files: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(files / "full"))
    assert loaded(files, LAN).settings is not None
    monkeypatch.delattr(os, "memfd_create")  # as where the system has no files in memory
    found = loaded(files, LAN)
    assert [fault.text.partition(".")[0] for fault in found.faults] == ["Agent"]
    assert (found.settings, "temporary" in found.faults[0].text) == (None, True)


def locked_key() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


def test_the_command_makes_a_token_that_settings_take(tmp_path: Path):
    file = tmp_path / "token"
    ended = CliRunner().invoke(app, ["settings", "new-token", str(file)])
    token = file.read_text().strip()
    assert (ended.exit_code, stat.S_IMODE(file.stat().st_mode), token in ended.output) == (0, 0o600, False)
    assert loaded(tmp_path, "TokenFile=token").settings is not None
    assert CliRunner().invoke(app, ["settings", "new-token", str(file)]).exit_code == 2  # it is kept
    assert (file.read_text().strip(), new_token() == new_token()) == (token, False)


async def test_an_agent_follows_its_token_and_certificate_and_never_goes_without(
    files: Path, relay: ScriptedRelay, ca_pem: bytes, authority: trustme.CA
):
    premises = Premises(files, f"localhost:{relay.port}", free_port(), more=LAN)
    premises.write("login;upn\nada;ada@x.org\n", ca_pem)
    url = f"https://127.0.0.1:{premises.port}/v1/users"

    async def status(token: str, trusted: bytes) -> int:
        context = ssl.create_default_context(cadata=trusted.decode())
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            try:
                return (await client.get(url, headers={"Authorization": f"Bearer {token}"})).status_code
            except httpx.ConnectError:
                return 0

    async def says(expected: int, token: str, trusted: bytes) -> bool:
        return await status(token, trusted) == expected

    async with premises.agent():
        assert (await status(TOKEN, ca_pem), await status(OTHER, ca_pem)) == (200, 401)
        (files / "token").write_text(OTHER)
        await eventually(lambda: says(200, OTHER, ca_pem))
        other = trustme.CA()
        renewed = certificate(other.issue_cert("127.0.0.1"))
        (files / "lan.crt").write_bytes(renewed.chain_pem)  # half of a renewal: the old one stays in force
        await asyncio.sleep(0.3)
        assert await status(OTHER, ca_pem) == 200
        (files / "lan.key").write_bytes(renewed.key_pem)
        await eventually(lambda: says(200, OTHER, other.cert_pem.bytes()))
        premises.more = "Host=127.0.0.1"  # counts from the next start, and so does doing without a token
        premises.write_settings()
        await asyncio.sleep(0.3)
        assert await status("none", other.cert_pem.bytes()) == 401
