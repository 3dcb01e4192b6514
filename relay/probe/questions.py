"""The questions: each sends read requests to Graph, and derives switches of the local cloud and observations from the answers."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from relay.core import names
from relay.errors import AccessDenied
from relay.graph.presence.directory import NAMES_PER_PART
from relay.graph.presence.presences import PATH as BULK
from relay.graph.settings import MAX_BULK_SIZE
from relay.probe import sample
from relay.probe.client import Asker, GraphAnswer, Unanswered

Value = bool | int | float | str | dict[str, int]

SAMPLE: Final = 200
"""Users in the sample: enough to include every common state on a working day, few enough to stay within the presence
limit even if each of them counts."""
MOST_READS: Final = 15
"""Bulk reads and further pages that the sample may take."""
BURSTS: Final = 3
"""Bulk reads of 650 one after the other: 1,950 users, above 1,500 only if Graph counts users and not requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The users that an operator names, and the questions to leave out.

    Attributes:
        guest: UPN or object id of a guest of the tenant; empty asks nothing about guests.
        unlicensed: UPN or object id of a user without a licence for Teams.
        deleted: object id of a deleted account.
        without_count: leave out the question that may use up the presence limit for half a minute.
    """

    guest: str = ""
    unlicensed: str = ""
    deleted: str = ""
    without_count: bool = False

    def faults(self) -> Iterator[str]:
        """Yield the faults of the options."""
        for name in ("guest", "unlicensed"):
            given = getattr(self, name)
            if given and names.normalise(given) is None:
                yield f"--{name}: {given!r} is neither a UPN nor an object id."
        if self.deleted and names.user_id(self.deleted) is None:
            yield f"--deleted: {self.deleted!r} is not an object id (a GUID); a deleted account no longer has a UPN."


@dataclass
class Interview:
    """The answers so far, and the findings that follow from them.

    Attributes:
        entries: the complete presences of the sample; they stay in this object.
        users: object id -> UPN of the sample.
        switches: name -> value, as the emulator's profiles have them.
        observed: findings without a switch.
        unanswered: name of a switch, or of a question -> why there is no answer.
    """

    asker: Asker
    options: Options
    entries: list[dict[str, Any]] = field(default_factory=list, repr=False)
    users: dict[str, str] = field(default_factory=dict, repr=False)
    switches: dict[str, Value] = field(default_factory=dict)
    observed: dict[str, Value] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)

    @property
    def known(self) -> str:
        """The object id of a user whose presence is reported.

        Raises:
            Unanswered: no presence is reported.
        """
        for entry in self.entries:
            if str(entry.get("id")).lower() in self.users:
                return str(entry["id"]).lower()
        raise Unanswered("Graph reported no user's presence")

    async def bulk(self, *ids: str) -> GraphAnswer:
        """Send one bulk read and return its answer."""
        return await self.asker.post(BULK, {"ids": ids})

    def leave(self, question: Question, reason: str) -> None:
        """Record that a question got no answer."""
        for name in question.switches or (question.name,):
            if name not in self.switches:
                self.unanswered.setdefault(name, reason)

    def judge(self, switch: str, judgement: sample.Judgement, entries: Sequence[sample.Entry]) -> None:
        """Set one switch to the value that a function finds in presences, or record why it finds none."""
        try:
            self.switches[switch] = judgement(entries)
        except Unanswered as reason:
            self.unanswered[switch] = str(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to the tenant, with what it needs.

    Attributes:
        name: for the list of unanswered questions.
        asks: description for the operator.
        requests: the maximum number of requests.
        switches: the switches that it may set.
        option: the option that the question requires.
    """

    name: str
    asks: str
    requests: int
    ask: Callable[[Interview], Awaitable[None]]
    switches: tuple[str, ...] = ()
    option: str = ""

    def is_asked(self, options: Options) -> bool:
        """Return True if the options contain the question's option, and do not leave the question out."""
        return (
            bool(getattr(options, self.option)) if self.option else not (self.name == "count" and options.without_count)
        )


def nobody() -> str:
    """Return an object id without a user."""
    return str(uuid.uuid4())


async def _sample(interview: Interview) -> None:
    said = _permitted(await interview.asker.get(f"/v1.0/users?$select=id,userPrincipalName&$top={SAMPLE}"))
    interview.users = {str(user.get("id")).lower(): str(user.get("userPrincipalName", "")) for user in said.entries}
    if not interview.users:
        raise Unanswered("Graph lists no users")
    pages = await _pages(interview, list(interview.users))
    interview.entries = entries = [entry for page in pages for entry in page.entries]
    # Omitted users make a page shorter, so the longest page is closest to the page size.
    is_paged = any(page.next_link for page in pages)
    interview.switches["bulk_page_size"] = max(len(page.entries) for page in pages) if is_paged else 0
    interview.observed |= {
        "users_asked": len(interview.users),
        "users_reported": len({str(entry.get("id")).lower() for entry in entries}),
        "availability": sample.words(entries, "availability"),
        "activity": sample.words(entries, "activity"),
        "fields": sample.fields(entries),
        "content_type": sample.content_type(pages[0].headers),
    }
    telling = [entry for entry in entries if not sample.is_unknown(entry)]
    for switch, judgement in sample.JUDGEMENTS.items():
        interview.judge(switch, judgement, telling)


async def _pages(interview: Interview, users: list[str]) -> list[GraphAnswer]:
    """Read the presence of users, page by page. If one user makes a read fail for all, read halves, down to that user."""
    found: list[GraphAnswer] = []
    waiting = [users]
    reads = 0
    while waiting and reads < MOST_READS:
        ids = waiting.pop()
        said = _permitted(await interview.bulk(*ids), 200, 400)
        reads += 1
        if said.status == 400 and len(ids) > 1:
            waiting += [ids[len(ids) // 2 :], ids[: len(ids) // 2]]
        while said.status == 200:
            found.append(said)
            if not said.next_link or reads >= MOST_READS:
                break
            said = (await interview.asker.get(said.next_link)).expect(200)
            reads += 1
    if not found:
        raise Unanswered("Graph refused every bulk read")
    return found


async def _unknown(interview: Interview) -> None:
    unknown = nobody()
    said = await interview.bulk(interview.known, unknown)
    interview.switches["unknown_ids"] = _reported(said, unknown, "omit", "refuse_400", "presence_unknown")


async def _malformed(interview: Interview) -> None:
    said = await interview.bulk(interview.known, "not-an-object-id")
    interview.switches["malformed_ids"] = _by_status(said, {400: "refuse_400", 200: "omit"})


async def _none(interview: Interview) -> None:
    interview.switches["empty_ids"] = _by_status(await interview.bulk(), {400: "refuse_400", 200: "empty"})


async def _too_many(interview: Interview) -> None:
    said = await interview.bulk(*(nobody() for _ in range(MAX_BULK_SIZE + 1)))
    if said.status == 400 and interview.switches.get("unknown_ids") == "refuse_400":
        raise Unanswered("Graph refused the read, and refuses any id without a user")
    outcomes = {400: "refuse_400", 413: "refuse_413", 200: "first_650"}
    interview.switches["too_many_ids"] = _by_status(said, outcomes)


async def _duplicate(interview: Interview) -> None:
    said = await interview.bulk(interview.known, interview.known)
    found = "repeat" if len(said.entries) > 1 else "once"
    interview.switches["duplicate_ids"] = _by_status(said, {400: "refuse_400", 200: found})


async def _unlicensed(interview: Interview) -> None:
    user = await _object_id(interview, interview.options.unlicensed, "--unlicensed")
    said = await interview.bulk(interview.known, user)
    interview.switches["unlicensed_ids"] = _reported(said, user, "omit", "presence_unknown")


async def _guest(interview: Interview) -> None:
    user = await _object_id(interview, interview.options.guest, "--guest")
    said = await interview.bulk(interview.known, user)
    interview.switches["guest_ids"] = _reported(said, user, "omit", "presence_unknown", "refuse_400", "presence")


async def _deleted(interview: Interview) -> None:
    user = interview.options.deleted.lower()
    said = await interview.bulk(interview.known, user)
    found = _reported(said, user, "omit", "refuse_400", "presence_unknown")
    interview.switches["deleted_ids"] = "as_unknown" if found == interview.switches.get("unknown_ids") else found


async def _single(interview: Interview) -> None:
    """Read the presence of single users."""
    known = interview.known
    interview.observed["single"] = (await interview.asker.get(f"/v1.0/users/{known}/presence")).label
    said = await interview.asker.get(f"/v1.0/users/{nobody()}/presence")
    outcomes = {404: "not_found_404", 400: "refuse_400", 200: "presence_unknown"}
    interview.judge("unknown_id", lambda _: _by_status(said, outcomes), ())


async def _by_upn(interview: Interview) -> None:
    upn = quote(interview.users[interview.known], safe="@")
    said = await interview.asker.get(f"/v1.0/users/{upn}/presence")
    interview.switches["presence_by_upn"] = _by_status(said, {400: "refuse_400", 404: "not_found_404", 200: "read"})


async def _select(interview: Interview) -> None:
    said = await interview.asker.get(f"/v1.0/users/{interview.known}/presence?$select=availability")
    is_whole = isinstance(said.body, dict) and "activity" in said.body
    found = "ignore" if is_whole else "honour"
    interview.switches["presence_select"] = _by_status(said, {400: "refuse_400", 200: found})


async def _unreadable(interview: Interview) -> None:
    """Ask for a job title, which is beyond User.ReadBasic.All; it does not matter if there is one."""
    said = (await interview.asker.get(f"/v1.0/users/{interview.known}?$select=id,jobTitle")).expect(200)
    if not isinstance(said.body, dict) or said.body.get("jobTitle") is not None:
        raise Unanswered("this consent reads more than it needs")
    interview.switches["uncovered_properties"] = "null" if "jobTitle" in said.body else "absent"


async def _filter(interview: Interview) -> None:
    """Send a filter with the documented number of names, and one with one more."""
    for count in (NAMES_PER_PART, NAMES_PER_PART + 1):
        listed = ",".join(f"'{nobody()}@invalid.example'" for _ in range(count))
        condition = quote(f"userPrincipalName in ({listed})", safe="(),'@")
        said = await interview.asker.get(f"/v1.0/users?$filter={condition}&$select=id")
        interview.observed[f"filter_of_{count}_names"] = said.label


async def _by_ids(interview: Interview) -> None:
    said = await interview.asker.post("/v1.0/directoryObjects/getByIds", {"ids": [interview.known], "types": ["user"]})
    is_whole = any(entry.get("userPrincipalName") for entry in said.entries)
    interview.observed["get_by_ids"] = f"{said.label}{', with names' if is_whole else ''}"


async def _count(interview: Interview) -> None:
    """Request users that do not exist, so that answers stay small, and different ones each time, so that Graph sees no repeats."""
    refusals = 0
    for _ in range(BURSTS):
        said = await interview.asker.post_whatever_comes(BULK, {"ids": [nobody() for _ in range(MAX_BULK_SIZE)]})
        if said.status == 429:
            interview.switches["count_bulk_as"] = "ids"
            interview.switches["retry_after"] = "retry-after" in said.headers
            return
        refusals += said.status != 200
    if refusals:
        raise Unanswered(f"Graph refused {refusals} of the {BURSTS} reads, and a refused one may not count")
    interview.switches["count_bulk_as"] = "one"
    interview.unanswered["retry_after"] = "Graph did not ask to wait"


def _permitted(said: GraphAnswer, *statuses: int) -> GraphAnswer:
    """Return one of the first two answers, which all other questions need.

    Raises:
        AccessDenied: the consent does not cover it.
    """
    if said.status == 403:
        raise AccessDenied(
            f"Graph answered {said.label}: the consent does not cover reading users and their presence. "
            "Consent again: presence-relay tenants onboard"
        )
    return said.expect(*statuses or (200,))


async def _object_id(interview: Interview, who: str, option: str) -> str:
    """Return the object id of a user that the operator named."""
    said = await interview.asker.get(f"/v1.0/users/{quote(who, safe='@')}?$select=id")
    if said.status == 404:
        raise Unanswered(f"there is no user with the name given by {option}")
    body = said.expect(200).body
    return str(body.get("id")).lower() if isinstance(body, dict) else ""


def _by_status(said: GraphAnswer, outcomes: Mapping[int, str]) -> str:
    """Return the value of a switch for an answer's status."""
    return outcomes[said.expect(*outcomes).status]


def _reported(said: GraphAnswer, user: str, *values: str) -> str:
    """Return the value of a switch for a bulk read's report of a special user."""
    found = "refuse_400" if said.status == 400 else "omit"
    for entry in said.expect(200, 400).entries:
        if str(entry.get("id")).lower() == user:
            found = "presence_unknown" if sample.is_unknown(entry) else "presence"
    if found not in values:
        raise Unanswered(f"no switch describes Graph's answer: {found}")
    return found


QUESTIONS: Final = (
    Question(
        name="sample", requests=1 + MOST_READS, ask=_sample, switches=(*sample.JUDGEMENTS, "bulk_page_size"),
        asks=f"a list of up to {SAMPLE} users (ids and UPNs) and their presence: spelling, fields, pages",
    ),
    Question(
        name="unknown", requests=1, ask=_unknown, switches=("unknown_ids",),
        asks="a bulk read with an id without a user",
    ),
    Question(
        name="malformed", requests=1, ask=_malformed, switches=("malformed_ids",),
        asks="a bulk read with a word that is not an id",
    ),
    Question(
        name="duplicate", requests=1, ask=_duplicate, switches=("duplicate_ids",), asks="a bulk read with one id twice"
    ),
    Question(name="none", requests=1, ask=_none, switches=("empty_ids",), asks="a bulk read of no users"),
    Question(
        name="too_many", requests=1, ask=_too_many, switches=("too_many_ids",),
        asks=f"a bulk read of {MAX_BULK_SIZE + 1} ids without users",
    ),
    Question(
        name="unlicensed", requests=2, ask=_unlicensed, switches=("unlicensed_ids",), option="unlicensed",
        asks="the presence of the user of --unlicensed",
    ),
    Question(
        name="guest", requests=2, ask=_guest, switches=("guest_ids",), option="guest",
        asks="the presence of the guest of --guest",
    ),
    Question(
        name="deleted", requests=1, ask=_deleted, switches=("deleted_ids",), option="deleted",
        asks="the presence of the account of --deleted",
    ),
    Question(
        name="single", requests=2, ask=_single, switches=("unknown_id",),
        asks="one user's presence alone, and that of an id without a user",
    ),
    Question(
        name="by_upn", requests=1, ask=_by_upn, switches=("presence_by_upn",), asks="one user's presence by UPN"
    ),
    Question(
        name="select", requests=1, ask=_select, switches=("presence_select",), asks="one user's presence with $select"
    ),
    Question(
        name="unreadable", requests=1, ask=_unreadable, switches=("uncovered_properties",),
        asks="one user's job title, which the consent does not cover",
    ),
    Question(name="filter", requests=2, ask=_filter, asks=f"a filter of {NAMES_PER_PART} made-up UPNs, and of one more"),
    Question(name="by_ids", requests=1, ask=_by_ids, asks="directoryObjects/getByIds, which the consent does not cover"),
    Question(
        name="count", requests=BURSTS, ask=_count, switches=("count_bulk_as", "retry_after"),
        asks=f"{BURSTS} bulk reads of {MAX_BULK_SIZE} ids without users: does Graph count {BURSTS} or "
        f"{BURSTS * MAX_BULK_SIZE:,} against 1,500 in 30 s?",
    ),
)  # fmt: skip
"""The questions in order: the sample first, because the others need a user whose presence is reported; the count last."""
