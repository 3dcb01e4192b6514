"""The main job does not depend on what Microsoft leaves open: a console shows the same under every set of switches.

`make test` runs it under each profile of `emulator/profiles`, `make soak` under sets in which every two values of any two
switches meet. A set that fails is printed, and runs again by its number: `pytest -m soak -k set07`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

import pytest

from emulator import Switches
from emulator.profile import read_file
from suite.events import Changed
from suite.values import ConsoleStatus, Status
from tests.e2e.conftest import Console, Edges
from tests.profiles import FOLDER
from tests.support import switches
from tests.support.pairwise import covering
from tests.support.waiting import eventually
from tests.worker.conftest import Relay, WebhookTls
from tests.worker.test_push import Push, hooked

pytestmark = pytest.mark.long

ADA, BEN, ZOE = (f"{name}@contoso.example" for name in ("ada", "ben", "zoe"))
ADMIN: Final = "admin@contoso.example"
NOBODY: Final = "nobody@contoso.example"
NO_ID: Final = "99999999-0000-4000-8000-000000000009"

SEED: Final = 20261123
SOAK_S: Final = 25 * 60.0
"""The whole soak of this file; it takes about two minutes on two cores."""
PATIENCE_S: Final = 30.0
"""For what must happen: on a busy machine, with the emulator's slowest answers, and a page being halved."""

# Who -> Graph's two words for them, in the older pages' spelling -> how a console draws them, whatever the spelling.
DRAWN: Final = {
    f"{name}@contoso.example": (words, expected)
    for name, words, expected in (
        ("chloe", ("Busy", "InACall"), ConsoleStatus.IN_A_CALL),
        ("david", ("Busy", "InAMeeting"), ConsoleStatus.IN_A_MEETING),
        ("emma", ("DoNotDisturb", "Presenting"), ConsoleStatus.PRESENTING),
        ("farid", ("DoNotDisturb", "DoNotDisturb"), ConsoleStatus.DO_NOT_DISTURB),
        ("grace", ("Away", "Away"), ConsoleStatus.AWAY),
        ("hugo", ("BeRightBack", "BeRightBack"), ConsoleStatus.BE_RIGHT_BACK),
        ("ines", ("Offline", "OffWork"), ConsoleStatus.OFFLINE),
    )
}


def status(console: Console, name: str) -> ConsoleStatus | Status | None:
    """What a console draws, or the reason why there is nothing to draw."""
    resolution, answer = console.client.find(name)
    if answer is None:
        return resolution.status if resolution is not None else None
    return answer.presence.console_status if answer.presence is not None else answer.status


def drawn(console: Console, name: str) -> list[ConsoleStatus]:
    """What a console drew for somebody, in order, without repeats."""
    resolution, _ = console.client.find(name)
    assert resolution is not None
    found: list[ConsoleStatus] = []
    for event in console.events:
        if isinstance(event, Changed) and event.user_id == resolution.user_id and event.presence is not None:
            found += [event.presence.console_status] if found[-1:] != [event.presence.console_status] else []
    return found


async def main_job(relay: Relay, edges: Edges, tls: WebhookTls, chosen: Mapping[str, Any]) -> None:
    """A suite sees users, their changes, the way to offline, and honest reasons for those who have no presence.

    The relay subscribes to changes where the switches let it, and reads everybody every second all the same: how soon a
    notification comes is a switch, too.
    """
    async with hooked(relay, tls, reconcile_interval=timedelta(seconds=1)) as push:
        relay.microsoft.set_switches(**chosen)
        await _main_job(relay, edges, push)


async def _main_job(relay: Relay, edges: Edges, push: Push) -> None:
    cloud = relay.microsoft
    tenant = await relay.onboard(ADMIN)  # an administrator may consent whatever the organisation's rules are
    cloud.add_person(tenant, NO_ID[:-1] + "1", ZOE, "Zoe", licensed=False)
    for who, (words, _) in DRAWN.items():
        cloud.set_presence(who, *words)
    async with (
        relay.working(settings=push.settings),
        edges.edge(),
        edges.suite(await edges.key(tenant), ADA, BEN, *DRAWN, ZOE, NOBODY, NO_ID) as console,
    ):

        async def show(expected: Mapping[str, Collection[ConsoleStatus | Status]]) -> None:
            try:
                await eventually(
                    lambda: all(status(console, who) in each for who, each in expected.items()), PATIENCE_S
                )
            except AssertionError as error:
                for who, each in expected.items():
                    error.add_note(f"{who} is {status(console, who)!r}, and should be {' or '.join(map(repr, each))}")
                raise

        await show({who: [expected] for who, (_, expected) in DRAWN.items()})
        await show({ADA: [ConsoleStatus.AVAILABLE], BEN: [ConsoleStatus.AVAILABLE]})
        await show({NOBODY: [Status.NOT_FOUND], NO_ID: [Status.NOT_FOUND]})
        await show({ZOE: [Status.NOT_REPORTED, ConsoleStatus.UNKNOWN]})

        await eventually(lambda: push.lives, PATIENCE_S)  # the relay subscribes to changes, whatever the switches are

        # Somebody who is deleted while being watched spoils the page for nobody else.
        cloud.remove_person(BEN)
        cloud.act(ADA, "meeting")
        await show({
            BEN: [Status.NOT_REPORTED, Status.NOT_FOUND, ConsoleStatus.UNKNOWN],
            ADA: [ConsoleStatus.IN_A_MEETING],
        })  # fmt: skip

        cloud.act(ADA, "switch_off")
        cloud.clock.advance(cloud.switches.linger_s[1])
        if cloud.switches.idle_values:
            await show({ADA: [ConsoleStatus.BUSY_IDLE]})
        cloud.clock.advance(cloud.switches.idle_s[1])
        await show({ADA: [ConsoleStatus.OFFLINE]})

        assert not any(ConsoleStatus.OFFLINE in drawn(console, who) for who in (ZOE, BEN))
        assert all(
            answer.presence is None or answer.presence.observe_time for answer in console.client.answers.values()
        )


async def told(relay: Relay, edges: Edges, tls: WebhookTls, chosen: Mapping[str, Any]) -> None:
    """The main job; a set that fails is said."""
    try:
        await main_job(relay, edges, tls, chosen)
    except BaseException as error:
        different = {name: value for name, value in chosen.items() if value != switches.default(name)}
        error.add_note(f"under the switches {different}")
        raise


@pytest.mark.parametrize("profile", sorted(FOLDER.glob("*.toml")), ids=lambda file: file.stem)
async def test_a_console_shows_the_same_under_each_profile(
    relay: Relay, edges: Edges, webhook_tls: WebhookTls, profile
):
    await told(relay, edges, webhook_tls, read_file(profile).switches)


def sets() -> Iterator[Any]:
    for number, chosen in enumerate(covering(switches.values(), SEED)):
        yield pytest.param(chosen, id=f"set{number:02}")


@pytest.fixture(scope="module")
def began() -> float:
    return time.monotonic()


@pytest.mark.soak
@pytest.mark.parametrize("chosen", list(sets()))
async def test_a_console_shows_the_same_whatever_two_switches_meet(
    relay: Relay, edges: Edges, webhook_tls: WebhookTls, began: float, chosen
):
    assert time.monotonic() - began < SOAK_S, "the sets take too long: this one and the rest were not run"
    await told(relay, edges, webhook_tls, chosen)


def test_every_switch_is_tried():
    """A switch that is no choice and no yes or no needs values in `tests/support/switches.py`."""
    assert switches.unlisted() == []
    assert set(switches.VALUES) <= set(Switches.__struct_fields__)


def test_in_the_sets_of_the_soak_every_two_values_meet():
    tried, found = switches.values(), covering(switches.values(), SEED)
    assert covering(switches.values(), SEED) == found
    for first, values in tried.items():
        for second, others in tried.items():
            if first < second:
                met = {(repr(each[first]), repr(each[second])) for each in found}
                assert met == {(repr(one), repr(other)) for one in values for other in others}


def test_every_set_of_the_soak_is_one_that_the_emulator_takes():
    assert all(Switches().changed(**chosen) for chosen in covering(switches.values(), SEED))
