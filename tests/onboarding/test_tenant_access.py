"""Who may open a tenant's page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from onboarding.tenant.access import Access, access_of
from onboarding.tenant.sessions import Session
from relay.core.presence import TenantId, UserId
from relay.store.tenants import Tenant

HERE, ELSEWHERE = TenantId("11111111-1111-4111-8111-111111111111"), TenantId("22222222-2222-4222-8222-222222222222")
ADA, BEN = UserId("aaaaaaaa-0000-4000-8000-000000000000"), UserId("bbbbbbbb-0000-4000-8000-000000000000")


def tenant(contact: str = "ada@contoso.example") -> Tenant:
    return Tenant(tenant_id=HERE, created=datetime.now(UTC), settings={"contact_email": contact})


def somebody(**changes: Any) -> Session:
    given = {"tenant_id": HERE, "account_id": ADA, "upn": "ben@contoso.example", "is_guest": False, "began_s": 0.0}
    return Session(**{**given, **changes})


@pytest.mark.parametrize(
    ("who", "access"),
    [
        (somebody(), Access.NO_ROLE),
        (somebody(account_id=BEN), Access.GRANT),
        (somebody(upn="ADA@Contoso.example"), Access.CONTACT),
        (somebody(upn="ada@contoso.example", is_guest=True), Access.NO_ROLE),
        (somebody(account_id=BEN, is_guest=True), Access.GRANT),
        (somebody(upn="ada@contoso.example", tenant_id=ELSEWHERE), Access.NOT_CONNECTED),
        (somebody(account_id=BEN, tenant_id=ELSEWHERE), Access.NOT_CONNECTED),
        (somebody(upn=""), Access.NO_ROLE),
    ],
)
def test_grant_holders_and_the_contact_may(who: Session, access: Access):
    assert access_of(who, tenant(), {BEN}) is access


def test_a_tenant_without_a_contact_has_none():
    assert access_of(somebody(upn=""), tenant(""), set()) is Access.NO_ROLE
    assert access_of(somebody(), None, {ADA}) is Access.NOT_CONNECTED
