"""Limits of connections: in all, of one network, and for proxies as many as there are places."""

from __future__ import annotations

import pytest

from relay.http.admission import ConnectionLimiter


class Acceptor:
    """Connections by address; knows which were closed, and why."""

    def __init__(self, most: int, most_of_one: int, *proxies: str) -> None:
        self.refused: list[str] = []
        self.closed: list[str] = []
        self.admission = ConnectionLimiter(most, most_of_one, proxies, self.refused.append)

    def come(self, *addresses: str) -> None:
        for address in addresses:
            self.admission.enter(address, lambda address=address: self.closed.append(address))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("same", "other"),
    [
        (["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff:ffff:ffff:ffff"], "2001:db8:1:3::1"),
        (["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"], "192.0.2.2"),
    ],
    ids=["a /64", "an IPv4 address, however written"],
)
def test_a_network_has_its_share_and_its_longest_waiting_gives_way(same: list[str], other: str) -> None:
    door = Acceptor(100, 2)
    door.come(other, *same)
    assert door.closed == same[:1]
    assert door.refused == ["crowded_address"]
    assert len(door.admission) == 3


def test_a_trusted_proxy_has_no_share_and_all_places_bound_it() -> None:
    door = Acceptor(10, 2, "10.0.0.0/8", "2001:db8::5")
    proxies = ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5"] * 3
    door.come(*proxies)
    assert door.closed == []
    door.come("192.0.2.1", "192.0.2.1")
    assert door.closed == proxies[:1], "eleven come to ten places"
    door.come("2001:db8::6", "2001:db8::6", "2001:db8::6")
    assert door.refused[-1] == "crowded_address", "a neighbour of a proxy is none"


def test_behind_any_proxy_nobody_has_a_share() -> None:
    door = Acceptor(10, 2, "*")
    door.come(*["192.0.2.1"] * 10)
    assert door.closed == []
