"""Scenario -> its rules, and the combined findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay.dev.conformance import rules
from relay.dev.conformance.rules import Finding, Judged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relay.dev.conformance.record import Episode
    from relay.dev.conformance.rules import Judge

RULES: Final[Mapping[str, Sequence[Judge]]] = {
    "start": (rules.names_users, rules.keeps_requests_open),
    "drain": (rules.leaves, rules.moves_in_time, rules.resumes, rules.holds_users),
    "cut": (rules.comes_back, rules.waits, rules.waits_at_random, rules.resumes, rules.holds_users),
    "busy": (rules.comes_back, rules.obeys_retry_info),
    "reset": (rules.keeps_stream, rules.comes_back, rules.resumes),
    "rename": (rules.follows_names, rules.comes_back),
    "throttle": (rules.keeps_stream,),
    "slow": (rules.is_patient,),
    "gone": (rules.does_not_hammer, rules.comes_back, rules.resumes),
    "silent": (rules.notices_silence, rules.resumes),
    "revoke": (rules.stops,),
}
"""Rules of each scenario; `rules.valid_requests` applies to all."""
RESUMING: Final = (rules.resumes, rules.holds_users)
"""Rules that do not apply to a simple client, which requests everything again."""


@dataclass(frozen=True, slots=True)
class CheckedRule:
    """One line of the checklist."""

    scenario: str
    rule: str
    asks: str
    """The requirement, as a sentence about the suite."""
    verdict: Judged
    why: str


def judge(episode: Episode, *, simple: bool = False) -> list[CheckedRule]:
    """Return the checks of one episode.

    Args:
        episode: what was recorded.
        simple: whether the suite is a simple client, which does not resume.
    """
    found = []
    for rule in (*RULES[episode.scenario], rules.valid_requests):
        if simple and rule in RESUMING:
            continue
        finding = rule(episode) if episode.done_s or rule in _WITHOUT else _not_played(episode)
        asks = (rule.__doc__ or "").split("\n")[0]
        found.append(CheckedRule(episode.scenario, rule.__name__.replace("_", "-"), asks, finding.verdict, finding.why))
    return found


def passes(checks: Sequence[CheckedRule]) -> bool:
    """Return whether nothing failed and something passed."""
    verdicts = [check.verdict for check in checks]
    return Judged.FAIL not in verdicts and Judged.PASS in verdicts


_WITHOUT: Final = (rules.valid_requests, rules.names_users, rules.keeps_requests_open)
"""Rules that need no disturbance."""


def _not_played(episode: Episode) -> Finding:
    return Finding(Judged.UNSEEN, f"Not played: {episode.trouble or 'the scenario was stopped'}.")
