"""What a stranger can do to pages and webhook over a socket. Figures of `docs/limits.md` are held here."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.abuse.measured import rows
from tests.abuse.roles import Served, served
from tests.support.waiting import eventually_in_thread

log = logging.getLogger(__name__)

MIB = 1024 * 1024
TABLE = rows("Pages and webhook (HTTP)")
TRAILERS = b"".join(b"x-%04d: %s\r\n" % (number, b"a" * 50) for number in range(1000))


def pour(connection: socket.socket, piece: bytes, most: int) -> int:
    """Send a piece again and again until the other side closes; how many bytes went."""
    sent = 0
    with contextlib.suppress(OSError):
        while sent < most:
            connection.sendall(piece)
            sent += len(piece)
    return sent


def endless(role: Served, start: bytes, piece: bytes, most: int) -> int:
    with role.connect() as connection:
        connection.sendall(start)
        return pour(connection, piece, most)


def chunked(role: Served) -> bytes:
    """A whole chunked request but for the end of its trailers."""
    head = role.head.replace(b"Content-Length: 0\r\n", b"")
    return head + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"


@contextlib.contextmanager
def grows_by_at_most(role: Served, row: str) -> Iterator[None]:
    """Its memory stays within what the page of limits says."""
    role.is_well()
    before = role.rss()
    yield
    grown = role.rss() - before
    log.info("%s %s: %.1f MiB", role.role, row, grown / MIB)
    assert grown < TABLE[row].bytes, f"{role.role}: {row}: {grown / MIB:.1f} MiB"
    role.is_well()


def trailers_cost_nothing(role: Served, most: int) -> None:
    with grows_by_at_most(role, "sends a head, chunk framing or trailers without end"):
        assert endless(role, chunked(role), TRAILERS, most) < most, "the connection is closed early"
        assert endless(role, chunked(role) + b"x: ", b"a" * 65536, most) < most, "one endless trailer"


@pytest.mark.finding(2)
def test_trailers_without_end_cost_nothing(role: Served):
    trailers_cost_nothing(role, 64 * MIB)


@pytest.mark.soak
@pytest.mark.finding(2)
def test_a_quarter_of_a_gigabyte_of_trailers_costs_nothing(role: Served):
    trailers_cost_nothing(role, 250 * MIB)


def others_are_served_beside_trailers(role: Served, asks: int, within_s: float | None) -> None:
    """One connection after another pours trailers, some in one endless field, while somebody else asks."""
    over = threading.Event()

    def attack() -> None:
        for number in itertools.count():
            if over.is_set():
                return
            with contextlib.suppress(OSError):
                start, piece = (b"", TRAILERS) if number % 2 else (b"x: ", b"a" * 65536)
                endless(role, chunked(role) + start, piece, 16 * MIB)

    with grows_by_at_most(role, "sends a head, chunk framing or trailers without end"):
        attacking = threading.Thread(target=attack)
        attacking.start()
        try:
            for number in range(asks):
                began = time.monotonic()
                assert role.answers(f"127.0.9.{1 + number % 200}")
                assert within_s is None or time.monotonic() - began < within_s
        finally:
            over.set()
            attacking.join()


@pytest.mark.finding(2)
def test_others_are_served_while_trailers_are_poured(role: Served):
    others_are_served_beside_trailers(role, 20, None)


@pytest.mark.soak
@pytest.mark.finding(2)
def test_others_are_served_within_a_second_while_trailers_are_poured(role: Served):
    others_are_served_beside_trailers(role, 500, 1.0)


@pytest.mark.finding(2)
@pytest.mark.parametrize(
    "piece",
    [b"1;" + b"e" * 4000 + b"\r\nx\r\n", b"1\r\nx\r\n"],
    ids=["chunk extensions", "chunks of a byte"],
)
def test_framing_without_end_costs_nothing(role: Served, piece: bytes):
    with grows_by_at_most(role, "sends a head, chunk framing or trailers without end"):
        start = chunked(role).removesuffix(b"0\r\n")
        assert endless(role, start, piece * (65536 // len(piece)), 64 * MIB) < 64 * MIB


@pytest.mark.finding(2)
def test_requests_sent_without_waiting_are_few(role: Served):
    with grows_by_at_most(role, "sends requests without reading answers"):
        assert endless(role, b"", (role.head + b"\r\n") * 500, 64 * MIB) < 64 * MIB


def silent(role: Served, count: int) -> list[socket.socket]:
    """Connections from several addresses that never get as far as a request: half of them silent, half (after TLS) with half a head."""
    found = []
    for number in range(count):
        with contextlib.suppress(OSError):
            connection = role.connect(f"127.0.1.{1 + number % 20}", tls=bool(number % 2))
            found.append(connection)
            if number % 2:
                connection.sendall(role.head)
    return found


def silence_keeps_nobody_out(role: Served, count: int, most: int) -> None:
    idle = role.descriptors()
    with grows_by_at_most(role, "connects, and is silent or stops in the middle of a head"):
        connections = silent(role, count)
        try:
            assert role.answers()
            assert role.descriptors() <= idle + most + 20
            # Each is closed in the end, without anybody else coming.
            eventually_in_thread(
                lambda: role.descriptors() <= idle + 10, 60, lambda: f"{role.descriptors()} are open, {idle} before"
            )
        finally:
            for connection in connections:
                connection.close()


@pytest.mark.finding(6)
def test_silent_connections_keep_nobody_out(role: Served):
    silence_keeps_nobody_out(role, 400, 150)


@pytest.mark.soak
@pytest.mark.finding(6)
def test_a_thousand_silent_connections_keep_nobody_out_at_the_default_limits(tmp_path: Path):
    with served(tmp_path) as roles:
        for role in roles.values():
            silence_keeps_nobody_out(role, 1200, 1000)


@pytest.mark.finding(6)
def test_one_address_has_its_share_of_connections(role: Served):
    idle = role.descriptors()
    connections = [role.connect("127.0.2.1", tls=False) for _ in range(100)]
    try:
        assert role.answers()
        assert role.descriptors() <= idle + 40 + 10
    finally:
        for connection in connections:
            connection.close()


def drip(connection: socket.socket) -> None:
    """Send a byte now and then, far longer than a head may take."""
    for _ in range(400):
        connection.sendall(b"a")
        time.sleep(0.1)


@pytest.mark.finding(6)
def test_a_later_request_has_its_time_as_well(role: Served):
    with role.connect("127.0.5.1") as connection:
        connection.sendall(role.head + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(role.head + b"x: ")
        with pytest.raises(OSError):  # a byte now and then keeps no connection open
            drip(connection)
    role.is_well()


BODY = {"webhook": (4 * MIB, 64 * MIB), "web": (256 * 1024, 16 * MIB)}
"""Role -> the longest body, and what all may hold together."""


def posting(role: Served, length: int) -> bytes:
    """The head of a request with a body."""
    head = role.head.replace(b"?validationToken=x", b"").replace(b"GET", b"POST").replace(b"Content-Length: 0\r\n", b"")
    return head + b"Content-Length: %d\r\n\r\n" % length


def status(connection: socket.socket) -> int:
    """Of the answer that came, 0 when none did."""
    connection.settimeout(0.02)
    with contextlib.suppress(OSError):
        return int(connection.recv(65536).split(b" ", 2)[1] or 0)
    return 0


def bodies_together_are_bounded(role: Served, count: int) -> None:
    longest, together = BODY[role.role]
    with grows_by_at_most(
        role, f"withholds the end of bodies at the {'webhook' if role.role == 'webhook' else 'pages'}"
    ):
        connections = []
        try:
            for number in range(count):
                connections.append(role.connect(f"127.0.8.{1 + number % 20}"))
                with contextlib.suppress(OSError):  # it may have to give way already
                    connections[-1].sendall(posting(role, longest) + bytes(longest - 1000))
            # Whoever sends a body in one go gets an answer about the body, while all room is taken.
            with role.connect("127.0.9.1") as honest:
                honest.sendall(posting(role, 3) + b"abc")
                assert honest.recv(65536).split(b" ", 2)[1] in (b"400", b"403", b"202")
            answers = [status(connection) for connection in connections]
            assert len(answers) - answers.count(503) - answers.count(408) <= together // longest + 1, answers
        finally:
            for connection in connections:
                connection.close()


@pytest.mark.finding(6)
def test_bodies_whose_end_is_withheld_are_bounded_together(role: Served):
    bodies_together_are_bounded(role, 40 if role.role == "webhook" else 120)


@pytest.mark.soak
@pytest.mark.finding(6)
def test_a_thousand_bodies_whose_end_is_withheld_are_bounded_together(tmp_path: Path):
    with served(tmp_path) as roles:
        for role in roles.values():
            bodies_together_are_bounded(role, 950)


@pytest.mark.finding(13)
def test_junk_is_told_once_a_minute_and_not_in_a_strangers_words(role: Served):
    before = len(role.log.splitlines())
    for request in (b"\x16\x03junk-of-mallory\r\n\r\n", role.head + b"Connection: upgrade\r\nUpgrade: mallory\r\n\r\n"):
        for _ in range(50):
            with role.connect("127.0.4.1") as connection, contextlib.suppress(OSError):
                connection.sendall(request)
                connection.recv(1000)
    role.is_well()
    lines = role.log.splitlines()
    assert len(lines) - before < 10, lines[before:]
    assert "mallory" not in role.log
    assert "uvicorn" not in role.log
    told = [json.loads(line) for line in lines if '"http_refused"' in line]
    assert {"malformed", "upgrade"} <= {line["reason"] for line in told}
    assert all(line["count"] for line in told)
