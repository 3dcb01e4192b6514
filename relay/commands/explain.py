"""Why one user has the presence that is shown, or none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from relay.commands.frame import EXIT_USAGE, give_up, with_store
from relay.commands.naming import TenantArgument, meant_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from relay.diagnosis.explanation import Explanation
    from relay.settings.load import Settings
    from relay.store.server.connection import Store

commands = typer.Typer()


@commands.command()
def explain(
    tenant: TenantArgument,
    user: Annotated[str, typer.Argument(help="User name (UPN) or object id, as a suite gives it.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for programs.")] = False,
) -> None:
    """Explain one user: what Microsoft said, what became of it, who reads and who watches, and what to do if there is nothing."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.diagnosis import explanation
        from relay.store.custody.vault import Vault

        tenant_id = await meant_id(store, tenant)
        said = await explanation.explain(store, Vault(store, settings.key_ring()), tenant_id, user)
        if said is None:
            give_up(f"{tenant_id} has left the relay.", EXIT_USAGE)
        if as_json:
            typer.echo(json.dumps(explanation.as_json(said), ensure_ascii=False))
        else:
            for label, text in lines(said):
                typer.echo(f"{label:<12}{_plain(text)}".rstrip())

    with_store(work, "vault.key_ring")


def lines(said: Explanation) -> Iterator[tuple[str, str]]:
    """What is said, as labels and texts."""
    yield "user", f"{said.title}  {said.user_id or ''}"
    yield "state", f"{said.word}{_since(said)}"
    if (presence := said.presence) is not None:
        yield "microsoft", f"{presence.raw_availability or '-'} / {presence.raw_activity or '-'}"
        if (mapped := said.mapped) is not None:
            override = ", which this organisation draws otherwise" if mapped.override is not None else ""
            yield "row", f"{mapped.name} -> {presence.console_status.name}{override}"
        yield "source", f"{presence.source.name.lower()}, {_instant(presence.observe_time)}"
    if said.absence is not None:
        yield "why", said.absence.why
        yield "what to do", said.absence.remedy
    yield from _reading(said)
    yield from _watching(said)
    yield "connector", f"{said.connector.state}: {said.connector.cause}"
    for note in said.connector.notes:
        yield "", str(note)


def _reading(said: Explanation) -> Iterator[tuple[str, str]]:
    owner = said.owner
    if owner is None:
        limited = "too many questions of this organisation at once; ask again in ten seconds"
        yield "worker", limited if said.is_limited else "none answered; how the user is read is not known"
        return
    if said.confirmed is not None:
        yield "confirmed", _instant(said.confirmed)
    if said.next_read is not None:
        every = f", every {owner.interval_s:.1f} s"
        yield "next read", f"{_instant(said.next_read)}{every} with {said.reading or 'no account that works'}"
    elif owner.set_aside_s is not None:
        yield "next read", f"in {owner.set_aside_s:.0f} s: Microsoft refuses to answer for this user"
    else:
        yield "next read", "none is planned"
    until = said.covered_until
    if said.covering and until is not None:
        yield "announced", f"to the subscription of {said.covering}, which lasts until {_instant(until)}"
    if owner.trouble:
        yield "trouble", owner.trouble
    yield "worker", owner.worker_id


def _watching(said: Explanation) -> Iterator[tuple[str, str]]:
    yield "asked as", ", ".join(said.names) or "-"
    labels = ", ".join(suite.label or suite.key_id for suite in said.suites)
    more = "" if said.is_whole or not said.is_requested else " (not every edge answered)"
    yield "suites", (labels or "none") + more
    if said.is_shown:
        yield "page", "a diagnostics page watches this user for a minute"


def _since(said: Explanation) -> str:
    return f", since {_instant(said.since)}" if said.since is not None else ""


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _plain(text: str) -> str:
    """Without characters that move a terminal's cursor: names come from outside."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
