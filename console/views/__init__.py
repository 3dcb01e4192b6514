"""The pages of the console.

sign_in.py   signing in and out, and Entra's answers
tenants.py   the list of all tenants, and one tenant as `tenants show` and `explain` tell it
changes.py   suspend, resume, approve
mapping.py   the console statuses of one tenant's suites
invite.py    a link that lets an organisation begin
fleet.py     workers with their leases, and edges with their streams
events.py    what operators did, and what happened to one tenant
"""
