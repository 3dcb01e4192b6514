"""What holds for every test."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.parity import NeverSkipped

pytest_plugins = ["pytester", "tests.support.fixtures", "tests.support.guards", "tests.support.outputs"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The tests of the store run on one Redis server each, and those marked so on every topology."""
    parser.addoption("--each-topology", action="store_true", help="run each test of the store on every topology")


def pytest_configure(config: pytest.Config) -> None:
    """A behaviour of the local cloud that its README promises is tested in every run, and nobody on the Internet is trusted."""
    config.pluginmanager.register(NeverSkipped())
    # The system's authorities take 0.05 s to read, for each TLS context of each process, and certify nobody whom a test reaches.
    os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "support" / "no_authority.pem")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while all modules are imported, nor ever among what they and the tests are: it stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


# How fast an example is made or run says how busy the machine is, and nothing about the code.
_RELAY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("relay", _RELAY, max_examples=30)
settings.register_profile("thorough", _RELAY, max_examples=1000)  # `make soak`
settings.load_profile("relay")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests, those with a time limit of their own, so that no process ends its run alone with one."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture(autouse=True)
def _own_settings_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("RELAY_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _own_logging_only() -> Iterator[None]:
    """No test logs to where an earlier one did: a command sets logging up for its process, onto a stream that is closed by then."""
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**config)
