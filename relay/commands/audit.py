"""`presence-relay audit`: export the audit log of a tenant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from relay.commands.naming import TenantArgument, find_tenant_id
from relay.commands.runner import EXIT_USAGE, fail, with_store
from relay.core.audit.export import Form

if TYPE_CHECKING:
    from relay.settings.load import Settings
    from relay.store.server.connection import Store

commands = typer.Typer()


@commands.command()
def audit(
    tenant: TenantArgument,
    *,
    since: Annotated[str, typer.Option(help="Print no entries older than this day or time (ISO 8601, UTC).")] = "",
    form: Annotated[Form, typer.Option("--format", help="json: JSON Lines. csv: for a spreadsheet.")] = Form.JSON,
) -> None:
    """Print a tenant's audit log of the last 30 days, newest first: actions, and which suite watched which users."""
    begins = _parse_time(since) if since else None

    async def work(store: Store, _: Settings) -> None:
        from relay.store.custody.audit import AuditLog

        async for line in AuditLog(store).export(await find_tenant_id(store, tenant), form, since=begins):
            typer.echo(line, nl=False)

    with_store(work)


def _parse_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text[:50]!r} is not a day or time like 2026-03-01 or 2026-03-01T12:00.", EXIT_USAGE)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
