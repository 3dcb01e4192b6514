"""Bulk reads of presence: Graph's `getPresencesByUserId`.

Most pages equal the last page of the same users. A byte-for-byte equal body costs one hash. Any other body is split
into its entries without decoding, and each entry that was on the last page costs one hash. The others are decoded one
by one, so that a bad entry affects only itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import msgspec

from relay.core import names
from relay.core.presence import Observation, OutOfOffice, UserId
from relay.errors import Bug, LeaseLost, RelayError, SourceUnreachable
from relay.graph.client import GraphClient, TokenSource
from relay.graph.errors import UNREADABLE

PATH: Final = "/v1.0/communications/getPresencesByUserId"

MAX_TEXT_BYTES: Final = 1024
"""Longer free texts are cut: the protocol promises 1 KB to suites."""


@dataclass(frozen=True, slots=True)
class PresencePage:
    """The result of one bulk read.

    Attributes:
        observations: one for each user whose entry is new, in any order; without `seen`, for all users that were reported.
        omitted: requested users that were not reported (or not readably), in the order of the request. They are not
            offline but unknown.
        unanswered: requested users that a missing continuation may contain, in the order of the request.
        trouble: why the continuation is missing.
        is_whole: whether the whole answer was read; also False if its continuations lead nowhere.
        unchanged: the number of users whose entries are in `seen`.
        ids: the requested users.
        digest: hash of the body; 0 when it had several parts.
        entries: hash of an entry -> its user.
    """

    observations: tuple[Observation, ...]
    omitted: tuple[UserId, ...]
    unanswered: tuple[UserId, ...] = ()
    trouble: RelayError | None = None
    is_whole: bool = True
    unchanged: int = 0
    ids: tuple[UserId, ...] = field(default=(), repr=False, compare=False)
    digest: int = field(default=0, repr=False, compare=False)
    entries: Mapping[int, UserId] = field(default_factory=dict, repr=False, compare=False)


class PageHashes:
    """Hashes of the last accepted page of one set of users, so that a read returns only what is new.

    Call `keep` only after a page's observations were accepted. Call `clear` when the stored answers of these users
    differ from the page (statuses were accepted in between, another owner wrote, settings of the tenant changed). A
    change of the set of users needs no call: entries of users that were not requested are ignored, and for new users
    there are no hashes.

    About 100 bytes a user. Hashes have 64 bits, with a random key in each process; collisions are not handled.
    """

    __slots__ = ("page",)

    def __init__(self) -> None:
        self.page = _NOTHING

    def keep(self, page: PresencePage, but: Collection[UserId] = ()) -> None:
        """Record `page` as accepted, except for the users in `but`: their next entry counts as new even if it is the same."""
        entries, digest = page.entries, page.digest
        if but:
            entries, digest = {entry: user for entry, user in entries.items() if user not in but}, 0
        # The observations are no longer needed, so that no personal data stays here.
        self.page = PresencePage((), page.omitted, ids=page.ids, digest=digest, entries=entries)

    def clear(self) -> None:
        """Forget all hashes, so that the next read returns every entry."""
        self.page = _NOTHING


async def _for_nothing() -> None:
    pass


async def read_presences(
    client: GraphClient,
    token: TokenSource,
    ids: Sequence[UserId],
    seen: PageHashes | None = None,
    pay: Callable[[], Awaitable[None]] = _for_nothing,
    turn: Callable[[], Awaitable[None]] = _for_nothing,
) -> PresencePage:
    """Read the presence of up to `bulk_size` users from Graph.

    If a user is reported twice, the last entry counts; users that were not requested are ignored. Continuations
    (`@odata.nextLink`) are followed as long as each contains a new user, so at most as many as there are users. `pay`
    is awaited before each. When one fails, the earlier parts count. `turn` is awaited before an answer with new entries
    is decoded, which takes milliseconds.

    Raises:
        RequestRefused: Graph calls the request bad; one of the ids may be the reason.
        SourceUnreachable: the answer is invalid, or there is none.
        RelayError: as `GraphClient` says.
    """
    if len(ids) > client.settings.bulk_size:
        raise Bug(f"{len(ids)} users in a bulk read of at most {client.settings.bulk_size}")
    if not ids:
        return PresencePage((), ())
    last = seen.page if seen is not None else _NOTHING
    asked = tuple(dict.fromkeys(ids))
    body = await client.post(token, PATH, _encode({"ids": asked}))
    digest = hash(body)
    if digest == last.digest and asked == last.ids:
        return _unchanged(last, digest)
    await turn()
    said = _split(body)
    if not said.next_link:
        return _page([bytes(entry) for entry in said.value], asked, digest, last)
    followed = await _follow(client, token, said, asked, pay)
    page = _page([bytes(entry) for entry in followed.entries], asked, 0, last)
    if followed.trouble is not None:
        return replace(page, omitted=(), unanswered=page.omitted, trouble=followed.trouble, is_whole=False)
    return replace(page, is_whole=followed.is_whole)


def observation(entry: bytes) -> Observation | None:
    """Return one presence, read like an entry of a bulk read; None if its user cannot be determined."""
    return _observation(entry, _ANYBODY)


class _Asked(Protocol):
    """The requested users: id as Microsoft writes it -> user."""

    def get(self, key: str, /) -> UserId | None: ...


class _Anybody:
    """The entries of all users in the answer."""

    def get(self, key: str, /) -> UserId | None:
        return names.user_id(key)


_ANYBODY: Final = _Anybody()


class _Body(msgspec.Struct):
    value: list[msgspec.Raw]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


class _Content(msgspec.Struct):
    content: str | None = None


class _StatusMessage(msgspec.Struct):
    message: _Content | None = None


class _OutOfOffice(msgspec.Struct, rename="camel"):
    message: str | None = None
    is_out_of_office: bool | None = None


class _Entry(msgspec.Struct, rename="camel"):
    id: str
    availability: str | None = None
    activity: str | None = None
    status_message: _StatusMessage | None = None
    out_of_office_settings: _OutOfOffice | None = None
    sequence_number: str | None = None


_encode: Final = msgspec.json.Encoder().encode
_BODY: Final = msgspec.json.Decoder(_Body)
_ENTRY: Final = msgspec.json.Decoder(_Entry)


@dataclass(slots=True)
class _Followed:
    """The entries of an answer in several parts; see `PresencePage`."""

    entries: list[msgspec.Raw]
    is_whole: bool = False
    trouble: RelayError | None = None


async def _follow(
    client: GraphClient,
    token: TokenSource,
    first: _Body,
    ids: tuple[UserId, ...],
    pay: Callable[[], Awaitable[None]],
) -> _Followed:
    """Collect an answer's first part and those that follow, until it is complete, or a part fails or leads nowhere."""
    said, asked = _Followed(list(first.value)), {str(user): user for user in ids}
    left = set(ids) - _users(first.value, asked)
    links: set[str] = set()
    link = first.next_link
    while link and left and link not in links:
        links.add(link)
        try:
            await pay()
            part = _split(await client.get(token, link))
        except RelayError as error:
            if isinstance(error, LeaseLost) or len(left) == len(ids):
                raise
            said.trouble = error
            return said
        said.entries += part.value
        new = _users(part.value, asked) & left
        left -= new
        link = part.next_link
        if link and not new:
            return said
    said.is_whole = not link or not left
    return said


def _users(entries: Iterable[msgspec.Raw], asked: Mapping[str, UserId]) -> set[UserId]:
    found = (_observation(bytes(entry), asked) for entry in entries)
    return {observation.user_id for observation in found if observation is not None}


def _split(body: bytes) -> _Body:
    try:
        return _BODY.decode(body)
    except UNREADABLE:
        return _split_tolerantly(body)


def _split_tolerantly(body: bytes) -> _Body:
    """Split a body that the fast decoder refuses, because of half an emoji in one user's text for example."""
    try:
        read = json.loads(body.decode(errors="replace"))
    except UNREADABLE as error:
        raise SourceUnreachable("Graph's answer to a bulk read is not JSON") from error
    entries = _fields(read).get("value")
    if not isinstance(entries, list):
        raise SourceUnreachable("Graph's answer to a bulk read has no list of presences")
    raw = [msgspec.Raw(json.dumps(entry).encode()) for entry in entries]
    return _Body(raw, _text(_fields(read).get("@odata.nextLink")) or None)


def _page(entries: Sequence[bytes], ids: tuple[UserId, ...], digest: int, last: PresencePage) -> PresencePage:
    hashes = list(map(hash, entries))
    known = last.entries
    if ids == last.ids and known.keys() == set(hashes):
        return _unchanged(last, digest)
    asked: dict[str, UserId] = dict(zip(ids, ids, strict=True))
    latest: dict[UserId, tuple[int, Observation | None]] = {}
    for entry_hash, entry in zip(hashes, entries, strict=True):
        if (user := known.get(entry_hash)) is not None and user in asked:
            latest[user] = (entry_hash, None)
        elif (observation := _observation(entry, asked)) is not None:
            latest[observation.user_id] = (entry_hash, observation)
    observations = tuple([observation for _, observation in latest.values() if observation is not None])
    omitted = tuple([user for user in ids if user not in latest])
    kept = {entry_hash: user for user, (entry_hash, _) in latest.items()}
    unchanged = len(latest) - len(observations)
    return PresencePage(observations, omitted, unchanged=unchanged, ids=ids, digest=digest, entries=kept)


def _unchanged(last: PresencePage, digest: int) -> PresencePage:
    return PresencePage(
        (), last.omitted, unchanged=len(last.entries), ids=last.ids, digest=digest, entries=last.entries
    )


def _observation(entry: bytes, asked: _Asked) -> Observation | None:
    """Return one entry as an observation; None if its user was not requested or cannot be determined."""
    try:
        read = _ENTRY.decode(entry)
    except UNREADABLE:
        return _tolerant(entry, asked)
    user = asked.get(read.id) or asked.get(read.id.lower())
    if user is None:
        return None
    note = read.status_message.message if read.status_message is not None else None
    return Observation(
        user,
        _word(read.availability),
        _word(read.activity),
        _cut(note.content) if note is not None and note.content else None,
        _out_of_office(read.out_of_office_settings),
        _cut(read.sequence_number) if read.sequence_number else "",
    )


def _tolerant(entry: bytes, asked: _Asked) -> Observation | None:
    """Read an entry without the documented form: unreadable fields are left out.

    Python's own decoder accepts texts that the fast one refuses, such as half of an emoji where Teams cut a text.
    """
    try:
        read = json.loads(entry.decode(errors="replace"))
    except UNREADABLE:
        return None
    read = read if isinstance(read, dict) else {}
    user = asked.get(_text(read.get("id")).lower())
    if user is None:
        return None
    settings = _fields(read.get("outOfOfficeSettings"))
    is_out = settings.get("isOutOfOffice")
    return Observation(
        user,
        _text(read.get("availability")),
        _text(read.get("activity")),
        _text(_fields(_fields(read.get("statusMessage")).get("message")).get("content")) or None,
        OutOfOffice(is_out, _text(settings.get("message"))) if isinstance(is_out, bool) else None,
        _text(read.get("sequenceNumber")),
    )


def _out_of_office(settings: _OutOfOffice | None) -> OutOfOffice | None:
    if settings is None or settings.is_out_of_office is None:
        return None
    if not settings.message:
        return _OUT_SILENTLY if settings.is_out_of_office else _NOT_OUT
    return OutOfOffice(settings.is_out_of_office, _cut(settings.message))


def _word(text: str | None) -> str:
    """Return one of Microsoft's words as a shared object: a million users have only a dozen different ones."""
    if not text:
        return ""
    return sys.intern(text) if len(text) <= _MAX_WORD_CHARS else _cut(text)


def _cut(text: str) -> str:
    """Return the text, cut to `MAX_TEXT_BYTES` of UTF-8 between two characters."""
    if len(text) * 4 <= MAX_TEXT_BYTES:  # no character takes more than 4 bytes
        return text
    return text.encode(errors="replace")[:MAX_TEXT_BYTES].decode(errors="ignore")


def _text(value: object) -> str:
    """Return any value as a text that can be encoded; older documentation also calls the two states collections."""
    if isinstance(value, list):
        value = "/".join(part for part in value[:5] if isinstance(part, str))
    return _cut(value.encode(errors="replace").decode()) if isinstance(value, str) else ""


def _fields(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


_NOTHING: Final = PresencePage((), ())
_MAX_WORD_CHARS: Final = 64
_NOT_OUT: Final = OutOfOffice(active=False)
_OUT_SILENTLY: Final = OutOfOffice(active=True)
