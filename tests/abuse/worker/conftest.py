"""A worker at work, as the worker's own tests have it."""

from tests.worker.conftest import relay, webhook_tls  # noqa: F401  fixtures
