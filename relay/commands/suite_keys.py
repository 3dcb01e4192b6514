"""`presence-relay suite-keys`: issue, list, mark and revoke suite keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from relay.commands.naming import TenantArgument, find_tenant_id
from relay.commands.runner import EXIT_FAILURE, EXIT_USAGE, fail, with_store
from relay.core.audit import events as audit

if TYPE_CHECKING:
    from relay.settings.load import Settings
    from relay.store.custody.marking import MarkedKey
    from relay.store.server.connection import Store

commands = typer.Typer(
    no_args_is_help=True, help="Issue, list and revoke suite keys. Each lets the suites of one tenant connect."
)


@commands.command()
def issue(
    tenant: TenantArgument,
    *,
    label: Annotated[str, typer.Option(help="A label for people, such as the suite's location.")] = "",
) -> None:
    """Issue a suite key and print it once. Needs the key ring, which signs its mark."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.custody.suite_keys import SuiteKeys
        from relay.store.sealing.marks import RingMarks

        suite_keys, made = SuiteKeys(store, RingMarks(settings.key_ring())), audit.key_made(audit.OPERATOR, label)
        typer.echo((await suite_keys.issue(await find_tenant_id(store, tenant), label, made)).text)

    with_store(work, "vault.key_ring")


@commands.command()
def mark(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Sign the suite keys that earlier releases issued, once. Read the list first: it may contain keys that you did not issue."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.custody.marking import Marking
        from relay.store.sealing.marks import MarkVerdict, RingMarks

        marking = Marking(store, RingMarks(settings.key_ring()))
        others = [key async for key in marking.in_force() if key.standing is not MarkVerdict.GENUINE]
        for key in (key for key in others if key.standing is not MarkVerdict.MISSING or not key.is_listed):
            typer.echo(f"{_shown(key)}  NOT marked: {_why_not(key)}", err=True)
        unmarked = sorted(
            (key for key in others if key.standing is MarkVerdict.MISSING and key.is_listed),
            key=lambda key: (key.record.tenant_id, key.record.created),
        )
        if not unmarked:
            typer.echo("There is no suite key to mark.")
            return
        for key in unmarked:
            typer.echo(_shown(key))
        typer.echo(f"{len(unmarked)} suite keys have no mark. A marked key lets its holder in: revoke")
        typer.echo("those that you did not issue (presence-relay suite-keys revoke), and mark the others.")
        if not yes and not typer.confirm("Mark these now?"):
            raise typer.Exit(EXIT_FAILURE)
        marked = [await marking.mark(key) for key in unmarked]
        typer.echo(f"{sum(marked)} marked.")
        if not all(marked):
            typer.echo(f"{len(marked) - sum(marked)} changed meanwhile; run this again.")

    with_store(work, "vault.key_ring")


@commands.command("list")
def list_keys(tenant: TenantArgument) -> None:
    """List a tenant's suite keys."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.custody.suite_keys import SuiteKeys

        for key in await SuiteKeys(store).list(await find_tenant_id(store, tenant)):
            state = "revoked" if key.revoked else "in force"
            typer.echo(f"{key.key_id}  {state:<8}  {key.created:%Y-%m-%d}  {key.label or '-'}")

    with_store(work)


@commands.command()
def revoke(
    tenant: TenantArgument,
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="Key id, as `suite-keys list` shows it.")],
) -> None:
    """Revoke a suite key. Streams that use it end within seconds."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.custody.suite_keys import SuiteKeys

        tenant_id = await find_tenant_id(store, tenant)
        suite_keys = SuiteKeys(store)
        labels = {key.key_id: key.label for key in await suite_keys.list(tenant_id)}
        if key_id not in labels:
            fail(f"{tenant_id} has no suite key {key_id}: presence-relay suite-keys list {tenant_id}", EXIT_USAGE)
        await suite_keys.revoke(key_id, audit.key_revoked(audit.OPERATOR, key_id, labels[key_id]))
        typer.echo(f"{key_id} is revoked.")

    with_store(work)


def _shown(key: MarkedKey) -> str:
    record = key.record
    used = f"{record.last_used:%Y-%m-%d}" if record.last_used else "never"
    label = "".join(character if character.isprintable() else "?" for character in record.label)
    return f"{record.tenant_id}  {record.key_id}  made {record.created:%Y-%m-%d}  used {used:<10}  {label or '-'}"


def _why_not(key: MarkedKey) -> str:
    from relay.store.sealing.marks import MarkVerdict

    if not key.is_listed:
        return "its tenant does not list it, so the relay did not issue it; delete it in Redis"
    if key.standing is MarkVerdict.KEY_UNKNOWN:
        return f"it has a mark of the key {key.kid}, which is missing from the ring"
    return "its mark belongs to another record: someone changed it in Redis; revoke it"
