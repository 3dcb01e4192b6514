"""`presence-relay certificates`: make and list the certificates that change notifications are encrypted for."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.commands.runner import EXIT_USAGE, errors_as_lines, fail, with_store

if TYPE_CHECKING:
    from relay.settings.load import Settings
    from relay.store.server.connection import Store

commands = typer.Typer(
    no_args_is_help=True, help="Make and list the certificates that change notifications are encrypted for."
)


@commands.command("make")
def make_certificate(
    folder: Annotated[Path, typer.Argument(help="The folder that RELAY_WEBHOOK_CERTIFICATES names.")],
    *,
    name: Annotated[str, typer.Option(help="Name of the certificate. Default: the date and random characters.")] = "",
) -> None:
    """Make a certificate with its key. Workers load it within seconds; subscriptions use it from their next renewal on."""
    with errors_as_lines():
        from relay.graph.push.certificates import SUFFIX, is_name, make

        now = datetime.now(UTC)
        name = name or f"{now:%Y-%m-%d}-{secrets.token_hex(3)}"
        if not is_name(name):
            fail(
                f"{name[:50]!r} is not a valid name for a certificate. Use letters, digits, points and dashes.",
                EXIT_USAGE,
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / f"{name}{SUFFIX}"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
            output.write(make(name, now))
        typer.echo(f"{file}: made. RELAY_WEBHOOK_CERTIFICATES={folder}")


@commands.command("list")
def list_certificates() -> None:
    """List the certificates, and how many subscriptions use each. One that no subscription uses may be deleted."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.graph.push.certificates import Certificates
        from relay.store.custody.tenants import Tenants
        from relay.store.presence.subscriptions import Subscriptions

        known = Certificates.load(settings.webhook.certificates or "")
        tenant_ids = [tenant.tenant_id for tenant in await Tenants(store).list()]
        used = await Subscriptions(store).certificates_in_use(tenant_ids)
        for one in known.all():
            count = used.pop(one.certificate_id, 0) + used.pop(one.name, 0)  # bare names come from earlier releases
            mark = "newest" if one is known.newest else "      "
            valid = f"valid {one.begins:%Y-%m-%d} to {one.ends:%Y-%m-%d}"
            typer.echo(f"{one.name}  {mark}  {valid}  {count} subscriptions")
        for certificate_id, count in used.items():
            typer.echo(f"{certificate_id}  MISSING, {count} subscriptions are encrypted for it", err=True)

    with_store(work, "webhook.certificates")
