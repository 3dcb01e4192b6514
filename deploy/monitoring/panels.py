"""The parts of dashboards, and panels that several dashboards have. (Pure.)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Panel:
    """One graph, or one number.

    Attributes:
        title: a few words.
        question: the question that it answers.
        unit: in Grafana's names.
        series: legend -> expression of Prometheus.
        is_number: shows the last value alone.
    """

    title: str
    question: str
    unit: str
    series: dict[str, str]
    is_number: bool = False


@dataclass(frozen=True)
class Board:
    """One dashboard: rows of panels under titles.

    Attributes:
        name: of its file.
        title: of the dashboard.
        question: the question that it answers.
        rows: title -> panels.
        has_tenant: whether one tenant is chosen at the top, of those in RELAY_TELEMETRY_TENANTS.
    """

    name: str
    title: str
    question: str
    rows: dict[str, tuple[Panel, ...]]
    has_tenant: bool = False


def rate(metric: str, by: str = "", labels: str = "") -> str:
    """Return the rate of a counter, summed over all series, or over those that are alike in the labels `by`."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{f'{{{labels}}}' if labels else ''}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "", labels: str = "") -> str:
    """Return the value that this share of a histogram's measurements does not exceed."""
    grouped = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, {rate(metric + '_bucket', grouped, labels)})"


CHANGES: Final = Panel(
    "Age of changes",
    "How old is a change when suites see it?",
    "s",
    {"{{source}}, 99 %": quantile(0.99, "relay_edge_answer_age_seconds", "source")},
)
CONTACT: Final = Panel(
    "Oldest contact",
    "How old may presence be, also while nothing changes?",
    "s",
    {"oldest": "max(relay_worker_contact_age_seconds)"},
    is_number=True,
)
STREAMS: Final = Panel(
    "Streams", "How many suites are connected?", "short", {"streams": "sum(relay_edge_streams)"}, is_number=True
)
USERS: Final = Panel(
    "Users who are read",
    "How many users are read, and how?",
    "short",
    {"{{users}}": "sum by (users) (relay_worker_users)"},
)
TROUBLE: Final = Panel(
    "Tenants by trouble",
    "Whose presence cannot be read, and why?",
    "short",
    {"{{status}}": "sum by (status) (relay_worker_tenants_reported)"},
)
READS: Final = Panel(
    "Reads",
    "Do reads succeed, and if not, why?",
    "reqps",
    {"{{outcome}}": rate("relay_worker_reads_total", "outcome")},
)
REDIS: Final = Panel(
    "Redis can be used",
    "Can every process use Redis?",
    "short",
    {"lowest (1 is well)": "min(relay_store_ready)"},
    is_number=True,
)
PARTITIONS: Final = Panel(
    "Partitions owned",
    "Is every partition read by a worker? There are 64.",
    "short",
    {"owned": "sum(relay_worker_partitions)"},
    is_number=True,
)
INBOX: Final = Panel(
    "Lag of the inbox",
    "Do notifications wait for workers?",
    "s",
    {"99 %": quantile(0.99, "relay_worker_inbox_lag_seconds")},
)
LAG: Final = Panel(
    "Lag of changes",
    "Is presence stuck between worker and edge?",
    "s",
    {"99 %": quantile(0.99, "relay_edge_changes_lag_seconds")},
)
LOOP: Final = Panel(
    "Lag of the event loop",
    "Is a process too busy to answer in time?",
    "s",
    {"{{instance}}, 99 %": quantile(0.99, "relay_event_loop_lag_seconds", "instance")},
)
MEMORY: Final = Panel(
    "Memory",
    "Does a process grow towards its limit?",
    "bytes",
    {"{{instance}}": "sum by (instance) (process_memory_usage_bytes)"},
)
