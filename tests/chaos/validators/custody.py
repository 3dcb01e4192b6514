"""Custody: an acknowledged grant, key or tenant survives any one crash; no secret is in an output."""

from __future__ import annotations

from tests.chaos.record import Acknowledged, Found, Output, Record


def custody(record: Record) -> list[str]:
    """Judge that all that was acknowledged was there at the end, as new as then or newer."""
    found = {(line.kind, line.id): line.value for line in record.of(Found)}
    acknowledged: dict[tuple[str, str], int] = {}
    for line in record.of(Acknowledged):
        acknowledged[line.kind, line.id] = max(line.value, acknowledged.get((line.kind, line.id), 0))
    faults = [
        f"{kind} {name} was acknowledged as {value}, and is {found.get((kind, name), 'gone')}"
        for (kind, name), value in sorted(acknowledged.items())
        if found.get((kind, name), -1) < value
    ]
    return faults + [f"{line.process} says {line.what}" for line in record.of(Output) if line.is_secret]
