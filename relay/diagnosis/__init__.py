"""Reads the state of a tenant, its watched users and its connection to Microsoft from Redis, for pages and commands.

    overview.py     all watched users, filtered and counted
    connection.py   the state of the connection to Microsoft, with its reason
    explanation.py  everything about one user, including state that only the worker and the edges hold
    minute.py       watches one user for a minute
    standing.py     a tenant's state for operators: for the list, the details and JSON
    tenant_list.py  all tenants for a list with a search
    fleet.py        workers with their leases and cost, and edges with their streams
    workers.py      live workers, each with its share of the partitions, and partitions without a worker
    checks.py       the preflight: checks the relay's surroundings before it starts

The rules and texts are in `core.showing.diagnosis`. Pages and commands use this package; no role calls another role.
"""
