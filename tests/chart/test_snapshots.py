"""The snapshots are what the chart makes today."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chart.examples import EXAMPLES
from tests.chart.snapshots import FOLDER

if TYPE_CHECKING:
    from tests.chart.examples import Renderings


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_becomes_what_its_snapshot_says(rendered: Renderings, example: str):
    assert rendered(example).text == (FOLDER / f"{example}.yaml").read_text(), (
        "look at the change, then run make chart-snapshots"
    )


def test_no_snapshot_is_of_an_example_that_is_gone():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(EXAMPLES)
