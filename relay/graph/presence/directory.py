"""Resolves names to users: object ids and canonical UPNs, read from Graph's users.

15 names go into one `in` filter, 20 such parts into one `$batch`. Each part is answered, refused or throttled
separately, so a failing part does not affect the others. A part that is refused, or cannot be read, is requested again
in smaller pieces, down to the one name that causes it.

Only an answer without a user means that no user has the name. A refusal says nothing about the name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from relay.core import names
from relay.core.presence import DirectoryNames, Name, Status, UserId
from relay.errors import AccessDenied, RelayError, RequestRefused, Retryable, SourceUnreachable
from relay.graph.client import GraphClient, TokenSource
from relay.graph.errors import UNREADABLE, translate

PATH: Final = "/v1.0/$batch"

# Graph takes 15 expressions in a filter: https://developer.microsoft.com/graph/known-issues/?search=13635
NAMES_PER_PART: Final = 15
# https://learn.microsoft.com/graph/json-batching
PARTS_PER_BATCH: Final = 20

MAX_DISPLAY_NAME_CHARS: Final = 256
"""Entra's limit: https://learn.microsoft.com/graph/api/resources/user."""

# User.ReadBasic.All covers both: https://learn.microsoft.com/graph/permissions-reference#userreadbasicall
_SELECT_CALLED: Final = "displayName,mail"
_SELECT: Final = "id,userPrincipalName"

NAMES_PER_BATCH: Final = NAMES_PER_PART * PARTS_PER_BATCH
"""Names in one HTTP call, if they are all of the same kind."""


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """The user with a name; `upn` in Graph's letter case, empty if Graph returns none."""

    user_id: UserId
    upn: str
    called: DirectoryNames | None = None
    """None if it was not requested."""


@dataclass(slots=True)
class Resolution:
    """Graph's answer about some names.

    Attributes:
        meanings: name -> its user, or NOT_FOUND, or ACCESS_DENIED.
        refused: names for which Graph refuses the search, while it answers for others: retry them occasionally.
        unresolved: names without an answer so far: retry them.
        retry_after: the wait before that retry that Graph asks for; None without one.
        is_throttled: whether Graph throttled any of them.
    """

    meanings: dict[Name, DirectoryUser | Status] = field(default_factory=dict)
    refused: list[Name] = field(default_factory=list)
    unresolved: list[Name] = field(default_factory=list)
    retry_after: timedelta | None = None
    is_throttled: bool = False

    def postpone(self, unresolved: Iterable[Name], error: RelayError) -> None:
        """Record names without an answer because of `error`."""
        self.unresolved.extend(unresolved)
        if not isinstance(error, Retryable):
            return
        self.is_throttled = self.is_throttled or not isinstance(error, SourceUnreachable)
        if error.retry_after is not None:
            self.retry_after = max(self.retry_after or timedelta(), error.retry_after)


async def _for_nothing() -> None:
    pass


async def resolve(
    client: GraphClient,
    token: TokenSource,
    wanted: Sequence[Name],
    pay: Callable[[], Awaitable[None]] = _for_nothing,
    *,
    asks_called: bool = False,
    suspects_names: bool = False,
) -> Resolution:
    """Resolve normalised names, UPNs and object ids alike, to users; with `asks_called` read their display names as well.

    With `suspects_names` a batch that fails with a 5xx, or is not answered, is also requested in pieces: a name in it
    may be the reason. Without, such a failure counts as temporary. `pay` is awaited before each request: usually one,
    and more after refusals. Every name is in one of `meanings`, `refused` and `unresolved`. Batches are sent one after
    the other. When one fails for a temporary reason, or so many in a row are refused that the names cannot be the
    reason, the results so far are returned and the rest is unresolved.

    Raises:
        Retryable: Graph answered for no name.
        ConsentRequired, AccessDenied, RequestRefused: see `GraphClient`, or every part was refused; Graph answered for no name.
    """
    resolution = Resolution()
    select = f"{_SELECT},{_SELECT_CALLED}" if asks_called else _SELECT
    waiting = deque(_batches(_parts(dict.fromkeys(wanted))))
    alone: list[tuple[_Part, RelayError]] = []
    fruitless, answered = 0, False
    while waiting:
        batch = waiting.popleft()
        await pay()
        try:
            requests = [_request(number, part, select) for number, part in enumerate(batch)]
            answers = _answers(await client.post(token, PATH, _encode({"requests": requests})))
        except (RequestRefused, AccessDenied, Retryable) as error:
            if not _blames_names(error, suspects_names=suspects_names):
                _give_up(resolution, [batch, *waiting], error, answered=answered)
                break
            fruitless += 1
            if pieces := _halves(batch):
                waiting.extend(pieces)
            else:
                alone.append((batch[0], error))
            if fruitless >= _MOST_FRUITLESS:
                _give_up(resolution, waiting, error, answered=answered)
                break
        else:
            if not answered and (denied := _denial(batch, answers)) is not None:
                raise denied
            # One bad name makes Graph refuse the other fourteen: request each separately.
            apart = _take(batch, answers, resolution, asks_called=asks_called)
            waiting.extend(_batches((name,) for part in apart for name in part))
            fruitless, answered = 0, True
    for part, refusal in alone:
        if not answered:
            raise refusal
        _refuse(part, refusal, resolution)
    return resolution


async def upns_of(client: GraphClient, token: TokenSource, ids: Sequence[UserId]) -> Resolution:
    """Return the canonical UPNs of users, in the same form: the keys of `meanings` are the object ids."""
    return await resolve(client, token, [Name(user) for user in ids])


_Part = tuple[Name, ...]
"""The names of one part of a batch, all UPNs or all object ids."""

_MOST_FRUITLESS: Final = 24
"""After this many requests in a row that are refused as a whole, the names are not the reason. Finding one of 300 takes 10."""


class _Unreadable(SourceUnreachable):
    """A batch's answer does not have the documented form, perhaps because it contains data of one part unescaped."""


def _blames_names(error: RelayError, *, suspects_names: bool) -> bool:
    """Return whether a batch may have failed because of a name in it."""
    if isinstance(error, RequestRefused | AccessDenied | _Unreadable):
        return True
    return suspects_names and isinstance(error, SourceUnreachable) and error.retry_after is None


def _give_up(resolution: Resolution, left: Iterable[Sequence[_Part]], error: RelayError, *, answered: bool) -> None:
    if not answered:
        raise error
    resolution.postpone((name for batch in left for part in batch for name in part), error)


def _refuse(part: _Part, error: RelayError, resolution: Resolution) -> None:
    """Graph refuses to search for these names, whatever other names are in the request."""
    if isinstance(error, AccessDenied):
        resolution.meanings.update(dict.fromkeys(part, Status.ACCESS_DENIED))
    else:
        resolution.refused.extend(part)


def _batches(parts: Iterable[_Part]) -> Iterator[Sequence[_Part]]:
    them = list(parts)
    return (them[start : start + PARTS_PER_BATCH] for start in range(0, len(them), PARTS_PER_BATCH))


def _halves(batch: Sequence[_Part]) -> list[Sequence[_Part]]:
    """Return a batch as two smaller ones; none when it is one name."""
    if len(batch) > 1:
        middle = len(batch) // 2
        return [batch[:middle], batch[middle:]]
    (part,) = batch
    middle = len(part) // 2
    return [[part[:middle]], [part[middle:]]] if middle else []


def _parts(wanted: Iterable[Name]) -> Iterator[_Part]:
    ids: list[Name] = []
    upns: list[Name] = []
    for name in wanted:
        (ids if names.is_object_id(name) else upns).append(name)
    yield from _chunks(upns)
    yield from _chunks(ids)


def _chunks(of: Sequence[Name]) -> Iterator[_Part]:
    return (tuple(of[start : start + NAMES_PER_PART]) for start in range(0, len(of), NAMES_PER_PART))


def _request(number: int, part: _Part, select: str) -> Mapping[str, str]:
    attribute = "id" if names.is_object_id(part[0]) else "userPrincipalName"
    # OData doubles an apostrophe; other characters with a meaning in URLs are percent-encoded: "#EXT#", "$".
    values = ",".join("'" + name.replace("'", "''") + "'" for name in part)
    condition = quote(f"{attribute} in ({values})", safe="(),'@")
    return {
        "id": str(number),
        "method": "GET",
        "url": f"/users?$filter={condition}&$select={select}",
    }


class _Answer(msgspec.Struct):
    """The answer to one part of a batch."""

    id: str
    status: int
    headers: dict[str, str] | None = None
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Answers(msgspec.Struct):
    responses: list[msgspec.Raw]


class _User(msgspec.Struct, rename="camel"):
    id: str
    user_principal_name: str | None = None
    display_name: str | None = None
    mail: str | None = None


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
        _Unreadable: the batch as a whole is invalid.
    """
    read = _read(_ANSWERS, body)
    if read is None:
        raise _Unreadable("Graph's answer to a batch does not have the documented form")
    answers = (_read(_ANSWER, answer) for answer in read.responses)
    return {answer.id: answer for answer in answers if answer is not None}


def _read(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T | None:
    try:
        return decoder.decode(body)
    except UNREADABLE:
        return None


def _take(
    batch: Sequence[_Part], answers: Mapping[str, _Answer], resolution: Resolution, *, asks_called: bool
) -> list[_Part]:
    """Put the answers into `resolution`; return the parts to request again in pieces."""
    refused = []
    for number, part in enumerate(batch):
        answer = answers.get(str(number))
        users = _read(_USERS, answer.body) if answer is not None and answer.status == 200 else None
        if users is not None:
            resolution.meanings.update(_meanings(part, users.value, asks_called=asks_called))
            continue
        error = _error(answer)
        if isinstance(error, RequestRefused) and len(part) > 1:
            refused.append(part)
        elif isinstance(error, RequestRefused | AccessDenied):
            _refuse(part, error, resolution)
        else:
            resolution.postpone(part, error)
    return refused


def _denial(batch: Sequence[_Part], answers: Mapping[str, _Answer]) -> AccessDenied | None:
    """Return the refusal if Graph refuses every part of a batch: the reason is then the account, not the names."""
    errors = [_error(answers.get(str(number))) for number in range(len(batch))]
    denials = [error for error in errors if isinstance(error, AccessDenied)]
    return denials[0] if len(denials) == len(batch) else None


def _error(answer: _Answer | None) -> RelayError:
    if answer is None or answer.status == 200:
        return SourceUnreachable("Graph left out a part of its answer")
    return translate(answer.status, bytes(answer.body), answer.headers)


def _meanings(part: _Part, users: Iterable[_User], *, asks_called: bool) -> dict[Name, DirectoryUser | Status]:
    meanings: dict[Name, DirectoryUser | Status] = dict.fromkeys(part, Status.NOT_FOUND)
    for user in users:
        user_id = names.user_id(user.id)
        if user_id is None:
            continue
        upn = (user.user_principal_name or "")[: names.MAX_NAME_CHARS]
        for name in (names.normalise(upn), Name(user_id)):
            if name in meanings:
                meanings[name] = DirectoryUser(user_id, upn, _called(user) if asks_called else None)
    return meanings


def _called(user: _User) -> DirectoryNames:
    mail = user.mail or ""
    # A part of an e-mail address would be another address.
    return DirectoryNames(
        (user.display_name or "")[:MAX_DISPLAY_NAME_CHARS], mail if len(mail) <= names.MAX_NAME_CHARS else ""
    )
