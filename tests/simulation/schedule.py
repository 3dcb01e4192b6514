"""A schedule: a seed draws a small world and its steps; then faults heal, all comes to rest, and every suite is checked.

Schedules differ on purpose, because most ways to break a guarantee need some kinds of steps often and others not at
all: a loss of history, for one, wipes out what a gap would have shown. So each seed draws its themes (names that
change, history that is lost, owners that are paused, gaps, ...) and how often each step is done to each worker, edge and
suite, so that one edge may lag far behind another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, TypeAlias

from tests.simulation.rules import Broken, Rules, play_all
from tests.simulation.suites import Suite
from tests.simulation.world import MOVES, NAMES, World

SUITES_OF_A_STORM: Final = 4
MAX_ROUNDS: Final = 200
"""Of coming to rest; one that takes more never ends."""

Steps: TypeAlias = list[tuple[float, Callable[[], object]]]
"""How often a step is done, against the others, and what it does."""


class Schedule(World):
    """One schedule; the same seed and rules give the same."""

    def run(self, steps: int) -> None:
        """A few rounds of so many steps in all, each with its own verdict: later changes would hide a lost one."""
        rounds = self.draw.randint(1, 8)
        weights, doings = zip(*self._steps(), strict=True)
        for _ in range(rounds):
            for doing in self.draw.choices(doings, weights, k=steps // rounds):
                doing()
            self.come_to_rest()
            self.check()

    def check(self) -> None:
        truth = {spelling: self.graph.meanings[NAMES[spelling]] for spelling in self.spellings}
        for suite in self.suites:
            suite.check(truth, self.graph.versions)

    def come_to_rest(self) -> None:
        """Faults heal and changes stop: an owner reads everything, and every message arrives."""
        owner = self.workers[0]
        owner.take_over()
        for worker in self.workers:
            worker.finish_read()
        owner.begin_read(self.users)
        owner.finish_read()
        for name in self.graph.meanings:
            owner.resolve(name)
        for suite in self.suites:
            suite.connect(self._any(self.edges))
        for edge in self.edges:
            edge.check_history()
            edge.catch_up()
        for suite in self.suites:
            self._let_rest(suite)

    def _let_rest(self, suite: Suite) -> None:
        for _ in range(MAX_ROUNDS):
            if not self._move(suite, limit=10):
                return
        raise Broken(f"Answered: never at rest: {suite.describe()}")

    # The steps of a schedule

    def _steps(self) -> Steps:
        steps = [*self._everyday(), *self._connections()]
        themes = (self._names, self._losses, self._owners, self._gaps, self._second_thoughts, self._storms)
        for theme in self.draw.sample(themes, self._any([1, 1, 1, 2])):
            steps += theme()
        return steps

    def _everyday(self) -> Steps:
        steps: Steps = [(self._often(), self.publish), (self._rarely(), self._change_some)]
        for worker in self.workers:
            steps.append((self._rarely(), partial(self._read_some, worker)))
            steps.append((self._rarely(), worker.finish_read))
            steps.append((self._any([0, 0, 0.3]), partial(self._forget_unwatched, worker)))
        for edge in self.edges:
            steps.append((self._any([0.1, 1, 2]), edge.read))
            steps.append((self._seldom(), edge.catch_up))
        return steps

    def _connections(self) -> Steps:
        steps: Steps = []
        for suite in self.suites:
            lazy = self._any([None, *MOVES])
            steps += [
                (self._any([2, 4, 8]), partial(self._advance, suite, lazy)),
                (self._seldom(), partial(self._settle, suite)),
                (self._rarely(), partial(self._reconnect, suite)),
                (self._rarely(), partial(self._go_away, suite)),
                (self._rarely(), partial(self._break_off, suite)),
                (self._rarely(), partial(self._return_and_break_off, suite)),
                (self._rarely(), partial(self._add, suite)),
                (self._rarely(), partial(self._remove, suite)),
            ]
        return steps

    def _names(self) -> Steps:
        steps: Steps = [(self._seldom(), self.rename), (self._now_and_then(), self.rename_and_back)]
        steps.append((self._now_and_then(), self.rename_for_a_while))
        return steps + [(self._seldom(), partial(self._resolve_some, worker)) for worker in self.workers]

    def _losses(self) -> Steps:
        """Few, because each wipes out much of what came before."""
        steps: Steps = [(self._seldom(), self.fail_over), (self._seldom(), self.store.replicate)]
        steps += [(self._now_and_then(), partial(self._lose_what_was_shown, suite)) for suite in self.suites]
        steps += [(self._seldom(), partial(self._hear_late_of_loss, suite)) for suite in self.suites]
        steps += [(self._seldom(), edge.check_history) for edge in self.edges]
        return steps + [(self._now_and_then(), worker.check_history) for worker in self.workers]

    def _owners(self) -> Steps:
        steps: Steps = [(self._seldom(), worker.take_over) for worker in self.workers]
        return [*steps, (self._now_and_then(), self.pause_owner), (self._now_and_then(), self.bring_back_paused_owner)]

    def _gaps(self) -> Steps:
        steps: Steps = [(self._now_and_then(), self.trim), (self._now_and_then(), self.publish_and_trim)]
        return steps + [(self._now_and_then(), partial(self._meet_gap, suite)) for suite in self.suites]

    def _second_thoughts(self) -> Steps:
        steps: Steps = [(self._now_and_then(), partial(self._waver, suite)) for suite in self.suites]
        return steps + [(self._seldom(), partial(self._shorten_start, suite)) for suite in self.suites]

    def _storms(self) -> Steps:
        """Few, because each is many steps."""
        while len(self.suites) < SUITES_OF_A_STORM:
            self.suites.append(self._suite())
        return [(self._now_and_then(), self.storm)]

    def _often(self) -> float:
        return self._any([0.3, 1, 3])

    def _seldom(self) -> float:
        return self._any([0, 0.2, 0.6, 1.5])

    def _now_and_then(self) -> float:
        return self._any([0.5, 1, 2, 4])

    def _rarely(self) -> float:
        return self._any([0, 0.1, 0.3, 0.6])


def run_schedules(seeds: Iterable[int], rules: Rules = Rules(), steps: int = 50) -> int:  # noqa: B008 - frozen
    """Run a schedule for each seed; see `play_all`."""
    return play_all(seeds, lambda seed: Schedule(seed, rules).run(steps))
