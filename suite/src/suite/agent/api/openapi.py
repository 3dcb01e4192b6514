"""The OpenAPI 3.1 description of the local API. Its enumerations are generated from the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from suite.agent.api.bodies import (
    CONNECTOR_CHARS,
    DEFAULT_LIFETIME_S,
    LARGEST_SEQUENCE,
    LONGEST_LIFETIME_S,
    MOST_STATES,
)
from suite.agent.api.colleagues import FIELDS, MOST_AT_ONCE
from suite.agent.api.describing import FLAG, REFUSALS, TEXT, TIME, content, enum_of, errors, object_of, parameter, ref
from suite.agent.api.openapi_notes import NOTE_PATHS, NOTE_SCHEMAS
from suite.agent.core.values import RichState, Rule, ShownStatus, SourceName, TelephonyState
from suite.agent.sources.source import Connector
from suite.names import MAX_NAME_CHARS

if TYPE_CHECKING:
    from collections.abc import Iterable


_SIGN_IN: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "Needed when the agent's settings have a TokenFile."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "presence-agent-8790",
        "description": "For browsers, set by POST /v1/session. It has the agent's port in its name, and __Host- before it with TLS.",
    },
}


_ADDING: Final = {
    "NewUsers": {
        "type": "object",
        "properties": {
            "users": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_AT_ONCE,
                "items": {
                    "type": "object",
                    "properties": dict.fromkeys(FIELDS, TEXT),
                    "anyOf": [{"required": ["login"]}, {"required": ["upn"]}],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["users"],
        "additionalProperties": False,
    },
    "Added": object_of(added={"type": "integer"}),
    "Removed": object_of(user=TEXT),
}


def openapi(version: str) -> dict[str, Any]:
    """Return the description of the API."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Presence agent",
            "version": version or "0",
            "description": "Presence of colleagues, aggregated from all sources.",
        },
        "security": [{}, {"token": []}, {"cookie": []}],
        "paths": {
            "/v1/sources": _get("The connections of all sources", "Sources"),
            "/v1/users": _get("All colleagues on the board", "Users")
            | _post(
                "Add colleagues, who stay until they are removed. They are written to the agent's disk before the response",
                "NewUsers",
                "Added",
                "507",
            ),
            "/v1/users/{name}": _get(
                "One colleague, by login, UPN, SIP address or extension",
                "User",
                [parameter("name", "path")],
                missing=True,
            )
            | _remove(),
            **NOTE_PATHS,
            "/v1/events": _events(),
            "/v1/telephony": _post("Report the states of phones", "TelephonyStates"),
            "/v1/presence": _post("Report rich presence, as the source Local", "RichStates"),
            "/v1/session": _session(),
            "/openapi.json": {
                "get": {"summary": "This description", "responses": {"200": {"description": "OpenAPI 3.1"}}}
            },
        },
        "components": {"schemas": _schemas(), "securitySchemes": _SIGN_IN},
    }


def _get(summary: str, schema: str, parameters: Iterable[Any] = (), *, missing: bool = False) -> dict[str, Any]:
    responses = {"200": content(schema)} | errors(*REFUSALS, *(["404"] if missing else []))
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": responses}}


def _remove() -> dict[str, Any]:
    return {
        "delete": {
            "summary": "Remove an added colleague, by login, or by UPN if there is no login",
            "parameters": [parameter("name", "path")],
            "responses": {"200": content("Removed")} | errors("404", "409", "503", "507", *REFUSALS),
        }
    }


def _post(summary: str, schema: str, answer: str = "Taken", *more_errors: str) -> dict[str, Any]:
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": ref(schema)}}},
            "responses": {"200": content(answer)} | errors("400", "408", "413", "415", "503", *more_errors, *REFUSALS),
        }
    }


def _events() -> dict[str, Any]:
    described = (
        "Server-sent events: `everything` (forget all colleagues, all are sent again), `state` (a User), `note` (a UserNote), "
        "`removed` (its `user`), `sources` (Sources), `complete` (all were sent; changes follow). Send the id of the last event as Last-Event-ID to resume."
    )
    return {
        "get": {
            "summary": "Changes as they happen",
            "parameters": [
                parameter(
                    "user",
                    "query",
                    "Only these colleagues. A UPN that is not in the file of colleagues is watched while the stream is open.",
                )
                | {"schema": {"type": "array", "items": TEXT}, "required": False},
                parameter("Last-Event-ID", "header", "The id of the last event that was read.") | {"required": False},
            ],
            "responses": {
                "200": {"description": described, "content": {"text/event-stream": {"schema": TEXT}}},
            }
            | errors("400", "503", *REFUSALS),
        }
    }


def _session() -> dict[str, Any]:
    body = {"type": "object", "properties": {"token": TEXT}, "required": ["token"]}
    return {
        "get": {
            "summary": "Whether a token is needed, and whether the browser is signed in",
            "responses": {"200": content("Session")},
        },
        "post": {
            "summary": "Sign a browser in with the token, or renew its cookie when there is no body",
            "requestBody": {"required": False, "content": {"application/json": {"schema": body}}},
            "responses": {"200": content("Session")} | errors("400", "408", "413", *REFUSALS),
        },
        "delete": {"summary": "Sign a browser out", "responses": {"200": content("Session")}},
    }


def _schemas() -> dict[str, Any]:
    return {
        "User": object_of(
            user=TEXT | {"description": "The name by which the agent identifies a colleague."},
            login=TEXT,
            upn=TEXT,
            sip_uri=TEXT,
            extension=TEXT,
            voicemail=TEXT,
            status=enum_of(ShownStatus) | {"description": "The one state to show."},
            rule=enum_of(Rule) | {"description": "The rule that decided."},
            reason=TEXT | {"description": "Why nothing is known; empty otherwise."},
            since=TIME,
            uncertain=FLAG | {"description": "The state cannot be confirmed at the moment: show it as uncertain."},
            rich=object_of(state=enum_of(RichState), source={"enum": [*(one.value for one in SourceName), None]}),
            telephony=enum_of(TelephonyState),
            sources={
                "type": "object",
                "propertyNames": enum_of(SourceName),
                "additionalProperties": object_of(state=enum_of(RichState), reason=TEXT, since=TIME, uncertain=FLAG),
            },
        ),
        "Users": object_of(users={"type": "array", "items": ref("User")}),
        **_ADDING,
        "Sources": object_of(
            sources={
                "type": "object",
                "propertyNames": enum_of(SourceName),
                "additionalProperties": object_of(state=enum_of(Connector), detail=TEXT),
            },
            feeds={
                "type": "object",
                "propertyNames": {"enum": ["Asterisk", "SipPublish"]},
                "additionalProperties": object_of(state=enum_of(Connector), detail=TEXT),
                "description": "The telephone systems and presence servers to which the agent sends presence; only those that are switched on.",
            },
            notes=ref("NotesState"),
            phones=object_of(state=enum_of(Connector), detail=TEXT, subscriptions={"type": "integer", "minimum": 0}),
        ),
        "TelephonyStates": _states(enum_of(TelephonyState)),
        "RichStates": _states(enum_of(RichState)),
        "Taken": object_of(
            accepted={"type": "integer"},
            outdated={
                "type": "array",
                "items": TEXT,
                "description": "The connector sent a later state before.",
            },
            unknown_users={"type": "array", "items": TEXT},
        ),
        "Session": object_of(
            token_needed=FLAG,
            signed_in=FLAG,
            expires_in_s={"type": ["integer", "null"], "description": "Of the cookie; null for the token itself."},
        ),
        "Error": object_of(error=object_of(code=TEXT, message=TEXT)),
        **NOTE_SCHEMAS,
    }


def _states(state: dict[str, Any]) -> dict[str, Any]:
    told = object_of(
        user=TEXT
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
            "connector": TEXT | {"minLength": 1, "maxLength": CONNECTOR_CHARS, "default": "default"},
            "states": {"type": "array", "maxItems": MOST_STATES, "items": told},
        },
        "required": ["states"],
        "additionalProperties": False,
    }
