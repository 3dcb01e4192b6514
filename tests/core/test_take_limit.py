"""A worker that is too slow for its leases ends with as many as it can keep."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.core.take_limit import TakeLimit

PARTITIONS = 64
LEASE_S = 6.0


def test_a_loss_halves_what_was_owned_and_what_is_kept_doubles_it_until_there_is_no_limit():
    limit = TakeLimit(PARTITIONS, LEASE_S)
    assert limit.lost(owned=40, now=0.0)
    assert (limit.most, limit.is_in_force) == (20, True)
    limit.kept(1.0, is_settled=False)
    assert limit.most == 20, "what was taken is still being read"
    limit.kept(2.0, is_settled=True)
    limit.kept(2.0 + LEASE_S, is_settled=False)
    assert (limit.most, limit.is_in_force) == (PARTITIONS, False), "a lease without a loss proves it too"


def test_leases_that_end_one_after_the_other_are_one_loss():
    limit = TakeLimit(PARTITIONS, LEASE_S)
    assert limit.lost(owned=64, now=0.0)
    assert not limit.lost(owned=40, now=0.5)
    assert limit.most == 32
    assert limit.lost(owned=32, now=LEASE_S)
    assert limit.most == 16


@given(st.integers(1, PARTITIONS), st.integers(0, PARTITIONS))
def test_a_worker_that_can_keep_some_keeps_at_least_half_of_them_after_few_losses(can: int, other: int):
    """It owns what it may; what is more than it can keep is lost, all of it, a lease later."""
    limit, now, owned, losses = TakeLimit(PARTITIONS, LEASE_S), 0.0, PARTITIONS, 0
    while owned > can:
        limit.lost(owned, now)
        losses += 1
        owned = min(limit.most, PARTITIONS)
        now += LEASE_S
    assert can // 2 <= owned <= can
    assert losses <= 6
    limit.lost(other, now)
    assert limit.most >= 1, "it never gives up"
