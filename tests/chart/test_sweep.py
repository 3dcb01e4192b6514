"""Every value of the chart once set to something else: it renders to objects that fit Kubernetes' schemas, or is refused in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.chart.engine import NEWEST, RenderFailed
from tests.chart.examples import at, values
from tests.chart.kubernetes import faults, is_custom
from tests.chart.values import documented

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chart.engine import Helm

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]
REFUSALS = ("These values cannot work:", "meet the specifications of the schema")


def others(default: Any) -> Iterator[Any]:
    """Yield what a value could be set to instead."""
    match default:
        case bool():
            yield not default
        case int():
            yield from (0, 1, default + 1, 100_000)
        case str():
            yield from ("x", "1", "", "a b")
        case list():
            yield from ([], [{}], ["x"])
        case dict():
            yield from ({}, {"x": "y"})
        case _:
            yield from (1, "x")
    yield None


def changes() -> Iterator[tuple[str, Any]]:
    for value in documented():
        if value.path and not value.below:
            yield from ((value.name, other) for other in others(value.default))


def test_a_value_set_to_something_else_renders_or_is_refused_in_words(helm: Helm):
    wrong, rendered, refused = [], 0, 0
    for name, other in changes():
        try:
            rendering = helm.render(values(at(name, other)))
        except RenderFailed as error:
            refused += 1
            if not any(words in str(error) for words in REFUSALS):
                wrong.append(f"{name}={other!r}: {error}")
            continue
        rendered += 1
        found = [
            fault for document in rendering.documents if not is_custom(document) for fault in faults(document, NEWEST)
        ]
        wrong += [f"{name}={other!r}: {fault}" for fault in found]
    assert not wrong, "\n".join(wrong)
    assert min(rendered, refused) > 200
