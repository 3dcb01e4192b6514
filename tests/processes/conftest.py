"""A worker played by hand, as in the tests of the edge."""

from __future__ import annotations

from tests.edge.conftest import key, store, worker

__all__ = ["key", "store", "worker"]
