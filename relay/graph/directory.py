"""Names -> users: object ids and canonical UPNs, read from Graph's users.

15 names go into one `in` filter, 20 such parts into one `$batch`; each part is answered, refused or throttled by itself,
so the trouble of one costs the others nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from relay.core import names
from relay.core.presence import Name, Status, UserId
from relay.errors import AccessDenied, RelayError, RequestRefused, Retryable, SourceUnreachable
from relay.graph.client import GraphClient, TokenSource
from relay.graph.errors import UNREADABLE, translate

PATH: Final = "/v1.0/$batch"

# Graph takes 15 expressions in a filter: https://developer.microsoft.com/graph/known-issues/?search=13635
NAMES_PER_PART: Final = 15
# https://learn.microsoft.com/graph/json-batching
PARTS_PER_BATCH: Final = 20

NAMES_PER_BATCH: Final = NAMES_PER_PART * PARTS_PER_BATCH
"""As many names as one HTTP call asks for, if they are all of one kind."""


@dataclass(frozen=True, slots=True)
class Found:
    """Whom a name stands for; `upn` in Graph's own letters, empty when Graph gives none."""

    user_id: UserId
    upn: str


@dataclass(slots=True)
class Resolution:
    """What Graph says of some names.

    Attributes:
        meanings: name -> whom it stands for, or NOT_FOUND, or ACCESS_DENIED.
        unresolved: names that Graph did not answer yet: ask again.
        retry_after: how long Graph asks to wait before, None when it did not say.
        is_throttled: whether Graph asked us to slow down for any of them.
    """

    meanings: dict[Name, Found | Status] = field(default_factory=dict)
    unresolved: list[Name] = field(default_factory=list)
    retry_after: timedelta | None = None
    is_throttled: bool = False

    def postpone(self, unresolved: Iterable[Name], error: RelayError) -> None:
        """Take note of names that Graph could not answer because of `error`."""
        self.unresolved.extend(unresolved)
        if not isinstance(error, Retryable):
            return
        self.is_throttled = self.is_throttled or not isinstance(error, SourceUnreachable)
        if error.retry_after is not None:
            self.retry_after = max(self.retry_after or timedelta(), error.retry_after)


async def _for_nothing() -> None:
    pass


async def resolve(
    client: GraphClient, token: TokenSource, wanted: Sequence[Name], pay: Callable[[], Awaitable[None]] = _for_nothing
) -> Resolution:
    """Whom the (normalised) names stand for, UPNs and object ids alike.

    `pay` is awaited before each request: usually one, and more when names are refused and asked for by themselves. Every name is either in `meanings` or in `unresolved`. Batches are asked one after the other; when one fails for a
    passing reason, what is known by then is returned and the rest is unresolved.

    Raises:
        Retryable: Graph answered nothing at all.
        ConsentRequired, AccessDenied, RequestRefused: as `GraphClient` says.
    """
    resolution = Resolution()
    parts = list(_parts(dict.fromkeys(wanted)))
    while parts:
        batch, parts = parts[:PARTS_PER_BATCH], parts[PARTS_PER_BATCH:]
        await pay()
        try:
            body = await client.post(token, PATH, _encode({"requests": list(map(_request, range(len(batch)), batch))}))
            refused = _take(batch, _answers(body), resolution)
        except Retryable as error:
            if not resolution.meanings:
                raise
            resolution.postpone((name for part in (*batch, *parts) for name in part), error)
            return resolution
        # One bad name makes Graph refuse the other fourteen: ask for each by itself.
        parts.extend((name,) for part in refused for name in part)
    return resolution


async def upns_of(client: GraphClient, token: TokenSource, ids: Sequence[UserId]) -> Resolution:
    """The canonical UPNs of users, in the same form: `meanings` is keyed by the object ids as names."""
    return await resolve(client, token, [Name(user) for user in ids])


_Part = tuple[Name, ...]
"""The names of one part of a batch, all UPNs or all object ids."""


def _parts(wanted: Iterable[Name]) -> Iterator[_Part]:
    ids: list[Name] = []
    upns: list[Name] = []
    for name in wanted:
        (ids if names.is_object_id(name) else upns).append(name)
    yield from _chunks(upns)
    yield from _chunks(ids)


def _chunks(of: Sequence[Name]) -> Iterator[_Part]:
    return (tuple(of[start : start + NAMES_PER_PART]) for start in range(0, len(of), NAMES_PER_PART))


def _request(number: int, part: _Part) -> Mapping[str, str]:
    attribute = "id" if names.is_object_id(part[0]) else "userPrincipalName"
    # OData doubles an apostrophe; everything else that means something in an address is percent-encoded: "#EXT#", "$".
    values = ",".join("'" + name.replace("'", "''") + "'" for name in part)
    condition = quote(f"{attribute} in ({values})", safe="(),'@")
    return {
        "id": str(number),
        "method": "GET",
        "url": f"/users?$filter={condition}&$select=id,userPrincipalName",
    }


class _Answer(msgspec.Struct):
    """One part's answer."""

    id: str
    status: int
    headers: dict[str, str] | None = None
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Answers(msgspec.Struct):
    responses: list[msgspec.Raw]


class _User(msgspec.Struct, rename="camel"):
    id: str
    user_principal_name: str | None = None


class _Users(msgspec.Struct):
    value: list[_User]


_encode: Final = msgspec.json.Encoder().encode
_ANSWERS: Final = msgspec.json.Decoder(_Answers)
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_USERS: Final = msgspec.json.Decoder(_Users)
T = TypeVar("T")


def _answers(body: bytes) -> dict[str, _Answer]:
    """Part number -> its answer; parts whose answer cannot be read are absent.

    Raises:
        SourceUnreachable: the batch as a whole makes no sense.
    """
    read = _read(_ANSWERS, body)
    if read is None:
        raise SourceUnreachable("Graph's answer to a batch is not what it documents")
    answers = (_read(_ANSWER, answer) for answer in read.responses)
    return {answer.id: answer for answer in answers if answer is not None}


def _read(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T | None:
    try:
        return decoder.decode(body)
    except UNREADABLE:
        return None


def _take(batch: Sequence[_Part], answers: Mapping[str, _Answer], resolution: Resolution) -> list[_Part]:
    """Put the answers into `resolution`; return the parts to be asked again in pieces."""
    refused = []
    for number, part in enumerate(batch):
        answer = answers.get(str(number))
        users = _read(_USERS, answer.body) if answer is not None and answer.status == 200 else None
        if users is not None:
            resolution.meanings.update(_meanings(part, users.value))
            continue
        error = _error(answer)
        if isinstance(error, RequestRefused) and len(part) > 1:
            refused.append(part)
        elif isinstance(error, RequestRefused):
            resolution.meanings[part[0]] = Status.NOT_FOUND
        elif isinstance(error, AccessDenied):
            resolution.meanings.update(dict.fromkeys(part, Status.ACCESS_DENIED))
        else:
            resolution.postpone(part, error)
    return refused


def _error(answer: _Answer | None) -> RelayError:
    if answer is None or answer.status == 200:
        return SourceUnreachable("Graph left out a part of its answer")
    return translate(answer.status, bytes(answer.body), answer.headers)


def _meanings(part: _Part, users: Iterable[_User]) -> dict[Name, Found | Status]:
    meanings: dict[Name, Found | Status] = dict.fromkeys(part, Status.NOT_FOUND)
    for user in users:
        user_id = names.user_id(user.id)
        if user_id is None:
            continue
        upn = (user.user_principal_name or "")[: names.MAX_NAME_CHARS]
        for name in (names.normalise(upn), Name(user_id)):
            if name in meanings:
                meanings[name] = Found(user_id, upn)
    return meanings
