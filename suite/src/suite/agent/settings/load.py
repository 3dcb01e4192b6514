"""The settings that a file says: values checked, files that it names read, everything that is wrong told by line."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from suite.agent.certificate import ServerCertificate, server_context
from suite.agent.core.values import SourceName
from suite.agent.files import decode, read_bounded
from suite.agent.settings.access import checked_token, is_suite_key
from suite.agent.settings.finding import meant, setting_of
from suite.agent.settings.hub import HubSettings
from suite.agent.settings.kinds import is_loopback
from suite.agent.settings.reading import IniEntry, LineFault, listed, read_ini
from suite.agent.settings.schema import OWN_SECTIONS, SETTINGS, Setting
from suite.errors import ConfigError
from suite.proxy import parse_proxy
from suite.system import credential, how_to_close, is_open_to_others

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES: Final = 1024 * 1024
"""Limit of the settings file; a hundred times what the vendor's suites have."""
_KEY_BYTES: Final = 4096
_CA_BYTES: Final = 4 * 1024 * 1024
_KEY_FILE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamsSettings:
    """The Teams source: whether it is on, and the way to the relay.

    Attributes:
        address: of the relay; empty when none is set.
        key: the suite key; empty when there is none.
        proxy: None takes the environment's, empty connects directly.
    """

    enabled: bool = False
    address: str = ""
    key: str = field(default="", repr=False)
    ca_pem: bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)
    form: Literal["watch", "stream"] = "watch"
    unknown_after: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """The local API: its address, who may use it, and the most event streams at once.

    Attributes:
        grpc_port: of the relay's own API; None when it is not served.
        token: that every request must carry; empty when none must.
        certificate: None serves plain HTTP.
    """

    host: str = "127.0.0.1"
    port: int = 8790
    grpc_port: int | None = None
    token: str = field(default="", repr=False)
    certificate: ServerCertificate | None = None
    origins: tuple[str, ...] = ()
    consoles: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """The log: its file, None for standard error; its size, and the number of older files that are kept."""

    file: Path | None = None
    megabytes: int = 10
    files: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """All settings of an agent. Two are equal when nothing would be different, including the contents of the files that they name."""

    teams: TeamsSettings
    api: ApiSettings
    winning: SourceName
    users_file: Path | None
    store: Path
    hub: HubSettings = field(default_factory=HubSettings)
    log: LogSettings = field(default_factory=LogSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """The outcome of reading a settings file.

    Attributes:
        settings: None when the file cannot be used.
        faults: what is to be told, by line; some of it breaks the file when `settings` is None.
        lines: setting id -> the entry that counts; settings with their default are absent.
        files: files that it names and that were read, or were to be.
    """

    settings: AgentSettings | None
    faults: tuple[LineFault, ...]
    lines: dict[str, IniEntry] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


def load(path: Path) -> LoadedSettings:
    """Read a settings file, and the files with keys and certificates that it names. Nothing is raised: what is wrong is in the faults."""
    try:
        text = decode(read_bounded(path, "settings file", MOST_BYTES))
    except ConfigError as error:
        return LoadedSettings(settings=None, faults=(LineFault(0, str(error), breaks=True),))
    except UnicodeDecodeError:
        damaged = LineFault(0, f"The settings file {path} is not the UTF-8 or UTF-16 that it begins as.", breaks=True)
        return LoadedSettings(settings=None, faults=(damaged,))
    return _Loading(path).load(text)


class _Loading:
    """One reading of a file: gathers the values, and the faults."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[str, IniEntry] = {}
        self._values: dict[str, Any] = {}
        self._faults: list[LineFault] = []
        self._files: list[Path] = []

    def load(self, text: str) -> LoadedSettings:
        read = read_ini(text)
        self._faults.extend(read.faults)
        for entry in read.entries:
            self._take(entry)
        for setting in SETTINGS:
            self._evaluate(setting)
        settings = self._settings()
        is_broken = any(fault.breaks for fault in self._faults)
        return LoadedSettings(
            settings=None if is_broken else settings,
            faults=listed(self._faults),
            lines=self._lines,
            files=tuple(self._files),
        )

    def _take(self, entry: IniEntry) -> None:
        setting = setting_of(entry)
        if setting is None:
            if entry.section.lower() in OWN_SECTIONS:
                self._tell(
                    entry.line, f"There is no setting {entry.section}.{entry.key[:80]}{meant(entry)}; it is ignored."
                )
            return
        before = self._lines.get(setting.id)
        if before is not None:
            self._tell(entry.line, f"{setting.id} is set on line {before.line} too. This one, the last, counts.")
        self._lines[setting.id] = entry

    def _evaluate(self, setting: Setting) -> None:
        entry = self._lines.get(setting.id)
        try:
            self._values[setting.id] = setting.value_of(entry.value if entry is not None else setting.default)
        except ValueError as error:
            self._break(setting.id, f"{setting.id} cannot be used. {error}")
            self._values[setting.id] = setting.value_of(setting.default)

    def _settings(self) -> AgentSettings:
        get = self._values.__getitem__
        users_file = get("Agent.UsersFile")
        teams, api = self._teams(), self._api()
        if api.token and api.token == teams.key:
            self._break("Agent.TokenFile", "Agent.TokenFile has the relay's suite key. Make a token of its own.")
        settings = AgentSettings(
            teams=teams,
            api=api,
            winning=SourceName(get("RichPresence.WinningTechnology")),
            users_file=self._beside(users_file) if users_file else None,
            store=self._beside(get("Agent.Store")),
            hub=HubSettings(
                url=get("Notes.Hub") or "", token=self._token("Notes.HubTokenFile"), ca_pem=self._ca("Notes.HubCaFile")
            ),
            log=self._log(),
        )
        self._check_written(settings)
        return settings

    def _check_written(self, settings: AgentSettings) -> None:
        """Check that what the agent writes is nothing that it reads: a key would be set aside as a damaged store."""
        read = [self._path, *self._files, *filter(None, [settings.users_file])]
        for setting, path, others in (
            ("Agent.Store", settings.store, read),
            ("Agent.LogFile", settings.log.file, [*read, settings.store]),
        ):
            if path is not None and os.path.realpath(path) in map(os.path.realpath, others):
                self._break(
                    setting, f"{setting} must be a file of its own. The agent writes it, and {path.name} is another."
                )

    def _log(self) -> LogSettings:
        get = self._values.__getitem__
        named = get("Agent.LogFile")
        return LogSettings(
            file=self._beside(named) if named else None,
            megabytes=get("Agent.LogMegabytes"),
            files=get("Agent.LogFiles"),
        )

    def _api(self) -> ApiSettings:
        get = self._values.__getitem__
        api = ApiSettings(
            host=get("Agent.Host"),
            port=get("Agent.Port"),
            grpc_port=get("Agent.GrpcPort"),
            token=self._token("Agent.TokenFile"),
            certificate=self._certificate(),
            origins=get("Agent.Origins") or (),
            consoles=get("Agent.Consoles"),
        )
        missing = [name for name in ("TokenFile", "CertificateFile", "PrivateKeyFile") if not get(f"Agent.{name}")]
        if not is_loopback(api.host) and missing:
            needed = ", ".join(f"Agent.{name}" for name in missing)
            self._break("Agent.Host", f"Other machines can reach Agent.Host {api.host}. That also needs {needed}.")
        if api.grpc_port == api.port:
            self._break("Agent.GrpcPort", "Agent.GrpcPort must differ from Agent.Port.")
        if api.grpc_port and api.token and not is_suite_key(api.token):
            self._tell(
                self._line("Agent.TokenFile"),
                "Programs that were written for the relay take no token that does not begin with psk_.",
            )
        return api

    def _token(self, setting: str) -> str:
        raw = self._private_file(setting, "token file", _KEY_BYTES)
        if raw is None:
            return ""
        try:
            token = checked_token(decode_or_empty(raw))
        except ValueError as error:
            self._break(setting, f"{setting} cannot be used. {error}")
            return ""
        return token

    def _certificate(self) -> ServerCertificate | None:
        chain_file, key_file = self._values["Agent.CertificateFile"], self._values["Agent.PrivateKeyFile"]
        if not chain_file and not key_file:
            return None
        if not chain_file or not key_file:
            given, missing = (
                ("CertificateFile", "PrivateKeyFile") if chain_file else ("PrivateKeyFile", "CertificateFile")
            )
            self._break(f"Agent.{given}", f"Agent.{given} needs Agent.{missing} too.")
            return None
        chain = self._file("Agent.CertificateFile", self._beside(chain_file), "certificate file", _CA_BYTES)
        key = self._private_file("Agent.PrivateKeyFile", "private key file", _KEY_FILE_BYTES)
        if chain is None or key is None:
            return None
        found = ServerCertificate(
            chain_pem=decode_or_empty(chain).encode(), key_pem=decode_or_empty(key).encode()
        )  # without byte-order marks
        try:
            server_context(found)
        except ValueError as error:
            self._break("Agent.CertificateFile", f"Agent.CertificateFile cannot be used. {error}")
        return found

    def _private_file(self, setting: str, what: str, most_bytes: int) -> bytes | None:
        """Return the bytes of a file that only the agent's account may read; None without one."""
        named = self._values[setting]
        if not named:
            return None
        path = credential(named) or self._beside(named)
        raw = self._file(setting, path, what, most_bytes)
        if raw is not None and self._is_open(path):
            self._break(setting, f"The {what} {path} can be read by others; {how_to_close(path)}.")
        return raw

    def _is_open(self, path: Path) -> bool:
        """Return True when others can read a file that was just read. One that vanished since breaks the settings: it is being replaced."""
        try:
            return is_open_to_others(path)
        except OSError as error:
            self._faults.append(LineFault(0, f"{path} cannot be read: {error.strerror or error}.", breaks=True))
            return False

    def _teams(self) -> TeamsSettings:
        get = self._values.__getitem__
        enabled, address, proxy = get("MSTeamsPresence.Enable"), get("Relay.Address") or "", get("Relay.Proxy")
        self._check_address(address)
        proxy = self._checked_proxy(proxy)
        key = self._key()
        if enabled and not address:
            self._tell(self._line("MSTeamsPresence.Enable"), "Teams presence is on, but Relay.Address is not set.")
        if enabled and not key and not self._line("Relay.KeyFile"):
            self._tell(self._line("MSTeamsPresence.Enable"), "Teams presence is on, but there is no Relay.KeyFile.")
        return TeamsSettings(
            enabled=enabled,
            address=address,
            key=key,
            ca_pem=self._ca("Relay.CaFile"),
            server_name=get("Relay.ServerName"),
            proxy=proxy,
            form=get("Relay.Form"),
            unknown_after=get("Agent.UnknownAfter"),
        )

    def _check_address(self, address: str) -> None:
        from suite.channel import split_address  # it brings gRPC, which `settings explain` need not wait for

        try:
            if address:
                split_address(address)
        except ConfigError as error:
            self._break("Relay.Address", str(error))

    def _checked_proxy(self, text: str | None) -> str | None:
        if text is None:
            return None
        if text.lower() == "none":
            return ""
        try:
            parse_proxy(text)
        except ConfigError as error:
            self._break("Relay.Proxy", str(error))
        return text

    def _key(self) -> str:
        """Return the suite key, of its file before that of the settings file itself."""
        if named := self._values["Relay.KeyFile"]:
            return self._key_of(named)
        key = self._values["Relay.Key"] or ""
        if not key:
            return ""
        if not is_suite_key(key):
            self._break(
                "Relay.Key", "Relay.Key is not a suite key: it must begin with psk_ and contain no white space."
            )
        elif self._is_open(self._path):
            self._tell(
                self._line("Relay.Key"),
                "The key is in a file that others can read. Put it into a file of its own: KeyFile.",
            )
        return str(key)

    def _key_of(self, named: str) -> str:
        raw = self._private_file("Relay.KeyFile", "key file", _KEY_BYTES)
        if raw is None:
            return ""
        key = decode_or_empty(raw).strip()
        if not is_suite_key(key):
            self._break(
                "Relay.KeyFile", f"The key file {self._beside(named)} has no suite key: it must begin with psk_."
            )
        return key

    def _ca(self, setting: str) -> bytes | None:
        from suite.channel import check_certificates

        named = self._values[setting]
        raw = self._file(setting, self._beside(named), "CA file", _CA_BYTES) if named else None
        if raw is None:
            return None
        raw = decode_or_empty(raw).encode()  # without a byte-order mark
        try:
            check_certificates(raw)
        except ConfigError as error:
            self._break(setting, str(error))
        return raw

    def _file(self, setting: str, path: Path, what: str, most_bytes: int) -> bytes | None:
        self._files.append(path)
        try:
            return read_bounded(path, what, most_bytes)
        except ConfigError as error:
            self._break(setting, str(error))
            return None

    def _beside(self, named: str) -> Path:
        """Return a path; a relative one begins in the folder of the settings file."""
        return self._path.parent / os.path.expanduser(named)  # noqa: PTH111  Path's raises for an unknown user

    def _line(self, setting: str) -> int:
        entry = self._lines.get(setting)
        return entry.line if entry is not None else 0

    def _tell(self, line: int, text: str) -> None:
        self._faults.append(LineFault(line, text))

    def _break(self, setting: str, text: str) -> None:
        self._faults.append(LineFault(self._line(setting), text, breaks=True))


def decode_or_empty(raw: bytes) -> str:
    """Return the text of a file, empty when it has a byte-order mark and is not what that says."""
    try:
        return decode(raw)
    except UnicodeDecodeError:
        return ""
