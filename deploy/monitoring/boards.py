"""The dashboards: which questions each answers, and by which expressions. (Pure.)"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.panels import (
    CHANGES,
    CONTACT,
    INBOX,
    LAG,
    LOOP,
    MEMORY,
    PARTITIONS,
    READS,
    REDIS,
    STREAMS,
    TROUBLE,
    USERS,
    Board,
    Panel,
    quantile,
    rate,
)

_PAGES: Final = 'http_route!="/notifications/{route_id}"'
"""Selects requests to the pages, and leaves the webhook's out."""

BOARDS: Final = (
    Board(
        "overview",
        "Presence relay: overview",
        "Is presence fresh, and if not, where is it stuck?",
        {
            "Is presence fresh?": (CONTACT, STREAMS, PARTITIONS, REDIS, CHANGES, TROUBLE, USERS),
            "Where is it stuck? From Microsoft to the suite": (
                Panel(
                    "1 Graph",
                    "Does Microsoft answer?",
                    "reqps",
                    {"{{class}}": rate("relay_graph_requests_total", "class")},
                ),
                READS,
                INBOX,
                LAG,
                Panel(
                    "5 Deliveries",
                    "How much do edges send?",
                    "ops",
                    {"deliveries": rate("relay_edge_deliveries_total")},
                ),
                LOOP,
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
                    {"{{operation}}": rate("relay_graph_requests_total", "operation")},
                ),
                Panel(
                    "Requests by answer",
                    "What does Microsoft refuse?",
                    "reqps",
                    {"{{class}}": rate("relay_graph_requests_total", "class")},
                ),
                Panel(
                    "Duration",
                    "Are Graph or Entra slow?",
                    "s",
                    {"{{url_template}}, 95 %": quantile(0.95, "http_client_request_duration_seconds", "url_template")},
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
                    {"{{outcome}}": rate("relay_entra_tokens_total", "outcome")},
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
            "Pages on which organisations connect": (
                Panel(
                    "Steps",
                    "Where do people get stuck?",
                    "ops",
                    {"{{step}}: {{outcome}}": rate("relay_onboarding_steps_total", "step, outcome")},
                ),
                Panel(
                    "Answers of the pages",
                    "Do the pages answer, and without errors?",
                    "reqps",
                    {
                        "status {{http_response_status_code}}": rate(
                            "http_server_request_duration_seconds_count", "http_response_status_code", _PAGES
                        )
                    },
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
                    "Answers of the webhook",
                    "Does Microsoft get its answers in time?",
                    "s",
                    {"99 %": quantile(0.99, "http_server_request_duration_seconds", labels=_PAGES.replace("!=", "="))},
                ),
                Panel(
                    "Notifications passed on",
                    "Do notifications arrive?",
                    "ops",
                    {"passed": rate("relay_webhook_notifications_passed_total")},
                ),
                Panel(
                    "Notifications dropped",
                    "Why are notifications dropped?",
                    "ops",
                    {"{{reason}}": rate("relay_webhook_notifications_dropped_total", "reason")},
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
                REDIS,
                Panel(
                    "Duration of operations",
                    "Is Redis slow?",
                    "s",
                    {
                        "{{db_operation_name}}, 99 %": quantile(
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
                    {"{{outcome}}": rate("relay_store_durable_writes_total", "outcome")},
                ),
            ),
            "Leases": (
                PARTITIONS,
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
                    {"lost": rate("relay_worker_leases_lost_total")},
                ),
                Panel(
                    "Moves of partitions",
                    "Do workers come and go?",
                    "ops",
                    {"{{partitions}}": rate("relay_worker_moves_total", "partitions")},
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
                    {"{{error_type}}": rate("rpc_server_call_duration_seconds_count", "error_type")},
                ),
                Panel(
                    "Starts",
                    "Do suites resume, or begin from nothing?",
                    "ops",
                    {"{{outcome}}": rate("relay_edge_starts_total", "outcome")},
                ),
                Panel(
                    "Tenants by trouble",
                    "How many tenants' suites see presence that may be old?",
                    "short",
                    {"{{status}}": "sum by (status) (relay_edge_tenants)"},
                ),
            ),
            "Writing": (
                CHANGES,
                Panel(
                    "Deliveries",
                    "How much does an edge send?",
                    "ops",
                    {"{{instance}}": rate("relay_edge_deliveries_total", "instance")},
                ),
                Panel(
                    "Answers replaced by newer ones",
                    "Do suites read more slowly than presence changes?",
                    "ops",
                    {"conflated": rate("relay_edge_conflated_total")},
                ),
                Panel(
                    "Slow suites ended",
                    "Do suites read what they are sent?",
                    "ops",
                    {"ended": rate("relay_edge_slow_watchers_total")},
                ),
                LOOP,
                MEMORY,
            ),
        },
    ),
)
