"""Load a settings file: check its values, read the files that it names, and report all faults by line."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from suite.agent.core.values import SourceName
from suite.agent.files import decode, read_bounded
from suite.agent.settings.finding import meant, meant_section, setting_of
from suite.agent.settings.given import Given
from suite.agent.settings.groups.api import ApiSettings, read_api
from suite.agent.settings.groups.asterisk import AsteriskSettings, read_asterisk
from suite.agent.settings.groups.hub import HubSettings, read_hub
from suite.agent.settings.groups.log import LogSettings, read_log
from suite.agent.settings.groups.sfb import SfbSettings, read_sfb
from suite.agent.settings.groups.sip_publish import SipPublishSettings, read_sip_publish
from suite.agent.settings.groups.sip_server import SipServerSettings, read_sip_server
from suite.agent.settings.groups.sip_simple import SipSimpleSettings, read_sip_simple
from suite.agent.settings.groups.teams import TeamsSettings, read_teams
from suite.agent.settings.reading import IniEntry, LineFault, listed, read_ini
from suite.agent.settings.schema import OWN_SECTIONS, SETTINGS
from suite.agent.settings.sip_together import sip_collisions
from suite.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from suite.agent.settings.setting import Setting

MOST_BYTES: Final = 1024 * 1024
"""Limit of the settings file: a hundred times the size of those of the vendor's suites."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """All settings of an agent. Two are equal when all values are, including the contents of the files that they name."""

    teams: TeamsSettings
    api: ApiSettings
    winning: SourceName
    users_file: Path | None
    store: Path
    sip: SipSimpleSettings = field(default_factory=SipSimpleSettings)
    hub: HubSettings = field(default_factory=HubSettings)
    sip_server: SipServerSettings = field(default_factory=SipServerSettings)
    log: LogSettings = field(default_factory=LogSettings)
    sfb: SfbSettings = field(default_factory=SfbSettings)
    asterisk: AsteriskSettings = field(default_factory=AsteriskSettings)
    sip_publish: SipPublishSettings = field(default_factory=SipPublishSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """The result of reading a settings file.

    Attributes:
        settings: the settings; None when the file cannot be used.
        faults: the faults, by line; at least one breaks the file when `settings` is None.
        lines: setting id -> the entry that counts; settings with their default are absent.
        files: files that it names, also those that could not be read.
    """

    settings: AgentSettings | None
    faults: tuple[LineFault, ...]
    lines: dict[str, IniEntry] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


def load(path: Path) -> LoadedSettings:
    """Read a settings file and the files that it names, such as keys and certificates. Raises nothing: errors become faults."""
    try:
        text = decode(read_bounded(path, "settings file", MOST_BYTES))
    except ConfigError as error:
        return LoadedSettings(settings=None, faults=(LineFault(0, str(error), breaks=True),))
    except UnicodeDecodeError:
        damaged = LineFault(
            0, f"The settings file {path} begins as UTF-8 or UTF-16, but has another encoding.", breaks=True
        )
        return LoadedSettings(settings=None, faults=(damaged,))
    return _loaded(Given(path), text)


def _loaded(given: Given, text: str) -> LoadedSettings:
    read = read_ini(text)
    given.faults.extend(read.faults)
    for entry in read.entries:
        _take(given, entry)
    _tell_sections(given, read.entries)
    for setting in SETTINGS:
        _evaluate(given, setting)
    settings = _settings(given)
    is_broken = any(fault.breaks for fault in given.faults)
    return LoadedSettings(
        settings=None if is_broken else settings,
        faults=listed(given.faults),
        lines=given.lines,
        files=tuple(given.files),
    )


def _take(given: Given, entry: IniEntry) -> None:
    setting = setting_of(entry)
    if setting is None:
        if entry.section.lower() in OWN_SECTIONS:
            given.tell(
                entry.line, f"There is no setting {entry.section}.{entry.key[:80]}{meant(entry)}; it is ignored."
            )
        return
    before = given.lines.get(setting.id)
    if before is not None:
        given.tell(entry.line, f"{setting.id} is set on line {before.line} too. This one, the last, counts.")
    given.lines[setting.id] = entry


def _tell_sections(given: Given, entries: tuple[IniEntry, ...]) -> None:
    """Report each section that looks like a misspelt one of the agent's."""
    first = {entry.section.lower(): entry for entry in reversed(entries) if setting_of(entry) is None}
    for entry in first.values():
        if section := meant_section(entry.section):
            given.tell(entry.line, f"[{entry.section[:80]}] is no section of the agent (did you mean [{section}]?).")


def _evaluate(given: Given, setting: Setting) -> None:
    entry = given.lines.get(setting.id)
    try:
        given.values[setting.id] = setting.value_of(entry.value if entry is not None else setting.default)
    except ValueError as error:
        given.refuse(setting.id, f"{setting.id} cannot be used. {error}")
        given.values[setting.id] = setting.value_of(setting.default)


def _settings(given: Given) -> AgentSettings:
    get = given.value
    users_file = get("Agent.UsersFile")
    sip_publish = read_sip_publish(given)
    teams, api = read_teams(given), read_api(given)
    if api.token and api.token == teams.key:
        given.refuse("Agent.TokenFile", "Agent.TokenFile has the relay's suite key. Create a different token.")
    settings = AgentSettings(
        teams=teams,
        api=api,
        winning=SourceName(get("RichPresence.WinningTechnology")),
        users_file=given.beside(users_file) if users_file else None,
        store=given.beside(get("Agent.Store")),
        sip=replace(read_sip_simple(given), ignores_agents=sip_publish.enabled),
        hub=read_hub(given),
        sip_server=read_sip_server(given),
        log=read_log(given),
        sfb=read_sfb(given),
        asterisk=read_asterisk(given),
        sip_publish=sip_publish,
    )
    _check_written(given, settings)
    for setting, text in sip_collisions(settings.api, settings.sip, settings.sip_server):
        given.refuse(setting, text)
    return settings


def _check_written(given: Given, settings: AgentSettings) -> None:
    """Check that the agent does not write a file that it reads: a key file would be moved away as a damaged store."""
    read = [given.path, *given.files, *filter(None, [settings.users_file])]
    for setting, path, others in (
        ("Agent.Store", settings.store, read),
        ("Agent.LogFile", settings.log.file, [*read, settings.store]),
    ):
        if path is not None and os.path.realpath(path) in map(os.path.realpath, others):
            given.refuse(
                setting, f"{setting} must be a separate file, because the agent writes it. {path.name} has another use."
            )
