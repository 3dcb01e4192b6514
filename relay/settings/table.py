"""The settings as a Markdown table, for the documentation and `presence-relay settings`."""

from __future__ import annotations

from relay.settings.env import may_be_file, shown_value, variable_of
from relay.settings.load import GROUPS


def table() -> str:
    """Return all settings as a Markdown table."""
    rows = ["| variable | meaning | default |", "| --- | --- | --- |"]
    for group in GROUPS.values():
        for name, field in group.model_fields.items():
            variable = variable_of(group, name)
            shown = f"`{variable}`, `…_FILE`" if may_be_file(field) else f"`{variable}`"
            default = "" if field.default is None else f"`{shown_value(field.default)}`"
            rows.append(f"| {shown} | {field.description} | {default} |")
    return "\n".join(rows) + "\n"
