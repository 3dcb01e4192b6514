"""From a person's device to a suite's console."""

from __future__ import annotations

from redis.asyncio import Redis

from relay.core.presence import UserId
from suite.events import Connected, SnapshotComplete
from suite.values import ConsoleStatus, Outcome, Status
from tests.e2e.conftest import Edges, running
from tests.support.waiting import eventually
from tests.worker.conftest import Relay

ADA, BEN, CHLOE = "ada@contoso.example", "ben@contoso.example", "chloe@contoso.example"


async def test_users_named_in_three_ways_are_shown_and_changes_arrive(relay: Relay, edges: Edges):
    async with running(relay, edges) as tenant:
        by_id, odd = relay.microsoft.person(BEN).oid, " SIP:Chloe@Contoso.EXAMPLE "
        async with edges.suite(await edges.key(tenant), ADA, by_id, odd) as console:
            await eventually(lambda: all(console.shows(name) == "Available" for name in (ADA, by_id, odd)))
            assert console.presence(by_id).upn.lower() == BEN
            relay.microsoft.set_presence(CHLOE, "DoNotDisturb", "Presenting")
            await eventually(lambda: console.shows(odd) == "DoNotDisturb")
            assert console.presence(odd).console_status is ConsoleStatus.PRESENTING


async def test_switching_off_is_seen_as_idle_before_offline(relay: Relay, edges: Edges):
    relay.microsoft.set_switches(linger_s=(1.0, 1.5), idle_s=(1.5, 2.0))
    async with running(relay, edges) as tenant, edges.suite(await edges.key(tenant), ADA, BEN) as console:
        await eventually(lambda: console.shows(ADA) == "Available")
        relay.microsoft.act(BEN, "meeting")
        await eventually(lambda: console.shows(BEN) == "Busy")
        relay.microsoft.act(ADA, "switch_off")
        relay.microsoft.act(BEN, "switch_off")
        await eventually(lambda: console.shows(ADA) == console.shows(BEN) == "Offline", timeout=15)
        assert console.saw(ADA)[-3:] == ["Available", "AvailableIdle", "Offline"]
        assert console.saw(BEN)[-3:] == ["Busy", "BusyIdle", "Offline"]
        idle = [e.presence for e in console.events if getattr(e, "presence", None) and e.presence.idle]  # type: ignore[attr-defined]
        assert all(presence.idle_time is not None for presence in idle)


async def test_a_suite_that_lost_its_edge_resumes_and_has_missed_nothing(relay: Relay, edges: Edges):
    tenant = await relay.onboard()
    key = await edges.key(tenant)
    async with relay.working(), edges.suite(key, ADA, BEN, CHLOE) as console:
        async with edges.edge():
            await eventually(lambda: all(console.shows(name) == "Available" for name in (ADA, BEN, CHLOE)))
            await eventually(lambda: SnapshotComplete() in console.events)  # before that no token covers what was sent
        relay.microsoft.set_presence(ADA, "Busy")
        relay.microsoft.set_presence(BEN, "Away")
        await eventually(lambda: relay.sees(tenant, BEN, "Away"))
        async with edges.edge():
            await eventually(lambda: console.shows(ADA) == "Busy" and console.shows(BEN) == "Away", timeout=20)
            assert Connected(Outcome.RESUMED) in console.events
            assert set(console.saw(CHLOE)) == {"Available"}  # perhaps twice: the token may be from before her answer


async def test_honest_reasons_stand_where_there_is_no_presence(relay: Relay, edges: Edges):
    tenant = await relay.onboard()
    relay.microsoft.add_person(
        tenant, "99999999-0000-4000-8000-000000000001", "zoe@contoso.example", "Zoe", licensed=False
    )
    names = ("nobody@contoso.example", "zoe@contoso.example", "not a name", "", "x" * 10_000)
    async with running(relay, edges), edges.suite(await edges.key(tenant), ADA, *names) as console:
        await eventually(lambda: console.shows(ADA) == "Available")
        await eventually(lambda: console.shows("nobody@contoso.example") is Status.NOT_FOUND)
        await eventually(lambda: console.shows("zoe@contoso.example") is Status.NOT_REPORTED)
        for name in names[2:]:
            assert console.shows(name) is Status.MALFORMED


async def test_another_tenants_key_sees_nothing_of_this_one(relay: Relay, edges: Edges):
    async with running(relay, edges) as contoso:
        fabrikam = await relay.onboard("presence-relay@fabrikam.example")
        ada = UserId(relay.microsoft.person(ADA).oid)
        async with (
            edges.suite(await edges.key(contoso), ADA) as console,
            edges.suite(await edges.key(fabrikam), ADA, ada) as stranger,
        ):
            await eventually(lambda: console.shows(ADA) == "Available")
            await eventually(
                lambda: stranger.shows(ADA) is Status.NOT_FOUND and stranger.shows(ada) is Status.NOT_FOUND
            )
            relay.microsoft.set_presence(ADA, "Busy")
            await eventually(lambda: console.shows(ADA) == "Busy")
            assert not stranger.client.answers


async def test_a_revoked_grant_is_told_in_band_and_cured_by_a_new_consent(relay: Relay, edges: Edges):
    async with running(relay, edges) as tenant, edges.suite(await edges.key(tenant), ADA, BEN) as console:
        await eventually(lambda: console.shows(ADA) == "Available")
        relay.microsoft.directory.revoke("presence-relay@contoso.example", access_tokens=True)
        await eventually(lambda: console.shows(ADA) is console.shows(BEN) is Status.CONSENT_REQUIRED)
        await eventually(
            lambda: any(getattr(event, "status", None) is Status.CONSENT_REQUIRED for event in console.events)
        )
        await console.client.subscribe([CHLOE])
        await eventually(lambda: console.shows(CHLOE) is Status.CONSENT_REQUIRED)
        await relay.onboard()
        await eventually(lambda: all(console.shows(name) == "Available" for name in (ADA, BEN, CHLOE)))


async def test_the_stream_form_shows_the_same_and_changes_its_users(relay: Relay, edges: Edges):
    async with running(relay, edges) as tenant, edges.suite(await edges.key(tenant), ADA, form="stream") as console:
        await eventually(lambda: console.shows(ADA) == "Available")
        await console.client.subscribe([BEN])
        await eventually(lambda: console.shows(BEN) == "Available")
        relay.microsoft.set_presence(BEN, "Busy")
        await eventually(lambda: console.shows(BEN) == "Busy")


async def test_lost_history_resets_suites_and_they_show_what_graph_says(relay: Relay, edges: Edges, raw: Redis):
    async with running(relay, edges) as tenant, edges.suite(await edges.key(tenant), ADA, BEN) as console:
        await eventually(lambda: console.shows(ADA) == "Available")
        await raw.execute_command("REPLICAOF", "127.0.0.1", "1")
        relay.microsoft.set_presence(ADA, "Busy")
        await raw.execute_command("REPLICAOF", "NO", "ONE")
        await eventually(lambda: Connected(Outcome.RESET) in console.events)
        await eventually(lambda: console.shows(ADA) == "Busy" and console.shows(BEN) == "Available")


async def test_the_store_may_be_killed_under_a_running_relay(relay: Relay, edges: Edges, valkey):
    async with running(relay, edges) as tenant, edges.suite(await edges.key(tenant), ADA) as console:
        await eventually(lambda: console.shows(ADA) == "Available")
        valkey.kill()
        relay.microsoft.set_presence(ADA, "Busy")
        valkey.start()
        await eventually(lambda: console.shows(ADA) == "Busy", timeout=20)
