"""Changes of tenants by an operator: the use cases that the commands and the console share.

    changes.py      suspend, resume, approve
    invitations.py  make a link that begins an onboarding
    mapping.py      change the console statuses that a tenant's suites show

Each takes the actor, so the audit log says who did it, and adds a line to the operators' log
(`relay.store.custody.operator_log`). What cannot be done raises `NotPossible`, whose reason each caller puts into its own words.
"""
