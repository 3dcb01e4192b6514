"""The pages over real TLS, a real Valkey and the local Microsoft cloud, as the pages' own tests have them.

The Valkey is not that of `tests/abuse`, to which edges of other tests write all the time.
"""

from tests.onboarding.conftest import (  # noqa: F401  fixtures
    cloud,
    meet,
    person,
    ring,
    site,
    start_site,
    store,
)
from tests.support.fixtures import valkey  # noqa: F401  fixture
