"""The surface's description in OpenAPI 3.1, made from the table that routes its requests."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import msgspec

from emulator.control.operation import PREFIX, Done

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.control.operation import Area, Operation


class ControlError(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The answer to a failed request: the error, and the field of the body or query that it concerns."""

    error: str
    field: str = ""


def description(areas: Sequence[Area]) -> dict[str, Any]:
    """Return the OpenAPI document of the operations of some areas, as JSON values."""
    operations = [each for area in areas for each in area.operations]
    kinds = _kinds(operations)
    # All at once, so that two types with the same name get distinct names, also in references.
    found = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas, components = msgspec.to_builtins(found)  # converts default values to JSON values
    schema_of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, Any] = {}
    for operation in operations:
        told = _operation(operation, schema_of, components)
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = told
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Control surface of the local Microsoft cloud",
            "version": "1",
            "description": "Everything that can be done to the people, conditions and history of the cloud.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": area.name, "description": area.about} for area in areas],
        "paths": paths,
        "components": {"schemas": components},
    }


def _kinds(operations: Sequence[Operation]) -> list[Any]:
    """Return the types that need a schema, each once."""
    used = [kind for each in operations for kind in (each.body, each.query, each.answer) if kind not in {None, Done}]
    return list(dict.fromkeys([*used, ControlError]))


def _operation(operation: Operation, schema_of: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": f"{operation.area}.{getattr(operation.does, '__name__', operation.path)}",
        "tags": [operation.area],
        "summary": (inspect.getdoc(operation.does) or "").partition("\n")[0],
        "responses": _responses(operation, schema_of),
    }
    names = re.findall(r"{(\w+)}", operation.path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    if operation.query is not None:
        fields = components[schema_of[operation.query]["$ref"].rpartition("/")[2]]["properties"]
        parameters += [
            {"name": name, "in": "query", "required": False, "schema": kind} for name, kind in fields.items()
        ]
    if parameters:
        told["parameters"] = parameters
    if operation.body is not None:
        kinds = {kind: {"schema": schema_of[operation.body]} for kind in operation.media}
        told["requestBody"] = {"required": True, "content": kinds}
    return told


def _responses(operation: Operation, schema_of: dict[Any, Any]) -> dict[str, Any]:
    if operation.answer is Done:
        done: dict[str, Any] = {"204": {"description": "Done."}}
    else:
        done = {
            "200": {"description": "Done.", "content": {"application/json": {"schema": schema_of[operation.answer]}}}
        }
    refusal = {"content": {"application/json": {"schema": schema_of[ControlError]}}}
    return done | {
        "400": {"description": "The request is invalid; the answer explains why.", **refusal},
        "403": {"description": "The request comes from another site's page, or to a foreign host name.", **refusal},
        "404": {"description": "There is nothing with that name.", **refusal},
    }
