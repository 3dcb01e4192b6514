"""Every switch of the local cloud with the values that it is tried with, read off `emulator.Switches` itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import inspect

from emulator import Switches

VALUES: Final[Mapping[str, tuple[Any, ...]]] = {
    "bulk_page_size": (0, 5),
    "presence_limit": (1500,),
    "global_limit": (130_000,),
    "resource_units": (0,),
    "presence_window_s": (30.0,),
    "graph_latency_ms": (0.0, 60.0),
    "token_latency_ms": (0.0, 60.0),
    "graph_latency_ms_of": ({},),
    "token_latency_ms_of": ({},),
    "access_token_s": (3599, 300),
    "authorization_code_s": (600.0,),
    "cae_token_s": (100_800,),
    "device_code_s": (900.0,),
    "device_code_interval_s": (5,),
    "linger_s": ((120.0, 420.0), (0.0, 60.0)),
    "idle_s": ((240.0, 720.0), (60.0, 60.0)),
    "inactive_s": (300.0,),
    "handshake_timeout_s": (10.0,),
    "subscription_page_size": (100, 1),
    "notification_delay_s": ((0.0, 0.0), (0.2, 1.0)),
    "notification_gather_ms": (20.0, 0.0),
    "notification_items": (100, 1),
    "reauthorization_lead_s": (900.0,),
    "reauthorization_every_s": (900.0,),
    "notification_timeout_s": (3.0,),
    "notification_retry_timeout_s": (10.0,),
    "endpoint_scored_after": (100, 0),
}
"""Those whose values cannot be counted off: what a sweep of the relay tries. Limits that are documented stay as they are."""


def values() -> dict[str, tuple[Any, ...]]:
    """Switch -> the values to try. One that is in `unlisted` stays as the emulator begins with it."""
    return {field.name: VALUES.get(field.name) or _counted(field) or (default(field.name),) for field in _fields()}


def unlisted() -> list[str]:
    """Switches whose values can neither be counted off nor stand in `VALUES`: it has to be decided what they are tried with."""
    return [field.name for field in _fields() if field.name not in VALUES and not _counted(field)]


def _fields() -> tuple[inspect.Field, ...]:
    kind = inspect.type_info(Switches)
    assert isinstance(kind, inspect.StructType)
    return kind.fields


def _counted(field: inspect.Field) -> tuple[Any, ...]:
    match field.type:
        case inspect.LiteralType(values=found):
            return tuple(found)
        case inspect.BoolType():
            return (False, True)
        case inspect.UnionType(types=types) if all(isinstance(each, _NAMED) for each in types):
            return tuple(value for each in types for value in getattr(each, "values", (None,)))
    return ()


_NAMED: Final = (inspect.LiteralType, inspect.NoneType)


def default(name: str) -> Any:
    """What the emulator begins with."""
    return getattr(Switches(), name)


def plain(switches: Switches) -> dict[str, Any]:
    """Switches as a TOML or JSON file has them."""
    return json.loads(msgspec.json.encode(switches))  # type: ignore[no-any-return]
