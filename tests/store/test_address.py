"""URLs of Redis: what each form means, and what is refused in which words."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import parse_url

from relay.store.server.address import AddressInvalid, TopologyKind, parse_address

HOSTS = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9]{0,10}){0,2}", fullmatch=True), st.ip_addresses().map(str)
)
PLACES = st.lists(st.tuples(HOSTS, st.integers(1, 65535)), min_size=1, max_size=5, unique=True)
WORDS = st.text(min_size=1, max_size=20)


def written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def test_one_server_is_left_to_redis_py() -> None:
    for url in ("redis://localhost", "rediss://u:p@h:1/2?ssl_ca_certs=/ca.pem", "unix:///run/valkey.sock?db=1"):
        address = parse_address(url)
        assert (address.kind, address.url) == (TopologyKind.STANDALONE, url)


@given(PLACES, WORDS, WORDS, WORDS, WORDS, st.booleans(), st.integers(0, 15))
def test_every_part_of_a_url_of_sentinels_comes_out_as_it_was_put_in(
    places, user, password, own, service, tls, db
) -> None:
    hosts = ",".join(written(*place) for place in places)
    login, theirs = f"{quote(user, safe='')}:{quote(password, safe='')}", quote(own, safe="")
    scheme = "rediss" if tls else "redis"
    address = parse_address(
        f"{scheme}+sentinel://{login}@{hosts}/{quote(service, safe='')}/{db}?sentinel_password={theirs}"
    )
    assert (address.kind, address.service) == (TopologyKind.SENTINEL, service)
    assert list(address.places) == [(host, port) for host, port in places]
    server = parse_url(address.server_url("::1", 7000))
    assert (server["username"], server["password"], server["host"], server["port"]) == (user, password, "::1", 7000)
    assert server["db"] == db
    sentinel = parse_url(address.sentinel_url("s", 1))
    assert (sentinel.get("username"), sentinel["password"], "db" in sentinel) == (None, own, False)
    assert ("connection_class" in server, "connection_class" in sentinel) == (tls, tls)


@given(PLACES, WORDS, st.booleans())
def test_every_part_of_a_url_of_a_cluster_comes_out_as_it_was_put_in(places, password, tls) -> None:
    hosts = ",".join(written(*place) for place in places)
    scheme = "rediss" if tls else "redis"
    address = parse_address(f"{scheme}+cluster://:{quote(password, safe='')}@{hosts}/0?ssl_ca_certs=/ca.pem")
    assert (address.kind, list(address.places)) == (TopologyKind.CLUSTER, [(host, port) for host, port in places])
    server = parse_url(address.server_url("h", 1))
    assert (server["password"], server.get("ssl_ca_certs")) == (password, "/ca.pem" if tls else None)
    assert address.is_encrypted is tls


@given(st.text(max_size=60))
def test_no_text_is_more_than_refused(text) -> None:
    for url in (text, f"redis+sentinel://{text}", f"redis+cluster://{text}", f"redis://{text}"):
        with suppress(AddressInvalid):
            parse_address(url)


def test_hosts_have_the_ports_of_their_kind() -> None:
    assert parse_address("redis+sentinel://a,b:1/s").places == (("a", 26379), ("b", 1))
    assert parse_address("redis+cluster://a,[::1]").places == (("a", 6379), ("::1", 6379))


def test_sentinels_have_the_tls_of_the_servers_unless_they_are_given_their_own() -> None:
    shared = parse_address("rediss+sentinel://s/m?ssl_ca_certs=/ca.pem")
    assert "ssl_ca_certs=%2Fca.pem" in shared.server_url("h", 1)
    assert shared.sentinel_url("s", 1) == "rediss://s:1?ssl_ca_certs=%2Fca.pem"
    own = parse_address("rediss+sentinel://s/m?ssl_ca_certs=/ca.pem&sentinel_ssl_ca_certs=/other.pem")
    assert own.sentinel_url("s", 1) == "rediss://s:1?ssl_ca_certs=%2Fother.pem"
    plain = parse_address("rediss+sentinel://s/m?ssl_ca_certs=/ca.pem&sentinel_ssl=false")
    assert plain.sentinel_url("s", 1) == "redis://s:1"
    assert not plain.is_encrypted
    reverse = parse_address("redis+sentinel://s/m?sentinel_ssl=true&sentinel_ssl_ca_certs=/ca.pem")
    assert reverse.sentinel_url("s", 1) == "rediss://s:1?ssl_ca_certs=%2Fca.pem"
    assert reverse.server_url("h", 1) == "redis://h:1"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://a", "is not a Redis URL"),
        ("redis-sentinel://a/m", "is not a Redis URL"),
        ("redis+sentinel://a", "has no service name"),
        ("redis+sentinel://a/", "has no service name"),
        ("redis+sentinel://a/m/x", "not a database number"),
        ("redis+sentinel://a,/m", "host that cannot be read"),
        ("redis+sentinel://a:0/m", "host that cannot be read"),
        ("redis+sentinel://a:65536/m", "host that cannot be read"),
        ("redis+sentinel:///m", "host that cannot be read"),
        ("redis+sentinel://a/m?hunter2=1", "has an unknown option"),
        ("redis+sentinel://a/m?sentinel_ssl=maybe", "sentinel_ssl is true or false"),
        ("redis+sentinel://a/m?ssl_keyfile=1&ssl_keyfile=2", "an option twice"),
        ("redis+sentinel://:hun/ter2@a/m", "percent-encoded"),
        ("redis+sentinel://a/m?sentinel_password=hunter2@", "percent-encoded"),
        ("redis+cluster://a/1", "a Redis Cluster has only database 0"),
        ("redis+cluster://a?sentinel_password=hunter2", "has an unknown option"),
        ("redis+cluster://" + ",".join(f"h{n}" for n in range(33)), "more than 32"),
        ("redis://a?socket_timeout=1", "has an unknown option"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words_that_show_no_secret(url: str, said: str) -> None:
    with pytest.raises(AddressInvalid, match=said) as caught:
        parse_address(url)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(parse_address("redis+sentinel://:hunter2@a/m?sentinel_password=hunter2"))
