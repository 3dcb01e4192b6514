"""The operator's commands about tenants, against a real Valkey."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
import trustme
from typer.testing import CliRunner, Result

from emulator import Config, Emulator
from emulator.demo import CLIENT_ID, SECRET
from relay.cli import app
from relay.core.audit.events import OPERATOR
from relay.core.consent.grants import GrantState
from relay.core.consent.microsoft_error import MicrosoftError, RefusalRecord
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.core.presence import Name, Status, TenantId, UserId
from relay.store.custody.access_requests import AccessRequests
from relay.store.custody.admissions import AdmissionRequest, Admissions
from relay.store.custody.audit import AuditLog
from relay.store.custody.managers import Managers
from relay.store.custody.notices import Notices
from relay.store.custody.proxies import Proxies
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault
from relay.store.presence.entries import TenantContact
from relay.store.presence.interest import Interest
from relay.store.presence.leases import Leases
from relay.store.presence.presences import Presences
from relay.store.sealing.invitations import Invitations
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from tests.graph.conftest import settings_for
from tests.graph.consents import consent_at_once
from tests.support.valkey import ValkeyServer, free_port

T = TypeVar("T")
CONTOSO, FABRIKAM, ADATUM = (TenantId(f"{digit * 8}-1111-1111-1111-111111111111") for digit in "123")
RING = make_ring("k1", now_s=1)
NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
TROUBLE = RefusalRecord(
    code="invalid_grant/bad_token", at=NOW,
    said=MicrosoftError(number=50173, words="AADSTS50173: It ended.", trace_id="t-1", correlation_id="c-1", time="2026-11-26 09:00:00Z"),
)  # fmt: skip


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    """A Valkey with three tenants: one well, one dead, one suspended with a grant that works."""
    with ValkeyServer(tmp_path) as server:
        monkeypatch.setenv("RELAY_REDIS_URL", server.url_of(Client.OPERATOR))
        monkeypatch.setenv("RELAY_VAULT_KEY_RING", RING)
        in_store(server, put_tenants)
        yield server


def in_store(server: ValkeyServer, work: Callable[[Store], Awaitable[T]]) -> T:
    async def inside() -> T:
        async with Store(StoreSettings(url=server.url)) as store:
            return await work(store)

    return asyncio.run(inside())


async def put_tenants(store: Store) -> None:
    tenants, vault = Tenants(store), Vault(store, KeyRing.from_json(RING))
    for tenant_id, name, domain in (
        (CONTOSO, "Contoso Ltd", "contoso.example"),
        (FABRIKAM, "Fabrikam", "fabrikam.example"),
        (ADATUM, "Adatum", "adatum.example"),
    ):
        await tenants.put(Tenant(tenant_id=tenant_id, name=name, domain=domain, state=TenantState.ACTIVE, created=NOW))
        grant = Grant(
            tenant_id=tenant_id, account_id=UserId(tenant_id), upn=f"relay@{domain}", token_cache="{}", created=NOW
        )
        version = await vault.save(grant, NEW)
        if tenant_id == FABRIKAM:
            await vault.set_state(tenant_id, grant.account_id, version, GrantState.DEAD, TROUBLE.code, trouble=TROUBLE)
    await tenants.happened(FABRIKAM, TenantEvent.LAST_GRANT_DIED, trouble=TROUBLE)
    await tenants.happened(ADATUM, TenantEvent.SUSPENDED)
    await Interest(store).add(CONTOSO, "edge-1", [Name("ada@contoso.example"), Name("ben@contoso.example")])
    await Interest(store).add(CONTOSO, "edge-2", [Name("ada@contoso.example")])


def call(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["tenants", *arguments], input=typed)


def done(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def state_of(server: ValkeyServer, tenant_id: TenantId) -> TenantState | None:
    tenant = in_store(server, lambda store: Tenants(store).load(tenant_id))
    return None if tenant is None else tenant.state


def test_the_dead_are_listed_first_with_the_reason(redis):
    heading, *rows = done("list").splitlines()
    assert heading.split() == ["TENANT", "STATE", "SINCE", "USERS", "SUITES", "GRANTS", "FRESH", "DOMAIN", "REASON"]
    assert [row.split()[:2] for row in rows] == [
        [FABRIKAM, "consent-required"], [ADATUM, "suspended"], [CONTOSO, "active"],
    ]  # fmt: skip
    assert "invalid_grant/bad_token AADSTS50173: An administrator" in rows[0]
    assert rows[2].split()[3:6] == ["2", "0", "1/1"]
    assert "0/1" in rows[0]


def test_a_machine_reads_the_same(redis):
    dead, *_ = json.loads(done("list", "--json"))
    assert (dead["tenant_id"], dead["state"], dead["trouble"]["trace_id"]) == (FABRIKAM, "consent-required", "t-1")
    assert dead["grants"][0]["last_error"] == dead["trouble"]
    assert json.loads(done("show", FABRIKAM, "--json")) == dead


@pytest.mark.parametrize("text", [FABRIKAM, FABRIKAM.upper(), "fabrikam.example", "Fabrikam.EXAMPLE", "fabrikam"])
def test_a_tenant_is_shown_by_id_domain_or_name(redis, text):
    said = done("show", text)
    for part in (
        f"tenant   {FABRIKAM}",
        "Microsoft: AADSTS50173: It ended.",
        "trace t-1, correlation c-1, time 2026-11-26 09:00:00Z",
        "grant    relay@fabrikam.example  dead (invalid_grant/bad_token)",
    ):
        assert part in said


def test_an_unknown_tenant_is_told_with_those_that_may_be_meant(redis):
    result = call("show", "contosso.example")
    assert result.exit_code == 2
    assert "There is no tenant contosso.example. Did you mean" in result.stderr
    assert CONTOSO in result.stderr
    assert "presence-relay tenants list" in call("show", "zzz").stderr


def test_a_name_that_several_have_is_told_with_their_ids(redis):
    async def rename(store: Store) -> None:
        tenant = await Tenants(store).load(ADATUM)
        assert tenant
        await Tenants(store).put(replace(tenant, name="Fabrikam"))

    in_store(redis, rename)
    result = call("remove", "Fabrikam", "--yes")
    assert result.exit_code == 2
    assert FABRIKAM in result.stderr
    assert ADATUM in result.stderr
    assert state_of(redis, FABRIKAM) is TenantState.CONSENT_REQUIRED


def test_a_secret_of_a_tenants_is_never_shown(redis):
    async def choose(store: Store) -> None:
        tenant = await Tenants(store).load(CONTOSO)
        assert tenant
        await Tenants(store).put(replace(tenant, settings={"notify_secret": "hunter2-hunter2-hunter2"}))

    in_store(redis, choose)
    assert "hunter2" not in done("show", CONTOSO) + done("list", "--json")


def test_a_tenant_is_suspended_and_resumed(redis):
    done("suspend", "contoso.example")
    assert state_of(redis, CONTOSO) is TenantState.SUSPENDED
    assert "suspended already" in done("suspend", CONTOSO)
    assert "is active" in done("resume", CONTOSO)
    assert state_of(redis, CONTOSO) is TenantState.ACTIVE
    assert call("resume", CONTOSO).exit_code == 2


def test_a_tenant_without_a_working_grant_is_resumed_into_needing_consent_and_told(redis):
    done("suspend", FABRIKAM)
    assert "an account must consent again" in done("resume", FABRIKAM)
    tenant = in_store(redis, lambda store: Tenants(store).load(FABRIKAM))
    assert tenant
    assert (tenant.state, tenant.trouble) == (TenantState.CONSENT_REQUIRED, TROUBLE)
    assert len(in_store(redis, lambda store: Notices(store).of(range(64)))) == 2


@pytest.mark.parametrize("typed", ["\n", "y\n", "yes\n", "fabrikam.example\n", ""])
def test_a_tenant_is_removed_by_somebody_who_types_its_domain_only(redis, typed):
    assert call("remove", CONTOSO, typed=typed).exit_code == 1
    assert state_of(redis, CONTOSO) is TenantState.ACTIVE
    assert call("remove", CONTOSO, typed="Contoso.example\n").exit_code == 0
    assert state_of(redis, CONTOSO) is None


def pending(redis: ValkeyServer) -> None:
    async def work(store: Store) -> None:
        tenant = await Tenants(store).load(CONTOSO)
        assert tenant is not None
        await Tenants(store).put(replace(tenant, state=TenantState.PENDING))

    in_store(redis, work)


def test_a_tenant_that_waits_is_listed_first_and_approved(redis):
    pending(redis)
    first = done("list").splitlines()[1]
    assert first.startswith(CONTOSO)
    assert "waits for your approval for " in first
    assert call("suspend", CONTOSO).exit_code == 1
    assert "is approved" in done("approve", "contoso.example")
    assert state_of(redis, CONTOSO) is TenantState.ACTIVE
    assert call("approve", CONTOSO).exit_code == 2
    assert call("refuse", CONTOSO).exit_code == 2


def test_a_tenant_that_waits_gets_no_suite_key_and_the_operator_reads_why(redis):
    pending(redis)
    result = CliRunner().invoke(app, ["suite-keys", "issue", CONTOSO])
    assert result.exit_code == 1
    assert "waits for the operator's approval" in result.output
    assert f"presence-relay tenants approve {CONTOSO}" in result.output
    assert "psk_" not in result.output


def test_check_tells_of_those_that_wait_of_absent_mail_to_the_operator_and_of_a_proxy(redis, monkeypatch):
    nowhere, leaf = f"https://127.0.0.1:{free_port()}", trustme.CA().issue_cert("localhost")
    given = {
        "WEB_PUBLIC_URL": "https://relay.example", "MAIL_HOST": "mail.example", "MAIL_FROM": "relay@relay.example",
        "CLOUD": "custom", "CLOUD_AUTHORITY_URL": nowhere, "CLOUD_GRAPH_URL": nowhere, "CLOUD_CLIENT_ID": "app",
        "CLOUD_CLIENT_SECRET": "hunter2", "EDGE_TLS_CERT": leaf.cert_chain_pems[0].bytes().decode(),
        "EDGE_TLS_KEY": leaf.private_key_pem.bytes().decode(),
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"RELAY_{name}", value)

    def wrong() -> str:
        printed = CliRunner().invoke(app, ["check"]).output.splitlines()
        return "\n".join(line for line in printed if line.startswith("WRONG"))

    assert "WRONG RELAY_MAIL_OPERATOR: is not set, so you get no e-mail" in wrong()
    monkeypatch.setenv("RELAY_MAIL_OPERATOR", "ops@relay.example")
    pending(redis)
    in_store(redis, lambda store: Proxies(store).met())
    found = wrong()
    assert "RELAY_MAIL_OPERATOR" not in found
    assert "WRONG Tenants that wait for your approval: 1. presence-relay tenants list" in found
    assert "WRONG RELAY_WEB_TRUSTED_PROXIES: requests came through a proxy" in found
    monkeypatch.setenv("RELAY_WEB_TRUSTED_PROXIES", "10.0.0.1")
    assert "TRUSTED_PROXIES" not in wrong()


def test_a_tenant_that_waits_is_refused_and_may_come_back_when_the_operator_says_so(redis):
    pending(redis)
    assert call("refuse", CONTOSO, "--reason", "x" * 301).exit_code == 2
    done("refuse", CONTOSO, "--reason", "We do not know you.")
    assert state_of(redis, CONTOSO) is None
    assert "refused" in done("lift")
    assert "We do not know you." in done("lift")
    done("lift", CONTOSO)
    assert CONTOSO not in done("lift")
    assert call("lift", CONTOSO).exit_code == 2


def test_a_removed_tenant_is_listed_until_it_is_lifted(redis):
    done("remove", CONTOSO, "--yes", "--reason", "unpaid")
    assert "removed" in done("lift")


def test_a_tenant_has_its_own_console_statuses(redis):
    assert "busyidle                                    BUSY_IDLE\n" in done("map", CONTOSO)
    done("map", CONTOSO, "BusyIdle", "away")
    assert "AWAY  (own; usually BUSY_IDLE)" in done("map", CONTOSO)
    done("map", CONTOSO, "busy-idle", "offline")
    tenant = in_store(redis, lambda store: Tenants(store).load(CONTOSO))
    assert tenant
    assert dict(tenant.settings) == {"map:busyidle": "OFFLINE"}
    done("map", CONTOSO, "BusyIdle", "--remove")
    assert "own;" not in done("map", CONTOSO)


def test_an_operator_raises_the_limit_of_one_tenant(redis):
    assert "may watch 100000 users: the default limit." in done("limit", CONTOSO)
    assert "may watch 250000 users: its own limit. Edges know" in done("limit", CONTOSO, "250000")
    assert "may watch 250000 users: its own limit." in done("limit", CONTOSO)
    told = in_store(redis, lambda store: AuditLog(store).page(CONTOSO))
    assert [dict(one.entry.details) for one in told.entries] == [{"most_names": "(none) -> 250000"}]
    assert call("limit", CONTOSO, "0").exit_code == 2
    assert call("limit", CONTOSO, "5", "--usual").exit_code == 2
    assert "may watch 100000 users: the default limit." in done("limit", CONTOSO, "--usual")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Sleeping", "AWAY"), "no row 'Sleeping'"),
        (("BusyIdle", "ASLEEP"), "not a console status. Use one of"),
        (("BusyIdle",), "--remove"),
        (("--remove",), "takes a row"),
        (("BusyIdle", "AWAY", "--remove"), "no status"),
    ],
)
def test_a_mapping_that_there_is_not_is_refused(redis, arguments, said):
    result = call("map", CONTOSO, *arguments)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


def test_an_invitation_leads_to_the_organisation_of_its_domain(redis, monkeypatch):
    async def inside() -> None:
        async with Emulator.start(Config()) as cloud:
            for name, value in (
                ("RELAY_CLOUD", "custom"), ("RELAY_CLOUD_AUTHORITY_URL", cloud.url), ("RELAY_CLOUD_GRAPH_URL", cloud.url),
                ("RELAY_CLOUD_CA", cloud.ca_pem.decode()), ("RELAY_CLOUD_CLIENT_ID", CLIENT_ID),
                ("RELAY_WEB_PUBLIC_URL", "https://relay.example"),
            ):  # fmt: skip
                monkeypatch.setenv(name, value)
            arguments = ("--organisation", "Contoso", "--email", "ada@contoso.example", "--days", "3")
            result = await asyncio.to_thread(call, "invite", "Contoso.example", *arguments)
            assert result.exit_code == 0, result.output
            prefix, _, token = result.stdout.strip().rpartition("/")
            assert prefix == "https://relay.example/onboarding/invitation"
            async with Store(StoreSettings(url=redis.url)) as store:
                invitation = await Invitations(store, KeyRing.from_json(RING)).load(token)
            assert invitation
            world = {tenant.domain: tenant.tenant_id for tenant in cloud.world.tenants.values()}
            assert invitation.tenant_id == world["contoso.example"]
            assert (invitation.organisation, invitation.email) == ("Contoso", "ada@contoso.example")
            assert timedelta(days=2) < invitation.expires - datetime.now(UTC) <= timedelta(days=3)
            for wrong, said in (
                (("nowhere.example",), "knows no organisation"),
                (("no domain",), "not a domain"),
                (("contoso.example", "--email", "ada"), "not an e-mail address"),
                (("contoso.example", "--organisation", "x" * 999), "too long"),
            ):
                refused = await asyncio.to_thread(call, "invite", *wrong)
                assert (refused.exit_code, said in refused.stderr) == (2, True), refused.output

    asyncio.run(inside())


def test_managers_it_who_may_come_and_who_asks_is_shown(redis):
    ada, ben = UserId("aaaaaaaa-0000-4000-8000-0000000000aa"), UserId("bbbbbbbb-0000-4000-8000-0000000000bb")

    async def people(store: Store) -> None:
        await Tenants(store).change_settings(CONTOSO, {"contact_email": "chloe@contoso.example"}, OPERATOR)
        await Managers(store).add(CONTOSO, ada, "ada@contoso.example", OPERATOR)
        requests = AccessRequests(store, KeyRing.from_json(RING))
        await requests.ask(CONTOSO, ben, upn="ben@contoso.example", token_cache="{}")

    in_store(redis, people)
    said = done("show", CONTOSO)
    assert "manager  ada@contoso.example  named, since " in said
    assert "contact  chloe@contoso.example  may sign in until " in said
    assert "request  ben@contoso.example  waiting, asked " in said
    data = json.loads(done("show", CONTOSO, "--json"))
    assert ada in {one["account_id"] for one in data["managers"]}
    assert (data["contact_claim"]["name"], data["contact_claim"]["is_over"]) == ("chloe@contoso.example", False)
    assert [(one["account_id"], one["state"]) for one in data["requests"]] == [(ben, "waiting")]


def test_the_operator_names_somebody_by_name_as_microsoft_knows_it(redis, monkeypatch):
    """The organisation's own account looks the name up; the right is the object id's."""

    async def inside() -> None:
        async with Emulator.start(Config()) as cloud:
            for name, value in (
                ("RELAY_CLOUD", "custom"), ("RELAY_CLOUD_AUTHORITY_URL", cloud.url), ("RELAY_CLOUD_GRAPH_URL", cloud.url),
                ("RELAY_CLOUD_CA", cloud.ca_pem.decode()), ("RELAY_CLOUD_CLIENT_ID", CLIENT_ID),
                ("RELAY_CLOUD_CLIENT_SECRET", SECRET),
            ):  # fmt: skip
                monkeypatch.setenv(name, value)
            tenant = cloud.world.tenant("contoso.example")
            assert tenant is not None
            grant = consent_at_once(cloud, settings_for(cloud))
            async with Store(StoreSettings(url=redis.url)) as store:
                await Admissions(store, KeyRing.from_json(RING)).admit(AdmissionRequest(tenant_id=grant.tenant_id, account_id=grant.account_id, upn=grant.upn, token_cache=grant.token_cache, name="Real", domain="real.example", settings={}))  # fmt: skip
            add = ("manager", "add", tenant.tenant_id)
            named = await asyncio.to_thread(call, *add, "Ada@contoso.example")
            assert named.exit_code == 0, named.output
            assert f"ada@contoso.example is now a manager of {tenant.tenant_id}." in named.stdout
            async with Store(StoreSettings(url=redis.url)) as store:
                found = await Managers(store).list(TenantId(tenant.tenant_id))
            assert cloud.person("ada@contoso.example").oid in {one.account_id for one in found}
            unknown = await asyncio.to_thread(call, *add, "nobody@contoso.example")
            assert (unknown.exit_code, "finds no user of this name" in unknown.stderr) == (1, True), unknown.output

    asyncio.run(inside())


def test_the_operator_names_somebody_when_everybody_is_gone(redis):
    ada, ben = "aaaaaaaa-0000-4000-8000-0000000000aa", "bbbbbbbb-0000-4000-8000-0000000000bb"
    assert call("manager", "list", "contoso.example").exit_code == 0
    assert (
        "a name can be given" in call("manager", "add", "contoso.example", "ada@contoso.example", "--unchecked").stderr
    )
    done("manager", "add", "contoso.example", ada, "--unchecked")
    assert "already" in done("manager", "add", "contoso.example", ada, "--unchecked")
    done("manager", "add", "contoso.example", ben, "--unchecked")
    listed = {one["account_id"] for one in json.loads(done("manager", "list", "contoso.example", "--json"))}
    assert {ada, ben} <= listed
    for account in listed - {ada}:
        done("manager", "remove", "contoso.example", account)
    assert "the last manager" in call("manager", "remove", "contoso.example", ada).stderr
    assert call("manager", "remove", "contoso.example", "nobody").exit_code == 2


@pytest.mark.fault("B4")
def test_it_is_told_when_microsoft_lets_no_account_of_a_tenant_read(redis):
    async def deny(store: Store) -> None:
        lease = await Leases(store).acquire(keys.partition_of(CONTOSO), "worker-1", timedelta(minutes=1))
        assert lease is not None
        await Presences(store).contact(lease, [TenantContact(CONTOSO, 1, 5000, Status.ACCESS_DENIED)])

    in_store(redis, deny)
    assert "reason   access_denied: Microsoft lets none of its 1 accounts read presence" in done("show", CONTOSO)
    assert json.loads(done("show", CONTOSO, "--json"))["reason"].startswith("access_denied")
