"""The API for suites: services, messages and enums with the comments of the protos."""

from __future__ import annotations

import re
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOS: Final = Path(__file__).resolve().parents[2] / "protos"
_PACKAGE: Final = "relay/api/presence/v1"
_FILES: Final = ("presence_service.proto", "presence.proto")
_SCALARS: Final = {
    value: name.removeprefix("TYPE_").lower() for name, value in descriptor_pb2.FieldDescriptorProto.Type.items()
}
_REPEATED: Final = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
# Numbers of fields in descriptor.proto, of which the paths of comments are made.
_OF_FILE: Final = {"messages": 4, "enums": 5, "services": 6, "syntax": 12}
_OF_MESSAGE: Final = {"fields": 2, "messages": 3, "enums": 4, "oneofs": 8}
_MEMBERS: Final = 2  # methods of a service, values of an enum

_HEAD: Final = """# Protocol

The package `relay.api.presence.v1`, with the comments of [its protos](../../protos/relay/api/presence/v1/presence_service.proto). The
[guide](../suites.md) shows how to use it; [errors](errors.md) have a page of their own. This page is generated: `make docs`.

Files: [presence_service.proto](../../protos/relay/api/presence/v1/presence_service.proto),
[presence.proto](../../protos/relay/api/presence/v1/presence.proto),
[error_reason.proto](../../protos/relay/api/presence/v1/error_reason.proto).
"""


class CommentedFile:
    """A proto file whose comments are found by the path of what they are about."""

    def __init__(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        self.file = file
        self._comments = {tuple(place.path): place for place in file.source_code_info.location}

    def comment(self, *path: int) -> str:
        """Return the comment before something."""
        place = self._comments.get(path)
        return "" if place is None else _unindented(place.leading_comments)


@cache
def commented(name: str) -> CommentedFile:
    """Return one of the API's files."""
    own = resources.files("grpc_tools") / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        code = protoc.main(
            [
                "protoc",
                f"-I{PROTOS}",
                f"-I{own}",
                "--include_source_info",
                f"--descriptor_set_out={out}",
                f"{_PACKAGE}/{name}",
            ]
        )
        assert code == 0
        return CommentedFile(descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[0])


def protocol_page() -> str:
    """Return the page of the protocol."""
    lines = [_HEAD, commented(_FILES[0]).comment(_OF_FILE["syntax"]), ""]
    for name in _FILES:
        lines += _file(commented(name))
    return "\n".join(lines)


def cell(text: str) -> str:
    """Return a comment as one cell of a table."""
    return re.sub(r"\s*\n\s*\n\s*", "<br>", text.strip()).replace("\n", " ").replace("|", "\\|")


def _file(of: CommentedFile) -> Iterator[str]:
    for at, service in enumerate(of.file.service):
        yield from (f"## {service.name}", "", of.comment(_OF_FILE["services"], at), "")
        for which, method in enumerate(service.method):
            takes, gives = (
                _stream(method.input_type, method.client_streaming),
                _stream(method.output_type, method.server_streaming),
            )
            text = of.comment(_OF_FILE["services"], at, _MEMBERS, which)
            yield from (f"### {method.name}", "", f"Takes {takes}, returns {gives}.", "", text, "")
    for at, message in enumerate(of.file.message_type):
        yield from _message(of, message, message.name, (_OF_FILE["messages"], at))
    for at, enum in enumerate(of.file.enum_type):
        yield from _enum(of, enum, enum.name, (_OF_FILE["enums"], at))


def _message(of: CommentedFile, message: Any, name: str, path: tuple[int, ...]) -> Iterator[str]:
    yield from (f"## {name}", "", of.comment(*path), "")
    rows = []
    for at, field in enumerate(message.field):
        text = cell(of.comment(*path, _OF_MESSAGE["fields"], at))
        choice = (
            ""
            if not field.HasField("oneof_index") or field.proto3_optional
            else f" Part of `{message.oneof_decl[field.oneof_index].name}`."
        )
        rows.append(f"| `{field.name}` | {_type(field)} | {field.number} | {text}{choice} |")
    yield from ("| field | type | number | meaning |", "| --- | --- | --- | --- |", *rows, "")
    for at, choice in enumerate(message.oneof_decl):
        if text := of.comment(*path, _OF_MESSAGE["oneofs"], at):
            yield from (f"One of `{choice.name}` is set. {text}", "")
    for at, inner in enumerate(message.nested_type):
        yield from _message(of, inner, f"{name}.{inner.name}", (*path, _OF_MESSAGE["messages"], at))
    for at, enum in enumerate(message.enum_type):
        yield from _enum(of, enum, f"{name}.{enum.name}", (*path, _OF_MESSAGE["enums"], at))


def _enum(of: CommentedFile, enum: Any, name: str, path: tuple[int, ...]) -> Iterator[str]:
    yield from (f"## {name}", "", of.comment(*path), "", "| value | number | meaning |", "| --- | --- | --- |")
    for at, value in enumerate(enum.value):
        yield f"| `{value.name}` | {value.number} | {cell(of.comment(*path, _MEMBERS, at))} |"
    yield ""


def _type(field: Any) -> str:
    shown = _name(field.type_name) if field.type_name else f"`{_SCALARS[field.type]}`"
    return f"repeated {shown}" if field.label == _REPEATED else shown


def _stream(type_name: str, is_stream: bool) -> str:
    return f"a stream of {_name(type_name)}" if is_stream else _name(type_name)


def _name(type_name: str) -> str:
    """Return a type with a link to its section; those of other packages have none here."""
    own = ".relay.api.presence.v1."
    if not type_name.startswith(own):
        return f"`{type_name.removeprefix('.')}`"
    name = type_name.removeprefix(own)
    return f"[{name}](#{name.lower().replace('.', '')})"


def _unindented(text: str) -> str:
    return "\n".join(line.removeprefix(" ").rstrip() for line in text.splitlines()).strip()
