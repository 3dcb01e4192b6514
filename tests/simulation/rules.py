"""The rules that a test may break, and the error of a schedule that broke a guarantee."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from relay.core.watching.watch import Watch


class Broken(AssertionError):
    """A guarantee does not hold."""


@dataclass(frozen=True)
class Rules:
    """Each is True where it holds; those of a stream are in `watch`."""

    watch: type[Watch[Any]] = Watch
    lease_demanded: bool = True
    """A write demands exactly the lease that its read was begun under."""
    read_epoch_demanded: bool = True
    """A write demands that the epoch is still the one that its read was begun in."""
    own_epoch_demanded: bool = True
    """A write demands that the epoch was made on the server it reaches: between a failover and the new epoch, none is."""
    loss_noticed: bool = True
    """The owner makes a new epoch when the store lost history."""
    answers_forgotten: bool = True
    """A new epoch deletes the answers of earlier ones."""
    gap_noticed: bool = True
    """An edge notices an entry whose predecessor it did not read."""
    snapshot_of_own_epoch: bool = True
    """An edge refuses a snapshot whose epoch was not made on the server that gave it."""
    snapshot_of_hubs_epoch: bool = True
    """An edge refuses a snapshot of another epoch than its hub's."""
    holds_told_apart: bool = True
    """Of several snapshots under way the end of one ends its own hold, and not one that has missed the same entries."""
    changes_counted: bool = True
    """A suite takes an answer for the answer to a subscription only when `changes_seen` counts that subscription."""
    nameless_forgotten: bool = True
    """A suite forgets a user's answer when no name of its stands for the user any more."""
    unanswered_asked_anew: bool = True
    """A suite calls a name held only when it was answered since it was asked for, however many streams ago."""


def play_all(seeds: Iterable[int], play: Callable[[int], None]) -> int:
    """Play a schedule for each seed; returns how many kept every promise.

    Raises:
        Broken: the first that did not, with its seed.
    """
    kept = 0
    for seed in seeds:
        try:
            play(seed)
        except Broken as broken:
            raise Broken(f"seed {seed}: {broken}") from broken
        kept += 1
    return kept
