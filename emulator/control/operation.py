"""The types of operations and areas, used for routing and for the description of the surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.cloud import Cloud
    from emulator.exchange import Request

Name = Annotated[str, msgspec.Meta(max_length=320)]
"""An id, UPN, domain or similar: no UPN is longer."""
Text = Annotated[str, msgspec.Meta(max_length=4096)]
Few = Annotated[list[Name], msgspec.Meta(max_length=200)]


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON body, or the parameters of a query; unknown fields are refused as probable mistakes."""


class Done(msgspec.Struct):
    """An answer without a body: 204."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequest:
    """One request to an operation.

    `where` has the named parts of the path; `body` and `query` have the types that the operation declared (None if it
    declared none).
    """

    request: Request
    where: dict[str, str]
    body: Any
    query: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of the control surface.

    `does` returns a value for JSON, an `Answer`, or None for 204; its docstring describes the operation.
    """

    method: str
    path: str
    area: str
    does: Callable[[Cloud, ControlRequest], Any]
    body: Any
    query: type[Body] | None
    answer: Any
    media: tuple[str, ...]

    @property
    def segments(self) -> list[str]:
        """The path's parts; `{…}` matches any one part."""
        return self.path.split("/")


JSON_ONLY: Final = ("application/json",)
PREFIX: Final = "/_emulator/"
"""The beginning of the control surface's paths."""


class Area:
    """Operations of one subject, in the order in which they are described."""

    def __init__(self, name: str, about: str) -> None:
        self.name = name
        self.about = about
        self.operations: list[Operation] = []

    def operation(
        self, method: str, path: str, *, body: Any = None, query: type[Body] | None = None, answer: Any = Done,
        media: tuple[str, ...] = JSON_ONLY,
    ) -> Callable[[Callable[[Cloud, ControlRequest], Any]], Callable[[Cloud, ControlRequest], Any]]:  # fmt: skip
        """Make a function an operation.

        Args:
            method: the HTTP method.
            path: below the control surface's prefix; `{name}` matches any one part of the path.
            body: the type of the body; None: there is none.
            query: the query's parameters; None: there are none.
            answer: the type of the answer, for the description.
            media: the media types of the body; the function gets a body that is not JSON as bytes.
        """

        def put(does: Callable[[Cloud, ControlRequest], Any]) -> Callable[[Cloud, ControlRequest], Any]:
            self.operations.append(
                Operation(
                    method=method, path=path, area=self.name, does=does, body=body, query=query, answer=answer, media=media
                )
            )  # fmt: skip
            return does

        return put
