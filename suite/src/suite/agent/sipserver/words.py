"""The words that phones show beside a state, in the languages of the agent's page."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from suite.agent.core.values import ShownStatus

_UNCERTAIN: Final = {"en": "not confirmed", "it": "non confermato"}


def word_of(status: ShownStatus, language: str, *, is_uncertain: bool = False) -> str:
    """Return the name of a status for display."""
    words = _words()
    word = words.get(f"status.{status.value}") or words[f"rich.{status.value}"]
    return f"{word[language]} ({_UNCERTAIN[language]})" if is_uncertain else word[language]


@cache
def _words() -> dict[str, dict[str, str]]:
    text = resources.files("suite.agent.api").joinpath("static/words.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = json.loads(text)
    return found
