"""Find the setting that an entry of a file sets."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from suite.agent.settings.schema import BY_KEY, OWN_SECTIONS, SECTIONS, SETTINGS

if TYPE_CHECKING:
    from suite.agent.settings.reading import IniEntry
    from suite.agent.settings.setting import Setting

_ENABLE: Final = ("msteamspresence", "enable")
"""`Enable` without a section counts only before the first section: in others it would enable something else."""


def setting_of(entry: IniEntry) -> Setting | None:
    """Return the setting that an entry of a file sets; None when it is not one of the agent's."""
    found = BY_KEY.get((entry.section.lower(), entry.key.lower()))
    if found is not None:
        return found
    return next((one for one in SETTINGS if one.anywhere and one.name.lower() == entry.key.lower()), None) or (
        BY_KEY[_ENABLE] if not entry.section and entry.key.lower() == _ENABLE[1] else None
    )


def meant(entry: IniEntry) -> str:
    """Return a suggestion for a misspelt name, as the end of a sentence; empty when no name is similar."""
    names = [one.name for one in SETTINGS if one.section.lower() == entry.section.lower()]
    near = difflib.get_close_matches(entry.key[:80], names, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def meant_section(section: str) -> str:
    """Return the agent's section for a misspelt one; empty when none is similar, or the spelling is right."""
    owned = [one for one in SECTIONS if one.lower() in OWN_SECTIONS]
    near = difflib.get_close_matches(section[:80].lower(), [one.lower() for one in owned], n=1, cutoff=0.85)
    if not near or section.lower() == near[0]:
        return ""
    return next(one for one in owned if one.lower() == near[0])
