"""What an operator changes: it happens as by the command, and the logs say who did it."""

from __future__ import annotations

import json

import pytest

from relay.core.audit.export import Form
from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId
from relay.http.paths import CONSOLE
from relay.store.custody.audit import AuditLog
from relay.store.sealing.invitations import Invitations
from tests.console.conftest import Meet
from tests.console.operator import Operator
from tests.console.site import CONTOSO, OPERATOR, ConsoleSite

TENANT = f"{CONSOLE}/tenants/{CONTOSO}"
TRIAL = ("trial token", "")


@pytest.fixture
async def operator(trial: ConsoleSite, meet: Meet) -> Operator:
    """Somebody with the token of a trial, and Contoso is there."""
    await trial.put()
    person = await meet(trial)
    await person.enter_with_token()
    return person


async def test_a_tenant_is_suspended_and_resumed_and_the_logs_say_by_whom(console: ConsoleSite, meet: Meet):
    await console.put()
    operator = await meet(console)
    await operator.enter()
    who = (OPERATOR, console.cloud.person(OPERATOR).oid)
    await operator.get(f"{TENANT}/suspend")
    assert await console.state() is TenantState.ACTIVE  # to look is not to do
    await operator.submit("confirm")
    assert operator.notice == "The tenant is suspended"
    assert await console.state() is TenantState.SUSPENDED
    await operator.submit("resume")
    assert operator.notice == "The tenant is resumed and needs consent"
    assert await console.state() is TenantState.CONSENT_REQUIRED
    assert await console.audit() == [("tenant-resumed", *who), ("tenant-suspended", *who)]
    assert await console.acts() == [("resumed", *who), ("suspended", *who)]
    await operator.get(f"{TENANT}/log")
    assert f"{OPERATOR} relay operator {who[1]}" in operator.text
    await operator.get(f"{CONSOLE}/events")
    assert f"Suspended contoso.example {OPERATOR} {who[1]}" in operator.text


async def test_the_people_of_a_tenant_do_not_learn_which_operator_it_was(console: ConsoleSite, meet: Meet):
    await console.put()
    operator = await meet(console)
    await operator.enter()
    await operator.get(f"{TENANT}/suspend")
    await operator.submit("confirm")
    log = AuditLog(console.store)
    exported = [json.loads(line) async for line in log.export(CONTOSO, Form.JSON, for_tenants=True)]
    assert [one["who"] for one in exported] == [{"kind": "operator"}]
    own = [json.loads(line) async for line in log.export(CONTOSO, Form.JSON)]
    assert own[0]["who"]["name"] == OPERATOR


async def test_a_waiting_tenant_is_approved(trial: ConsoleSite, operator: Operator):
    await trial.put(state=TenantState.PENDING)
    await operator.get(TENANT)
    assert "The tenant waits for your approval" in operator.text
    await operator.submit("approve")
    assert operator.notice == "The tenant is approved"
    assert await trial.state() is TenantState.ACTIVE
    assert await trial.audit() == [("tenant-approved", *TRIAL)]


@pytest.mark.parametrize(
    ("state", "deed", "said"),
    [
        (TenantState.ACTIVE, "resume", "The tenant is not suspended"),
        (TenantState.ACTIVE, "approve", "The tenant does not wait for approval"),
        (TenantState.SUSPENDED, "suspend", "The tenant was suspended already"),
        (TenantState.PENDING, "suspend", "The tenant waits for approval"),
    ],
)
async def test_what_cannot_be_done_is_said_and_logged_nowhere(
    trial: ConsoleSite, operator: Operator, state: TenantState, deed: str, said: str
):
    await trial.put(state=state)
    await operator.get(f"{TENANT}/suspend")
    operator.page = await operator.client.post(
        f"{trial.url}{TENANT}/{deed}", data={"token": operator.token}, headers={"origin": trial.url}
    )
    assert operator.notice == said
    assert await trial.state() is state
    assert (await trial.audit(), await trial.acts()) == ([], [])


async def test_a_mapping_is_changed_row_by_row(trial: ConsoleSite, operator: Operator):
    await operator.get(f"{TENANT}/mapping")
    await operator.submit_action(f"{TENANT}/mapping", **{"map:BusyIdle": "AWAY"})
    assert operator.notice == "The mapping was changed"
    tenant = await trial.tenants.load(CONTOSO)
    assert tenant is not None
    assert dict(tenant.settings) == {"map:BusyIdle": "AWAY"}
    assert await trial.audit() == [("settings-changed", *TRIAL)]
    assert await trial.acts() == [("mapped", *TRIAL)]
    await operator.get(f"{TENANT}/mapping")
    await operator.submit_action(f"{TENANT}/mapping")
    assert operator.notice == "Nothing was changed"
    assert len(await trial.acts()) == 1


async def test_a_mapping_that_somebody_else_changed_meanwhile_is_shown_and_not_overwritten(
    trial: ConsoleSite, operator: Operator, meet: Meet
):
    other = await meet(trial)
    await other.enter_with_token()
    await operator.get(f"{TENANT}/mapping")
    await other.get(f"{TENANT}/mapping")
    await other.submit_action(f"{TENANT}/mapping", **{"map:BusyIdle": "AWAY"})
    await operator.submit_action(f"{TENANT}/mapping", **{"map:BusyIdle": "OFFLINE"})
    assert operator.notice == "Someone else changed the mapping"
    tenant = await trial.tenants.load(CONTOSO)
    assert tenant is not None
    assert dict(tenant.settings) == {"map:BusyIdle": "AWAY"}


async def test_an_invitation_is_shown_once_and_begins_an_onboarding(trial: ConsoleSite, operator: Operator):
    await operator.get(f"{CONSOLE}/invite")
    await operator.submit("invite", domain="https://fabrikam.example/", organisation="Fabrikam", days="30")
    assert operator.heading == "Invite an organisation"
    address, _, token = operator.link.rpartition("/")
    assert address == "https://relay.example/onboarding/invitation"
    invitation = await Invitations(trial.store, trial.ring).load(token)
    assert invitation is not None
    assert (invitation.domain, invitation.organisation, invitation.word_ms > 0) == (
        "fabrikam.example",
        "Fabrikam",
        True,
    )
    assert await trial.acts() == [("invited", *TRIAL)]
    await operator.get(f"{CONSOLE}/invite")
    assert operator.link == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"domain": ""}, "Enter something here."),
        ({"domain": "no domain"}, "Enter a domain, such as contoso.com."),
        ({"domain": "nobody.example"}, "Microsoft has no organisation with this domain"),
        ({"domain": "fabrikam.example", "email": "mia"}, "Enter an e-mail address"),
        ({"domain": "fabrikam.example", "contact": "Mia\u202e"}, "invisible characters"),
        ({"domain": "fabrikam.example", "organisation": "F" * 5000}, "characters or fewer"),
    ],
)
async def test_an_invitation_that_cannot_be_made_says_what_to_change(
    trial: ConsoleSite, operator: Operator, changes: dict[str, str], said: str
):
    await operator.get(f"{CONSOLE}/invite")
    await operator.submit("invite", **changes)
    assert operator.page.status_code == 422
    assert said in operator.text
    assert (operator.link, await trial.acts()) == ("", [])


async def test_a_refused_state_of_one_tenant_touches_no_other(trial: ConsoleSite, operator: Operator):
    other = TenantId("dddddddd-2222-4222-8222-222222222222")
    await trial.put(other, name="Fabrikam", domain="fabrikam.example")
    await operator.get(f"{TENANT}/suspend")
    await operator.submit("confirm")
    assert (await trial.state(), await trial.state(other)) == (TenantState.SUSPENDED, TenantState.ACTIVE)
    assert await trial.audit(other) == []
