"""The events of a tenant's audit log, with the docstrings of their kinds."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Final

from relay.core.audit.events import EventKind
from relay.store.custody.audit import RETENTION

_HEAD: Final = """# Audit events

Each tenant has an audit log: who changed grants, keys, settings and managers, and which suite watched whom. Its managers read and save it on the organisation's page;
the operator prints it with `presence-relay audit TENANT`, as JSON Lines or CSV. Entries are kept for {days} days. The log has no token, no suite key and no presence:
it says that somebody was watched, never what was seen.

An entry has a time (by the clock of Redis), its event, its author (`account`, `operator`, `suite` or `relay`, with id and name), its subject (an account or a suite
key), and details. Events of watching have `users`, `since` and `until`. This page is generated: `make docs`.

| event | meaning |
| --- | --- |
"""


def audit_page() -> str:
    """Return the page of audit events."""
    [kind] = ast.parse(inspect.getsource(EventKind)).body
    assert isinstance(kind, ast.ClassDef)
    rows: list[str] = []
    for node, after in zip(kind.body, kind.body[1:], strict=False):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            meaning = ast.get_docstring(ast.Module([after], []))
            assert meaning, f"{node.value.value} has no docstring"
            rows.append(f"| `{node.value.value}` | {re.sub('`([A-Z_]+)`', _value, meaning)} |")
    assert len(rows) == len(EventKind)
    return _HEAD.format(days=RETENTION.days) + "\n".join(rows) + "\n"


def _value(name: re.Match[str]) -> str:
    return f"`{EventKind[name[1]].value}`"
