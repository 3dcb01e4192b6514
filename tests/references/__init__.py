"""The generated pages: `python -m tests.references` writes them, which is `make docs`. A test compares them.

settings.md          every setting, as `presence-relay settings` prints them
commands.md          every command with its arguments and options, as `--help` prints them
protocol.md          every message, field and method of the API, with the comments of the protos
agent-settings.md    every setting of the agent, as `presence-suite settings explain` lists them
agent-states.md      the agent's rules of aggregation, every combination computed
errors.md            every reason for which a stream ends, with its gRPC code
log-events.md        every event in the log, with its meaning and what to do
metrics.md           every metric, with its labels and the question that it answers
traces.md            traces, with every kind of span (in docs/operate)
audit-events.md      every event of a tenant's audit log
values.schema.json   of the Helm chart, which follows from values.yaml and from the settings
_paths.tpl           of the Helm chart: the values that have a default
README.md            of the Helm chart, whose table of values follows from values.yaml

Modules:

agent       The pages of the agent
audit       The page of audit events
commands    The page of commands
errors      The page of error reasons
log_events  The page of log events
metrics     The page of metrics
protocol    The page of the protocol
spans       The page of traces
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from relay.settings.table import table
from tests.chart import readme, schema
from tests.chart.engine import CHART
from tests.chart.values import paths_text
from tests.references.agent import agent_settings_page, agent_states_page
from tests.references.audit import audit_page
from tests.references.commands import commands_page
from tests.references.errors import errors_page
from tests.references.log_events import log_events_page
from tests.references.metrics import metrics_page
from tests.references.protocol import protocol_page
from tests.references.spans import traces_page

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "reference"

_SETTINGS: Final = """# Settings

Settings are environment variables, which are read once at start. The relay reports everything that is wrong together. Where the table says
`…_FILE`, the value may also be in a file that the variable with the suffix `_FILE` names; set one of the two. Durations are written
`500ms`, `5s`, `10m`, `1h30m`. This page is generated: `make docs`.

"""


def pages() -> dict[Path, str]:
    """Return each generated page with its text."""
    return {
        FOLDER / "settings.md": _SETTINGS + table(),
        FOLDER / "commands.md": commands_page(),
        FOLDER / "agent-settings.md": agent_settings_page(),
        FOLDER / "agent-states.md": agent_states_page(),
        FOLDER / "protocol.md": protocol_page(),
        FOLDER / "errors.md": errors_page(),
        FOLDER / "log-events.md": log_events_page(),
        FOLDER / "metrics.md": metrics_page(),
        FOLDER / "audit-events.md": audit_page(),
        FOLDER.parent / "operate" / "traces.md": traces_page(),
        CHART / "values.schema.json": schema.schema_text(),
        CHART / "templates" / "_paths.tpl": paths_text(),
        readme.README: readme.readme_text(),
    }
