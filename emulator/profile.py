"""Profiles: values for all switches, from a file that names the source of its answers.

name = "…"                        # optional, as are source, made and unanswered
source = "…"                      # where the answers come from
made = "2026-11-20"               # when they were found
unanswered = ["…"]                # switches that keep their default, and why
observed = {…}, answers = {…}     # further observations, for people; the emulator ignores them

[switches]
spelling = "pascal"               # all switches; a file with a missing or unknown switch is refused
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.exchange import Answer
from emulator.switches import Switches

if TYPE_CHECKING:
    from pathlib import Path

TOML: Final = "application/toml"
"""Registered in 2024: https://www.iana.org/assignments/media-types/application/toml"""


class Profile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The values of all switches, and their source."""

    switches: dict[str, Any]
    name: str = ""
    source: str = ""
    made: str = ""
    unanswered: list[str] = []
    observed: dict[str, Any] = {}
    answers: dict[str, int] = {}


def read_file(path: Path) -> Profile:
    """Read the profile in a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a profile; the message names the file and the fault.
    """
    try:
        return read(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read(toml: bytes) -> Profile:
    """Read the profile in a TOML text.

    Raises:
        ValueError: it is not a profile; the message names the fault.
    """
    return checked(msgspec.convert(tomllib.loads(toml.decode()), Profile))


def checked(profile: Profile) -> Profile:
    """Return a profile after checking that it sets every switch to an allowed value.

    Raises:
        ValueError: it does not; the message names the switches.
    """
    known, given = set(Switches.__struct_fields__), set(profile.switches)
    faults = [f"lacks {name}" for name in sorted(known - given)]
    faults += [f"does not know {name}" for name in sorted(given - known)]
    if faults:
        raise ValueError(f"the profile must set exactly the emulator's switches, but it {', '.join(faults)}")
    return msgspec.structs.replace(profile, switches=msgspec.to_builtins(switches_of(profile)))


def switches_of(profile: Profile) -> Switches:
    """Return the switches of a profile.

    Raises:
        msgspec.ValidationError: a value is invalid; the message names it.
    """
    return msgspec.convert(profile.switches, Switches)


def toml_answer(profile: Profile) -> Answer:
    """Return an answer with a profile as a file that can be loaded."""
    return Answer(200, written(profile).encode(), f"{TOML}; charset=utf-8".encode())


def written(profile: Profile) -> str:
    """Return a profile as the text of a TOML file."""
    above = {name: value for name, value in msgspec.to_builtins(profile).items() if name != "switches"}
    lines = [f"{name} = {_value(value)}" for name, value in above.items()]
    lines += ["", "[switches]", *(f"{name} = {_value(value)}" for name, value in profile.switches.items())]
    return "\n".join(lines).lstrip("\n") + "\n"


def _value(value: Any) -> str:
    """Return a value in TOML; strings, numbers and lists are written as in JSON."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_value(str(name))} = {_value(each)}' for name, each in value.items())}}}"
    return msgspec.json.encode(value).decode()
