"""The public names of the library."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import suite
from suite import events

PUBLIC = [
    "Answer", "Availability", "Backoff", "Changed", "ConfigError", "Connected", "ConsoleStatus", "Disconnected", "Event", "Held",
    "Outcome", "Presence", "PresenceClient", "Progress", "Refused", "Reset", "Resolution", "Resolved", "SnapshotComplete",
    "Source", "Status", "SuiteError", "TenantStatus", "TooManyUsers",
]  # fmt: skip


def test_the_public_names_are_these_and_each_can_be_imported():
    assert suite.__all__ == PUBLIC == sorted(PUBLIC)
    assert set(PUBLIC) <= set(dir(suite))
    assert [name for name in PUBLIC if getattr(suite, name).__name__ != name] == []


def test_no_other_name_can_be_imported():
    assert not hasattr(suite, "StreamEnded")


def test_every_event_is_public():
    defined = [
        name for name, value in vars(events).items() if inspect.isclass(value) and issubclass(value, events.Event)
    ]
    assert set(defined) <= set(PUBLIC)


def test_every_public_class_and_method_has_a_docstring():
    undocumented = []
    for name in PUBLIC:
        exported = getattr(suite, name)
        methods = [
            member
            for attribute, member in vars(exported).items()
            if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
        ]
        undocumented += [name for each in (exported, *methods) if not each.__doc__]
    assert undocumented == []


def test_no_module_shadows_a_public_name():
    modules = {module.name for module in pkgutil.iter_modules(importlib.import_module("suite").__path__)}
    assert modules.isdisjoint(PUBLIC)
