from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from emulator import Cloud
from emulator.faults import Fault
from relay.core.presence import Observation, OutOfOffice, UserId
from relay.errors import Bug, RequestRefused, SourceUnreachable
from relay.graph.client import GraphClient
from relay.graph.presence.presences import PATH, PageHashes, PresencePage, read_presences
from tests.graph.conftest import Tokens, ids

ADA = UserId("11111111-0000-4000-8000-000000000001")
BEN = UserId("11111111-0000-4000-8000-000000000002")
CAROL = UserId("11111111-0000-4000-8000-000000000003")


@pytest.fixture
def answers(cloud: Cloud) -> Callable[[str | bytes], None]:
    """Makes the cloud answer bulk reads with any body, in turn."""

    def answer(body: str | bytes) -> None:
        text = body if isinstance(body, str) else body.decode()
        cloud.add_fault(Fault(path=PATH, status=200, body=text, count=1))

    return answer


def entry(user: str, availability: str = "Available", **more: object) -> dict[str, object]:
    return {"id": user, "availability": availability, "activity": availability, **more}


def body(*entries: object, **more: object) -> str:
    return json.dumps({"@odata.context": "x", "value": entries, **more})


def states(page: PresencePage) -> dict[str, str]:
    return {observation.user_id: observation.availability for observation in page.observations}


async def test_everything_that_graph_says_of_a_user_is_observed(cloud: Cloud, client: GraphClient, tokens: Tokens):
    cloud.act("ada@contoso.example", "call")
    cloud.set_presence("ben@contoso.example", "Away", "Away", sequence_number="A0000000042")
    ada, ben = ids(cloud, "ada", "ben")

    page = await read_presences(client, tokens, [ada, ben])

    by_user = {observation.user_id: observation for observation in page.observations}
    assert (by_user[ada].availability, by_user[ada].activity) == ("Busy", "InACall")
    assert by_user[ada].out_of_office == OutOfOffice(active=False)
    assert by_user[ben] == Observation(ben, "Away", "Away", None, OutOfOffice(active=False), "A0000000042")
    assert page.omitted == ()


@pytest.mark.parametrize("spelling", ["pascal", "lower_camel", "third"])
async def test_values_travel_as_microsoft_spells_them(cloud: Cloud, client: GraphClient, tokens: Tokens, spelling: str):
    cloud.set_switches(spelling=spelling, extra_fields=True, sequence_numbers=False)
    cloud.act("ada@contoso.example", "call")
    page = await read_presences(client, tokens, ids(cloud, "ada"))
    said = (page.observations[0].availability, page.observations[0].activity)
    assert (
        said
        == {"pascal": ("Busy", "InACall"), "lower_camel": ("inACall", "busy"), "third": ("InACall", "Busy")}[spelling]
    )
    assert page.observations[0].sequence_number == ""


async def test_users_that_graph_leaves_out_are_omitted(cloud: Cloud, client: GraphClient, tokens: Tokens):
    asked = [ADA, *ids(cloud, "ada", "presence-relay")]
    page = await read_presences(client, tokens, asked)
    assert page.omitted == (ADA, asked[2])
    assert [observation.user_id for observation in page.observations] == [asked[1]]


async def test_a_page_that_graph_refuses_is_refused(cloud: Cloud, client: GraphClient, tokens: Tokens):
    cloud.set_switches(unknown_ids="refuse_400")
    with pytest.raises(RequestRefused):
        await read_presences(client, tokens, [ADA])


async def test_no_users_make_no_call(cloud: Cloud, client: GraphClient, tokens: Tokens):
    assert await read_presences(client, tokens, []) == PresencePage((), ())
    assert not [line for line in cloud.journal.search() if line.path == PATH]


async def test_more_users_than_a_bulk_read_takes_are_a_bug(client: GraphClient, tokens: Tokens):
    many = [UserId(f"11111111-0000-4000-8000-{number:012}") for number in range(651)]
    with pytest.raises(Bug):
        await read_presences(client, tokens, many)


@pytest.mark.parametrize(
    "text", ["", "<html>Service unavailable</html>", "[]", "null", "{}", '{"value": {}}', "[" * 100_000]
)
async def test_a_body_that_is_no_answer_is_unreachable(client: GraphClient, tokens: Tokens, answers, text: str):
    answers(text)
    with pytest.raises(SourceUnreachable):
        await read_presences(client, tokens, [ADA])


async def test_a_truncated_body_is_unreachable(cloud: Cloud, client: GraphClient, tokens: Tokens):
    cloud.add_fault(Fault(path=PATH, damage="truncated", count=1))
    with pytest.raises(SourceUnreachable):
        await read_presences(client, tokens, ids(cloud, "ada"))


async def test_of_a_repeated_user_the_last_entry_counts(client: GraphClient, tokens: Tokens, answers):
    answers(body(entry(ADA, "Away"), entry(BEN), entry(ADA, "Busy")))
    page = await read_presences(client, tokens, [ADA, BEN])
    assert states(page) == {ADA: "Busy", BEN: "Available"}


async def test_users_nobody_asked_for_are_ignored(client: GraphClient, tokens: Tokens, answers):
    answers(body(entry(ADA), entry(CAROL)))
    page = await read_presences(client, tokens, [ADA])
    assert states(page) == {ADA: "Available"}


async def test_ids_are_recognised_in_any_case(client: GraphClient, tokens: Tokens, answers):
    answers(body(entry("AAAAAAAA-0000-4000-8000-00000000000A")))
    user = UserId("aaaaaaaa-0000-4000-8000-00000000000a")
    assert states(await read_presences(client, tokens, [user])) == {user: "Available"}


@pytest.mark.parametrize(
    "bad", [None, 7, "text", [], {}, {"id": None}, {"id": 7}, {"id": "nobody"}, {"id": BEN.replace("-", "")}]
)
async def test_a_bad_entry_costs_nobody_else_the_page(client: GraphClient, tokens: Tokens, answers, bad: object):
    answers(body(entry(ADA), bad, entry(CAROL)))
    page = await read_presences(client, tokens, [ADA, BEN, CAROL])
    assert states(page) == {ADA: "Available", CAROL: "Available"}
    assert page.omitted == (BEN,)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"availability": ["Busy", "Free"], "activity": None}, Observation(ADA, "Busy/Free", "")),
        ({"availability": 7, "activity": {}}, Observation(ADA, "", "")),
        ({"statusMessage": "text", "outOfOfficeSettings": []}, Observation(ADA, "Available", "Available")),
        ({"statusMessage": {"message": "text"}}, Observation(ADA, "Available", "Available")),
        ({"statusMessage": None, "sequenceNumber": 17}, Observation(ADA, "Available", "Available")),
        (
            {"outOfOfficeSettings": {"isOutOfOffice": True, "message": 5}},
            Observation(ADA, "Available", "Available", None, OutOfOffice(active=True)),
        ),
        (
            {"outOfOfficeSettings": {"isOutOfOffice": "yes", "message": "gone"}},
            Observation(ADA, "Available", "Available"),
        ),
        ({"availability": "Levitating", "workLocation": {"x": [1]}}, Observation(ADA, "Levitating", "Available")),
    ],
)
async def test_fields_of_other_types_cost_only_themselves(
    client: GraphClient, tokens: Tokens, answers, fields: dict[str, object], expected: Observation
):
    answers(body({**entry(ADA), **fields}))
    page = await read_presences(client, tokens, [ADA])
    assert page.observations == (expected,)


async def test_texts_are_passed_on(client: GraphClient, tokens: Tokens, answers):
    answers(
        body(
            entry(
                ADA,
                statusMessage={"message": {"content": "back at ten", "contentType": "text"}},
                outOfOfficeSettings={"isOutOfOffice": True, "message": "away until Monday"},
            ),
            entry(BEN, statusMessage={"message": {"content": ""}}),
        )
    )
    ada, ben = (await read_presences(client, tokens, [ADA, BEN])).observations
    assert ada.status_message == "back at ten"
    assert ada.out_of_office == OutOfOffice(active=True, message="away until Monday")
    assert ben.status_message is None
    assert ben.out_of_office is None


@pytest.mark.parametrize("text", ["x" * 100_000, "ä" * 50_000, "€" * 34_000, "🙂" * 25_000])
async def test_long_texts_are_cut_at_1_kb_between_characters(client: GraphClient, tokens: Tokens, answers, text: str):
    answers(
        body(
            entry(
                ADA,
                statusMessage={"message": {"content": text}},
                outOfOfficeSettings={"isOutOfOffice": True, "message": text},
                availability=text,
                activity=text,
                sequenceNumber=text,
            )
        ).replace('"availability": "Available", ', "")
    )
    page = await read_presences(client, tokens, [ADA])
    seen = page.observations[0]
    assert seen.out_of_office is not None
    for cut in (
        seen.status_message,
        seen.out_of_office.message,
        seen.availability,
        seen.activity,
        seen.sequence_number,
    ):
        assert cut is not None
        assert text.startswith(cut)
        assert 1020 < len(cut.encode()) <= 1024


async def test_half_an_emoji_costs_nobody_the_page(client: GraphClient, tokens: Tokens, answers):
    half = entry(ADA, statusMessage={"message": {"content": "hi @"}})
    answers(body(half, entry(BEN)).replace('@"', '\\ud83d"'))
    page = await read_presences(client, tokens, [ADA, BEN])
    assert states(page) == {ADA: "Available", BEN: "Available"}
    assert page.observations[0].status_message == "hi ?"


async def test_continuations_are_followed(cloud: Cloud, client: GraphClient, tokens: Tokens, answers):
    answers(body(entry(ADA), **{"@odata.nextLink": f"{cloud.url}{PATH}?$skiptoken=1"}))
    answers(body(entry(BEN)))
    page = await read_presences(client, tokens, [ADA, BEN])
    assert states(page) == {ADA: "Available", BEN: "Available"}


@pytest.mark.parametrize(
    "link", ["https://127.0.0.1:1/x", "https://example.invalid/x", "http://127.0.0.1/x", "https://[", "x"]
)
async def test_a_token_never_follows_a_link_to_another_place(client: GraphClient, tokens: Tokens, answers, link: str):
    answers(body(entry(ADA), **{"@odata.nextLink": link}))
    page = await read_presences(client, tokens, [ADA, BEN])
    assert "not its own" in str(page.trouble)
    assert (states(page), page.unanswered) == ({ADA: "Available"}, (BEN,))


def requests(cloud: Cloud) -> int:
    return sum(line.path == PATH for line in cloud.journal.search())


@pytest.mark.fault("B10")
@pytest.mark.parametrize("first", [[ADA, BEN], [ADA], []])
async def test_a_continuation_that_leads_to_itself_ends_the_read_and_what_came_counts(
    cloud: Cloud, client: GraphClient, tokens: Tokens, answers, first: list[UserId]
):
    link = {"@odata.nextLink": f"{cloud.url}{PATH}?$skip=0"}
    answers(body(*map(entry, first), **link))
    cloud.add_fault(Fault(path=PATH, method="GET", status=200, body=body(**link)))
    page = await read_presences(client, tokens, [ADA, BEN])
    assert states(page) == dict.fromkeys(first, "Available")
    assert page.is_whole == (first == [ADA, BEN])
    assert requests(cloud) <= 2


@pytest.mark.fault("B10")
async def test_continuations_that_go_in_a_circle_end(cloud: Cloud, client: GraphClient, tokens: Tokens, answers):
    links = [{"@odata.nextLink": f"{cloud.url}{PATH}?$skip={number}"} for number in range(2)]
    answers(body(entry(ADA), **links[0]))
    answers(body(entry(BEN), **links[1]))
    answers(body(entry(CAROL), **links[0]))
    page = await read_presences(client, tokens, [ADA, BEN, CAROL, UserId(CAROL.replace("3", "4"))])
    assert states(page).keys() == {ADA, BEN, CAROL}
    assert not page.is_whole
    assert requests(cloud) == 3


@pytest.mark.fault("B10")
async def test_a_continuation_that_brings_nobody_new_ends_the_read_although_its_link_is_new(
    cloud: Cloud, client: GraphClient, tokens: Tokens, answers
):
    links = [{"@odata.nextLink": f"{cloud.url}{PATH}?$skip={number}"} for number in range(4)]
    answers(body(entry(ADA), **links[0]))
    for link in links[1:]:
        answers(body(entry(ADA), **link))
    page = await read_presences(client, tokens, [ADA, BEN])
    assert states(page).keys() == {ADA}
    assert not page.is_whole
    assert requests(cloud) == 2


@pytest.mark.fault("B11")
@pytest.mark.parametrize("size", [1, 7, 50, 100])
async def test_pages_of_any_size_are_read_to_their_end_and_each_is_paid_for(
    cloud: Cloud, client: GraphClient, tokens: Tokens, size: int
):
    tenant = cloud.person("ada@contoso.example").tenant.tenant_id
    asked = [UserId(f"99999999-0000-4000-8000-{number:012}") for number in range(105)]
    for user in asked:
        cloud.add_person(tenant, user, f"{user}@contoso.example", "Somebody")
    cloud.set_switches(bulk_page_size=size)
    paid = 0

    async def pay() -> None:
        nonlocal paid
        paid += 1

    page = await read_presences(client, tokens, asked, pay=pay)
    assert states(page).keys() == set(asked)
    assert page.is_whole
    assert paid == -(-105 // size) - 1


@pytest.mark.fault("B11")
@pytest.mark.parametrize("status", [400, 403, 404, 500])
async def test_what_came_before_a_continuation_that_is_refused_counts(
    cloud: Cloud, client: GraphClient, tokens: Tokens, status: int
):
    ada, ben = ids(cloud, "ada", "ben")
    cloud.set_switches(bulk_page_size=1)
    cloud.add_fault(Fault(path=PATH, method="GET", status=status))
    page = await read_presences(client, tokens, [ada, ben, CAROL])
    assert states(page).keys() == {ada}
    assert (page.unanswered, page.omitted, page.is_whole) == ((ben, CAROL), (), False)
    assert page.trouble is not None


async def _two_reads(
    client: GraphClient,
    tokens: Tokens,
    answers: Callable[[str], None],
    first: str,
    second: str,
    asked: Sequence[UserId],
) -> tuple[PresencePage, PresencePage]:
    seen = PageHashes()
    answers(first)
    answers(second)
    page = await read_presences(client, tokens, asked, seen)
    seen.keep(page)
    return page, await read_presences(client, tokens, asked, seen)


async def test_an_unchanged_page_has_nothing_new(client: GraphClient, tokens: Tokens, answers):
    said = body(entry(ADA), entry(BEN))
    first, second = await _two_reads(client, tokens, answers, said, said, [ADA, BEN, CAROL])
    assert states(first) == {ADA: "Available", BEN: "Available"}
    assert second.observations == ()
    assert (second.omitted, second.unchanged) == ((CAROL,), 2)


async def test_of_a_changed_page_only_what_changed_is_new(client: GraphClient, tokens: Tokens, answers):
    first, second = body(entry(ADA), entry(BEN)), body(entry(BEN, "Busy"), entry(ADA))
    _, page = await _two_reads(client, tokens, answers, first, second, [ADA, BEN])
    assert states(page) == {BEN: "Busy"}
    assert (page.omitted, page.unchanged) == ((), 1)


async def test_a_user_no_longer_reported_is_omitted(client: GraphClient, tokens: Tokens, answers):
    first, second = body(entry(ADA), entry(BEN)), body(entry(ADA), entry(ADA))
    _, page = await _two_reads(client, tokens, answers, first, second, [ADA, BEN])
    assert (page.observations, page.omitted) == ((), (BEN,))


async def test_a_user_reported_again_is_new(client: GraphClient, tokens: Tokens, answers):
    seen = PageHashes()
    for said in (body(entry(ADA), entry(BEN)), body(entry(ADA)), body(entry(ADA), entry(BEN))):
        answers(said)
        page = await read_presences(client, tokens, [ADA, BEN], seen)
        seen.keep(page)
    assert states(page) == {BEN: "Available"}


async def test_a_page_that_was_not_kept_is_new_again(client: GraphClient, tokens: Tokens, answers):
    seen = PageHashes()
    for _ in range(2):
        answers(body(entry(ADA)))
        page = await read_presences(client, tokens, [ADA], seen)
        assert states(page) == {ADA: "Available"}
    seen.keep(page)
    seen.clear()
    answers(body(entry(ADA)))
    assert states(await read_presences(client, tokens, [ADA], seen)) == {ADA: "Available"}


async def test_repeated_entries_stay_right_when_pages_are_compared(client: GraphClient, tokens: Tokens, answers):
    twice = body(entry(ADA, "Away"), entry(ADA, "Busy"))
    _, same = await _two_reads(client, tokens, answers, twice, twice, [ADA])
    assert (same.observations, same.unchanged) == ((), 1)
    _, other = await _two_reads(client, tokens, answers, twice, body(entry(ADA, "Away")), [ADA])
    assert states(other) == {ADA: "Away"}


async def test_a_smaller_set_of_users_hides_the_others(client: GraphClient, tokens: Tokens, answers):
    seen = PageHashes()
    answers(body(entry(ADA), entry(BEN)))
    seen.keep(await read_presences(client, tokens, [ADA, BEN], seen))
    answers(body(entry(ADA), entry(BEN)))
    page = await read_presences(client, tokens, [ADA], seen)
    assert (page.observations, page.omitted, page.unchanged) == ((), (), 1)
