"""Renamed commands: the old spellings work for one release, and print the new ones as a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

RENAMED: Final = {
    "keys issue": "suite-keys issue",
    "keys list": "suite-keys list",
    "keys revoke": "suite-keys revoke",
    "keys mark": "suite-keys mark",
    "keys ring-new": "keyring new",
    "keys ring-add": "keyring add",
    "keys ring-public": "keyring public",
    "keys ring-show": "keyring show",
    "keys reencrypt": "keyring reencrypt",
    "keys ring-retire": "keyring retire",
    "keys backup-new": "backup new-key",
    "keys": "suite-keys",
    "restore": "backup restore",
    "backup": "backup create",
}
"""Old spelling -> new spelling. The next release removes the old ones. Longer spellings are tried first."""
_OF_BACKUP: Final = frozenset({"create", "restore", "verify", "new-key", "--help"})
_WRITES: Final = frozenset({"--check", "--overwrite", "--even-sealed"})
"""Options of the old `restore` that `backup verify`, which writes nothing, does not have."""


class RenamingGroup(TyperGroup):
    """A command group that also takes the old spellings, and prints the new one on standard error."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with an old spelling at their beginning replaced."""
        old, new, args = current_spelling(args)
        if old and not ctx.resilient_parsing:  # without arguments a shell requests completions
            notice = f"`{old}` is now `{new}`. The old spelling works in this release and ends with the next."
            typer.echo(notice, err=True)
        return super().parse_args(ctx, args)


def current_spelling(args: Sequence[str]) -> tuple[str, str, list[str]]:
    """Return the old spelling that these arguments begin with, the new one, and the arguments with the new one.

    The two spellings are empty when the arguments need no change.
    """
    for old, new in RENAMED.items():
        words = old.split()
        rest = list(args[len(words) :])
        if list(args[: len(words)]) != words or (old == "backup" and (not rest or rest[0] in _OF_BACKUP)):
            continue
        if old == "restore" and "--check" in rest:
            return (
                "restore --check",
                "backup verify",
                ["backup", "verify", *(arg for arg in rest if arg not in _WRITES)],
            )
        return old, new, [*new.split(), *rest]
    return "", "", list(args)
