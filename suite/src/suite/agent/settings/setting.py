"""One setting: its section and name in the file, its kind, default and meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.agent.settings.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        default: the default, as it would be written in the file; empty for none, and `when_absent` then describes the effect.
        is_secret: True when its value is never shown.
        anywhere: True when it counts in every section and before the first one, because existing files have it there.
    """

    section: str
    name: str
    kind: Kind
    default: str
    meaning: str
    when_absent: str = ""
    is_secret: bool = False
    anywhere: bool = False

    @property
    def id(self) -> str:
        """Return section and name with a dot, as in messages and files."""
        return f"{self.section}.{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        """Return section and name in lower case, for comparison."""
        return self.section.lower(), self.name.lower()

    def value_of(self, text: str) -> Any:
        """Convert a text into a value. An empty text is None if the setting has no default.

        Raises:
            ValueError: the text is invalid; the message describes valid ones.
        """
        if not text and self.default:
            raise ValueError("It is empty. Leave the line out for the default.")
        return self.kind.read(text) if text else None
