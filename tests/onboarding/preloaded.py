"""Imported by the process that the killed ones are forked from, which then have every template compiled: else each compiles those it shows."""

from __future__ import annotations

from pages.layout import environment
from relay.http.paths import ONBOARDING

_templates = environment(ONBOARDING, "onboarding")
for _name in _templates.list_templates():
    _templates.get_template(_name)
