"""One setting: where it stands in the file, its kind, its default and its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.agent.settings.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        default: as it would be written; empty means that there is none, and `when_absent` says what then holds.
        is_secret: True when its value is never shown.
        anywhere: True when it counts in every section and before the first one, because files in the field have it so.
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
        """Return section and name with a dot, as messages and files name it."""
        return f"{self.section}.{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        """Return section and name as they are compared."""
        return self.section.lower(), self.name.lower()

    def value_of(self, text: str) -> Any:
        """Return the value of a text. An empty text of a setting without a default is None.

        Raises:
            ValueError: it is no such value; the message says what it must be.
        """
        if not text and self.default:
            raise ValueError("It is empty. Leave the line out for the default.")
        return self.kind.read(text) if text else None
