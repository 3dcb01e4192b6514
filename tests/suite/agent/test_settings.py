"""Presence.ini as it is found in the field: read, never written, told by line, and watched."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from suite.agent.core.values import SourceName
from suite.agent.files import READ_ANYWAY
from suite.agent.settings.load import MOST_BYTES, AgentSettings, LoadedSettings, load
from suite.agent.settings.reading import MOST_FAULTS, IniEntry, read_ini
from suite.agent.settings.watching import SettingsWatch
from suite.cli import app

KEY = "psk_1f2e3d4c_secret"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "Presence.ini"


def loaded(file: Path, text: str | bytes) -> LoadedSettings:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(file)


def used(file: Path, text: str | bytes) -> AgentSettings:
    found = loaded(file, text)
    assert found.settings is not None, found.faults
    return found.settings


def told(found: LoadedSettings) -> list[tuple[int, bool]]:
    """The line of each fault, and whether it breaks the file."""
    return [(fault.line, fault.breaks) for fault in found.faults]


def value(text: str) -> str:
    [entry] = read_ini(text).entries
    return entry.value


# The text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=b", IniEntry("", "A", "b", 1)),
        ("[S]\r\n  a = b c ", IniEntry("S", "a", "b c", 2)),
        ("[S]\rkey=v", IniEntry("S", "key", "v", 2)),
        ("[ S ] ; comment\n\tkey\t=\tv", IniEntry("S", "key", "v", 2)),
        ("[S]\nT.key=v", IniEntry("T", "key", "v", 2)),
        ("a=100%s", IniEntry("", "a", "100%s", 1)),
        ("url=http://h:1/?a=b", IniEntry("", "url", "http://h:1/?a=b", 1)),
    ],
)
def test_an_entry_is_found_however_it_is_laid_out(text: str, expected: IniEntry):
    assert read_ini(text) == read_ini(text)
    assert read_ini(text).entries == (expected,)
    assert read_ini(text).faults == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a="x ; y"', "x ; y"),
        ("a='x' ; y", "x"),
        ("a=x ; y", "x"),
        ("a=x;y#z", "x;y#z"),
        ("a=; nothing", ""),
        ("a=", ""),
        ('a="x', '"x'),
        ("a=it's", "it's"),
        ('a=""', ""),
    ],
)
def test_a_value_is_what_is_between_its_quotes_or_before_its_comment(text: str, expected: str):
    assert value(text) == expected


def test_an_indented_line_is_a_line_of_its_own():
    read = read_ini("[A]\nfirst=1\n    second=2\n    third")
    assert [(entry.key, entry.value) for entry in read.entries] == [("first", "1"), ("second", "2")]
    assert [fault.line for fault in read.faults] == [4]


@settings(max_examples=60)
@given(st.text(alphabet=st.one_of(st.sampled_from("[]=;#\"' \r\n\0.%:aB"), st.characters()), max_size=60))
def test_no_text_is_refused_and_every_entry_and_fault_has_its_line(text: str):
    read = read_ini(text)
    count = text.count("\n") + text.count("\r") + 1
    assert all(1 <= entry.line <= count for entry in read.entries)
    assert all(1 <= fault.line <= count for fault in read.faults)


def test_a_file_that_is_none_of_ours_is_told_in_bounded_words():
    faults = read_ini("nonsense\n" * 5_000 + "a=\0\n").faults
    assert len(faults) == MOST_FAULTS + 1
    assert faults[-1].text.startswith("There are 4,901 more")
    assert [fault.line for fault in faults if fault.breaks] == [5_001]  # the one that matters is not left out


# The file


@pytest.mark.parametrize(
    "text",
    [
        "MSTeamsPresence.Enable=1\nRichPresence.WinningTechnology=MSTeams\n",
        "Enable = 1\nWinningTechnology = msteams\n",
        "[MSTeamsPresence]\nEnable=true\n[RichPresence]\nWinningTechnology='MSTeams'\n",
        "[msteamspresence]\nENABLE=yes\nWinningTechnology=MSTEAMS\n",
        "\ufeffMSTeamsPresence.Enable=on\nWinningTechnology=MSTeams",
        "MSTeamsPresence.Enable=0\nMSTeamsPresence.Enable=1\nWinningTechnology=SipSimple\nWinningTechnology=MSTeams",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_the_settings_of_the_field_are_found(file: Path, text: str, encoding: str):
    raw = text.encode(encoding, "ignore") + "\n; Grüße aus Zürich\r\n".encode(encoding).removeprefix(b"\xff\xfe")
    found = used(file, raw)
    assert (found.teams.enabled, found.winning) == (True, SourceName.TEAMS)


def test_without_settings_the_agent_is_off_and_sip_wins(file: Path):
    found = used(file, "")
    assert (found.teams.enabled, found.winning, found.api.host) == (False, SourceName.SIP, "127.0.0.1")


def test_enable_of_another_section_switches_nothing_on(file: Path):
    assert not used(file, "[Recording]\nEnable=1\n").teams.enabled


def test_every_setting_is_read(file: Path, ca_pem: bytes):
    (file.parent / "suite.key").write_text(f"{KEY}\n")
    (file.parent / "suite.key").chmod(0o600)
    (file.parent / "ca.pem").write_bytes(ca_pem)
    found = used(
        file,
        "Enable=1\n[Relay]\nAddress=relay.example\nKeyFile=suite.key\nCaFile=ca.pem\nServerName=other.example\n"
        "Proxy=http://me:p%40ss@proxy.example:3128\nForm=Stream\n[Agent]\nUsersFile=people.csv\nHost=localhost\nPort=9000\n"
        "Origins=https://Console.example/, http://intranet:8080\nConsoles=5\nStore=state/agent.db\nUnknownAfter=5m\n",
    )
    teams, api = found.teams, found.api
    assert (teams.address, teams.key, teams.ca_pem, teams.server_name) == (
        "relay.example",
        KEY,
        ca_pem,
        "other.example",
    )
    assert (teams.proxy, teams.form, teams.unknown_after) == (
        "http://me:p%40ss@proxy.example:3128", "stream", timedelta(minutes=5),
    )  # fmt: skip
    assert (api.host, api.port, api.consoles) == ("127.0.0.1", 9000, 5)
    assert api.origins == ("https://console.example", "http://intranet:8080")
    assert (found.users_file, found.store) == (file.parent / "people.csv", file.parent / "state" / "agent.db")
    assert "secret" not in repr(found)
    assert "p%40ss" not in repr(found)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Enable=maybe", 1),
        ("\nWinningTechnology=Skype", 2),
        ("[Relay]\nAddress=https://relay.example/", 2),
        ("[Relay]\nAddress=relay.example:99999", 2),
        ("[Relay]\nKey=hunter2", 2),
        ("[Relay]\nKeyFile=missing.key", 2),
        ("[Relay]\nCaFile=Presence.ini", 2),
        ("[Relay]\nProxy=socks5://h:1", 2),
        ("[Relay]\nForm=bidi", 2),
        ("[Agent]\nHost=0.0.0.0", 2),
        ("[Agent]\nPort=0", 2),
        ("[Agent]\nPort=٣٣", 2),
        ("[Agent]\nOrigins=console.example", 2),
        ("[Agent]\nOrigins=https://console.example/path", 2),
        ("[Agent]\nConsoles=-1", 2),
        ("[Agent]\nUnknownAfter=0", 2),
        ("[Agent]\nUnknownAfter=soon", 2),
        ("[Agent]\nStore=", 2),
        ("Enable=1\nEn\0able=0", 2),
    ],
)
def test_a_value_that_cannot_be_used_breaks_the_file_at_its_line(file: Path, text: str, line: int):
    found = loaded(file, text)
    assert found.settings is None
    assert (line, True) in told(found)
    assert "hunter2" not in str(found.faults)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("Enable=0\nEnable=0", 2, "line 1"),
        ("[Relay]\nAdress=relay.example", 2, "did you mean Address?"),
        ("hello", 1, "neither"),
        ("[Relay\nForm=watch", 1, "]"),
        ("Enable=1", 1, "Relay.Address is not set"),
        ("[Relay]\nAddress=r.example\nKey=psk_a_b\n[X]\nMSTeamsPresence.Enable=1", 3, "others can read"),
    ],
)
def test_what_does_not_break_the_file_is_told_too(file: Path, text: str, line: int, words: str):
    file.touch(0o644)
    found = loaded(file, text)
    assert found.settings is not None
    assert [fault for fault in found.faults if fault.line == line and words in fault.text]


def test_settings_of_the_vendors_suite_are_not_mentioned(file: Path):
    assert (
        loaded(file, "[Database]\nPassword=%x\n[RichPresence]\nPollInterval=5\n[MSTeamsPresence]\nColour=red\n").faults
        == ()
    )


@pytest.mark.skipif(os.name != "posix", reason="rights are mode bits on POSIX only")
def test_a_key_file_that_others_can_read_is_refused(file: Path):
    key = file.parent / "suite.key"
    key.write_text(KEY)
    key.chmod(0o644)
    found = loaded(file, "[Relay]\nKeyFile=suite.key")
    assert (found.settings, told(found)) == (None, [(2, True)])
    key.chmod(0o600)
    assert used(file, "[Relay]\nKeyFile=suite.key").teams.key == KEY


def test_a_file_of_100_mb_a_folder_and_a_pipe_are_refused_unread(file: Path):
    with file.open("wb") as sparse:
        sparse.truncate(100_000_000)
    assert "too large" in load(file).faults[0].text
    file.unlink()
    os.mkfifo(file)
    assert "not a regular file" in load(file).faults[0].text
    assert load(file.parent).settings is None
    assert load(file.parent / "missing").settings is None
    assert used(file.parent / "large.ini", b";" * (MOST_BYTES - 1) + b"\n")


def test_half_of_a_utf_16_file_is_refused(file: Path):
    assert loaded(file, "Enable=1".encode("utf-16")[:-1]).settings is None


# A new version


class Watched:
    """A watched file, and what each new version of it was."""

    def __init__(self, file: Path, text: str) -> None:
        self.file = file
        self.watch = SettingsWatch(file, loaded(file, text))

    def becomes(self, text: str) -> LoadedSettings | None:
        self.file.write_text(text)
        assert self.watch.look() is None  # somebody may still be writing it
        return self.watch.look()

    @property
    def winning(self) -> SourceName:
        assert self.watch.in_force.settings is not None
        return self.watch.in_force.settings.winning


def test_a_new_version_counts_when_it_stays_as_it_is(file: Path):
    watched = Watched(file, "WinningTechnology=SipSimple")
    assert watched.becomes("WinningTechnology=MSTeams") is not None
    assert watched.winning is SourceName.TEAMS
    assert watched.watch.look() is None


def test_a_broken_version_is_told_once_and_leaves_the_old_one_in_force(file: Path):
    watched = Watched(file, "WinningTechnology=MSTeams")
    broken = watched.becomes("\n\nWinningTechnology=Skype")
    assert broken is not None
    assert (broken.settings, told(broken), watched.winning) == (None, [(3, True)], SourceName.TEAMS)
    assert [watched.watch.look() for _ in range(2 * READ_ANYWAY)] == [None] * 2 * READ_ANYWAY
    assert watched.becomes("WinningTechnology=Local") is not None
    assert watched.winning is SourceName.LOCAL


def test_an_emptied_or_missing_file_switches_nothing_off(file: Path):
    watched = Watched(file, "WinningTechnology=MSTeams")
    for new in (watched.becomes(""), watched.becomes("; nothing\n")):
        assert new is None or new.settings is None
    file.unlink()
    watched.watch.look()
    gone = watched.watch.look()
    assert gone is not None
    assert (gone.settings, watched.winning) == (None, SourceName.TEAMS)


def test_a_file_replaced_with_the_same_content_or_only_touched_is_no_new_version(file: Path):
    watched = Watched(file, "WinningTechnology=MSTeams")
    other = file.with_name("new")
    other.write_bytes(file.read_bytes())
    other.replace(file)
    assert [watched.watch.look() for _ in range(3)] == [None] * 3


def test_a_change_that_shows_in_no_time_and_no_size_is_found(file: Path):
    watched = Watched(file, "WinningTechnology=MSTeams")
    about = file.stat()
    file.write_text("WinningTechnology=Local  ")
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    looks = [watched.watch.look() for _ in range(READ_ANYWAY)]
    assert [look for look in looks if look is not None]
    assert watched.winning is SourceName.LOCAL


def test_a_new_key_in_the_key_file_is_a_new_version(file: Path):
    key = file.parent / "suite.key"
    key.touch(0o600)
    key.write_text(KEY)
    watched = Watched(file, "[Relay]\nKeyFile=suite.key")
    key.write_text("psk_other_key")
    watched.watch.look()
    new = watched.watch.look()
    assert new is not None
    assert new.settings is not None
    assert new.settings.teams.key == "psk_other_key"


# The commands


def test_check_tells_each_fault_with_its_line_and_ends_with_2(file: Path):
    file.write_text("[Relay]\nForm=bidi\nnonsense\n")
    ended = CliRunner().invoke(app, ["settings", "check", str(file)])
    assert ended.exit_code == 2
    assert f"{file}:2: error: Relay.Form cannot be used. It must be watch or stream." in ended.output
    assert f"{file}:3: note:" in ended.output
    file.write_text("[Relay]\nForm=watch\n")
    assert CliRunner().invoke(app, ["settings", "check", str(file)]).exit_code == 0


def test_check_reads_the_file_of_colleagues_too(file: Path):
    colleagues = file.with_name("colleagues.csv")
    file.write_text("[Agent]\nUsersFile=colleagues.csv\n")
    colleagues.write_text("login;upn\nada;ada@x.org\nben;nonsense\n")
    ended = CliRunner().invoke(app, ["settings", "check", str(file)])
    assert (ended.exit_code, f"{colleagues}:3: note:" in ended.output) == (0, True), ended.output
    colleagues.unlink()
    ended = CliRunner().invoke(app, ["settings", "check", str(file)])
    assert (ended.exit_code, f"{colleagues}: error:" in ended.output) == (2, True), ended.output
    assert f"{file} cannot be used." in ended.output


def test_explain_lists_what_is_in_force_and_shows_no_secret(file: Path):
    file.write_text(f"[Relay]\nKey={KEY}\nProxy=http://me:hunter2@h:1\nForm=stream\n")
    ended = CliRunner().invoke(app, ["settings", "explain", str(file)])
    assert ended.exit_code == 0
    assert "In force: stream  (line 4)" in ended.output
    assert "(set, not shown)  (line 2)" in ended.output
    assert KEY not in ended.output
    assert "hunter2" not in ended.output
    assert "WinningTechnology" in CliRunner().invoke(app, ["settings", "explain"]).output


@pytest.mark.parametrize(
    ("lines", "setting"),
    [
        ("Store = Presence.ini", "Agent.Store"),
        ("LogFile = ../{folder}/Presence.ini", "Agent.LogFile"),
        ("UsersFile = c.csv\nStore = ./c.csv", "Agent.Store"),
        ("UsersFile = c.csv\nLogFile = link", "Agent.LogFile"),
        ("LogFile = presence-agent.db", "Agent.LogFile"),
        ("Relay.KeyFile = suite.key\nStore = suite.key", "Agent.Store"),
    ],
)
def test_what_the_agent_writes_is_no_file_that_it_reads(file: Path, lines: str, setting: str):
    (file.parent / "suite.key").touch(0o600)
    (file.parent / "suite.key").write_text(KEY)
    (file.parent / "link").symlink_to("c.csv")
    found = loaded(file, f"[Agent]\n{lines.format(folder=file.parent.name)}")
    assert found.settings is None
    assert any(fault.text.startswith(f"{setting} must be a separate file") for fault in found.faults), found.faults


def test_a_key_file_that_vanishes_while_it_is_read_is_told(file: Path, monkeypatch: pytest.MonkeyPatch):
    (file.parent / "suite.key").touch(0o600)
    (file.parent / "suite.key").write_text(KEY)
    before = Path.stat

    def stat(path: Path, **more: bool) -> os.stat_result:
        if path.name == "suite.key":
            raise FileNotFoundError(2, "No such file or directory")
        return before(path, **more)

    monkeypatch.setattr(Path, "stat", stat)
    found = loaded(file, "[Relay]\nKeyFile = suite.key")
    assert (found.settings, told(found)) == (None, [(0, True)])
