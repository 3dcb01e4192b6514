"""`presence-relay`: the operator's commands. Thin: each reads settings, calls one function, and says what came of it."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeVar

import typer

from relay import config
from relay.config import Role
from relay.core import names
from relay.errors import ConsentRequired, CredentialRejected, NotSaved, RelayError, StoreUnavailable
from relay.ops import logging
from relay.variables import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from relay.config import Settings
    from relay.core.presence import TenantId
    from relay.store.connection import Store
    from relay.store.push import PushStatus

T = TypeVar("T")

EXIT_TROUBLE: Final = 1
EXIT_USAGE: Final = 2

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
tenants = typer.Typer(no_args_is_help=True, help="The organisations that use this relay.")
keys = typer.Typer(no_args_is_help=True, help="Suite keys, and the key ring that grants are encrypted with.")
app.add_typer(tenants, name="tenants")
app.add_typer(keys, name="keys")
certificates = typer.Typer(no_args_is_help=True, help="Certificates that change notifications are encrypted for.")
app.add_typer(certificates, name="certificates")

TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="Tenant id (a GUID) or the tenant's domain.")]


@app.callback()
def presence_relay() -> None:
    """Shows phone suites the Microsoft Teams presence of colleagues.

    Settings are RELAY_... variables; `presence-relay settings` lists them. Exit codes: 0 done, 1 something outside is wrong,
    2 wrong usage or settings.
    """


# ---- running ------------------------------------------------------------------------------------------------------------


@app.command()
def serve(
    roles: Annotated[list[str], typer.Argument(metavar="ROLE...", help="edge, worker, webhook, web, or all.")],
) -> None:
    """Run roles until SIGTERM or Ctrl-C."""
    chosen = _roles(roles)
    with _told():
        from relay import app as relay_app

        settings = _settings(*config.needs_of(chosen))
        relay_app.until_signalled(lambda stop: relay_app.run(settings, chosen, stop))


@app.command()
def dev(
    *,
    state: Annotated[Path, typer.Option(help="Folder that is kept between runs.")] = Path(".state/dev"),
    cloud: Annotated[
        str, typer.Option(help="local: a Microsoft cloud on this machine. microsoft: the real one.")
    ] = "local",
    client_id: Annotated[str, typer.Option(help="Application id of your app registration.")] = "",
    client_secret_file: Annotated[Path | None, typer.Option(help="File with its secret.")] = None,
    certificate_file: Annotated[
        Path | None, typer.Option(help="PEM file with its certificate and, here or in --private-key-file, the key.")
    ] = None,
    private_key_file: Annotated[Path | None, typer.Option(help="PEM file with the certificate's private key.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "warning",
) -> None:
    """Run a whole relay on this machine: Valkey, all roles, TLS, and an organisation to try."""
    with _told():
        from relay import app as relay_app
        from relay.dev.run import DevOptions
        from relay.dev.run import dev as run_dev

        microsoft = _registration(cloud, client_id, client_secret_file, certificate_file, private_key_file)
        options = DevOptions(state=state, microsoft=microsoft, log_level=log_level)
        logging.configure("text", log_level)
        relay_app.until_signalled(lambda stop: run_dev(options, stop, typer.echo))


@app.command()
def check() -> None:
    """Look at everything that the relay needs, and say what to do."""
    with _told():
        from relay.preflight import checked

        # The pages may be left out; what is set for them is checked all the same.
        settings = _settings(*config.needs_of([Role.EDGE, Role.WORKER]))
        findings = _run(checked(settings))
    for finding in findings:
        typer.echo(f"{'ok   ' if finding.is_good else 'WRONG'} {finding.text}")
    if not all(finding.is_good for finding in findings):
        raise typer.Exit(EXIT_TROUBLE)


@app.command()
def probe(
    *,
    tenant: Annotated[str, typer.Option(help="Tenant id or domain; may be left out when there is one only.")] = "",
    output: Annotated[Path, typer.Option(help="Where the profile goes. An existing file is never overwritten.")] = Path(
        "probe.toml"
    ),
    cloud: Annotated[
        str,
        typer.Option(
            help="microsoft: a cloud of Microsoft's, as RELAY_CLOUD says. configured: RELAY_CLOUD may be custom."
        ),
    ] = "microsoft",
    guest: Annotated[str, typer.Option(help="UPN or id of a guest of the tenant, to ask about guests.")] = "",
    unlicensed: Annotated[str, typer.Option(help="UPN or id of somebody without Teams, to ask about such users.")] = "",
    deleted: Annotated[str, typer.Option(help="Object id of a deleted account, to ask about such users.")] = "",
    without_count: Annotated[
        bool, typer.Option("--without-count", help="Do not ask whether Graph counts users or requests.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Ask a real test tenant what Microsoft does not document, and write a profile that the local cloud can load."""
    from relay.probe.questions import Options

    options = Options(guest=guest, unlicensed=unlicensed, deleted=deleted, without_count=without_count)
    for fault in options.faults():
        _give_up(fault, EXIT_USAGE)
    if cloud not in ("microsoft", "configured"):
        _give_up(f"--cloud is microsoft or configured, not {cloud!r}.", EXIT_USAGE)

    async def work(store: Store, settings: Settings) -> None:
        from relay.probe.run import plan, probe_into

        if cloud == "microsoft" and settings.cloud.name == "custom":
            _give_up(
                "RELAY_CLOUD is custom, which is not Microsoft's: --cloud configured asks it all the same.", EXIT_USAGE
            )
        tenant_id = await (_found(store, tenant) if tenant else _only(store))
        typer.echo(f"About {tenant_id}, with the consent that is kept of it. " + "\n".join(plan(options)))
        if not yes and not typer.confirm("Ask now?"):
            raise typer.Exit
        profile = await probe_into(output, store, settings, tenant_id, options)
        typer.echo(
            f"{output}: written. {len(profile.switches)} switches learned, {len(profile.unanswered)} questions open."
        )

    _with_store(work, *config.ONBOARDING)


@app.command("settings")
def show_settings() -> None:
    """List all settings, as a table in Markdown."""
    typer.echo(config.table(), nl=False)


# ---- tenants ------------------------------------------------------------------------------------------------------------


@tenants.command("list")
def list_tenants() -> None:
    """List the tenants."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.tenants import Tenants

        found = await Tenants(store).list()
        for tenant in found:
            typer.echo(f"{tenant.tenant_id}  {tenant.state:<16}  {tenant.domain or '-'}")
        if not found:
            typer.echo("No tenants yet: presence-relay tenants onboard", err=True)

    _with_store(work)


@tenants.command("show")
def show_tenant(tenant: TenantArgument) -> None:
    """Show a tenant with its grants and suite keys."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.push import PushStatuses
        from relay.store.suite_keys import SuiteKeys
        from relay.store.tenants import Tenants
        from relay.store.vault import Vault

        tenant_id = await _found(store, tenant)
        record = await Tenants(store).load(tenant_id)
        assert record is not None
        typer.echo(f"tenant   {tenant_id}\ndomain   {record.domain or '-'}\nstate    {record.state}")
        typer.echo(f"since    {record.created:%Y-%m-%d %H:%M} UTC")
        typer.echo(f"push     {_push_words(await PushStatuses(store).load(tenant_id))}")
        for grant in await Vault(store, settings.key_ring()).list(tenant_id):
            trouble = "its key is missing from the key ring" if grant.sealed_shut else grant.error
            typer.echo(f"grant    {grant.upn or grant.account_id}  {grant.state}{f' ({trouble})' if trouble else ''}")
        for key in await SuiteKeys(store).list(tenant_id):
            used = f"last used {key.last_used:%Y-%m-%d %H:00} UTC" if key.last_used else "never used"
            ended = f"revoked {key.revoked:%Y-%m-%d %H:%M} UTC" if key.revoked else used
            typer.echo(f"key      {key.key_id}  {key.label or '-'}  {ended}")

    _with_store(work, "vault.key_ring")


@tenants.command()
def onboard(
    *,
    tenant: Annotated[str, typer.Option(help="Tenant id to accept nobody else.")] = "",
    port: Annotated[int, typer.Option(help="Port on localhost that the browser comes back to.")] = 8400,
    wait: Annotated[int, typer.Option(help="Minutes to wait for the sign-in.", min=1, max=60)] = 10,
) -> None:
    """Take an organisation in: someone of it signs in and consents in a browser on this machine."""
    if tenant and names.tenant_id(tenant) is None:
        _give_up(f"{tenant!r} is no tenant id (a GUID).", EXIT_USAGE)

    async def work(store: Store, settings: Settings) -> None:
        from relay.onboarding_by_hand import onboard_by_hand

        issued = await onboard_by_hand(store, settings, typer.echo, tenant=tenant.lower(), port=port, wait_s=60 * wait)
        typer.echo("The suite key, shown this once. Keep it in a file that only the suite can read:", err=True)
        typer.echo(issued.text)

    _with_store(work, *config.ONBOARDING)


@tenants.command("remove")
def remove_tenant(
    tenant: TenantArgument, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Delete a tenant: its grants, its suite keys and all that is known of its users. Its streams end."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.tenants import Tenants

        tenant_id = await _found(store, tenant)
        if not yes and not typer.confirm(f"Delete {tenant_id}, its grants and its suite keys?"):
            raise typer.Exit
        await Tenants(store).remove(tenant_id)
        typer.echo(f"{tenant_id} is deleted. In Entra, its administrator may also remove the application.")

    _with_store(work)


# ---- keys ---------------------------------------------------------------------------------------------------------------


@keys.command("ring-new")
def new_ring(
    file: Annotated[Path, typer.Argument(help="Where the key ring goes. An existing one is never overwritten.")],
    *,
    add_to: Annotated[Path | None, typer.Option(help="A ring whose keys are kept behind the new one.")] = None,
) -> None:
    """Make a key ring, for RELAY_VAULT_KEY_RING_FILE. Keep a copy in a safe place: without it all grants are lost."""
    with _told():
        from relay.store.keyring import KeyRing, make_ring

        older = add_to.read_text() if add_to is not None else None
        if older is not None:
            KeyRing.from_json(older)
        now_s = int(time.time())
        kid = f"{time.strftime('%Y-%m-%d', time.gmtime(now_s))}-{secrets.token_hex(3)}"
        ring = make_ring(kid, now_s=now_s, older=older)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write(f"{ring}\n")
        typer.echo(f"{file}: made. RELAY_VAULT_KEY_RING_FILE={file}")


@keys.command()
def issue(
    tenant: TenantArgument, *, label: Annotated[str, typer.Option(help="What people call the suite.")] = ""
) -> None:
    """Make a suite key; prints it, this once."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.suite_keys import SuiteKeys

        typer.echo((await SuiteKeys(store).issue(await _found(store, tenant), label)).text)

    _with_store(work)


@keys.command("list")
def list_keys(tenant: TenantArgument) -> None:
    """List a tenant's suite keys."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.suite_keys import SuiteKeys

        for key in await SuiteKeys(store).list(await _found(store, tenant)):
            state = "revoked" if key.revoked else "in force"
            typer.echo(f"{key.key_id}  {state:<8}  {key.created:%Y-%m-%d}  {key.label or '-'}")

    _with_store(work)


@keys.command()
def revoke(
    tenant: TenantArgument, key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `keys list` shows it.")]
) -> None:
    """End a suite key and the streams that use it."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.suite_keys import SuiteKeys

        tenant_id = await _found(store, tenant)
        suite_keys = SuiteKeys(store)
        if key_id not in {key.key_id for key in await suite_keys.list(tenant_id)}:
            _give_up(f"{tenant_id} has no suite key {key_id}: presence-relay keys list {tenant_id}", EXIT_USAGE)
        await suite_keys.revoke(key_id)
        typer.echo(f"{key_id} is revoked.")

    _with_store(work)


# ---- certificates -------------------------------------------------------------------------------------------------------


@certificates.command("make")
def make_certificate(
    folder: Annotated[Path, typer.Argument(help="The folder that RELAY_WEBHOOK_CERTIFICATES names.")],
    *,
    name: Annotated[str, typer.Option(help="Its name; else the date and something random.")] = "",
) -> None:
    """Make a certificate with its key. New subscriptions take it when the workers have been restarted."""
    with _told():
        from relay.graph.certificates import SUFFIX, is_id, make

        now = datetime.now(UTC)
        name = name or f"{now:%Y-%m-%d}-{secrets.token_hex(3)}"
        if not is_id(name):
            _give_up(f"{name[:50]!r} is no name for a certificate: letters, digits, points and dashes.", EXIT_USAGE)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / f"{name}{SUFFIX}"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
            output.write(make(name, now))
        typer.echo(f"{file}: made. RELAY_WEBHOOK_CERTIFICATES={folder}")


@certificates.command("list")
def list_certificates() -> None:
    """List the certificates, and how many subscriptions still need each: one that none needs may be deleted."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.graph.certificates import Certificates
        from relay.store.subscriptions import Subscriptions
        from relay.store.tenants import Tenants

        known = Certificates.load(settings.webhook.certificates or "")
        tenant_ids = [tenant.tenant_id for tenant in await Tenants(store).list()]
        used = await Subscriptions(store).certificates_in_use(tenant_ids)
        for one in known.all():
            mark = "newest" if one is known.newest else "      "
            valid = f"valid {one.begins:%Y-%m-%d} to {one.ends:%Y-%m-%d}"
            typer.echo(f"{one.certificate_id}  {mark}  {valid}  {used.pop(one.certificate_id, 0)} subscriptions")
        for certificate_id, count in used.items():
            typer.echo(f"{certificate_id}  MISSING, {count} subscriptions are encrypted for it", err=True)

    _with_store(work, "webhook.certificates")


# ---- what the commands share ----------------------------------------------------------------------------------------------


def _roles(given: list[str]) -> list[Role]:
    if given == ["all"]:
        return list(Role)
    try:
        return list(dict.fromkeys(Role(role) for role in given))
    except ValueError:
        _give_up(f"Roles are {', '.join(Role)}, or all alone; not {' '.join(given)!r}.", EXIT_USAGE)


def _registration(
    cloud: str, client_id: str, secret: Path | None, certificate: Path | None, key: Path | None
) -> dict[str, Any] | None:
    """The operator's own app registration, as fields of `CloudConfig`; None for the local cloud."""
    if cloud == "local":
        return None
    if cloud != "microsoft":
        _give_up(f"--cloud is local or microsoft, not {cloud!r}.", EXIT_USAGE)
    paths = {"client_secret": secret, "certificate": certificate, "private_key": key or certificate}
    given: dict[str, Any] = {name: path.read_text().strip() for name, path in paths.items() if path is not None}
    return given | ({"client_id": client_id} if client_id else {})


def _settings(*needs: str) -> Settings:
    settings = config.load(needs)
    logging.configure(settings.log.format, settings.log.level)
    return settings


def _with_store(work: Callable[[Store, Settings], Awaitable[None]], *needs: str) -> None:
    """Run an operator's command against the store; what it needs beside it may be named."""
    with _told():
        settings = _settings(*config.STORE, *needs)
        _run(_stored(settings, work))


async def _stored(settings: Settings, work: Callable[[Store, Settings], Awaitable[None]]) -> None:
    from relay.store.connection import Store

    async with Store(settings.store_settings()) as store:
        await work(store, settings)


async def _found(store: Store, text: str) -> TenantId:
    """The tenant that an operator means."""
    from relay.store.tenants import Tenants

    meant = names.tenant_id(text)
    known = await Tenants(store).list()
    found = [tenant.tenant_id for tenant in known if tenant.tenant_id == meant or tenant.domain == text.lower()]
    if len(found) != 1:
        said = (
            f"There is no tenant {text}" if not found else f"Several tenants have the domain {text}; give the tenant id"
        )
        _give_up(f"{said}: presence-relay tenants list", EXIT_USAGE)
    return found[0]


async def _only(store: Store) -> TenantId:
    """The tenant, when there is one only."""
    from relay.store.tenants import Tenants

    known = await Tenants(store).list()
    if len(known) != 1:
        said = (
            "There is no tenant yet: presence-relay tenants onboard"
            if not known
            else "There are several tenants: name one with --tenant"
        )
        _give_up(said, EXIT_USAGE)
    return known[0].tenant_id


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@contextmanager
def _told() -> Iterator[None]:
    """Whatever goes wrong is told in a line, never as a traceback."""
    try:
        yield
    except SettingsInvalid as error:
        _give_up("\n".join(["These settings are wrong:", *(f"  {fault}" for fault in error.faults)]), EXIT_USAGE)
    except (KeyboardInterrupt, asyncio.CancelledError):  # the latter by a second Ctrl-C
        raise typer.Exit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except RelayError as error:
        faults = getattr(error, "faults", None)
        _give_up("\n".join(faults) if faults else _words(error), EXIT_TROUBLE)
    except OSError as error:
        _give_up(_os_words(error), EXIT_TROUBLE)


def _push_words(status: PushStatus | None) -> str:
    """How a tenant's users are followed, as an operator reads it."""
    if status is None:
        return "not known yet: no worker has looked after this tenant"
    if status.is_off:
        return "off: RELAY_WEBHOOK_URL is not set, or this cloud has no change notifications"
    silent = f", {status.silent} of them because notifications fell silent" if status.silent else ""
    return f"{status.pushed} pushed, {status.polled} polled{silent}" + (f" ({status.reason})" if status.reason else "")


def _words(error: RelayError) -> str:
    """An error as an operator reads it."""
    match error:
        case StoreUnavailable():
            return f"{error}. Check RELAY_REDIS_URL and that Redis runs."
        case NotSaved():
            return f"Not saved: {error}. Nothing may be relied on; put Redis right and repeat the command."
        case CredentialRejected():
            return f"Microsoft refuses the relay's own credential: {error}. Check RELAY_CLOUD_CLIENT_ID and the secret."
        case ConsentRequired():
            return f"{error} ({error.code})" if error.code else str(error)
    return str(error)


def _os_words(error: OSError) -> str:
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}"


def _give_up(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def main() -> None:
    """The command's entry."""
    try:
        app()
    except Exception as error:
        # Ours to mend. The place helps whoever reports it; the text of an error might show a secret.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}"
        sys.stderr.write(f"presence-relay itself broke ({place}). Please report it.\n")
        sys.exit(EXIT_TROUBLE)


if __name__ == "__main__":
    main()
