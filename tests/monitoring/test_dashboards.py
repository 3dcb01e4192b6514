"""The dashboards that ship with the chart."""

from __future__ import annotations

from deploy.monitoring import dashboards
from deploy.monitoring.boards import BOARDS


def test_the_files_of_the_chart_are_those_that_are_generated():
    found = {file.name: file.read_text() for file in dashboards.FOLDER.glob("*")}
    assert found == dashboards.files(), "run: make monitoring"


def test_each_panel_has_a_title_a_question_and_a_place_of_its_own():
    for board in BOARDS:
        made = dashboards.dashboard(board)["panels"]
        cells = [
            (left, top)
            for panel in made
            for left in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for top in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells)), f"{board.name}: panels lie on each other"
        assert len({panel["id"] for panel in made}) == len(made)
        titles = [panel["title"] for panel in made]
        assert len(set(titles)) == len(titles), board.name
        assert all(panel["title"] and panel["description"] for panel in made if panel["type"] != "row")
