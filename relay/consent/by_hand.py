"""Onboarding from the command line: the real authorization code flow, with a browser on this machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from relay.consent import admit
from relay.consent.loopback import answer_at
from relay.consent.prove import prove
from relay.core.audit.events import OPERATOR, key_made
from relay.errors import AccessDenied, RelayError, RequestRefused
from relay.graph.auth.consent import ANY_ORGANISATION, Consent, ConsentFailed, ConsentProblem
from relay.graph.client import GraphClient
from relay.http.paths import CALLBACK
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.sealing.marks import RingMarks

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.core.consent.values import NewGrant
    from relay.settings.load import Settings
    from relay.store.custody.suite_key_records import IssuedKey
    from relay.store.custody.tenants import Tenant
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store


class NobodyCame(RelayError):
    """No user signed in within the time limit."""


async def onboard_by_hand(
    store: Store, settings: Settings, say: Callable[[str], None], *, tenant: str, port: int, wait_s: float
) -> IssuedKey:
    """Let a person sign in and consent, admit the tenant, and make a suite key.

    Args:
        store: stores the tenant.
        settings: must contain the settings that onboarding needs.
        say: shows the person the next step.
        tenant: the only tenant to accept; empty accepts any organisation.
        port: of localhost, for the browser's return.
        wait_s: time limit of the sign-in, in seconds.

    Raises:
        ConsentFailed: there is no consent; the text states the reason.
        NobodyCame: no user signed in within the time limit.
        OSError: the port is taken.
        RelayError: see `take_in`.
    """
    await store.ping()
    graph = settings.graph_settings()
    redirect_uri = f"http://localhost:{port}{CALLBACK}"
    async with GraphClient(graph) as client, Consent(client) as consent, answer_at(port) as answer:
        flow = await consent.begin(redirect_uri, tenant=tenant or ANY_ORGANISATION, prompt="select_account")
        say("Open this in a browser on this machine, sign in with the account that the relay will read with (a service")
        say(f"account is best), and accept:\n\n  {flow.authorize_url}\n\nWaiting for the sign-in ...")
        try:
            async with asyncio.timeout(wait_s):
                fields = await answer
        except TimeoutError:
            raise NobodyCame(f"Nobody signed in within {wait_s / 60:g} minutes.") from None
        new = await consent.complete(flow.kept, fields)
        ring = settings.key_ring()
        admitted = await take_in(store, ring, client, new)
    say(f"{new.upn} consented for {admitted.domain} ({admitted.tenant_id}). Reading presence works.")
    label = "made at onboarding"
    return await SuiteKeys(store, RingMarks(ring)).issue(admitted.tenant_id, label, key_made(OPERATOR, label))


async def take_in(store: Store, ring: KeyRing, client: GraphClient, new: NewGrant) -> Tenant:
    """Prove a new grant and admit its tenant for the operator; durable on return.

    Raises:
        ConsentFailed: the new grant cannot read presence; nothing was stored.
        Retryable: Microsoft or Redis did not answer; repeating is safe.
        NotSaved: see `admit.by_operator`.
    """
    try:
        proven = await prove(client, new)
    except (AccessDenied, RequestRefused) as error:
        sentence = f"Microsoft gave the consent but refuses to let this account read presence: {error}"
        raise ConsentFailed(ConsentProblem.PERMISSIONS_MISSING, "presence_refused", sentence) from error
    return await admit.by_operator(store, ring, proven)
