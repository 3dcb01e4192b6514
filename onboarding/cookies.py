"""The names of the cookies of the tenant's page, and of the wizard's first form."""

from __future__ import annotations

from typing import Final

from pages.cookies import SignInCookies

FORM_COOKIE: Final = "__Host-onboarding"
"""Of the first form of the wizard, and of the form that signs in: neither has a flow or a session yet."""
TENANT_COOKIES: Final = SignInCookies(session="__Host-tenant", returning="__Host-tenant-return", form=FORM_COOKIE)
