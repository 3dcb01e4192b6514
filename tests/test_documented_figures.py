"""The privacy sheet, the service figures, the pages of tenants and of the agent state the code's own times and limits."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from onboarding.tenant import sessions
from onboarding.wizard import flow
from relay.edge.settings import EdgeSettings
from relay.graph.settings import SCOPES
from relay.settings.groups.edge import WatchConfig
from relay.store.custody import access_requests, audit, suite_keys
from relay.store.presence import interest, pipes, presences
from relay.store.sealing import short_lived
from relay.worker.settings import WorkerSettings
from suite.agent.api import bodies, event_response
from suite.agent.users import reading

DOCS = Path(__file__).parents[1] / "docs"


def days(time: timedelta) -> str:
    return f"{time.days} days"


def minutes(time: timedelta) -> str:
    return f"{time // timedelta(minutes=1)} minutes"


def seconds(time: timedelta) -> str:
    return f"{time.total_seconds():g} seconds"


EDGE = EdgeSettings.__dataclass_fields__
FIGURES = {
    "privacy.md": {
        "audit log: ": f"{days(audit.RETENTION)}; at most {audit.MOST_DEEDS:,} and {audit.MOST_WATCHES:,} entries",
        "latest presence": f"for {minutes(WatchConfig.model_fields['linger'].default)} (`RELAY_WATCH_LINGER`)",
        "names that suites watch": f"{seconds(interest.INTEREST_KEPT)} after an edge died",
        "changes on their way": f"the newest {pipes.CHANGES_ENTRIES:,} of a partition",
        "a suite key of an organisation that left": f"a fingerprint, {days(suite_keys.BURIED)}",
        "an onboarding under way": f"{minutes(short_lived.LIFETIME)}; {days(flow.WAITS)} while it waits",
        "a request to read": f"{days(access_requests.WAITS)}, its result {days(2 * access_requests.WAITS)}",
        "sign-in to the": f"{minutes(sessions.IDLE)} without a request, {sessions.LONGEST // timedelta(hours=1)} hours",
        "when Microsoft last": days(presences.CONTACT_KEPT),
    },
    "suites/service.md": {
        "`progress` on an idle": f"every {seconds(EDGE['progress_default'].default)}",
        "an edge that stops": seconds(EDGE["drain_delay"].default),
        "a slow reader": seconds(EDGE["blocked_write"].default),
        "a worker that is killed": f"some {seconds(WorkerSettings.__dataclass_fields__['lease'].default)}",
    },
    "tenants/watching.md": {
        "replace a key": f"up to {days(suite_keys.MAX_OVERLAP)} more",
        "An organisation may have": f"{suite_keys.MOST_KEYS} keys",
        "*Log* shows": f"for {days(audit.RETENTION)}",
    },
    "suites/agent.md": {
        "A comment comes": f"every {event_response.ALIVE_S:g} seconds",
        "A program that knows the states of phones": f"up to {bodies.MOST_STATES:,} at once",
        "| bodies |": f"{bodies.MOST_BYTES >> 20} MiB",
    },
    "suites/agent-settings.md": {
        "There may be": f"{reading.MOST_COLLEAGUES:,} colleagues and {reading.MOST_BYTES >> 20} MiB"
    },
    "tenants/page.md": {"a fingerprint": days(suite_keys.BURIED)},
    "tenants/onboarding.md": {"the link works once": days(flow.WAITS)},
}


@pytest.mark.parametrize(("page", "figures"), FIGURES.items(), ids=FIGURES)
def test_figures_of_a_page_are_the_codes(page: str, figures: dict[str, str]):
    lines = (DOCS / page).read_text().splitlines()
    for beginning, figure in figures.items():
        [line] = [line for line in lines if beginning.lower() in line.lower()]
        assert figure in line


@pytest.mark.parametrize("page", ["privacy.md", "operate/entra.md", "tenants/onboarding.md"])
def test_pages_name_the_permissions_that_are_asked_for(page: str):
    text = (DOCS / page).read_text()
    assert all(f"`{scope}`" in text for scope in SCOPES)
