"""The query options of a list of directory objects, and what they demand of each other.

https://learn.microsoft.com/graph/query-parameters and https://learn.microsoft.com/graph/aad-advanced-queries
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from emulator.graph.errors import bad_request
from emulator.graph.properties import RELATED, not_modelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emulator.exchange import Request

PAGE: Final = 100
MOST_A_PAGE: Final = 999
"""https://learn.microsoft.com/graph/api/user-list"""
MOST_NUMBER_CHARS: Final = 9

_OPTIONS: Final = {"$select", "$filter", "$top", "$skiptoken", "$count", "$orderby", "$search", "$expand", "$format"}
_SORTED: Final = {"displayname", "userprincipalname", "givenname", "surname", "mail"}
_SEARCHED: Final = {"displayname", "userprincipalname", "givenname", "surname", "mail"}
_SEARCH = re.compile(r'\s*"(\w+):((?:[^"\\]|\\.)*)"\s*')
_JOINED = re.compile(r"(AND|OR)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query of users, read from its `$` parameters.

    Attributes:
        asked: the options as they were sent.
        eventual: whether the header `ConsistencyLevel: eventual` is there.
        counted: whether `$count=true` is.
        search: whether a user's properties are what `$search` looks for; None: it looks for nothing.
        order: the property to sort by, empty for none.
    """

    asked: Mapping[str, str]
    fields: tuple[str, ...]
    top: int
    begin: int
    filter: str | None
    search: Callable[[Mapping[str, Any]], bool] | None
    order: str
    descending: bool
    counted: bool
    eventual: bool

    @property
    def advanced(self) -> bool:
        """Tell whether a request asks for advanced queries."""
        return self.eventual and self.counted

    @property
    def shown(self) -> str:
        """Return the selection as `@odata.context` names it."""
        select = self.asked.get("$select", "")
        return f"({select})" if select else ""

    def following(self, begin: int) -> str:
        """The query of the next page."""
        rest = {**self.asked, "$skiptoken": base64.urlsafe_b64encode(str(begin).encode()).decode()}
        return urlencode(rest, quote_via=quote, safe="$")


def read(request: Request, known: Mapping[str, str], default: tuple[str, ...], *, single: bool = False) -> Query:
    """The options of a request.

    Args:
        request: the request.
        known: property in lower case -> its name.
        default: the properties when nothing is selected.
        single: whether one object is asked for.

    Raises:
        GraphError: 400, one of them is wrong, or they do not go together.
    """
    asked = request.queries()
    for name in asked:
        if name.startswith("$") and name.lower() not in _OPTIONS:
            raise bad_request(f"The query parameter '{name[:100]}' is not supported.", "Request_BadRequest")
    if asked.get("$expand"):
        raise _no_property(re.split(r"[(,]", asked["$expand"])[0].strip())
    eventual = request.header(b"consistencylevel").lower() == "eventual"
    order, descending = ("", False) if single else _order(asked, known)
    query = Query(
        asked=asked, fields=select(asked.get("$select", ""), known, default), top=top(asked.get("$top")),
        begin=_begin(asked.get("$skiptoken")), filter=None if single else asked.get("$filter"),
        search=None if single else _search(asked.get("$search"), known), order=order, descending=descending,
        counted=asked.get("$count", "").lower() == "true", eventual=eventual,
    )  # fmt: skip
    _check_together(query)
    return query


def _check_together(query: Query) -> None:
    """Check the parameters that only advanced queries may have."""
    if query.search is not None and not query.eventual:
        raise bad_request(
            "Request with $search query parameter only works through MSGraph with a special request header: "
            "'ConsistencyLevel: eventual'",
            "Request_UnsupportedQuery",
        )
    if query.order and query.filter is not None and not query.advanced:
        raise bad_request("Sorting not supported for current query.", "Request_UnsupportedQuery")


def select(text: str, known: Mapping[str, str], default: tuple[str, ...]) -> tuple[str, ...]:
    """The properties that `$select` names.

    Raises:
        GraphError: 400, one does not exist.
    """
    if not text.strip():
        return default
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name.lower() not in known:
            raise _no_property(name)
    return tuple(known[name.lower()] for name in names)


def _no_property(name: str) -> Exception:
    """A relation is not returned with its user; anything else does not exist."""
    if name.partition("/")[0].lower() in RELATED:
        return not_modelled(name)
    return bad_request(
        f"Parsing OData Select and Expand failed: Could not find a property named '{name[:100]}' on type "
        "'microsoft.graph.user'."
    )


def _order(asked: Mapping[str, str], known: Mapping[str, str]) -> tuple[str, bool]:
    text = asked.get("$orderby", "").strip()
    if not text:
        return "", False
    name, _, direction = text.partition(" ")
    if name.lower() not in _SORTED or direction.strip().lower() not in {"", "asc", "desc"}:
        raise bad_request("Sorting not supported for current query.", "Request_UnsupportedQuery")
    return known[name.lower()], direction.strip().lower() == "desc"


def _search(text: str | None, known: Mapping[str, str]) -> Callable[[Mapping[str, Any]], bool] | None:
    """`"displayName:ada" OR "mail:ada@"`: words that begin so."""
    if text is None:
        return None
    clauses: list[tuple[str, str]] = []
    joined: set[str] = set()
    at = 0
    while True:
        found = _SEARCH.match(text, at)
        if found is None or found[1].lower() not in _SEARCHED:
            raise bad_request(
                "Search filter is invalid: it takes the form \"property:value\" in quotation marks.",
                "Request_BadRequest",
            )  # fmt: skip
        clauses.append((known[found[1].lower()], found[2].replace("\\", "").lower()))
        at = found.end()
        if at == len(text):
            break
        word = _JOINED.match(text, at)
        if word is None:
            raise bad_request("Search filter is invalid: clauses are joined by AND or OR.", "Request_BadRequest")
        joined.add(word[1])
        at = word.end()
    quantity = any if joined == {"OR"} else all
    return lambda own: quantity(_begins(str(own[name] or ""), word) for name, word in clauses)


def _begins(own: str, text: str) -> bool:
    """Tell whether each wanted word begins one of the known words."""
    words = [own.lower(), *re.split(r"[\s@.\-_]+", own.lower())]
    return all(any(word.startswith(part) for word in words) for part in text.split())


def top(text: str | None) -> int:
    """The size of a page.

    Raises:
        GraphError: 400, it is none.
    """
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_NUMBER_CHARS and 1 <= int(text) <= MOST_A_PAGE):
        raise bad_request(
            f"Invalid page size specified: '{text[:100]}'. Must be between 1 and {MOST_A_PAGE} inclusive.",
            "Request_UnsupportedQuery",
        )
    return int(text)


def _begin(token: str | None) -> int:
    try:
        begin = int(base64.urlsafe_b64decode(token[:100]).decode()) if token else 0
    except (binascii.Error, ValueError) as error:
        raise bad_request("Invalid skip token.", "Request_BadRequest") from error
    if begin < 0:
        raise bad_request("Invalid skip token.", "Request_BadRequest")
    return begin
