"""Mallory has a Redis credential, and no key ring. She wants a suite key that an edge takes."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from relay.core.audit import events as audit
from relay.errors import SuiteKeyUnknown
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.sealing.marks import MarkVerdict, PublicMarks, RingMarks, Vouched
from relay.store.sealing.ring_file import write_public
from relay.store.sealing.signing import Purpose, public_set
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.edge.suite import SuiteStream
from tests.edge.worker import OTHER, TENANT, PlayedWorker, name, user
from tests.support.ring import MARKS, PUBLIC_MARKS, RING, RING_JSON

Fields = dict[str, bytes]
Suite = Callable[..., SuiteStream]

ID = "0123456789abcdef"
SECRET = "M" * 43
TEXT = f"psk_{ID}_{SECRET}"
HASH = hashlib.sha256(SECRET.encode()).digest()


def vouched(key_id: str = ID, tenant_id: str = TENANT, secret_hash: bytes = HASH) -> Vouched:
    return Vouched(key_id, tenant_id, secret_hash)  # type: ignore[arg-type]


async def plant(raw: Redis, fields: Fields, tenant_id: str = TENANT) -> None:
    """What whoever can write to Redis can do."""
    record = {"tenant": tenant_id.encode(), "hash": HASH, "label": b"desk", "created": b"1", **fields}
    await raw.hset(keys.suite_key(ID), mapping=record)  # type: ignore[arg-type]
    await raw.sadd(keys.tenant_suite_keys(TENANT), ID)


async def refusal(suite: Suite, text: str) -> tuple[grpc.StatusCode, str, str]:
    ended = await suite(text).open(name(0)).ending()
    return ended.code, ended.reason, ended.details


@pytest.mark.finding(10)
async def test_a_record_written_to_redis_is_no_suite_key_and_the_log_tells_of_it(worker, suite: Suite, raw: Redis):
    await worker.users(1)
    served = await suite().open(name(0)).ready()
    wrong = await refusal(suite, f"psk_{ID}_{'x' * 43}")
    await plant(raw, {})
    with capture_logs() as logged:
        assert await refusal(suite, TEXT) == wrong
        assert await refusal(suite, TEXT) == wrong
    assert wrong[:2] == (grpc.StatusCode.UNAUTHENTICATED, "ERROR_REASON_SUITE_KEY_UNKNOWN")
    told = [entry for entry in logged if entry["event"] == "suite_key_not_genuine"]
    assert [(entry["log_level"], entry["key_id"], entry["reason"]) for entry in told] == [("error", ID, "missing")]
    assert SECRET not in str(logged)
    await worker.found({user(0): "later"})
    await served.shows({user(0): "later"})


def _another_ring() -> bytes:
    return RingMarks(KeyRing.from_json(make_ring("test", now_s=0))).mark(vouched())


def _of_a_backup() -> bytes:
    from relay.store.sealing.signing import RingSigner

    sign = RingSigner(RING, Purpose.BACKUP).frozen()
    return f"1 {base64.urlsafe_b64encode(sign(vouched().parts())).decode()} test".encode()


@pytest.mark.finding(10)
@pytest.mark.parametrize(
    "mark",
    [
        pytest.param(MARKS.mark(vouched(tenant_id=OTHER)), id="of the same key in another tenant"),
        pytest.param(MARKS.mark(vouched(key_id="f" * 16)), id="of another key id"),
        pytest.param(MARKS.mark(vouched(secret_hash=bytes(32))), id="of another secret"),
        pytest.param(_another_ring(), id="of another ring with the same key id"),
        pytest.param(MARKS.mark(vouched()).replace(b"test", b"invented"), id="of a key that is not known"),
        pytest.param(_of_a_backup(), id="a signature for another purpose"),
        pytest.param(b"", id="empty"),
        pytest.param(b"1", id="cut off"),
        pytest.param(b"1 !!! test", id="not base64"),
        pytest.param(b"1 AAAA test", id="too short"),
        pytest.param(b"2" + MARKS.mark(vouched())[1:], id="of another version"),
        pytest.param(b"\xff\x00" * 500_000, id="a megabyte of nothing"),
    ],
)
async def test_no_mark_but_its_own_makes_a_record_a_suite_key(worker, suite: Suite, raw: Redis, mark: bytes):
    await worker.enrol()
    await plant(raw, {"mark": mark})
    assert (await refusal(suite, TEXT))[1] == "ERROR_REASON_SUITE_KEY_UNKNOWN"


@pytest.mark.finding(10)
async def test_a_genuine_record_cannot_be_made_over(worker: PlayedWorker, suite: Suite, raw: Redis):
    """She has a key of Contoso's, and wants Fabrikam's presence, or a second secret for her key."""
    await worker.users(1)
    await worker.enrol(OTHER)
    own = await worker.issue()
    record = keys.suite_key(own.key_id)
    before = await raw.hgetall(record)
    for changed in ({"tenant": OTHER}, {"hash": HASH}, {"mark": b"1 A test"}, {"created": b"never"}):
        await raw.hset(record, mapping=changed)  # type: ignore[arg-type]
        secret = SECRET if "hash" in changed else own.text.split("_", 2)[2]
        assert (await refusal(suite, f"psk_{own.key_id}_{secret}"))[1] == "ERROR_REASON_SUITE_KEY_UNKNOWN"
        await raw.hset(record, mapping=before)
    await raw.hset(keys.suite_key(ID), mapping={**before, b"tenant": OTHER})  # a copy, under a name of her own
    await raw.sadd(keys.tenant_suite_keys(OTHER), ID)
    assert (await refusal(suite, f"psk_{ID}_{own.text.split('_', 2)[2]}"))[1] == "ERROR_REASON_SUITE_KEY_UNKNOWN"
    await suite(own.text).open(name(0)).ready()  # as it was


@pytest.mark.finding(10)
async def test_a_revoked_key_does_not_come_back_when_its_revocation_is_deleted(worker, suite: Suite, raw: Redis, store):
    issued = await worker.issue()
    await SuiteKeys(store).revoke(issued.key_id, audit.key_revoked(audit.OPERATOR, issued.key_id, ""))
    assert (await refusal(suite, issued.text))[1] == "ERROR_REASON_SUITE_KEY_REVOKED"
    await raw.hdel(keys.suite_key(issued.key_id), "revoked")
    assert (await refusal(suite, issued.text))[1] == "ERROR_REASON_SUITE_KEY_UNKNOWN"


class Counting(PublicMarks):
    """The real thing, which counts how often it is asked."""

    judged = 0

    def judge(self, vouched: Vouched, mark: bytes | None) -> MarkVerdict:
        self.judged += 1
        return super().judge(vouched, mark)


@pytest.mark.finding(10)
async def test_a_flood_of_wrong_keys_costs_no_signature(worker: PlayedWorker, store: Store, capsys):
    issued = await worker.enrol()
    marks = Counting(public_set(RING, Purpose.SUITE_KEY))
    suite_keys = SuiteKeys(store, marks)
    for number in range(200):
        with pytest.raises(SuiteKeyUnknown):
            await suite_keys.verify(f"psk_{issued.key_id}_{number:043}")
    assert marks.judged == 0
    await suite_keys.verify(issued.text)
    assert marks.judged == 1

    mark, began = MARKS.mark(vouched()), time.perf_counter()
    for _ in range(1000):
        assert PUBLIC_MARKS.judge(vouched(), mark) is MarkVerdict.GENUINE
    with capsys.disabled():
        print(f"\na mark is verified in {time.perf_counter() - began:.3f} ms, once for each stream")  # noqa: T201


@pytest.mark.finding(10)
async def test_an_edge_learns_new_public_keys_from_its_file_alone(
    worker: PlayedWorker, store: Store, raw: Redis, tmp_path: Path
):
    """Whoever writes to Redis tells an edge no key; the operator's file does, at once when a mark needs it."""
    await worker.enrol()
    wider = KeyRing.from_json(make_ring("new", now_s=1, older=RING_JSON))
    path = tmp_path / "ring.pub"
    write_public(path, public_set(RING, Purpose.SUITE_KEY))
    edge = SuiteKeys(store, PublicMarks(path.read_bytes(), path))
    issued = await SuiteKeys(store, RingMarks(wider)).issue(TENANT, "desk")
    with pytest.raises(SuiteKeyUnknown):
        await edge.verify(issued.text)
    write_public(path, "nothing that can be read")
    with pytest.raises(SuiteKeyUnknown):
        await edge.verify(issued.text)
    write_public(path, public_set(wider, Purpose.SUITE_KEY))
    assert (await edge.verify(issued.text)).tenant_id == TENANT

    await plant(raw, {"mark": RingMarks(KeyRing.from_json(make_ring("mallory", now_s=9))).mark(vouched())})
    with pytest.raises(SuiteKeyUnknown):
        await edge.verify(TEXT)
    assert edge._marks.kids == ("new", "test")


@pytest.mark.finding(10)
async def test_an_edge_without_public_keys_takes_no_suite_key(worker: PlayedWorker, store: Store):
    issued = await worker.enrol()
    with pytest.raises(SuiteKeyUnknown):
        await SuiteKeys(store).verify(issued.text)


@pytest.mark.finding(11)
async def test_revoking_an_old_key_again_and_again_reads_no_log(worker: PlayedWorker, store: Store, raw: Redis):
    issued = await worker.enrol()
    suite_keys = SuiteKeys(store)

    async def revoke() -> None:
        assert await suite_keys.revoke(issued.key_id, audit.key_revoked(audit.OPERATOR, issued.key_id, ""))

    async def reads() -> int:
        return int((await raw.info("commandstats")).get("cmdstat_xrange", {}).get("calls", 0))

    await revoke()
    log = await raw.xlen(keys.audit(TENANT))
    before = await reads()
    for _ in range(50):
        await revoke()
    assert await reads() == before
    assert await raw.xlen(keys.audit(TENANT)) == log


@pytest.mark.finding(11)
async def test_keeping_a_key_again_and_again_reads_no_log(worker: PlayedWorker, store: Store, raw: Redis):
    await worker.enrol()
    suite_keys = SuiteKeys(store, MARKS)
    issued = await suite_keys.issue(TENANT, "desk", provisional=True)
    made = audit.key_made(audit.OPERATOR, "desk")
    assert await suite_keys.keep(TENANT, issued.key_id, made)
    await raw.config_resetstat()
    for _ in range(50):
        assert await suite_keys.keep(TENANT, issued.key_id, made)
    assert "cmdstat_xrange" not in await raw.info("commandstats")
    assert await raw.xlen(keys.audit(TENANT)) == 1


@pytest.mark.finding(11)
async def test_the_one_look_through_a_long_log_is_bounded(worker: PlayedWorker, store: Store, raw: Redis):
    """A key that was revoked by a release that did not note that it was told."""
    issued = await worker.enrol()
    suite_keys = SuiteKeys(store)
    told = audit.key_revoked(audit.OPERATOR, issued.key_id, "")
    await suite_keys.revoke(issued.key_id, told)
    await raw.hdel(keys.suite_key(issued.key_id), "revoked_told")
    async with raw.pipeline(transaction=False) as pipe:
        for _ in range(9000):
            pipe.xadd(keys.audit(TENANT), {"k": "grant-added", "s": "x", "e": "{}"})
        await pipe.execute()
    await raw.config_set("slowlog-log-slower-than", 50_000)
    await raw.slowlog_reset()
    for _ in range(20):
        await suite_keys.revoke(issued.key_id, told)
    assert await raw.slowlog_get() == []
    assert await raw.xlen(keys.audit(TENANT)) == 9001  # found, and not told again
