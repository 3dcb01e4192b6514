"""The pages over real TLS, a real Valkey and the local Microsoft cloud, as the pages' own tests have them."""

from tests.onboarding.conftest import (  # noqa: F401  fixtures
    cloud,
    meet,
    person,
    ring,
    site,
    start_site,
    store,
)
