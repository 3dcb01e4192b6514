"""The names of the console's cookies."""

from __future__ import annotations

from typing import Final

from pages.cookies import SignInCookies

COOKIES: Final = SignInCookies(session="__Host-console", returning="__Host-console-return", form="__Host-console-form")
