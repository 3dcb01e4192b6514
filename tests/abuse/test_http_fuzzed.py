"""Broken requests from a grammar: no process dies, memory stays within bounds, others are served, no traceback is told."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from random import Random

import pytest

from tests.abuse.http_grammar import request
from tests.abuse.roles import Served, served

MIB = 1024 * 1024
GROWTH = 48 * MIB
"""What `docs/limits.md` allows to connections that are silent: these are gone again, so it is generous."""
_WITHIN_S = 1.0  # in which others are served; asserted by the long run only


def send_broken(role: Served, random: Random, number: int) -> None:
    text = request(random, role.head)
    with contextlib.suppress(OSError), role.connect(f"127.0.6.{1 + number % 200}", timeout_s=0.05) as connection:
        while text:
            size = random.choice([1, 7, 100, 5000, len(text)])
            connection.sendall(text[:size])
            text = text[size:] if random.random() < 0.8 else b""
        # Some wait for what comes, some go at once.
        if random.random() < 0.5:
            connection.recv(1000)


def bombard(role: Served, seed: int, count: int, *, timed: bool) -> None:
    role.is_well()
    random, before = Random(seed), role.rss()
    for number in range(count):
        send_broken(role, random, number)
        if number % 500 == 499:
            began = time.monotonic()
            assert role.answers(f"127.0.7.{1 + number // 500 % 200}"), (
                f"seed {seed}, after {number}: {role.log[-2000:]}"
            )
            assert not timed or time.monotonic() - began < _WITHIN_S
    role.is_well()
    assert role.rss() - before < GROWTH, f"seed {seed}: {(role.rss() - before) / MIB:.0f} MiB"


@pytest.mark.long
@pytest.mark.finding(2)
@pytest.mark.finding(6)
def test_broken_requests_hurt_nobody(role: Served):
    bombard(role, seed=10, count=60, timed=False)


@pytest.mark.soak
@pytest.mark.finding(2)
@pytest.mark.finding(6)
def test_broken_requests_by_the_ten_thousand_hurt_nobody(tmp_path: Path):
    with served(tmp_path) as roles:
        for role in roles.values():
            for seed in range(10):
                bombard(role, seed, 4000, timed=True)
