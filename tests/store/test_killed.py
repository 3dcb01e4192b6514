"""Custody is killed at each write, answer and step on a file: nothing half done stays, nothing acknowledged is lost."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from relay.core.audit import events as audit
from relay.core.audit.events import EventKind
from relay.errors import Rejected, SuiteKeyRevoked
from relay.store.backup.file import BackupKey, make_backup_key
from relay.store.backup.restore import check_backup
from relay.store.backup.write import back_up
from relay.store.custody.admissions import AdmissionRequest, Admissions
from relay.store.custody.audit import AuditLog
from relay.store.custody.reseal import Sealed
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.custody.vault import Vault
from relay.store.sealing.keyring import KeyRing, make_ring, without
from relay.store.sealing.short_lived import Flows
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store import killable
from tests.store.killable import BY, OLD_RING, Act, Given, Ran, ran
from tests.store.samples import TENANT, tenant_in, user
from tests.store.test_backup import everything
from tests.support.killing import decisive
from tests.support.ring import MARKS
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.long

OLD, NEW_RING = KeyRing.from_json(OLD_RING), make_ring("k2", now_s=2, older=OLD_RING)
BOTH, NARROW = KeyRing.from_json(NEW_RING), KeyRing.from_json(without(NEW_RING, ["k1"])[0])
PRIVATE, PUBLIC = make_backup_key()
FLOW = "f" * 43

Check = Callable[[Ran], Awaitable[None]]


async def fill(store: Store) -> str:
    """Two tenants with two grants and a suite key each; returns the key of the first."""
    texts = []
    for tenant_id in (TENANT, tenant_in(7)):
        for number in (1, 2):
            await Admissions(store, OLD).admit(
                AdmissionRequest(
                    tenant_id=tenant_id,
                    account_id=user(number),
                    upn=f"u{number}",
                    token_cache=f"token {number}",
                    name="",
                    domain="",
                    settings={},
                )
            )
        texts.append((await SuiteKeys(store, MARKS).issue(tenant_id, "desk", audit.key_made(BY, "desk"))).text)
    await Flows(store, OLD).put(FLOW, "a flow")
    return texts[0]


def key_id(text: str) -> str:
    return text.split("_")[1]


async def told(store: Store, kind: EventKind) -> list[str]:
    """About whom the log tells something of a kind."""
    return [one.entry.subject_id async for one in AuditLog(store).all(TENANT) if one.entry.kind is kind]


async def works(store: Store, text: str) -> bool:
    try:
        await SuiteKeys(store, MARKS).verify(text)
    except Rejected:
        return False
    return True


class Sweep:
    """Runs an act once to count its points, then once for each decisive point with a kill there, and checks every time."""

    def __init__(self, valkey: ValkeyServer, store: Store, raw: Redis, folder: Path) -> None:
        self.valkey, self.store, self.raw, self.folder = valkey, store, raw, folder
        self.text = ""

    async def over(
        self, act: Act, check: Check, given: Given, prepare: Callable[[], Awaitable[None]] | None = None
    ) -> int:
        """Kill `act` everywhere; after each kill it is repeated, and must then have done all of it. Returns how often."""

        async def begin() -> Given:
            await self.raw.flushall()
            for file in self.folder.iterdir():
                file.unlink()
            self.text = await fill(self.store)
            if prepare is not None:
                await prepare()
            return replace(given, key_id=key_id(self.text))

        for _ in range(2):  # the server knows the scripts after the first, and then every run sends the same commands
            whole = await ran(act, await begin(), self.valkey.port)
            assert whole.result is not None
            await check(whole)
        at_store = [point for point in whole.points if not point.startswith("step")]
        steps = range(len(whole.points) - len(at_store))
        wheres = [*({"target": number} for number in decisive(at_store)), *({"step": number} for number in steps)]
        for where in wheres:
            ready = await begin()
            cut = await ran(act, ready, self.valkey.port, **where)
            if not cut.was_killed:
                # The last answer was on its way already when it was to be killed.
                assert where == {"target": len(at_store) - 1}, where
            await check(cut)
            if cut.was_killed:
                await check(await ran(act, ready, self.valkey.port))
        return len(wheres)


@pytest.fixture
def sweep(valkey: ValkeyServer, store: Store, raw: Redis, tmp_path: Path) -> Sweep:
    return Sweep(valkey, store, raw, tmp_path)


def tell(capsys: pytest.CaptureFixture[str], count: int, what: str) -> None:
    assert count >= 2
    with capsys.disabled():
        sys.stdout.write(f"\n[killed at {count} points of {what}]\n")


@pytest.mark.timeout(120)
async def test_a_withdrawal_is_whole_wherever_it_is_killed(sweep: Sweep, store: Store, capsys):
    async def check(run: Ran) -> None:
        gone = await Vault(store, OLD).load(TENANT, user(1)) is None
        assert await told(store, EventKind.GRANT_WITHDRAWN) == [user(1)] * gone
        assert gone or run.result is None
        assert [grant.account_id for grant in await Vault(store, OLD).list(TENANT)] == [user(1), user(2)][gone:]

    tell(capsys, await sweep.over(killable.withdraw, check, Given(str(sweep.folder))), "a withdrawal")


@pytest.mark.timeout(120)
async def test_leaving_is_whole_wherever_it_is_killed(sweep: Sweep, store: Store, raw: Redis, capsys):
    async def check(run: Ran) -> None:
        tenant = await Tenants(store).load(TENANT)
        grants = await Vault(store, OLD).list(TENANT)
        if tenant is not None:
            assert run.result is None
            assert len(grants) == 2
            return
        assert grants == []
        assert not await works(store, sweep.text)
        left = {
            name
            for name in await raw.keys(f"*{TENANT}*")
            if b":grant:" in name or b":tenant:" in name or b":audit:" in name
        }
        assert left == set()
        assert await raw.hget(keys.suite_key(key_id(sweep.text)), "revoked") is not None

    tell(capsys, await sweep.over(killable.leave, check, Given(str(sweep.folder))), "a tenant's leaving")


@pytest.mark.timeout(120)
async def test_a_new_suite_key_is_whole_wherever_it_is_killed(sweep: Sweep, store: Store, raw: Redis, capsys):
    async def check(run: Ran) -> None:
        listed = {key.key_id for key in await SuiteKeys(store, MARKS).list(TENANT)}
        held = {name.decode().removeprefix("suite-key:") for name in await raw.keys("suite-key:*")}
        other = {key.key_id for key in await SuiteKeys(store, MARKS).list(tenant_in(7))}
        assert held == listed | other  # no key is in force that a removal of its tenant would not find
        assert set(await told(store, EventKind.KEY_MADE)) <= listed
        if run.result is not None:
            assert await works(store, run.result)
            assert key_id(run.result) in await told(store, EventKind.KEY_MADE)

    tell(capsys, await sweep.over(killable.make_key, check, Given(str(sweep.folder))), "the making of a suite key")


@pytest.mark.timeout(120)
async def test_a_revocation_is_whole_wherever_it_is_killed(sweep: Sweep, store: Store, capsys):
    async def check(run: Ran) -> None:
        revoked = not await works(store, sweep.text)
        said = await told(store, EventKind.KEY_REVOKED)
        assert said in ([], [key_id(sweep.text)])
        assert revoked or not said
        if run.result is not None:
            assert revoked
            assert said
            with pytest.raises(SuiteKeyRevoked):
                await SuiteKeys(store, MARKS).verify(sweep.text)

    tell(capsys, await sweep.over(killable.revoke_key, check, Given(str(sweep.folder))), "a revocation")


@pytest.mark.timeout(120)
async def test_the_rotation_of_a_suite_key_never_leaves_a_suite_without_one(sweep: Sweep, store: Store, capsys):
    async def check(run: Ran) -> None:
        in_force = [key for key in await SuiteKeys(store, MARKS).list(TENANT) if key.revoked is None]
        assert in_force
        if run.result is not None:
            assert await works(store, run.result)
            assert not await works(store, sweep.text)
            assert key_id(run.result) in await told(store, EventKind.KEY_ROTATED)
            assert await told(store, EventKind.KEY_REVOKED) == [key_id(sweep.text)]

    tell(capsys, await sweep.over(killable.rotate_key, check, Given(str(sweep.folder))), "the rotation of a suite key")


@pytest.mark.timeout(240)
async def test_a_reencryption_is_whole_wherever_it_is_killed(sweep: Sweep, store: Store, capsys):
    async def check(run: Ran) -> None:
        ring = BOTH if run.result is None else NARROW
        for tenant_id in (TENANT, tenant_in(7)):
            assert [grant.token_cache for grant in await Vault(store, ring).list(tenant_id)] == ["token 1", "token 2"]
        flow = await Flows(store, ring).load(FLOW)
        assert flow is not None
        assert flow.content == "a flow"
        assert run.result is None or not (await Sealed(store).census()).under("k1")

    given = Given(str(sweep.folder), ring=NEW_RING)
    tell(capsys, await sweep.over(killable.reencrypt, check, given), "a re-encryption")


@pytest.mark.timeout(120)
async def test_a_ring_file_is_the_old_one_or_the_new_one_wherever_its_writing_is_killed(sweep: Sweep, capsys):
    given = Given(str(sweep.folder), ring=NEW_RING)

    async def prepare() -> None:
        given.file.write_text(OLD_RING)

    async def check(run: Ran) -> None:
        assert run.result is None or [file.name for file in sweep.folder.iterdir()] == ["file"]
        assert given.file.read_text() in ((OLD_RING, NEW_RING) if run.result is None else (NEW_RING,))

    tell(capsys, await sweep.over(killable.write_ring, check, given, prepare), "a change of the ring's file")


@pytest.mark.timeout(240)
async def test_a_backup_is_whole_or_not_there_wherever_it_is_killed(sweep: Sweep, capsys):
    given = Given(str(sweep.folder), backup_key=PUBLIC)

    async def check(run: Ran) -> None:
        assert given.file.exists() or run.result is None
        assert [file.name for file in sweep.folder.iterdir()] in ([], ["file"])
        if not given.file.exists():
            return
        with given.file.open("rb") as file:
            found = check_backup(file, BackupKey.from_json(PRIVATE), OLD)
        assert (found.counts["tenants"], found.counts["grants"], found.shut) == (2, 4, {})
        given.file.unlink()  # so that a repetition may write it

    tell(capsys, await sweep.over(killable.write_backup, check, given), "a backup")


@pytest.mark.timeout(300)
async def test_a_restore_is_completed_by_its_repetition_wherever_it_is_killed(
    sweep: Sweep, store: Store, raw: Redis, capsys
):
    given = Given(str(sweep.folder), backup_key=PRIVATE)
    before: dict[bytes, object] = {}

    async def prepare() -> None:
        nonlocal before
        with given.file.open("wb") as file:
            await back_up(store, file, BackupKey.from_json(PUBLIC), OLD)
        await raw.delete(*await raw.keys("flow:*"))
        before = await everything(raw)
        await raw.flushall()

    async def check(run: Ran) -> None:
        after = await everything(raw)
        for tenant_id in (TENANT, tenant_in(7)):
            grants = [grant.token_cache for grant in await Vault(store, OLD).list(tenant_id)]
            assert grants == ([] if await Tenants(store).load(tenant_id) is None else ["token 1", "token 2"])
        if run.result is None:
            return
        assert await works(store, sweep.text)
        for tenant_id in (TENANT, tenant_in(7)):
            log = after.pop(keys.audit(tenant_id))
            assert [entry[1][b"k"] for entry in log[-2:]][1:] == [b"tenant-restored"]  # type: ignore[index]
            assert log[:-1] == before[keys.audit(tenant_id)]  # type: ignore[index]
        assert after == {name: value for name, value in before.items() if b":audit:" not in name}

    tell(capsys, await sweep.over(killable.restore, check, given, prepare), "a restore")
