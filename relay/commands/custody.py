"""What is kept for tenants: the audit log of what was done to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from relay.commands.frame import EXIT_USAGE, give_up, with_store
from relay.commands.naming import TenantArgument, meant_id
from relay.core.audit_export import Form

if TYPE_CHECKING:
    from relay.config import Settings
    from relay.store.connection import Store

commands = typer.Typer()


@commands.command()
def audit(
    tenant: TenantArgument,
    *,
    since: Annotated[str, typer.Option(help="No older entries than of this day or time (ISO 8601, UTC).")] = "",
    form: Annotated[Form, typer.Option("--format", help="json: JSON Lines. csv: for a spreadsheet.")] = Form.JSON,
) -> None:
    """Print a tenant's audit log of the last 30 days, newest first: who did what, and which suite watched whom."""
    begins = _time(since) if since else None

    async def work(store: Store, _: Settings) -> None:
        from relay.store.audit import AuditLog

        async for line in AuditLog(store).export(await meant_id(store, tenant), form, since=begins):
            typer.echo(line, nl=False)

    with_store(work)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        give_up(f"{text[:50]!r} is no day or time like 2026-03-01 or 2026-03-01T12:00.", EXIT_USAGE)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
