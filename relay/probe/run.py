"""A whole probe, with a consent from the vault, at a limited rate, only by read requests."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from relay.errors import ConsentRequired, Retryable, SourceThrottled
from relay.probe.client import PER_SECOND, Asker, Unanswered
from relay.probe.profile import Profile, new_file
from relay.probe.questions import QUESTIONS, Interview, Options, Question
from relay.store.custody.vault import Vault
from relay.worker.cloud import Cloud
from relay.worker.grants.pool import GrantPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relay.core.presence import TenantId
    from relay.graph.client import GraphClient, TokenSource
    from relay.graph.settings import GraphSettings
    from relay.settings.load import Settings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store


def asked(options: Options) -> list[Question]:
    """Return the questions that will be asked."""
    return [question for question in QUESTIONS if question.is_asked(options)]


def plan(options: Options) -> Iterator[str]:
    """Yield a description of the questions, to show the operator first."""
    questions = asked(options)
    yield f"Up to {sum(question.requests for question in questions)} requests, at most {PER_SECOND:g} a second, all of them reading:"
    yield from (f"  - {question.asks}" for question in questions)
    if not options.without_count:
        yield "The last one may use up what Graph allows this application in this tenant for half a minute; a relay at work waits"
        yield "meanwhile. --without-count leaves it out."
    yield "Only statuses, Microsoft's own words and counts are kept of the answers: no name, id, text or token."


async def probe_into(file: Path, store: Store, settings: Settings, tenant_id: TenantId, options: Options) -> Profile:
    """Ask all questions and write the profile; if that fails, the file is removed.

    Raises:
        OSError: the file exists, or cannot be written; no request was sent.
        RelayError: see `probe`.
    """
    with new_file(file) as output:
        found = await probe(
            store,
            settings.key_ring(),
            settings.graph_settings(),
            tenant_id,
            options,
            cloud_name=settings.cloud.name,
        )
        output.write(found.text())
    return found


async def probe(
    store: Store,
    ring: KeyRing,
    graph: GraphSettings,
    tenant_id: TenantId,
    options: Options,
    *,
    cloud_name: str,
    per_second: float = PER_SECOND,
) -> Profile:
    """Ask one tenant's Graph all questions.

    If Entra renews the consent's refresh token meanwhile, it is saved as the worker saves it.

    Args:
        store: contains the grants.
        ring: the key ring that they are encrypted with.
        graph: the cloud to query.
        tenant_id: the tenant whose consent is used.
        options: further users to ask about.
        cloud_name: the cloud's name in the profile.
        per_second: the request rate; it may be higher for a cloud on this machine.

    Raises:
        ConsentRequired: the tenant has no consent that works.
        AccessDenied: the consent does not cover presence and users.
        SourceThrottled, SourceUnreachable, CredentialRejected: there are no results; try again.
    """
    vault = Vault(store, ring)
    async with Cloud(graph, vault) as cloud:
        grants = GrantPool(tenant_id, vault, cloud)
        await grants.load()
        if not await vault.list(tenant_id):
            raise ConsentRequired(f"There is no stored consent of {tenant_id}: presence-relay tenants onboard")
        return await interview(cloud.client, grants, options, cloud_name=cloud_name, per_second=per_second)


async def interview(
    client: GraphClient, token: TokenSource, options: Options, *, cloud_name: str, per_second: float = PER_SECOND
) -> Profile:
    """Ask all questions with a token; raises what `probe` raises."""
    asker = Asker(client, token, per_second)
    state = Interview(asker=asker, options=options)
    for question in QUESTIONS:
        try:
            await _ask(question, state)
        except Unanswered as reason:
            state.leave(question, str(reason))
    return Profile(
        source=f"presence-relay probe {version('presence-relay')}, cloud {cloud_name}",
        made=datetime.now(UTC),
        switches=state.switches,
        unanswered=state.unanswered,
        observed=state.observed,
        answers=dict(sorted(asker.answers.items())),
    )


async def _ask(question: Question, state: Interview) -> None:
    """Ask one question; unrelated errors end the probe.

    Raises:
        Unanswered: Graph did not answer it, or the options leave it out.
    """
    if not question.is_asked(state.options):
        raise Unanswered(f"not asked: --{question.option or 'without-count'} decides")
    try:
        await question.ask(state)
    except SourceThrottled as error:
        wait = f" for {error.retry_after.total_seconds():.0f} s" if error.retry_after is not None else ""
        raise SourceThrottled(
            f"Microsoft asks this application to wait{wait}. Nothing was written; repeat the command later",
            retry_after=error.retry_after,
        ) from error
    except Retryable as error:
        if not state.users:
            raise
        raise Unanswered(str(error)) from error
