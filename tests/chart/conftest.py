"""The engines, once for all tests of the chart in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chart.engine import Helm
from tests.chart.examples import Renderings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def helm() -> Iterator[Helm]:
    with Helm() as engines:
        yield engines


@pytest.fixture(scope="session")
def rendered(helm: Helm) -> Renderings:
    return Renderings(helm)
