"""The part of the OpenAPI description for notes."""

from __future__ import annotations

from typing import Any, Final

from suite.agent.api.describing import FLAG, REFUSALS, TEXT, TIME, content, enum_of, errors, object_of, parameter, ref
from suite.agent.notes.values import AUTHOR_CHARS, LARGEST_STAMP, LONGEST_LIFETIME_S, TEXT_CHARS
from suite.agent.notes.wire import MOST_VERSIONS
from suite.agent.sources.source import Connector

_WHO: Final = parameter("name", "path", "Login, UPN, SIP address or extension.")
_BY: Final = parameter("author", "query", "The user who clears it.") | {"required": False}
_KEPT_ERRORS: Final = errors("400", "404", "408", "413", "415", "503", "507")
_NOTE: Final[dict[str, Any]] = {
    "text": TEXT | {"description": "Plain text, on one or several lines. Never show it as markup."},
    "author": TEXT,
    "written_at": TEXT | {"format": "date-time"},
    "expires_at": TIME | {"description": "Time at which it expires; null when it stays until a user clears it."},
}


def _does(summary: str, schema: str, wrong: dict[str, Any], *more: dict[str, Any], **body: Any) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": [_WHO, *more],
        "responses": {"200": content(schema)} | wrong | errors(*REFUSALS),
        **body,
    }


NOTE_PATHS: Final[dict[str, Any]] = {
    "/v1/notes": {
        "get": {
            "summary": "All notes, also about colleagues who are not on the board",
            "responses": {"200": content("Notes")} | errors(*REFUSALS),
        }
    },
    "/v1/notes/versions": {
        "get": {
            "summary": "For agents that follow this one: all versions of notes, and new ones, as server-sent events",
            "parameters": [
                parameter("Last-Event-ID", "header", "The id of the last event that was read.") | {"required": False}
            ],
            "responses": {"200": {"description": "Events", "content": {"text/event-stream": {"schema": TEXT}}}}
            | errors("503", *REFUSALS),
        },
        "post": {
            "summary": "For agents that follow this one: send versions of notes",
            "requestBody": {"required": True, "content": {"application/json": {"schema": ref("NoteVersions")}}},
            "responses": {"200": content("VersionsTaken")}
            | errors("400", "408", "413", "415", "503", "507", *REFUSALS),
        },
    },
    "/v1/users/{name}/note": {
        "get": _does("The note about a colleague", "UserNote", errors("404")),
        "put": _does(
            "Write the note about a colleague. It is written to the agent's disk before the response",
            "UserNote",
            _KEPT_ERRORS,
            requestBody={"required": True, "content": {"application/json": {"schema": ref("WrittenNote")}}},
        ),
        "delete": _does("Clear the note about a colleague", "UserNote", errors("400", "404", "503", "507"), _BY),
    },
    "/v1/users/{name}/notes": {
        "get": _does("The notes about a colleague of the last 24 hours, newest first", "NoteHistory", errors("404"))
    },
}

NOTE_SCHEMAS: Final[dict[str, Any]] = {
    "Note": object_of(**_NOTE),
    "UserNote": object_of(user=TEXT, note={"anyOf": [ref("Note"), {"type": "null"}]}),
    "Notes": object_of(notes={"type": "array", "items": ref("UserNote")}),
    "NoteHistory": object_of(
        user=TEXT,
        notes={
            "type": "array",
            "items": object_of(
                **_NOTE,
                cleared=FLAG | {"description": "Its author cleared the note; there is no text."},
                in_force=FLAG | {"description": "It is the note to show."},
            ),
        },
    ),
    "WrittenNote": {
        "type": "object",
        "properties": {
            "text": TEXT | {"minLength": 1, "description": f"At most {TEXT_CHARS} characters as it is stored."},
            "author": TEXT | {"minLength": 1, "description": f"At most {AUTHOR_CHARS} characters as it is stored."},
            "expires_s": {"type": ["integer", "null"], "minimum": 1, "maximum": LONGEST_LIFETIME_S},
        },
        "required": ["text", "author"],
        "additionalProperties": False,
    },
    "NoteVersions": object_of(versions={"type": "array", "maxItems": MOST_VERSIONS, "items": ref("NoteVersion")}),
    "NoteVersion": object_of(
        subject=TEXT | {"description": "The UPN in lower case, or the login where there is no UPN."},
        stamp={
            "type": "integer",
            "minimum": 0,
            "maximum": LARGEST_STAMP,
            "description": "The version with the highest stamp of a subject counts.",
        },
        agent=TEXT | {"description": "The agent on which it was written."},
        text=TEXT | {"description": "Empty when the note was cleared."},
        author=TEXT,
        written_ms={"type": "integer", "minimum": 0},
        lifetime_s={"type": ["integer", "null"]},
        ends_in_s={
            "type": ["number", "null"],
            "description": "Seconds until it expires; negative when it has expired.",
        },
    ),
    "VersionsTaken": object_of(refused={"type": "integer", "minimum": 0}),
    "NotesState": object_of(
        store=object_of(state=enum_of(Connector), detail=TEXT),
        sharing=object_of(state=enum_of(Connector), detail=TEXT, unsent={"type": "integer", "minimum": 0}),
    ),
}
