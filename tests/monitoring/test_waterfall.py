"""The picture of a trace in the docs."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from tests.monitoring.waterfall import FILE, draw
from tests.references.spans import kind_of
from tests.support.otlp import CollectedSpan

_SVG = "{http://www.w3.org/2000/svg}"


def span(name: str, span_id: str, parent_id: str = "", begun_ms: int = 0, ended_ms: int = 10, roles: str = "worker"):
    return CollectedSpan(
        name=name, kind=1, trace_id="7" * 32, span_id=span_id, parent_id=parent_id, begun_ns=begun_ms * 1_000_000,
        ended_ns=ended_ms * 1_000_000, attributes={}, links=[], is_failed=False, roles=roles,
    )  # fmt: skip


def bars(svg: str) -> list[tuple[float, float]]:
    """Beginning and width of each bar, but for the legend's."""
    found = [one.attrib for one in ET.fromstring(svg).iter(f"{_SVG}rect")]
    return [(float(one["x"]), float(one["width"])) for one in found if one.get("height") == "16"]


def test_each_span_has_a_bar_of_its_length_below_its_parent():
    spans = [
        span("last", "c", "b", 60, 100, "edge"), span("first", "a", "", 0, 50), span("<middle>", "b", "a", 50, 60),
    ]  # fmt: skip
    svg = draw(spans)
    texts = ["".join(one.itertext()) for one in ET.fromstring(svg).iter(f"{_SVG}text")]
    assert [text for text in texts if text in ("first", "<middle>", "last")] == ["first", "<middle>", "last"]
    (first, width), (middle, _), (last, last_width) = bars(svg)
    assert middle == pytest.approx(first + width, abs=0.2)
    assert last_width == pytest.approx(0.8 * width, abs=0.2)
    assert first < middle < last


@pytest.mark.parametrize("spans", [[], [span("orphan", "b", "a")]], ids=["none", "a parent is missing"])
def test_a_trace_that_is_not_whole_is_not_drawn(spans: list[CollectedSpan]):
    with pytest.raises(ValueError, match="parents"):
        draw(spans)


def test_the_picture_in_the_docs_has_spans_that_the_relay_makes_in_webhook_worker_and_edge():
    described = ET.parse(FILE).getroot().findtext(f"{_SVG}desc") or ""
    spans = re.findall(r"(?:^|; )(.+?) \((\w+)\): from", described)
    assert {role for _, role in spans} == {"webhook", "worker", "edge"}
    assert [name for name, _ in spans if kind_of(name) is None] == []
