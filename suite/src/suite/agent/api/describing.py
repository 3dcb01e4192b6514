"""Parts of an OpenAPI description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT: Final = {"type": "string"}
FLAG: Final = {"type": "boolean"}
TIME: Final = {"type": ["string", "null"], "format": "date-time"}
REFUSALS: Final = ("401", "429")
"""Status codes that every path under /v1 may return when there is a token."""


def object_of(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object with these fields, all required."""
    return {"type": "object", "properties": properties, "required": [*properties]}


def enum_of(kind: Iterable[Any]) -> dict[str, Any]:
    """Return the schema of a member of an enumeration."""
    return {"type": "string", "enum": [one.value for one in kind]}


def ref(schema: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{schema}"}


def content(schema: str) -> dict[str, Any]:
    """Return the description of a response."""
    return {"description": schema, "content": {"application/json": {"schema": ref(schema)}}}


def parameter(name: str, place: str, description: str = "") -> dict[str, Any]:
    """Return the description of a required parameter."""
    return {"name": name, "in": place, "required": True, "schema": TEXT, "description": description}


def errors(*codes: str) -> dict[str, Any]:
    """Return the error responses, by status code."""
    return {code: content("Error") for code in codes}
