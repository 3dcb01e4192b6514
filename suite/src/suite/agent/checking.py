"""Check whether an agent can start with its settings, for installers. Writes and sends nothing.

    presence-suite agent --settings Presence.ini --check

The check contacts neither the relay nor a SIP server, because an agent starts without them. `presence-suite doctor` tests the
connection to the relay.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import socket
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.agent.api.serving import listen
from suite.agent.settings.kinds import is_loopback
from suite.agent.settings.libraries import HOW_TO_INSTALL, has_libraries
from suite.agent.store.database import inspect_database
from suite.agent.users.reading import load_users
from suite.errors import ConfigError
from suite.system import claim_port, is_open_to_others

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from suite.agent.settings.groups.api import ApiSettings
    from suite.agent.settings.groups.asterisk import AsteriskSettings
    from suite.agent.settings.groups.sfb import SfbSettings
    from suite.agent.settings.groups.sip_publish import SipPublishSettings
    from suite.agent.settings.groups.sip_server import SipAddress, SipServerSettings
    from suite.agent.settings.groups.sip_simple import SipSimpleSettings
    from suite.agent.settings.groups.teams import TeamsSettings
    from suite.agent.settings.load import LoadedSettings


class CheckState(enum.Enum):
    """The outcome of one check. FAILED means that the agent cannot do what its settings say."""

    OK = "ok"
    NOTE = "note"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the result: the outcome, the subject, and a sentence."""

    state: CheckState
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.state.value:<8}{self.what:<12}{self.text}"


def check(path: Path, loaded: LoadedSettings) -> Iterator[Finding]:
    """Check a settings file and everything that it names, and yield the findings.

    Args:
        path: the settings file.
        loaded: its content.
    """
    for fault in loaded.faults:
        yield Finding(CheckState.FAILED if fault.breaks else CheckState.NOTE, "settings", f"{path.name}: {fault}")
    settings = loaded.settings
    if settings is None:
        yield Finding(CheckState.FAILED, "settings", f"{path} cannot be used.")
        return
    yield Finding(CheckState.OK, "settings", f"{path} can be used.")
    yield from _teams(settings.teams, path)
    yield from _sfb(settings.sfb)
    if settings.sip.enabled:
        yield from _sip(settings.sip)
    yield from _access(settings.api)
    yield from _colleagues(settings.users_file)
    yield _store(settings.store)
    if settings.hub.url:
        yield Finding(CheckState.OK, "notes", f"Shared through {settings.hub.url}, which was not contacted.")
    yield from _asterisk(settings.asterisk)
    yield from _sip_publish(settings.sip_publish)
    yield _log(settings.log.file)
    yield _port(settings.api.host, settings.api.port)
    if settings.api.grpc_port is not None:
        yield _port(settings.api.host, settings.api.grpc_port)
    if settings.sip_server.enabled:
        yield from map(_sip_port, settings.sip_server.addresses)
        yield from _sip_access(settings.sip_server)


def _teams(teams: TeamsSettings, path: Path) -> Iterator[Finding]:
    if not teams.enabled:
        yield Finding(CheckState.NOTE, "relay", "Teams presence is off: MSTeamsPresence.Enable is 0.")
        return
    if teams.key:
        yield Finding(CheckState.OK, "key", "There is a suite key.")
    else:
        yield Finding(CheckState.FAILED, "key", "There is no suite key: set Relay.KeyFile.")
    if teams.address:
        asks = f"{teams.address} was not contacted. To test the connection: presence-suite doctor --settings {path}"
        yield Finding(CheckState.OK, "relay", asks)
    else:
        yield Finding(CheckState.FAILED, "relay", "There is no address of the relay: set Relay.Address.")


def _sfb(sfb: SfbSettings) -> Iterator[Finding]:
    """Yield the findings on Skype for Business; none when it is off."""
    if not sfb.enabled:
        return
    server = sfb.address or sfb.domain
    if not server:
        yield Finding(CheckState.FAILED, "skype", "There is no server: set SfB.Address or SfB.Domain.")
    elif not (sfb.user_name and sfb.password):
        yield Finding(
            CheckState.FAILED, "skype", "There is no user name or password: set SfB.UserName and SfB.PasswordFile."
        )
    else:
        yield Finding(
            CheckState.NOTE, "skype", f"{server} was not contacted. This source was never tested with a real server."
        )


def _asterisk(asterisk: AsteriskSettings) -> Iterator[Finding]:
    if not asterisk.enabled:
        return
    lacking = [
        name
        for name, value in (("Address", asterisk.host), ("User", asterisk.user), ("SecretFile", asterisk.secret))
        if not value
    ]
    if lacking:
        yield Finding(
            CheckState.FAILED, "asterisk", f"No states are sent: set Asterisk.{' and Asterisk.'.join(lacking)}."
        )
    else:
        where = f"{asterisk.host}, port {asterisk.port}"
        yield Finding(CheckState.OK, "asterisk", f"{where} was not contacted. The agent logs in as {asterisk.user}.")


def _sip(sip: SipSimpleSettings) -> Iterator[Finding]:
    if not has_libraries():
        yield Finding(CheckState.FAILED, "sip", HOW_TO_INSTALL)
    if not sip.servers:
        yield Finding(CheckState.FAILED, "sip", "There is no server: set SipSimple.Address.")
    elif not sip.uri:
        yield Finding(
            CheckState.FAILED, "sip", "The agent has no SIP address of its own: set SipSimple.Uri, or AuthId."
        )
    else:
        servers = ", ".join(sip.servers)
        yield Finding(
            CheckState.OK, "sip", f"{servers} ({sip.protocol}) was not contacted. The agent subscribes as {sip.uri}."
        )
    if sip.password:
        yield Finding(CheckState.OK, "sip", f"There is a password for {sip.user}.")
    else:
        yield Finding(CheckState.NOTE, "sip", "There is no password: the server must trust the agent's address.")


def _sip_publish(publish: SipPublishSettings) -> Iterator[Finding]:
    if not publish.enabled:
        return
    if not publish.host:
        yield Finding(CheckState.FAILED, "publish", "Nothing is published: set SipPublish.Address.")
    elif publish.user and not publish.password:
        yield Finding(CheckState.FAILED, "publish", "There is a user without a password: set SipPublish.PasswordFile.")
    else:
        where = f"{publish.host}, port {publish.port}" if publish.port else publish.host
        yield Finding(CheckState.OK, "publish", f"{where} ({publish.protocol}) was not contacted.")


def _access(api: ApiSettings) -> Iterator[Finding]:
    if api.token:
        yield Finding(CheckState.OK, "token", "Consoles must send the token.")
    if api.certificate is not None:
        yield Finding(CheckState.OK, "certificate", "Certificate and private key belong together.")


def _colleagues(path: Path | None) -> Iterator[Finding]:
    if path is None:
        yield Finding(
            CheckState.OK, "colleagues", "No file: colleagues are those that consoles watch and programs add."
        )
        return
    found = load_users(path)
    for fault in found.faults:
        yield Finding(CheckState.FAILED if fault.breaks else CheckState.NOTE, "colleagues", f"{path.name}: {fault}")
    if found.colleagues is not None:
        many = len(found.colleagues)
        yield Finding(CheckState.OK, "colleagues", f"{path} has {many:,} colleague{'s' if many != 1 else ''}.")


def _store(path: Path) -> Finding:
    try:
        is_there = inspect_database(path)
        if not is_there:
            _check_can_be_made(path)
    except (ConfigError, OSError) as error:
        return Finding(CheckState.FAILED, "store", _words(path, error))
    return Finding(CheckState.OK, "store", f"{path} {'can be used' if is_there else 'can be created'}.")


def _log(path: Path | None) -> Finding:
    if path is None:
        return Finding(CheckState.OK, "log", "Standard error.")
    try:
        if not path.exists():
            _check_can_be_made(path)
            return Finding(CheckState.OK, "log", f"{path} can be created.")
        if not stat.S_ISREG(path.stat().st_mode) or not os.access(path, os.W_OK):
            return Finding(CheckState.FAILED, "log", f"{path} is not a file that this account can write.")
        if is_open_to_others(path):
            return Finding(CheckState.NOTE, "log", f"{path} can be read by others.")
    except (ConfigError, OSError) as error:
        return Finding(CheckState.FAILED, "log", _words(path, error))
    return Finding(CheckState.OK, "log", f"{path} can be written.")


def _port(host: str, port: int) -> Finding:
    try:
        with contextlib.closing(listen(host, port)):
            return Finding(CheckState.OK, "port", f"{host}, port {port} is free.")
    except OSError as error:
        return Finding(CheckState.FAILED, "port", f"{host}, port {port} cannot be used: {_why_no_port(error)}")


def _sip_access(server: SipServerSettings) -> Iterator[Finding]:
    """Yield which phones may watch, and a note when none of the LAN may: by default only this machine is admitted."""
    named = ", ".join(map(str, server.networks))
    how = "with a login" if server.logins else "without a login"
    yield Finding(CheckState.OK, "sip server", f"Phones of {named} may watch colleagues {how}.")
    if all(is_loopback(address.host) for address in server.addresses):
        reach = "Only programs of this machine can reach it: set SipServer.Host to the address that phones use."
        yield Finding(CheckState.NOTE, "sip server", reach)
    elif all(network.is_loopback for network in (*server.networks, *server.servers)):
        yield Finding(CheckState.NOTE, "sip server", "No phone of the LAN may watch: set SipServer.Networks.")


def _sip_port(address: SipAddress) -> Finding:
    kind = socket.SOCK_DGRAM if address.protocol == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                claim_port(probe)
            probe.bind((address.host, address.port))
            return Finding(CheckState.OK, "sip server", f"{address} is free.")
    except OSError as error:
        return Finding(CheckState.FAILED, "sip server", f"{address} cannot be used: {_why_no_port(error)}")


def _why_no_port(error: OSError) -> str:
    """Return the reason why the agent cannot listen on an address, and a hint."""
    hint = {
        errno.EADDRINUSE: " Does an agent, or another program, use it already?",
        errno.EADDRNOTAVAIL: " Host must be an address of this machine.",
        errno.EACCES: " Ports below 1024 need rights that this account does not have.",
    }.get(error.errno or 0, "")
    return f"{error.strerror or error}.{hint}"


def _check_can_be_made(path: Path) -> None:
    """Check that this account may create a file and its missing folders.

    Raises:
        ConfigError: it may not.
    """
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"{path} cannot be created: this account may not write in {folder}.")


def _words(path: Path, error: Exception) -> str:
    return str(error) if isinstance(error, ConfigError) else f"{path} cannot be read: {error}."
