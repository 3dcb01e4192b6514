"""The rules: observations -> a row for each hop, and a verdict. Pure. `way` has the connection's rules, `service` the relay's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from suite.doctor.rows import Row, State, capital
from suite.doctor.service import service_rows
from suite.doctor.values import Hop
from suite.doctor.way import SET_PROXY, via, way_rows

if TYPE_CHECKING:
    from suite.channel import Target
    from suite.doctor.values import Observations


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence with the result and what to do.

    Attributes:
        hop: the hop that fails; None when none does.
    """

    sentence: str
    hop: Hop | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A row for each hop, and the verdict."""

    rows: tuple[Row, ...]
    verdict: Verdict


def judge(seen: Observations, target: Target, *, in_file: bool = False) -> Report:
    """Return the report on the observations. With `in_file`, it names settings of the agent instead of options."""
    rows = {row.hop: row for row in (*way_rows(seen, target), *service_rows(seen, target))}
    ordered = tuple(rows.get(hop) or Row(hop, State.SKIPPED, "not reached") for hop in Hop)
    if in_file:
        ordered = tuple(replace(row, remedy=_as_settings(row.remedy), seen=_as_settings(row.seen)) for row in ordered)
    return Report(ordered, _verdict(ordered, seen, target))


def _verdict(rows: tuple[Row, ...], seen: Observations, target: Target) -> Verdict:
    failed = {row.hop: row for row in rows if row.state is State.FAILED}
    if failed:
        first = failed[_most_telling(failed)]
        return Verdict(capital(first.remedy, target.address), first.hop)
    notes = [row for row in rows if row.state is State.NOTE]
    way = f"the relay at {target.address}{via(target)}"
    if notes:
        return Verdict(f"Suites on this machine can use {way}, but {notes[0].remedy}")
    if not seen.has_key:
        return Verdict(f"The connection to {way} works: try it with the suite key.")
    return Verdict(f"All is well: suites on this machine can use {way}.")


_SETTINGS: Final = {
    SET_PROXY: "HTTPS_PROXY or the setting Relay.Proxy", "--ca-file": "Relay.CaFile", "--server-name": "Relay.ServerName",
    "--key-file": "Relay.KeyFile", "--form stream": "Relay.Form = stream",
}  # fmt: skip
"""Option -> setting."""


def _as_settings(text: str) -> str:
    for option, setting in _SETTINGS.items():
        text = text.replace(option, setting)
    return text


def _most_telling(failed: dict[Hop, Row]) -> Hop:
    """Return the hop to fix: the first that fails, unless a later one shows that fixing the first would not help."""
    if Hop.CERTIFICATE in failed:
        # A wrong clock invalidates good certificates. An inspecting proxy without HTTP/2 does not work even if it is trusted.
        return next((hop for hop in (Hop.CLOCK, Hop.HTTP2) if hop in failed), Hop.CERTIFICATE)
    return next(hop for hop in Hop if hop in failed)
