"""The probe finds what the local cloud's switches are set to, and what it writes names nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from emulator import Cloud, Config, Emulator, Fault, Switches
from emulator.demo import CLIENT_ID, SECRET
from emulator.profile import read, switches_of
from relay.cli import app
from relay.core.presence import TenantId
from relay.errors import AccessDenied, ConsentRequired, SourceThrottled, SourceUnreachable
from relay.probe.client import PER_SECOND
from relay.probe.profile import Profile, defaults
from relay.probe.questions import QUESTIONS, Options
from relay.probe.run import interview, probe
from relay.store.custody.vault import Vault
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server.connection import Store, StoreSettings
from relay.worker.cloud import Cloud as MicrosoftSide
from relay.worker.grants.pool import GrantPool
from tests import profiles
from tests.graph.conftest import settings_for
from tests.support import switches
from tests.support.valkey import ValkeyServer
from tests.worker.conftest import Relay

RING = make_ring("test", now_s=0)
UNLICENSED, GUEST = "admin@contoso.example", "mia_fabrikam.example#EXT#@contoso.example"
GONE = "99999999-0000-4000-8000-000000000009"
EVERYTHING = Options(guest=GUEST, unlicensed=UNLICENSED, deleted=GONE)


@dataclass
class Tenant:
    """A tenant that was taken in, and what it is probed with."""

    relay: Relay
    tenant_id: TenantId

    @property
    def cloud(self) -> Cloud:
        return self.relay.microsoft

    async def probed(self, options: Options = EVERYTHING, *, fault: Fault | None = None, **switches: object) -> Profile:
        """What a probe finds of a cloud that is as at its start but for this."""
        self.prepare(fault, switches)
        return await self.ask(options)

    async def ask(self, options: Options = EVERYTHING) -> Profile:
        return await probe(
            self.relay.store, KeyRing.from_json(RING), settings_for(self.cloud), self.tenant_id, options,
            cloud_name="custom", per_second=10_000,
        )  # fmt: skip

    @property
    def deleted(self) -> str:
        """Whom the cloud knows as deleted."""
        return next(iter(self.cloud.person("ada@contoso.example").tenant.deleted))

    def prepare(self, fault: Fault | None, switches: Mapping[str, object]) -> None:
        self.cloud.reset()
        self.populate()
        self.cloud.set_switches(**switches)
        if fault is not None:
            self.cloud.add_fault(fault)

    @asynccontextmanager
    async def interviewing(self) -> AsyncIterator[Callable[[Options], Awaitable[Profile]]]:
        """Asks all questions with one client and one token: for many probes in a row."""
        async with MicrosoftSide(settings_for(self.cloud), self.relay.vault) as side:
            pool = GrantPool(self.tenant_id, self.relay.vault, side)
            await pool.load()
            yield partial(interview, side.client, pool, cloud_name="custom", per_second=10_000)

    def populate(self) -> None:
        """Somebody in every state that tells two spellings apart."""
        for who, seen in {
            "ada": ("Busy", "InACall"), "ben": ("AvailableIdle", "Inactive"), "chloe": ("DoNotDisturb", "Presenting"),
        }.items():  # fmt: skip
            self.cloud.set_presence(f"{who}@contoso.example", *seen)
        self.cloud.set_presence("david@contoso.example", "Available", status_message="Back on Monday, ask Ada")
        self.cloud.set_presence("emma@contoso.example", "Available", "OutOfOffice", out_of_office=True)
        self.cloud.set_presence("farid@contoso.example", "Busy", "InACall", out_of_office=True)


@pytest.fixture
async def tenant(valkey: ValkeyServer, raw: object) -> AsyncIterator[Tenant]:
    async with AsyncExitStack() as stack:
        microsoft = await stack.enter_async_context(Emulator.start(Config()))
        store = await stack.enter_async_context(Store(StoreSettings(url=valkey.url)))
        relay = Relay(store, Vault(store, KeyRing.from_json(RING)), microsoft)
        microsoft.remove_person("leo@contoso.example")
        yield Tenant(relay, await relay.onboard())


READABLE = {name for question in QUESTIONS for name in question.switches}
WITH: dict[str, dict[str, object]] = {"retry_after": {"count_bulk_as": "ids"}}
"""What else has to be so for a switch to show."""
HIDDEN = {
    ("idle_values", False): ["idle_values"],  # that nobody is idle at one moment proves nothing
    ("sequence_numbers", False): ["sequence_form"],
    ("unknown_ids", "refuse_400"): ["too_many_ids", "retry_after", "count_bulk_as"],  # refused for another reason
    ("deleted_ids", "omit"): ["deleted_ids"],  # the same as of unknown ids: `as_unknown`
    ("extra_fields", True): ["work_locations"],  # is among them
}
"""What cannot be told when a switch has a value."""


def each_value() -> Iterator[tuple[str, object]]:
    for name, choices in switches.values().items():
        if name in READABLE:
            yield from ((name, value) for value in choices)


def as_read(changes: dict[str, object], hidden: Iterable[str]) -> dict[str, object]:
    """The readable switches of a cloud with these changes, as TOML has them."""
    own = switches.plain(Switches().changed(**changes))
    return {name: own[name] for name in READABLE.difference(hidden)}


@pytest.mark.long
async def test_each_readable_switch_is_found_in_each_of_its_values(tenant: Tenant):
    async with tenant.interviewing() as interviewed:
        for name, value in each_value():
            changes = WITH.get(name, {}) | {name: value}
            tenant.prepare(None, changes)
            is_counted = "count_bulk_as" in changes
            found = await interviewed(replace(EVERYTHING, deleted=tenant.deleted, without_count=not is_counted))
            hidden = {*HIDDEN.get((name, value), ())}
            hidden |= set() if changes.get("count_bulk_as") == "ids" else {"retry_after"}
            hidden |= set() if is_counted else {"count_bulk_as"}
            expected = as_read(changes, hidden)
            assert {each: found.switches.get(each) for each in expected} == expected, (name, value, found.unanswered)


async def test_what_one_look_cannot_prove_is_left_open(tenant: Tenant):
    found = await tenant.probed(idle_values=False)
    assert "no user was idle" in found.unanswered["idle_values"]


async def test_the_profile_is_what_the_emulator_loads(tenant: Tenant):
    changes = {"spelling": "third", "duplicate_ids": "repeat", "count_bulk_as": "ids", "graph_latency_ms": 3.0}
    text = (await tenant.probed(**changes)).text()
    loaded = read(text.encode())
    assert switches.plain(switches_of(loaded)) == switches.plain(
        Switches().changed(**changes | {"graph_latency_ms": 0.0})
    )
    assert any(line.startswith("graph_latency_ms: not asked") for line in loaded.unanswered)
    assert {line.partition(":")[0] for line in loaded.unanswered} >= set(Switches.__struct_fields__) - READABLE


async def test_the_profile_names_nobody(tenant: Tenant):
    text = (await tenant.probed()).text()
    people = list(tenant.cloud.world.people())
    secrets = [tenant.tenant_id, "Back on Monday", *(word for person in people for word in (person.oid, person.upn))]
    secrets += [word for person in people if person.licensed for word in person.display_name.split()]
    assert [secret for secret in secrets if secret.lower() in text.lower()] == []
    assert "eyJ" not in text


async def test_texts_of_refusals_are_not_kept(tenant: Tenant):
    body = '{"error": {"code": "ada@contoso.example", "message": "Ada Adler is away"}}'
    text = (await tenant.probed(fault=Fault(contains="/presence", status=400, body=body))).text()
    assert 'single = "400"' in text
    assert "ada" not in text.lower()


async def test_a_probe_stays_within_its_bounds(tenant: Tenant):
    tenant.cloud.journal.keep_ids = True
    await tenant.probed()
    asked = [entry for entry in tenant.cloud.journal.search() if entry.path.startswith("/v1.0/")]
    assert len(asked) <= sum(question.requests for question in QUESTIONS) <= 40
    assert all(entry.method == "GET" or entry.path.endswith(("getPresencesByUserId", "getByIds")) for entry in asked)
    assert len([entry for entry in asked if len(entry.ids or ()) >= 650]) <= 4


async def test_what_is_left_out_is_listed_with_the_reason(tenant: Tenant):
    found = await tenant.probed(Options(without_count=True))
    assert "--without-count" in found.unanswered["count_bulk_as"]
    assert "--unlicensed" in found.unanswered["unlicensed_ids"]
    assert found.switches["spelling"] == "pascal"


async def test_somebody_who_is_not_there_costs_one_answer_only(tenant: Tenant):
    found = await tenant.probed(Options(unlicensed="nobody@contoso.example"))
    assert "no user with the name given by --unlicensed" in found.unanswered["unlicensed_ids"]
    assert found.switches["unknown_ids"] == "omit"


async def test_a_question_that_graph_fails_at_is_left_open(tenant: Tenant):
    found = await tenant.probed(fault=Fault(path="/v1.0/directoryObjects", status=502))
    assert "502" in found.unanswered["by_ids"]
    assert found.switches["count_bulk_as"] == "one"


async def test_graph_that_asks_to_wait_ends_the_probe(tenant: Tenant):
    with pytest.raises(SourceThrottled, match=r"wait for 17 s\. Nothing was written"):
        await tenant.probed(fault=Fault(path="/v1.0/comm", status=429, headers={"Retry-After": "17"}))


async def test_a_consent_that_does_not_cover_it_is_told(tenant: Tenant):
    with pytest.raises(AccessDenied, match="does not cover reading users and their presence"):
        await tenant.probed(fault=Fault(path="/v1.0/comm", status=403))


async def test_graph_that_is_away_is_told(tenant: Tenant):
    with pytest.raises(SourceUnreachable):
        await tenant.probed(fault=Fault(path="/v1.0/users", reset=True))


async def test_a_dead_consent_is_told(tenant: Tenant):
    tenant.cloud.directory.revoke("presence-relay@contoso.example")
    with pytest.raises(ConsentRequired):
        await tenant.ask()


@pytest.mark.parametrize("damage", ["not_json", "malformed", "truncated", "no_value", "empty"])
async def test_answers_that_make_no_sense_leave_questions_open(tenant: Tenant, damage):
    found = await tenant.probed(fault=Fault(path="/v1.0/comm", damage=damage))
    assert found.unanswered["spelling"]
    assert not found.switches.keys() & {"spelling", "unknown_ids"}


def test_the_probe_knows_every_switch_as_the_emulator_begins_with_it():
    """`make profiles` writes the file."""
    assert defaults() == switches.plain(Switches())


@pytest.mark.parametrize("file", profiles.files(), ids=lambda file: file.stem)
def test_profiles_are_whole(file):
    """`make profiles` makes them so."""
    assert profiles.whole(file.read_text()) == file.read_text()


@pytest.mark.parametrize("file", sorted(profiles.FOLDER.glob("*.toml")), ids=lambda file: file.stem)
def test_profiles_load(file):
    assert read(file.read_bytes()).name == file.stem


# ---- the command --------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tenant: Tenant, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "REDIS_URL": valkey.url, "VAULT_KEY_RING": RING, "CLOUD": "custom", "CLOUD_AUTHORITY_URL": tenant.cloud.url,
        "CLOUD_GRAPH_URL": tenant.cloud.url, "CLOUD_CA": tenant.cloud.ca_pem.decode(), "CLOUD_CLIENT_ID": CLIENT_ID,
        "CLOUD_CLIENT_SECRET": SECRET,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"RELAY_{name}", value)


async def call(*arguments: object, said: str | None = None) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["probe", *map(str, arguments)], said)


def graph_requests(tenant: Tenant) -> int:
    return len([entry for entry in tenant.cloud.journal if entry.path.startswith("/v1.0/")])


async def test_the_command_says_what_it_will_ask_and_writes_a_profile(tenant: Tenant, settings: None, tmp_path: Path):
    tenant.populate()
    file = tmp_path / "probe.toml"
    began, before = time.monotonic(), graph_requests(tenant)
    result = await call("--cloud", "configured", "--output", file, "--without-count", said="y\n")
    assert result.exit_code == 0, result.output
    asked = graph_requests(tenant) - before
    assert time.monotonic() - began >= (asked - 1) / PER_SECOND > 1
    assert "all of them reading" in result.output
    assert "a bulk read with an id without a user" in result.output
    assert "--without-count" not in result.output.partition("Ask now?")[0]
    assert read(file.read_bytes()).switches["spelling"] == "pascal"


async def test_nothing_is_asked_of_somebody_who_hesitates(tenant: Tenant, settings: None, tmp_path: Path):
    file = tmp_path / "probe.toml"
    before = len(tenant.cloud.journal.search())
    await call("--cloud", "configured", "--output", file, said="n\n")
    assert (file.exists(), len(tenant.cloud.journal.search())) == (False, before)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "RELAY_CLOUD is custom, which is not Microsoft's"),
        (["--cloud", "mine"], 2, "--cloud is microsoft or configured"),
        (["--cloud", "configured", "--tenant", "nowhere.example"], 2, "There is no tenant nowhere.example"),
        (["--cloud", "configured", "--deleted", "ada@contoso.example"], 2, "not an object id"),
        (["--cloud", "configured", "--guest", "no name"], 2, "neither a UPN nor an object id"),
        (["--cloud", "configured", "--yes", "--output", "."], 1, ".: File exists"),
        (
            ["--cloud", "configured", "--yes", "--output", "there/is/no/such/folder.toml"],
            1,
            "No such file or directory",
        ),
    ],
)
async def test_whatever_is_wrong_is_told_before_anything_is_asked(
    tenant: Tenant, settings: None, arguments, code, said
):
    before = len(tenant.cloud.journal.search())
    result = await call(*arguments)
    assert (result.exit_code, said in result.output) == (code, True), result.output
    assert len(tenant.cloud.journal.search()) == before


async def test_a_tenant_without_a_consent_is_told(tenant: Tenant, settings: None, tmp_path: Path):
    [grant] = await tenant.relay.vault.list(tenant.tenant_id)
    await tenant.relay.vault.remove(tenant.tenant_id, grant.account_id)
    file = tmp_path / "probe.toml"
    result = await call("--cloud", "configured", "--yes", "--output", file)
    assert (result.exit_code, file.exists()) == (1, False)
    assert "presence-relay tenants onboard" in result.output
