"""What people are told of a tenant's watched users and of its connection, gathered from what the roles left in Redis.

    overview     all watched users, filtered and counted
    connection   how the connection to Microsoft is, and why
    explanation  everything about one user, and what only worker and edges know
    minute       watching one user for a minute

The rules and the words are in `core.diagnosis`. Pages and commands use this package; no role answers another's call.
"""
