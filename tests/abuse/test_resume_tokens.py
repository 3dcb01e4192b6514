"""What a suite can learn from its resume token about the store behind the relay."""

from __future__ import annotations

import base64

import pytest

from relay.core.revision import Epoch, ResumeToken, epoch_in, is_of
from relay.edge.hub.history import vouched
from tests.edge.worker import TENANT, name


@pytest.mark.finding(19)
async def test_a_resume_token_does_not_show_the_replication_id(worker, suite, store):
    await worker.users(1)
    stream = await suite().open(name(0)).ready()
    replid = (await store.identity(0)).replid
    raw = base64.urlsafe_b64decode(stream.token + "=" * (-len(stream.token) % 4))
    assert replid.encode() not in raw
    token = ResumeToken.decode(stream.token)
    assert token is not None
    assert token.tenant_id == TENANT
    assert is_of(token.epoch, replid)


@pytest.mark.finding(19)
def test_two_epochs_of_one_history_show_nothing_in_common():
    one, two = epoch_in("f" * 40, "a" * 16), epoch_in("f" * 40, "b" * 16)
    assert one.partition(".")[2] != two.partition(".")[2]
    assert [is_of(epoch, "f" * 40) for epoch in (one, two, Epoch("a." + "f" * 40), Epoch(""))] == [
        True,
        True,
        False,
        False,
    ]
    assert not is_of(one, "e" * 40)


@pytest.mark.finding(19)
def test_an_edge_still_reads_what_a_worker_of_an_earlier_release_declared():
    assert vouched(Epoch("a." + "f" * 40), "f" * 40)
    assert not vouched(Epoch("a." + "f" * 40), "e" * 40)
