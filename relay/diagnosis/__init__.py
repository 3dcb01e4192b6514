"""Reads the state that the roles left in Redis about a tenant, its watched users and its connection to Microsoft, for people.

    overview.py     all watched users, filtered and counted
    connection.py   the state of the connection to Microsoft, with its reason
    explanation.py  everything about one user, including state that only worker and edges have
    minute.py       one user watched for a minute
    standing.py     a tenant's state for operators: for the list, the details and JSON
    tenant_list.py  all tenants for a list with a search
    fleet.py        workers with their leases and cost, and edges with their streams
    workers.py      the living workers, each with its share of the partitions, and partitions without a worker
    checks.py       the preflight: everything around the relay that must be right before it works

The rules and the words are in `core.showing.diagnosis`. Pages and commands use this package; no role calls another.
"""
