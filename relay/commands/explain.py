"""`presence-relay explain`: explain one user's presence, or why there is none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from relay.commands.naming import TenantArgument, find_tenant_id
from relay.commands.runner import EXIT_USAGE, fail, with_store

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
    user: Annotated[str, typer.Argument(help="User name (UPN) or object id, as suites send it.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")] = False,
) -> None:
    """Explain one user: Microsoft's report, the presence that suites show, the account that reads, the suites that watch, and what to do."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.diagnosis import explanation
        from relay.store.custody.vault import Vault

        tenant_id = await find_tenant_id(store, tenant)
        found = await explanation.explain(store, Vault(store, settings.key_ring()), tenant_id, user)
        if found is None:
            fail(f"{tenant_id} has left the relay.", EXIT_USAGE)
        if as_json:
            typer.echo(json.dumps(explanation.as_json(found), ensure_ascii=False))
        else:
            for label, text in lines(found):
                typer.echo(f"{label:<12}{_plain(text)}".rstrip())

    with_store(work, "vault.key_ring")


def lines(found: Explanation) -> Iterator[tuple[str, str]]:
    """Yield the explanation as labels and texts."""
    yield "user", f"{found.title}  {found.user_id or ''}"
    yield "state", f"{found.word}{_since(found)}"
    if (presence := found.presence) is not None:
        yield "microsoft", f"{presence.raw_availability or '-'} / {presence.raw_activity or '-'}"
        if (mapped := found.mapped) is not None:
            override = ", which this organisation shows as another status" if mapped.override is not None else ""
            yield "row", f"{mapped.name} -> {presence.console_status.name}{override}"
        yield "source", f"{presence.source.name.lower()}, {_instant(presence.observe_time)}"
    if found.absence is not None:
        yield "why", found.absence.why
        yield "what to do", found.absence.remedy
    yield from _reading(found)
    yield from _watching(found)
    yield "connector", f"{found.connector.state}: {found.connector.cause}"
    for note in found.connector.notes:
        yield "", str(note)


def _reading(found: Explanation) -> Iterator[tuple[str, str]]:
    owner = found.owner
    if owner is None:
        limited = "too many questions about this organisation at once; ask again in ten seconds"
        yield "worker", limited if found.is_limited else "none answered; how the user is read is not known"
        return
    if found.confirmed is not None:
        yield "confirmed", _instant(found.confirmed)
    if found.next_read is not None:
        every = f", every {owner.interval_s:.1f} s"
        yield "next read", f"{_instant(found.next_read)}{every} with {found.reading or 'no account that works'}"
    elif owner.set_aside_s is not None:
        yield "next read", f"in {owner.set_aside_s:.0f} s: Microsoft refuses to answer for this user"
    else:
        yield "next read", "none is planned"
    until = found.covered_until
    if found.covering and until is not None:
        yield "announced", f"to the subscription of {found.covering}, which lasts until {_instant(until)}"
    if owner.trouble:
        yield "trouble", owner.trouble
    yield "worker", owner.worker_id


def _watching(found: Explanation) -> Iterator[tuple[str, str]]:
    yield "asked as", ", ".join(found.names) or "-"
    labels = ", ".join(suite.label or suite.key_id for suite in found.suites)
    more = "" if found.is_whole or not found.is_requested else " (not every edge answered)"
    yield "suites", (labels or "none") + more
    if found.is_shown:
        yield "page", "a diagnostics page watches this user for a minute"


def _since(found: Explanation) -> str:
    return f", since {_instant(found.since)}" if found.since is not None else ""


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _plain(text: str) -> str:
    """Replace characters that move a terminal's cursor, because names are untrusted."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
