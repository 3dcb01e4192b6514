"""The dashboards: which questions each answers, and by which expressions. (Pure.)"""

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


def _rate(metric: str, by: str = "", labels: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{f'{{{labels}}}' if labels else ''}[$__rate_interval]))"


def _quantile(share: float, metric: str, by: str = "") -> str:
    grouped = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, {_rate(metric + '_bucket', grouped)})"


_CHANGES: Final = Panel(
    "Age of changes",
    "How old is a change when suites see it?",
    "s",
    {"{{source}}, 99 %": _quantile(0.99, "relay_edge_answer_age_seconds", "source")},
)
_CONTACT: Final = Panel(
    "Oldest contact",
    "How old may presence be, also while nothing changes?",
    "s",
    {"oldest": "max(relay_worker_contact_age_seconds)"},
    is_number=True,
)
_STREAMS: Final = Panel(
    "Streams", "How many suites are connected?", "short", {"streams": "sum(relay_edge_streams)"}, is_number=True
)
_USERS: Final = Panel(
    "Users who are read",
    "How many users are read, and how?",
    "short",
    {"{{users}}": "sum by (users) (relay_worker_users)"},
)
_TROUBLE: Final = Panel(
    "Tenants by trouble",
    "Whose presence cannot be read, and why?",
    "short",
    {"{{status}}": "sum by (status) (relay_worker_tenants_reported)"},
)
_READS: Final = Panel(
    "Reads",
    "Do reads succeed, and if not, why?",
    "reqps",
    {"{{outcome}}": _rate("relay_worker_reads_total", "outcome")},
)
_REDIS: Final = Panel(
    "Redis can be used",
    "Can every process use Redis?",
    "short",
    {"lowest (1 is well)": "min(relay_store_ready)"},
    is_number=True,
)
_PARTITIONS: Final = Panel(
    "Partitions owned",
    "Is every partition read by a worker? There are 64.",
    "short",
    {"owned": "sum(relay_worker_partitions)"},
    is_number=True,
)
_INBOX: Final = Panel(
    "Lag of the inbox",
    "Do notifications wait for workers?",
    "s",
    {"99 %": _quantile(0.99, "relay_worker_inbox_lag_seconds")},
)
_LAG: Final = Panel(
    "Lag of changes",
    "Is presence stuck between worker and edge?",
    "s",
    {"99 %": _quantile(0.99, "relay_edge_changes_lag_seconds")},
)
_LOOP: Final = Panel(
    "Lag of the event loop",
    "Is a process too busy to answer in time?",
    "s",
    {"{{instance}}, 99 %": _quantile(0.99, "relay_event_loop_lag_seconds", "instance")},
)
_MEMORY: Final = Panel(
    "Memory",
    "Does a process grow towards its limit?",
    "bytes",
    {"{{instance}}": "sum by (instance) (process_memory_usage_bytes)"},
)

BOARDS: Final = (
    Board(
        "overview",
        "Presence relay: overview",
        "Is presence fresh, and if not, where is it stuck?",
        {
            "Is presence fresh?": (_CONTACT, _STREAMS, _PARTITIONS, _REDIS, _CHANGES, _TROUBLE),
            "Where is it stuck? From Microsoft to the suite": (
                Panel(
                    "1 Graph",
                    "Does Microsoft answer?",
                    "reqps",
                    {"{{class}}": _rate("relay_graph_requests_total", "class")},
                ),
                _READS,
                _INBOX,
                _LAG,
                Panel(
                    "5 Deliveries",
                    "How much do edges send?",
                    "ops",
                    {"deliveries": _rate("relay_edge_deliveries_total")},
                ),
                _LOOP,
            ),
        },
    ),
    Board(
        "tenant",
        "Presence relay: one tenant",
        "Is this tenant's presence fresh? For the tenants of RELAY_TELEMETRY_TENANTS.",
        {
            "One tenant": (
                Panel(
                    "Oldest contact",
                    "When did Microsoft last confirm what its suites see?",
                    "s",
                    {"{{tenant_id}}": 'max by (tenant_id) (relay_tenant_contact_age_seconds{tenant_id=~"$tenant"})'},
                ),
                Panel(
                    "Streams",
                    "Are its suites connected?",
                    "short",
                    {"{{tenant_id}}": 'sum by (tenant_id) (relay_tenant_streams{tenant_id=~"$tenant"})'},
                ),
                Panel(
                    "Users",
                    "How many of its users are read?",
                    "short",
                    {"{{tenant_id}}": 'sum by (tenant_id) (relay_tenant_users{tenant_id=~"$tenant"})'},
                ),
                Panel(
                    "Interval",
                    "How often is a user read who is polled?",
                    "s",
                    {"{{tenant_id}}": 'max by (tenant_id) (relay_tenant_poll_interval_seconds{tenant_id=~"$tenant"})'},
                ),
                Panel(
                    "Budget left",
                    "How near is it to Graph's limit?",
                    "percentunit",
                    {"{{tenant_id}}": 'min by (tenant_id) (relay_tenant_budget_left{tenant_id=~"$tenant"})'},
                ),
            )
        },
        has_tenant=True,
    ),
    Board(
        "microsoft",
        "Presence relay: Graph and Entra",
        "Does Microsoft answer, does it ask to wait, and do notifications arrive?",
        {
            "Graph": (
                Panel(
                    "Requests by operation",
                    "What is Graph asked?",
                    "reqps",
                    {"{{operation}}": _rate("relay_graph_requests_total", "operation")},
                ),
                Panel(
                    "Requests by answer",
                    "What does Microsoft refuse?",
                    "reqps",
                    {"{{class}}": _rate("relay_graph_requests_total", "class")},
                ),
                Panel(
                    "Duration",
                    "Are Graph or Entra slow?",
                    "s",
                    {"{{url_template}}, 95 %": _quantile(0.95, "http_client_request_duration_seconds", "url_template")},
                ),
                Panel(
                    "Least budget left",
                    "How near is a tenant to Graph's limit?",
                    "percentunit",
                    {"least": "min(relay_worker_budget_left)"},
                ),
                Panel(
                    "Tenants that wait",
                    "Is the relay throttled?",
                    "short",
                    {"blocked": "sum(relay_worker_tenants_blocked)", "slowed": "sum(relay_worker_tenants_slowed)"},
                ),
                Panel(
                    "Longest interval",
                    "Does Graph's limit slow reads?",
                    "s",
                    {"longest": "max(relay_worker_poll_interval_seconds)"},
                ),
            ),
            "Entra and consent": (
                Panel(
                    "Tokens",
                    "Does Entra give tokens?",
                    "ops",
                    {"{{outcome}}": _rate("relay_entra_tokens_total", "outcome")},
                ),
                Panel(
                    "Grants", "How many consents work?", "short", {"{{state}}": "sum by (state) (relay_worker_grants)"}
                ),
                Panel(
                    "Tenants",
                    "How many tenants are active, suspended, without consent?",
                    "short",
                    {"{{state}}": "sum by (state) (relay_worker_tenants)"},
                ),
            ),
            "Change notifications": (
                Panel(
                    "Subscriptions",
                    "Do change notifications work?",
                    "short",
                    {"{{condition}}": "sum by (condition) (relay_worker_subscriptions)"},
                ),
                Panel(
                    "Notifications passed on",
                    "Do notifications arrive?",
                    "ops",
                    {"passed": _rate("relay_webhook_notifications_passed_total")},
                ),
                Panel(
                    "Notifications dropped",
                    "Why are notifications dropped?",
                    "ops",
                    {"{{reason}}": _rate("relay_webhook_notifications_dropped_total", "reason")},
                ),
            ),
        },
    ),
    Board(
        "redis",
        "Presence relay: Redis and leases",
        "Does Redis answer, and do workers keep their leases?",
        {
            "Redis": (
                _REDIS,
                Panel(
                    "Duration of operations",
                    "Is Redis slow?",
                    "s",
                    {
                        "{{db_operation_name}}, 99 %": _quantile(
                            0.99, "db_client_operation_duration_seconds", "db_operation_name"
                        )
                    },
                ),
                Panel(
                    "Failovers",
                    "Did another server take over?",
                    "short",
                    {"failovers": "sum(relay_store_failovers_total)"},
                ),
                Panel(
                    "Writes of custody",
                    "Is what cannot be read again safe?",
                    "ops",
                    {"{{outcome}}": _rate("relay_store_durable_writes_total", "outcome")},
                ),
            ),
            "Leases": (
                _PARTITIONS,
                Panel(
                    "Share of each worker",
                    "Is the work spread fairly? 1 is exactly fair.",
                    "short",
                    {"{{instance}}": "max by (instance) (relay_worker_share)"},
                ),
                Panel(
                    "Age of leases",
                    "Is a worker about to lose its leases?",
                    "s",
                    {"{{instance}}": "max by (instance) (relay_worker_leases_age_seconds)"},
                ),
                Panel(
                    "Leases lost",
                    "Is Redis or a worker too slow?",
                    "ops",
                    {"lost": _rate("relay_worker_leases_lost_total")},
                ),
                Panel(
                    "Moves of partitions",
                    "Do workers come and go?",
                    "ops",
                    {"{{partitions}}": _rate("relay_worker_moves_total", "partitions")},
                ),
                Panel(
                    "Histories lost",
                    "Did Redis lose what it had?",
                    "short",
                    {"lost": "sum(relay_worker_histories_lost_total)"},
                ),
            ),
        },
    ),
    Board(
        "edge",
        "Presence relay: edges",
        "Are suites served, and do they read what they are sent?",
        {
            "Streams": (
                Panel(
                    "Streams of each edge",
                    "Are streams spread over the edges?",
                    "short",
                    {"{{instance}}": "sum by (instance) (relay_edge_streams)"},
                ),
                Panel(
                    "Ends of calls",
                    "Why do calls of suites end?",
                    "ops",
                    {"{{error_type}}": _rate("rpc_server_call_duration_seconds_count", "error_type")},
                ),
                Panel(
                    "Starts",
                    "Do suites resume, or begin from nothing?",
                    "ops",
                    {"{{outcome}}": _rate("relay_edge_starts_total", "outcome")},
                ),
                Panel(
                    "Tenants by trouble",
                    "How many tenants' suites see presence that may be old?",
                    "short",
                    {"{{status}}": "sum by (status) (relay_edge_tenants)"},
                ),
            ),
            "Writing": (
                _CHANGES,
                Panel(
                    "Deliveries",
                    "How much does an edge send?",
                    "ops",
                    {"{{instance}}": _rate("relay_edge_deliveries_total", "instance")},
                ),
                Panel(
                    "Answers replaced by newer ones",
                    "Do suites read more slowly than presence changes?",
                    "ops",
                    {"conflated": _rate("relay_edge_conflated_total")},
                ),
                Panel(
                    "Slow suites ended",
                    "Do suites read what they are sent?",
                    "ops",
                    {"ended": _rate("relay_edge_slow_watchers_total")},
                ),
                _LOOP,
                _MEMORY,
            ),
        },
    ),
)
