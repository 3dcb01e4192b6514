"""The query options of a list of directory objects, and the rules for combining them.

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
        asked: the options as sent.
        eventual: whether the request has the header `ConsistencyLevel: eventual`.
        counted: whether the request has `$count=true`.
        search: returns whether a user's properties match `$search`; None: no search.
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
        """True if the request is an advanced query."""
        return self.eventual and self.counted

    @property
    def shown(self) -> str:
        """Return the selection in the format of `@odata.context`."""
        select = self.asked.get("$select", "")
        return f"({select})" if select else ""

    def following(self, begin: int) -> str:
        """Return the query string of the next page."""
        rest = {**self.asked, "$skiptoken": base64.urlsafe_b64encode(str(begin).encode()).decode()}
        return urlencode(rest, quote_via=quote, safe="$")


def read(request: Request, known: Mapping[str, str], default: tuple[str, ...], *, single: bool = False) -> Query:
    """Return the query of a request.

    Args:
        request: the request.
        known: property in lower case -> its name.
        default: the properties without `$select`.
        single: whether the request is for one object.

    Raises:
        GraphError: 400, an option is invalid, or the options cannot be combined.
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
    """Check the options that only advanced queries may have."""
    if query.search is not None and not query.eventual:
        raise bad_request(
            "Request with $search query parameter only works through MSGraph with a special request header: "
            "'ConsistencyLevel: eventual'",
            "Request_UnsupportedQuery",
        )
    if query.order and query.filter is not None and not query.advanced:
        raise bad_request("Sorting not supported for current query.", "Request_UnsupportedQuery")


def select(text: str, known: Mapping[str, str], default: tuple[str, ...]) -> tuple[str, ...]:
    """Return the properties in `$select`.

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
    """Return the error for a name in `$select` that is a relation or does not exist."""
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
    """Return the test for a search such as `"displayName:ada" OR "mail:ada@"`, which matches beginnings of words."""
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
    """Return whether each search word is the beginning of a word in a property."""
    words = [own.lower(), *re.split(r"[\s@.\-_]+", own.lower())]
    return all(any(word.startswith(part) for word in words) for part in text.split())


def top(text: str | None) -> int:
    """Return the size of a page.

    Raises:
        GraphError: 400, the text is not a valid size.
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
