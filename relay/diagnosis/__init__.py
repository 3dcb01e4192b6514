"""Reads what the roles left in Redis about a tenant, its watched users and its connection to Microsoft, for people.

    overview.py     all watched users, filtered and counted
    connection.py   the state of the connection to Microsoft, with its reason
    explanation.py  everything about one user, with what only worker and edges know
    minute.py       one user watched for a minute
    standing.py     a tenant's state as operators see it: for the list, the details and machines
    workers.py      the workers that live, each with its share of the partitions, and what nobody reads
    checks.py       the preflight: everything around the relay that must be right before it works

The rules and the words are in `core.showing.diagnosis`. Pages and commands use this package; no role answers another's call.
"""
