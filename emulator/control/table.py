"""The table of operations, used to route requests and to describe the surface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.control import conditions, directory, grants, history, notifications, people
from emulator.control.openapi import description
from emulator.control.operation import PREFIX, Area, ControlRequest
from emulator.entra.refusals import APPLICATION_DEATHS, DEATHS, SURVIVED, TENANT_DEATHS
from emulator.life import ACTIONS

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.control.operation import Operation

about = Area("about", "What there is.")


class Index(msgspec.Struct, kw_only=True):
    """All operations, and the values that they accept."""

    operations: list[str]
    actions: list[str]
    deaths: list[str]
    survived: list[str]
    application_deaths: list[str]
    tenant_deaths: list[str]
    tenants: list[dict[str, Any]]
    profile: str


@about.operation("GET", "", answer=Index)
def index(cloud: Cloud, _asked: ControlRequest) -> Index:
    """List the operations, the actions and the ways in which a grant becomes invalid; a browser gets a page instead."""
    return Index(
        operations=[f"{each.method} {PREFIX}{each.path}" for each in OPERATIONS],
        actions=[*ACTIONS, "live"],
        deaths=list(DEATHS),
        survived=sorted(SURVIVED),
        application_deaths=list(APPLICATION_DEATHS),
        tenant_deaths=list(TENANT_DEATHS),
        tenants=[
            {"id": each.tenant_id, "domain": each.domain, "name": each.name, "people": len(each.people)}
            for each in list(cloud.world.tenants.values())[:200]
        ],
        profile=cloud.profile.name,
    )


@about.operation("GET", "openapi.json", answer=dict[str, Any])
def describe(_cloud: Cloud, _asked: ControlRequest) -> Any:
    """Describe this surface in OpenAPI 3.1."""
    return description(AREAS)


AREAS: Final = (about, people.area, grants.area, directory.area, conditions.area, notifications.area, history.area)
OPERATIONS: Final[tuple[Operation, ...]] = tuple(each for area in AREAS for each in area.operations)


def find(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """Return the operation for a request, and the named parts of its path; None: there is none.

    A literal path takes precedence over one with names.
    """
    parts = path.split("/")
    for operation in _BY_SIZE.get((method, len(parts)), ()):
        names = _fit(operation.segments, parts)
        if names is not None:
            return operation, names
    return None


def methods(path: str) -> list[str]:
    """Return the methods that a path accepts."""
    return [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if find(method, path) is not None]


def _fit(template: list[str], parts: list[str]) -> dict[str, str] | None:
    names = {}
    for wanted, part in zip(template, parts, strict=True):
        if wanted.startswith("{"):
            names[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return names


_BY_SIZE: Final[dict[tuple[str, int], list[Operation]]] = {}
for _each in sorted(OPERATIONS, key=lambda operation: operation.path.count("{")):
    _BY_SIZE.setdefault((_each.method, len(_each.segments)), []).append(_each)
