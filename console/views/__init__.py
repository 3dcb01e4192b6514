"""The pages of the console.

sign_in.py   signing in and out, and Entra's answers
tenants.py   the list of all tenants, and one tenant with the data of `tenants show` and `explain`
changes.py   suspend, resume, approve
mapping.py   the console statuses of one tenant's suites
invite.py    invitation links for organisations
fleet.py     workers with their leases, and edges with their streams
events.py    the acts of operators, and one tenant's audit log
"""
