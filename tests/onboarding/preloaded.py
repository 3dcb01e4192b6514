"""Imported by the process that the killed ones are forked from, which then have every template compiled: else each compiles those it shows."""

from __future__ import annotations

from onboarding.layout import environment

_templates = environment()
for _name in _templates.list_templates():
    _templates.get_template(_name)
