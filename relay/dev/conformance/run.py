"""A whole run: the relay, the suite's program, the scenarios, the checklist."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from relay.dev.conformance import report
from relay.dev.conformance.checklist import judge, passes
from relay.dev.conformance.program import filled, running_program
from relay.dev.conformance.relay import PlayedRelay, Times
from relay.dev.conformance.scenarios import SCENARIOS, meaning, play
from relay.dev.folder import DevTrouble
from relay.ops import logging

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from relay.dev.conformance.checklist import CheckedRule

USERS: Final = ("ada@contoso.example", "ben@contoso.example", "chloe@contoso.example")
LOG: Final = "suite.out"

T = TypeVar("T")
Suite: TypeAlias = "Callable[[PlayedRelay], AbstractAsyncContextManager[None]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class KitOptions:
    """The options of the command.

    Attributes:
        folder: for certificate, key and the output of the suite's program.
        port: the port for suites; 0 is any free port.
        scenarios: names of the scenarios to run; all when empty.
        by_hand: whether a person types the scenarios.
        command: the suite's program; empty when a person starts it.
        simple: whether the suite is a simple client, which need not resume.
        times: durations of the scenarios.
    """

    folder: Path
    port: int = 0
    scenarios: Sequence[str] = ()
    by_hand: bool = False
    command: Sequence[str] = ()
    simple: bool = False
    times: Times = field(default_factory=Times)


@dataclass(frozen=True, slots=True)
class Examined:
    """The checklist of a run, in each form."""

    passes: bool
    text: str
    json: str
    html: str


def described() -> str:
    """Return a line for each scenario."""
    return "".join(f"{name:<10}{meaning(name)}\n" for name in SCENARIOS)


def examine(options: KitOptions, say: Callable[[str], None]) -> Examined:
    """Play the scenarios to a suite.

    Args:
        options: of the command.
        say: tells a person what is going on.

    Raises:
        DevTrouble: the kit cannot be run here; says what to do.
    """
    logging.configure("text", "warning")
    checks = asyncio.run(_ended_in_order(conformance(options, say, lambda relay: program(relay, options, say))))
    return Examined(passes(checks), report.as_text(checks), report.as_json(checks), report.as_html(checks))


async def _ended_in_order(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; SIGTERM ends it as Ctrl-C does, so that the suite's program is ended too."""
    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError):  # Windows does not have this signal
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def conformance(options: KitOptions, say: Callable[[str], None], suite: Suite) -> list[CheckedRule]:
    """Run the scenarios against a suite, and return the checklist.

    Args:
        options: of the command.
        say: tells a person what is going on.
        suite: entered when suites may connect, and left after the last scenario.

    Raises:
        DevTrouble: see `examine`.
    """
    unknown = [name for name in options.scenarios if name not in SCENARIOS]
    if unknown:
        raise DevTrouble(f"There is no scenario {unknown[0]}. There are: {', '.join(SCENARIOS)}.")
    checks: list[CheckedRule] = []
    async with PlayedRelay(options.folder, options.port, options.times) as relay, suite(relay):
        async for name in _by_hand(say) if options.by_hand else _in_order(options.scenarios):
            say(f"{name}: {meaning(name)}")
            found = judge(await play(name, relay), simple=options.simple)
            checks += found
            say("".join(f"  {check.verdict.value}: {check.asks} {check.why}\n" for check in found).rstrip("\n"))
    return checks


@asynccontextmanager
async def program(relay: PlayedRelay, options: KitOptions, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Run the suite's program, as `Suite`; without one, print the address for the person's suite."""
    if not options.command:
        say(_greeting(relay))
        yield
        return
    words = {"address": relay.address, "ca": str(relay.ca_file), "key": str(relay.key_file)}
    command = [part for word in options.command for part in (USERS if word == "{users}" else (word,))]
    log = options.folder / LOG
    async with running_program(filled(command, words), log) as process:
        ended = asyncio.create_task(process.wait(), name="conformance-program")
        ended.add_done_callback(lambda _: relay.observer.noted())
        relay.given_up = lambda: (
            "" if process.returncode is None else f"the program ended with exit code {process.returncode}; see {log}"
        )
        try:
            yield
        finally:
            ended.cancel()


async def _in_order(names: Sequence[str]) -> AsyncIterator[str]:
    for name in SCENARIOS:
        if not names or name in names:
            yield name


async def _by_hand(say: Callable[[str], None]) -> AsyncIterator[str]:
    say(f"Type a scenario and Enter; an empty line ends the run.\n{described()}")
    while name := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if name in SCENARIOS:
            yield name
        else:
            say(f"There is no scenario {name}. There are: {', '.join(SCENARIOS)}.")


def _greeting(relay: PlayedRelay) -> str:
    return "\n".join(
        [
            "The relay is ready. Connect your suite, with any users:",
            "",
            f"  address   {relay.address}",
            f"  CA file   {relay.ca_file}",
            f"  key file  {relay.key_file}",
            "",
        ]
    )
