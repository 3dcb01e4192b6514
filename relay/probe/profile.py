"""The profile that a probe writes: TOML that the local cloud loads, with every switch and no personal data.

`defaults.toml` has the initial values of the local cloud's switches. A switch that the probe could not determine keeps
this value, and is listed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, TextIO

NOT_SEEN: Final = "not asked: reading presence does not show it"
NOT_NOTIFIED: Final = "not asked: change notifications need an address that Microsoft can reach"

_OF_NOTIFICATIONS: Final = re.compile(
    "subscription|notification|renewal|reauthorization|lifecycle|validation_token|client_state|endpoint|handshake"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The findings of a probe.

    Attributes:
        source: the program and its version, and the cloud.
        made: the time of the probe.
        switches: the results, name -> value.
        unanswered: switch or question -> why there is no result.
        observed: observations without a switch.
        answers: status, with Graph's code -> number of answers.
    """

    source: str
    made: datetime
    switches: Mapping[str, Any]
    unanswered: Mapping[str, str]
    observed: Mapping[str, Any]
    answers: Mapping[str, int]

    def text(self) -> str:
        """Return the profile as the text of its file."""
        switches = {name: self.switches.get(name, value) for name, value in defaults().items()}
        reasons = {name: self.unanswered.get(name, _never(name)) for name in switches if name not in self.switches}
        reasons |= {name: reason for name, reason in self.unanswered.items() if name not in self.switches}
        made = self.made.astimezone(UTC).replace(microsecond=0)
        lines = [
            "# Graph's answers for one tenant: statuses, Microsoft's own words and counts. No name, id, text or token.",
            f"name = {_value('probe')}",
            f"source = {_value(self.source)}",
            f"made = {_value(f'{made:%Y-%m-%dT%H:%M:%SZ}')}",
            "# Switches that the probe could not determine have the local cloud's initial values.",
            "unanswered = [",
            *(f"  {_value(f'{name}: {reason}')}," for name, reason in sorted(reasons.items())),
            "]",
            *_table("switches", switches),
            *_table("observed", self.observed),
            *_table("answers", self.answers),
        ]
        return "\n".join(lines) + "\n"


@contextmanager
def new_file(path: Path) -> Iterator[TextIO]:
    """Create a file that must not exist, and yield it; remove it after an error.

    Raises:
        OSError: it exists, or cannot be created.
    """
    with path.open("x") as output:
        try:
            yield output
        except BaseException:
            path.unlink()
            raise


@cache
def defaults() -> Mapping[str, Any]:
    """Return every switch of the local cloud with its initial value, in the cloud's order."""
    return tomllib.loads(resources.files(__package__).joinpath("defaults.toml").read_text())["switches"]  # type: ignore[no-any-return]


def _never(switch: str) -> str:
    return NOT_NOTIFIED if _OF_NOTIFICATIONS.search(switch) else NOT_SEEN


def _table(name: str, values: Mapping[str, Any]) -> list[str]:
    return ["", f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in values.items())]


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() and key.isascii() else _value(key)


def _value(value: Any) -> str:
    """Return a value as TOML writes it; JSON's strings, numbers, booleans and lists of those are TOML's as well."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)
