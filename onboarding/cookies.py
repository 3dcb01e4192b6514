"""The names of the cookies of the tenant's page, and of the wizard's first form."""

from __future__ import annotations

from typing import Final

from pages.cookies import SignInCookies

FORM_COOKIE: Final = "__Host-onboarding"
"""The cookie of the wizard's first form and of the sign-in form, which have no flow or session yet."""
TENANT_COOKIES: Final = SignInCookies(session="__Host-tenant", returning="__Host-tenant-return", form=FORM_COOKIE)
