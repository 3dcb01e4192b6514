"""The table of spans on the page of traces: the descriptions of the kinds of spans that the roles make."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from typing import TYPE_CHECKING

import onboarding
import relay
from relay.ops.metric import EVERY
from relay.ops.span import ERROR, SpanType, types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.otlp import CollectedSpan


@cache
def described() -> Mapping[str, SpanType]:
    """Return name -> kind of span, of all that any module of the relay makes."""
    for package in (relay, onboarding):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(".spans"):
                importlib.import_module(module.name)
    return dict(sorted(types().items()))


def kind_of(name: str) -> SpanType | None:
    """Return the kind of span that has this name."""
    if name in described():
        return described()[name]
    return next((one for one in described().values() if "{" in one.name and _pattern(one.name).fullmatch(name)), None)


def differences(span: CollectedSpan) -> Iterator[str]:
    """Yield what a span has that is not described."""
    kind = kind_of(span.name)
    if kind is None:
        yield span.name
        return
    # Names of calls and of requests look alike.
    alike = [one for one in described().values() if one.name.startswith("{method}")] if " /" in span.name else [kind]
    known = {name for one in alike for name in one.attributes}
    yield from (f"{span.name}: {name}" for name in span.attributes if name not in known)


def spans_table() -> str:
    """Return the table of spans."""
    lines = ["| span | meaning | attributes | made by |", "| --- | --- | --- | --- |"]
    lines += [_row(one) for one in described().values()]
    return "\n".join(lines) + "\n"


def _row(one: SpanType) -> str:
    attributes = "<br>".join(f"`{name}`: {words}" for name, words in one.attributes.items() if name != ERROR)
    roles = "every role" if one.roles == EVERY else ", ".join(one.roles)
    return f"| `{one.name}` ({one.kind.name.lower()}) | {one.meaning} | {attributes} | {roles} |"


def _pattern(name: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]+\}", name)
    return re.compile(".*".join(map(re.escape, parts)))
