"""The events in the log: found in the code, explained by `relay/ops/log_events.toml`."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relay.ops import grpc_log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parents[2]
CATALOGUE: Final = ROOT / "relay" / "ops" / "log_events.toml"
_LOGGERS: Final = {"log", "_log"}
_LEVELS: Final = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
_ROLES: Final = {
    "relay/edge": "edge",
    "relay/worker": "worker",
    "relay/alerts": "worker",
    "relay/webhook": "webhook",
    "relay/processes": "edge",
    "onboarding": "web",
    "console": "console",
    "pages": "web, console",
}
_OF_LOGGING: Final = {"exc_info"}

_HEAD: Final = """# Log events

Each line of the log is an event. With `RELAY_LOG_FORMAT=json` it is one JSON object: `event`, `level`, `timestamp` (UTC), `logger`, and the fields below. No line has a
token, a suite key or a presence. Set `RELAY_LOG_LEVEL=debug` to see events of level debug.

The fields `tenant_id` and `account_id` are object ids of Entra; `presence-relay tenants show` accepts a tenant id. Events without a role come from any role.
Watch for level `error` first: these lines ask for somebody. This page is generated: `make docs`.
"""


@dataclass(slots=True)
class LoggedEvent:
    """How the code logs an event."""

    levels: set[str] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)
    fields: dict[str, None] = field(default_factory=dict)


@cache
def catalogue() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """Return section -> event -> its meaning and what to do."""
    found = tomllib.loads(CATALOGUE.read_text())
    return {
        section: {event: (texts[0], texts[1]) for event, texts in events.items()} for section, events in found.items()
    }


@cache
def logged() -> Mapping[str, LoggedEvent]:
    """Return each event that the code logs."""
    found: defaultdict[str, LoggedEvent] = defaultdict(LoggedEvent)
    for path in [
        *(ROOT / "relay").rglob("*.py"),
        *(ROOT / "pages").rglob("*.py"),
        *(ROOT / "onboarding").rglob("*.py"),
        *(ROOT / "console").rglob("*.py"),
    ]:
        role = next((role for start, role in _ROLES.items() if path.is_relative_to(ROOT / start)), "")
        for call, levels in _calls(ast.parse(path.read_text())):
            event = call.args[1 if len(levels) > 1 else 0]
            assert isinstance(event, ast.Constant), f"{path}:{call.lineno}: the name of an event is a constant"
            one = found[event.value]
            one.levels.update(levels)
            one.roles.update(role.split(", "))
            one.fields.update(
                dict.fromkeys(each.arg for each in call.keywords if each.arg and each.arg not in _OF_LOGGING)
            )
    for event in grpc_log.OF_STRANGERS.values():
        found[event] = LoggedEvent({"warning"}, {"edge"}, {"count": None})
    return found


def log_events_page() -> str:
    """Return the page of log events."""
    lines = [_HEAD]
    for section, events in catalogue().items():
        lines += [
            f"## {section}",
            "",
            "| event | level | fields | meaning | what to do |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, (meaning, to_do) in events.items():
            one = logged().get(name, LoggedEvent())
            roles = "" if "" in one.roles else f"<br>{', '.join(sorted(one.roles))}"
            fields = ", ".join(f"`{each}`" for each in one.fields)
            lines.append(
                f"| `{name}` | {', '.join(sorted(one.levels))}{roles} | {fields} | {meaning} | {to_do or 'nothing'} |"
            )
        lines.append("")
    return "\n".join(lines)


def _calls(tree: ast.AST) -> Iterator[tuple[ast.Call, tuple[str, ...]]]:
    """Yield each call of a logger with its levels; `log.log` computes its level, and may have either of two."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id in _LOGGERS):
            continue
        if node.func.attr in _LEVELS:
            yield node, (_LEVELS[node.func.attr],)
        elif node.func.attr == "log":
            yield node, ("info", "warning")
