"""The description of the local API, OpenAPI 3.1. Its enumerations follow from the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from suite.agent.api.bodies import (
    CONNECTOR_CHARS,
    DEFAULT_LIFETIME_S,
    LARGEST_SEQUENCE,
    LONGEST_LIFETIME_S,
    MOST_STATES,
)
from suite.agent.core.values import RichState, Rule, ShownStatus, SourceName, TelephonyState
from suite.agent.sources.source import Connector
from suite.names import MAX_NAME_CHARS

if TYPE_CHECKING:
    from collections.abc import Iterable

_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "boolean"}
_TIME: Final = {"type": ["string", "null"], "format": "date-time"}


_SIGN_IN: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "Needed when the agent's settings have a TokenFile."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "presence-agent-8790",
        "description": "For browsers, set by POST /v1/session. It has the agent's port in its name, and __Host- before it with TLS.",
    },
}
_REFUSALS: Final = ("401", "429")
"""What every path under /v1 may answer when there is a token."""


def openapi(version: str) -> dict[str, Any]:
    """Return the description of the API."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Presence agent",
            "version": version or "0",
            "description": "Presence of colleagues, put together from all sources.",
        },
        "security": [{}, {"token": []}, {"cookie": []}],
        "paths": {
            "/v1/sources": _get("The connections of all sources", "Sources"),
            "/v1/users": _get("Everybody on the board", "Users"),
            "/v1/users/{name}": _get(
                "One colleague, by login, UPN, SIP address or extension",
                "User",
                [_parameter("name", "path")],
                missing=True,
            ),
            "/v1/events": _events(),
            "/v1/telephony": _post("Tell the states of phones", "TelephonyStates"),
            "/v1/presence": _post("Tell rich presence, as the source Local", "RichStates"),
            "/v1/session": _session(),
            "/openapi.json": {
                "get": {"summary": "This description", "responses": {"200": {"description": "OpenAPI 3.1"}}}
            },
        },
        "components": {"schemas": _schemas(), "securitySchemes": _SIGN_IN},
    }


def _get(summary: str, schema: str, parameters: Iterable[Any] = (), *, missing: bool = False) -> dict[str, Any]:
    errors = (*_REFUSALS, "404") if missing else _REFUSALS
    responses = {"200": _content(schema)} | {code: _content("Error") for code in errors}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": responses}}


def _post(summary: str, schema: str) -> dict[str, Any]:
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(schema)}}},
            "responses": {"200": _content("Taken")}
            | {code: _content("Error") for code in ("400", "408", "413", "415", "503", *_REFUSALS)},
        }
    }


def _events() -> dict[str, Any]:
    described = (
        "Server-sent events: `everything` (forget all, everybody follows), `state` (a User), `removed` (its `user`), `sources` "
        "(Sources), `complete` (everybody was sent; changes follow). Send the id of the last event as Last-Event-ID to resume."
    )
    return {
        "get": {
            "summary": "Changes as they happen",
            "parameters": [
                _parameter(
                    "user",
                    "query",
                    "Only these colleagues. A UPN that is not in the file of colleagues is watched meanwhile.",
                )
                | {"schema": {"type": "array", "items": _TEXT}, "required": False},
                _parameter("Last-Event-ID", "header", "The id of the last event that was read.") | {"required": False},
            ],
            "responses": {
                "200": {"description": described, "content": {"text/event-stream": {"schema": _TEXT}}},
            }
            | {code: _content("Error") for code in ("400", "503", *_REFUSALS)},
        }
    }


def _session() -> dict[str, Any]:
    errors = {code: _content("Error") for code in ("400", "408", "413", *_REFUSALS)}
    body = {"type": "object", "properties": {"token": _TEXT}, "required": ["token"]}
    return {
        "get": {
            "summary": "Whether a token is needed, and whether the browser is signed in",
            "responses": {"200": _content("Session")},
        },
        "post": {
            "summary": "Sign a browser in with the token, or renew its cookie when there is no body",
            "requestBody": {"required": False, "content": {"application/json": {"schema": body}}},
            "responses": {"200": _content("Session")} | errors,
        },
        "delete": {"summary": "Sign a browser out", "responses": {"200": _content("Session")}},
    }


def _schemas() -> dict[str, Any]:
    return {
        "User": _object(
            user=_TEXT | {"description": "The name by which the agent tells colleagues apart."},
            login=_TEXT,
            upn=_TEXT,
            sip_uri=_TEXT,
            extension=_TEXT,
            voicemail=_TEXT,
            status=_enum(ShownStatus) | {"description": "The one state to draw."},
            rule=_enum(Rule) | {"description": "The rule that decided."},
            reason=_TEXT | {"description": "Why nothing is known; empty otherwise."},
            since=_TIME,
            uncertain=_FLAG | {"description": "The state cannot be confirmed at the moment: draw it as uncertain."},
            rich=_object(state=_enum(RichState), source={"enum": [*(one.value for one in SourceName), None]}),
            telephony=_enum(TelephonyState),
            sources={
                "type": "object",
                "propertyNames": _enum(SourceName),
                "additionalProperties": _object(state=_enum(RichState), reason=_TEXT, since=_TIME, uncertain=_FLAG),
            },
        ),
        "Users": _object(users={"type": "array", "items": _ref("User")}),
        "Sources": _object(
            sources={
                "type": "object",
                "propertyNames": _enum(SourceName),
                "additionalProperties": _object(state=_enum(Connector), detail=_TEXT),
            }
        ),
        "TelephonyStates": _states(_enum(TelephonyState)),
        "RichStates": _states(_enum(RichState)),
        "Taken": _object(
            accepted={"type": "integer"},
            outdated={
                "type": "array",
                "items": _TEXT,
                "description": "A later state of the connector was here before.",
            },
            unknown_users={"type": "array", "items": _TEXT},
        ),
        "Session": _object(
            token_needed=_FLAG,
            signed_in=_FLAG,
            expires_in_s={"type": ["integer", "null"], "description": "Of the cookie; null with the token itself."},
        ),
        "Error": _object(error=_object(code=_TEXT, message=_TEXT)),
    }


def _states(state: dict[str, Any]) -> dict[str, Any]:
    told = _object(
        user=_TEXT
        | {"minLength": 1, "maxLength": MAX_NAME_CHARS, "description": "Login, UPN, SIP address or extension."},
        state=state,
        sequence={"type": "integer", "minimum": 0, "maximum": LARGEST_SEQUENCE},
        expires_s={"type": "integer", "minimum": 1, "maximum": LONGEST_LIFETIME_S, "default": DEFAULT_LIFETIME_S},
    )
    told["required"].remove("expires_s")
    told["additionalProperties"] = False
    return {
        "type": "object",
        "properties": {
            "connector": _TEXT | {"minLength": 1, "maxLength": CONNECTOR_CHARS, "default": "default"},
            "states": {"type": "array", "maxItems": MOST_STATES, "items": told},
        },
        "required": ["states"],
        "additionalProperties": False,
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties]}


def _enum(kind: Iterable[Any]) -> dict[str, Any]:
    return {"type": "string", "enum": [one.value for one in kind]}


def _ref(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _content(schema: str) -> dict[str, Any]:
    return {"description": schema, "content": {"application/json": {"schema": _ref(schema)}}}


def _parameter(name: str, place: str, description: str = "") -> dict[str, Any]:
    return {"name": name, "in": place, "required": True, "schema": _TEXT, "description": description}
