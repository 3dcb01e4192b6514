"""The settings as text for administrators, and as tables for the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.agent.settings.schema import SECTIONS, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from suite.agent.settings.reading import IniEntry
    from suite.agent.settings.setting import Setting


def explained(lines: Mapping[str, IniEntry] | None) -> str:
    """Return all settings as text with their meaning and default, and with `lines` the values in force.

    Args:
        lines: setting id -> the entry of the file that counts; None without a file.
    """
    return "\n".join(_explained(lines))


def _explained(lines: Mapping[str, IniEntry] | None) -> Iterator[str]:
    for section in SECTIONS:
        yield f"[{section}]"
        for setting in (one for one in SETTINGS if one.section == section):
            yield f"  {setting.name}"
            yield f"      {setting.meaning.replace('`', '')}"
            yield f"      Written: {setting.kind.written}. {_default(setting).replace('`', '')}."
            if lines is not None:
                yield f"      In force: {_in_force(setting, lines.get(setting.id))}"
        yield ""


def _default(setting: Setting) -> str:
    return f"Default: {setting.default}" if setting.default else f"Without it: {setting.when_absent}"


def _in_force(setting: Setting, entry: IniEntry | None) -> str:
    if entry is None:
        return "the default"
    shown = "(set, not shown)" if setting.is_secret and entry.value else entry.value
    return f"{''.join(char if char.isprintable() else '·' for char in shown)}  (line {entry.line})"


def settings_table() -> str:
    """Return a table in Markdown for each section."""
    parts: list[str] = []
    for section in SECTIONS:
        parts += [f"## [{section}]", "", "| setting | written | default | meaning |", "| --- | --- | --- | --- |"]
        for one in (one for one in SETTINGS if one.section == section):
            default = f"`{one.default}`" if one.default else one.when_absent
            parts.append(f"| `{one.name}` | {one.kind.written} | {default} | {one.meaning} |")
        parts.append("")
    return "\n".join(parts)
