"""Ask the doctor of suites, in this process."""

from __future__ import annotations

from suite.channel import target
from suite.doctor.examine import Examination, examine
from suite.doctor.idle import Idling
from suite.doctor.line import Patience
from suite.doctor.rows import State
from suite.doctor.values import Hop
from suite.doctor.verdict import Report, judge

KEY = "psk_1f2e3d4c_secret"
PATIENCE_S = 60.0
"""As long as a busy machine wants. Only what is to be silent gets less."""


async def told(
    address: str,
    ca_pem: bytes | None,
    *,
    proxy: str = "",
    key: str | None = KEY,
    server_name: str | None = None,
    idling: Idling | None = None,
    step_s: float = PATIENCE_S,
    call_s: float = PATIENCE_S,
) -> Report:
    """Return the doctor's report on the way to a relay."""
    asked = target(address, ca_pem=ca_pem, server_name=server_name, proxy=proxy, environ={})
    examination = Examination(asked, key, idling, Patience(step_s, call_s))
    return judge(await examine(examination), asked)


def failed(report: Report) -> list[Hop]:
    """Return the hops that fail."""
    return [row.hop for row in report.rows if row.state is State.FAILED]


def state(report: Report, hop: Hop) -> State:
    """Return how a hop fares."""
    return next(row.state for row in report.rows if row.hop is hop)
