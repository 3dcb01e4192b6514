"""The settings of the agent's SIP server, its files, and an agent that follows them."""

from __future__ import annotations

import hashlib
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
import trustme

from suite.agent.checking import CheckState, check
from suite.agent.core.values import RichState, RichStatement, SourceName
from suite.agent.settings.groups.sip_server import SipAddress, SipServerSettings
from suite.agent.settings.load import LoadedSettings, load
from suite.agent.settings.sip_files import read_lists, read_logins
from suite.names import key_of
from suite.sip.servers import SipServer
from suite.sip.subscriptions import SubscriptionEnd
from tests.suite.agent.agents import Premises, write_lan_files
from tests.suite.agent.phones import Display, lamp_of, presence_of, watching
from tests.support.valkey import free_port
from tests.support.waiting import eventually


def loaded(folder: Path, *lines: str) -> LoadedSettings:
    file = folder / "Presence.ini"
    file.write_text("\n".join(["[SipServer]", "Enable=1", *lines]))
    return load(file)


def faults(folder: Path, *lines: str) -> str:
    found = loaded(folder, *lines)
    assert found.settings is None
    return " ".join(str(fault) for fault in found.faults)


def private(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


def server_of(folder: Path, *lines: str) -> SipServerSettings:
    found = loaded(folder, *lines)
    assert found.settings is not None, found.faults
    return found.settings.sip_server


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("SipSimple.LocalPort=5060",), "SipSimple.LocalPort must differ from SipServer.UdpPort."),
        (("SipSimple.LocalPort=5060", "SipSimple.LocalAddress=127.0.0.2"), ""),
        (("SipSimple.LocalPort=5060", "SipSimple.LocalAddress=127.0.0.2", "Host=0.0.0.0"), "must differ"),
        (("SipSimple.LocalPort=5060", "SipSimple.Protocol=tcp"), ""),
        (("SipSimple.Address=127.0.0.1",), "is the address of the agent's own SIP server, udp:127.0.0.1:5060."),
        (("SipSimple.Address=127.0.0.1:5062",), ""),
        (("SipSimple.Address=[::1]", "Host=::1", "SipSimple.Protocol=tcp"), "own SIP server, tcp:[::1]:5060."),
        (("SipSimple.Enable=0", "SipSimple.Address=127.0.0.1", "SipSimple.LocalPort=5060"), ""),
        (("TcpPort=8790",), "SipServer.TcpPort must differ from Agent.Port."),
        (("UdpPort=8790",), ""),
        (("TcpPort=8791", "Agent.GrpcPort=8791"), "SipServer.TcpPort must differ from Agent.GrpcPort."),
    ],
)
def test_source_server_and_local_api_do_not_share_an_address(tmp_path: Path, lines: tuple[str, ...], words: str):
    source = ("SipSimple.Enable=1", "SipSimple.AuthId=suite", "SipSimple.Domain=pbx.example")
    if not any("SipSimple.Address" in line for line in lines):
        source += ("SipSimple.Address=10.0.0.5",)
    found = loaded(tmp_path, *source, *lines)
    said = " ".join(str(fault) for fault in found.faults if fault.breaks)
    assert (words in said) if words else not said, said


@pytest.mark.parametrize("section", ["SipSimple", "SipPublish", "Asterisk"])
def test_an_address_that_cannot_be_used_is_not_called_missing(tmp_path: Path, section: str):
    file = tmp_path / "Presence.ini"
    file.write_text(f"[{section}]\nEnable = 1\nAddress = sip:pbx.example\n")
    found = [fault for fault in load(file).faults if f"{section}.Address" in fault.text]
    assert [fault.breaks for fault in found] == [True], found
    assert "without" in found[0].text


def test_a_misspelt_section_is_told_once(tmp_path: Path):
    file = tmp_path / "Presence.ini"
    file.write_text("[SipSrever]\nEnable = 1\nHost = 127.0.0.1\n[Server]\nA = 1\n[sipserver]\nNotes = 1\n")
    found = [str(fault) for fault in load(file).faults]
    assert found == ["line 2: [SipSrever] is no section of the agent (did you mean [SipServer]?)."]


def test_it_is_off_and_open_to_this_machine_only_by_default(tmp_path: Path):
    (tmp_path / "Presence.ini").write_text("")
    found = load(tmp_path / "Presence.ini").settings
    assert found is not None
    assert not found.sip_server.enabled
    settings = server_of(tmp_path)
    assert [str(each) for each in settings.addresses] == ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]
    assert settings.networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert settings.publishers.networks == ()
    assert settings.per_s == 10


def test_all_settings_are_read(tmp_path: Path):
    authority = trustme.CA()
    write_lan_files(tmp_path, authority.issue_cert("127.0.0.1"))
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    private(tmp_path / "logins", "lobby:a secret\n")
    private(tmp_path / "publishers", "asterisk:another secret\n")
    (tmp_path / "lists").write_text("Sales = ada, 1002\n")
    settings = server_of(
        tmp_path,
        "Host=::1",
        "UdpPort=0",
        "TcpPort=5070",
        "TlsPort=5071",
        "CertificateFile=lan.crt",
        "PrivateKeyFile=lan.key",
        "ClientCaFile=ca.pem",
        "Domains=pbx.example, Teams.Example",
        "Networks=192.168.1.7/24, 10.0.0.5",
        "ServerNetworks=10.0.0.6",
        "LoginsFile=logins",
        "Realm=office",
        "Digest=MD5",
        "PublishNetworks=10.0.0.6",
        "PublishLoginsFile=publishers",
        "ListsFile=lists",
        "LampFor=calls",
        "Notes=0",
        "Language=it",
        "NotifiesPerSecond=0",
        "Subscriptions=5",
        "SubscriptionsPerAddress=3",
    )
    assert [str(each) for each in settings.addresses] == ["tcp:[::1]:5070", "tls:[::1]:5071"]
    assert settings.domains == ("pbx.example", "teams.example")
    assert settings.networks == (ip_network("192.168.1.0/24"), ip_network("10.0.0.5/32"))
    assert settings.logins["lobby"].password == "a secret"
    assert settings.publishers.logins["asterisk"].password == "another secret"
    assert settings.lists == {"sales": ("ada", "1002")}
    assert (settings.realm, settings.algorithms, settings.lamp_for) == ("office", ("MD5",), "calls")
    assert (settings.notes, settings.language, settings.per_s) == (False, "it", 0)
    assert (settings.subscriptions, settings.subscriptions_per_address) == (5, 3)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("UdpPort=0", "TcpPort=0"), "UdpPort and TcpPort are 0"),
        (("TlsPort=5061",), "needs SipServer.CertificateFile"),
        (("Networks=0.0.0.0/0",), "admits every client without SipServer.LoginsFile"),
        (("ServerNetworks=::/0",), "admits every client"),
        (("PublishNetworks=0.0.0.0/0",), "admits every client without SipServer.PublishLoginsFile"),
        (("Networks=office",), "Each network must be as 192.168.1.0/24"),
        (("Domains=sip:pbx.example",), "Each domain must be as pbx.example"),
        (("LoginsFile=missing",), "missing"),
        (("Language=tlh",), "must be en or it"),
        (("LampFor=always",), "must be busy or calls"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_remedy(tmp_path: Path, lines: tuple[str, ...], said: str):
    assert said in faults(tmp_path, *lines)


def test_everybody_may_watch_who_logs_in(tmp_path: Path):
    private(tmp_path / "logins", "lobby:a secret\n")
    assert server_of(tmp_path, "Networks=0.0.0.0/0", "LoginsFile=logins").logins


def test_a_file_of_logins_that_others_can_read_is_refused(tmp_path: Path):
    (tmp_path / "logins").write_text("lobby:a secret\n")
    (tmp_path / "logins").chmod(0o644)
    text = faults(tmp_path, "LoginsFile=logins")
    assert "can be read by others" in text
    assert "a secret" not in text


HASH = hashlib.md5(b"lobby:presence:a secret").hexdigest()


def test_logins_are_passwords_or_hashes():
    found = read_logins(f"# phones\nlobby:presence:{HASH}\nlobby:presence:{'a' * 64}\n\ndesk:pass:word\n", "presence")
    assert found["lobby"].hashes == {"MD5": HASH, "SHA-256": "a" * 64}
    assert found["desk"].password == "pass:word"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no login"),
        ("lobby\n", "Line 1"),
        ("desk:x\nlobby:\n", "Line 2"),
        ("a b:secret\n", "Line 1"),
        ("desk:x\ndesk:y\n", "Line 2"),
        (f"lobby:elsewhere:{HASH}\n", "a realm that is not"),
    ],
)
def test_a_line_that_is_no_login_is_told_by_its_number_only(text: str, said: str):
    with pytest.raises(ValueError, match=said) as refused:
        read_logins(text, "presence")
    assert "secret" not in str(refused.value)


def test_hashes_of_one_algorithm_need_that_algorithm(tmp_path: Path):
    private(tmp_path / "logins", f"lobby:presence:{HASH}\n")
    assert "no hash for SHA-256. Set SipServer.Digest" in faults(tmp_path, "LoginsFile=logins")
    assert server_of(tmp_path, "LoginsFile=logins", "Digest=MD5").algorithms == ("MD5",)


@pytest.mark.parametrize("text", ["sales ada\n", "= ada\n", "two words = ada\n", "a = x\nA = y\n"])
def test_a_line_that_is_no_list_is_told_by_its_number(text: str):
    with pytest.raises(ValueError, match=r"Line [12]"):
        read_lists(text)


def test_the_check_tells_which_ports_are_taken(tmp_path: Path):
    udp, tcp = free_port(), free_port()
    settings = loaded(tmp_path, f"UdpPort={udp}", f"TcpPort={tcp}")
    found = {each.text.split(" ")[0]: each.state for each in check(tmp_path / "Presence.ini", settings)}
    assert found[f"udp:127.0.0.1:{udp}"] is CheckState.OK
    assert found[f"tcp:127.0.0.1:{tcp}"] is CheckState.OK
    said = [each.text for each in check(tmp_path / "Presence.ini", settings) if each.what == "sip server"]
    assert "Phones of 127.0.0.0/8, ::1/128 may watch colleagues without a login." in said


async def test_an_agent_serves_phones_and_follows_its_settings(tmp_path: Path):
    tcp, moved = free_port(), free_port()
    premises = Premises(tmp_path, "localhost:1", free_port(), enable=0)
    premises.more = f"[SipServer]\nEnable=1\nUdpPort=0\nTcpPort={tcp}\n"
    premises.write("login,upn,sip,extension\nada,ada@contoso.example,,1001\n", trustme.CA().cert_pem.bytes())
    server = SipServer.at(f"127.0.0.1:{tcp}", "tcp")
    display, lamp, late = Display(), Display(), Display()
    async with premises.agent() as agent, watching() as phone:

        def say(state: RichState) -> None:
            agent.board.state_rich(key_of("ada"), SourceName.LOCAL, RichStatement(state=state))

        async def phones() -> dict[str, object]:
            async with httpx.AsyncClient(base_url=premises.url, trust_env=False) as client:
                found: dict[str, object] = (await client.get("/v1/sources")).json()["phones"]
                return found

        say(RichState.BUSY)
        phone.subscribe(server, presence_of("1001@pbx.example"), display)
        phone.subscribe(server, lamp_of("1001@pbx.example"), lamp)
        await eventually(lambda: (display.note, lamp.lamp) == ("Busy", "confirmed"))
        assert await phones() == {"state": "up_and_running", "detail": "", "subscriptions": 2}
        assert agent.board.listeners == 0  # phones take no place of a console
        premises.more = f"[SipServer]\nEnable=1\nUdpPort=0\nTcpPort={moved}\nLampFor=calls\n"
        premises.write_settings()
        await eventually(lambda: lamp.lamp == "terminated")  # over the connection that it had
        phone.subscribe(SipServer.at(f"127.0.0.1:{moved}", "tcp"), presence_of("1001@pbx.example"), late)
        await eventually(lambda: late.note == "Busy")
        say(RichState.OFFLINE)
        await eventually(lambda: display.note == late.note == "Offline")
        premises.more = ""
        premises.write_settings()
        await eventually(lambda: display.end == SubscriptionEnd(reason="probation", retry_after_s=15.0))

        async def is_off() -> bool:
            return (await phones())["state"] == "disabled"

        await eventually(is_off)


def test_an_address_is_written_as_people_read_it():
    assert str(SipAddress(protocol="tls", host="::1", port=5061)) == "tls:[::1]:5061"
