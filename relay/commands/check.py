"""`presence-relay check`: check everything around the relay before it runs."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from relay.commands.redis_acl import clients_named, complete_client
from relay.commands.runner import EXIT_FAILURE, errors_as_lines, read_settings, run
from relay.settings.roles import Role, needs_of

commands = typer.Typer()


@commands.command()
def check(
    roles: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            help="Role whose Redis user is in RELAY_REDIS_URL: edge, worker, webhook, web, operator; or all. Its rights are checked.",
            autocompletion=complete_client,
        ),
    ] = None,
    *,
    before_start: Annotated[
        bool, typer.Option("--before-start", help="Fail only for faults that would stop a process that starts now.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")] = False,
) -> None:
    """Check settings, certificates, Redis, Entra, Graph and the webhook, and print the remedies. Exit code 1: a check failed."""
    with errors_as_lines():
        from relay.diagnosis.checks import run_checks

        # The pages are optional; their settings are checked if they are set.
        settings = read_settings(*needs_of([Role.EDGE, Role.WORKER]))
        findings = run(run_checks(settings, clients_named(roles) if roles else ()))
    is_good = all(finding.is_good or (before_start and finding.can_wait) for finding in findings)
    if as_json:
        data = {"ok": is_good, "findings": [{"ok": finding.is_good, "text": finding.text} for finding in findings]}
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            bad = "later" if before_start and finding.can_wait else "WRONG"
            typer.echo(f"{'ok   ' if finding.is_good else bad} {finding.text}")
    if not is_good:
        raise typer.Exit(EXIT_FAILURE)
