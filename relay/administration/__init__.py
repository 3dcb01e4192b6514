"""Changes of tenants by an operator: the use cases that the commands and the console share.

    changes.py      suspend, resume, approve
    invitations.py  create a link that begins an onboarding
    mapping.py      change the console statuses that a tenant's suites show

Each function takes the actor, for the audit log, and adds a line to the operators' log
(`relay.store.custody.operator_log`). An action that is not possible raises `NotPossible`. Each caller words the reason itself.
"""
