from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sip.kamailio import Kamailio, started


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    """A presence server for a module."""
    with started(tmp_path_factory.mktemp("kamailio")) as server:
        yield server
