"""The control surface under /_emulator/: the operations of `Cloud` as JSON over HTTP, for other processes.

service.py     guards, routes and answers requests
guard.py       refuses unknown host names and requests from other sites' pages
table.py       the table of operations, which finds the operation of a request
operation.py   the types of operations and areas, and of names and texts
openapi.py     the OpenAPI description, made from the operations
page.py        the files of the page for browsers

people.py      operations on people: list, act, set a presence
grants.py      operations on grants, consents and app registrations
directory.py   operations on tenants' policies, second factors and signing keys
conditions.py  operations on switches, profiles, faults, clock and snapshots
notifications.py  operations on subscriptions, POSTs to webhooks and their faults
history.py     operations on the journal, the gaps and the history of changes
"""
