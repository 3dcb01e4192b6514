"""The control surface under /_emulator/: the operations of `cloud.py` as JSON over HTTP, for other processes.

service.py        requests: who may send them, which operation they are for, how slips are answered
guard.py          who may use the surface: programs on this machine, and its own page
table.py          the one table of operations          operation.py   one operation
openapi.py        the description in OpenAPI 3.1        page.py        the page for browsers
people.py         people and what they do               directory.py   policies, requests for approval, signing keys
grants.py         grants, their deaths, consents        history.py     the journal, gaps, people's history
notifications.py  subscriptions and POSTs               conditions.py  switches, profile, faults, clock, snapshots
"""
