"""The pictures of the dashboards."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest

from deploy.monitoring.boards import BOARDS
from deploy.monitoring.panels import Board, Panel
from deploy.monitoring.pictures import Fault, Series, Span, draw
from deploy.monitoring.units import marks, words
from tests.monitoring.drawn import FOLDER

SPAN = Span(0.0, 120.0, [Fault(30.0, 60.0, "Redis is away")])
GRAPH = Panel("Reads", "Do reads succeed?", "reqps", {"{{outcome}}": "reads"})
NUMBER = Panel("Streams", "How many?", "short", {"streams": "streams"}, is_number=True)
BOARD = Board("b", "A <board>", "Is it & well?", {"Row": (GRAPH, NUMBER)})
POINTS = [(float(at), float(at)) for at in range(0, 121, 10)]


def texts(picture: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(picture).iter() if each.tag.endswith("}text")]


def paths(picture: str) -> list[tuple[str, str]]:
    return re.findall(r'class="line" stroke="var\(--(c\d)\)" d="([^"]*)"', picture)


def test_a_graph_has_a_line_for_each_series_with_its_name_and_last_value():
    found = {"reads": [Series({"outcome": name}, POINTS) for name in ("answered", 'thr"ott<led')]}
    picture = draw(BOARD, found, SPAN)
    assert {"answered  120/s", 'thr"ott<led  120/s', "A <board>", "Is it & well?", "Do reads succeed?"} <= set(
        texts(picture)
    )
    assert [colour for colour, _ in paths(picture)] == ["c0", "c1"]


def test_a_line_has_a_gap_where_there_is_no_value():
    holed = [(at, math.nan if 40 <= at <= 60 else value) for at, value in POINTS]
    missing = [each for each in POINTS if not 40 <= each[0] <= 60]
    for points in (holed, missing):
        [(_, path)] = paths(draw(BOARD, {"reads": [Series({"outcome": "answered"}, points)]}, SPAN))
        assert path.count("M") == 2
        assert "nan" not in path


def test_faults_are_shaded_and_named():
    picture = draw(BOARD, {}, SPAN)
    assert picture.count('class="fault"') == 1
    assert "2 minutes of a real run. Shaded: 1 Redis is away." in texts(picture)


def test_a_panel_without_data_says_so():
    assert texts(draw(BOARD, {}, SPAN)).count("no data") == 2


def test_of_many_series_the_greatest_are_drawn_and_the_rest_counted():
    found = {"reads": [Series({"outcome": f"o{number}"}, [(0.0, float(number))] * 2) for number in range(20)]}
    picture = draw(BOARD, found, SPAN)
    assert len(paths(picture)) == 8
    assert {"o19  19/s", "and 12 more"} <= set(texts(picture))
    assert "o3  3/s" not in texts(picture)


def test_series_that_are_0_are_counted_beside_one_that_is_not():
    found = {"reads": [Series({"outcome": f"o{number}"}, [(0.0, float(number == 2))]) for number in range(5)]}
    picture = draw(BOARD, found, SPAN)
    assert {"o2  1/s", "and 4 more, all 0"} <= set(texts(picture))


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0, "s", "0 s"),
        (0.0123, "s", "12.3 ms"),
        (90.0, "s", "1.5 min"),
        (3.0 * 2**20, "bytes", "3 MiB"),
        (0.25, "percentunit", "25 %"),
        (1234.0, "short", "1.23k"),
        (12.0, "ops", "12/s"),
    ],
)
def test_a_number_has_its_unit(value: float, unit: str, shown: str):
    assert words(value, unit) == shown


@pytest.mark.parametrize("unit", ["s", "bytes", "short"])
@pytest.mark.parametrize("greatest", [0.0, 1e-5, 0.7, 3.0, 64.0, 99.0, 1.3e8])
def test_an_axis_begins_with_0_and_has_room_for_the_greatest_value(greatest: float, unit: str):
    axis = marks(greatest, unit)
    assert axis[0] == 0
    assert axis[-1] >= greatest * (1 - 1e-9)
    assert 2 <= len(axis) <= 6


def test_each_dashboard_has_a_picture_with_data_in_every_panel():
    assert {file.stem for file in FOLDER.glob("*.svg")} == {board.name for board in BOARDS}, "make dashboard-pictures"
    for board in BOARDS:
        picture = (FOLDER / f"{board.name}.svg").read_text()
        assert len(picture) < 200_000
        titles = {panel.title for row in board.rows.values() for panel in row}
        assert titles <= set(texts(picture)), f"{board.name}: make dashboard-pictures"
        assert "no data" not in texts(picture), board.name
