"""The relay to examine, from options and a settings file of the agent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from suite.agent.settings.groups.teams import TeamsSettings
from suite.agent.settings.load import load
from suite.channel import Target, target
from suite.errors import ConfigError
from suite.inputs import checked_key, read_ca, read_key

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line; None for options that were not given."""

    address: str | None
    key_file: Path | None
    ca_file: Path | None
    server_name: str | None
    proxy: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The relay, the key, a warning about the key's file, and whether NO_PROXY exempts the relay from a proxy."""

    target: Target
    key: str | None = field(repr=False)
    warning: str | None
    is_exempt: bool


def wanted(options: Options, settings: Path | None, environ: dict[str, str]) -> Wanted:
    """Return the relay that options and settings name. Options take precedence.

    Raises:
        ConfigError: a setting is invalid, or no address is given.
    """
    teams = _teams(settings) if settings else TeamsSettings()
    address = options.address or teams.address
    if not address:
        raise ConfigError("Give the address of the relay: --address, or --settings with a file that has Relay.Address.")
    key, warning = read_key(options.key_file) if options.key_file else (teams.key, None)
    proxy = teams.proxy if options.proxy is None else options.proxy
    found = target(
        address,
        ca_pem=read_ca(options.ca_file) if options.ca_file else teams.ca_pem,
        server_name=options.server_name or teams.server_name,
        proxy=proxy,
        environ=environ,
    )
    is_exempt = found.proxy is None and proxy is None and bool(environ.get("https_proxy") or environ.get("HTTPS_PROXY"))
    return Wanted(found, checked_key(key) if key or options.key_file else None, warning, is_exempt)


def _teams(path: Path) -> TeamsSettings:
    loaded = load(path)
    if loaded.settings is None:
        raise ConfigError(f"The settings file {path} cannot be used: presence-suite settings check shows why.")
    return loaded.settings.teams
