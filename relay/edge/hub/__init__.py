"""The hub: reads `changes` of the partitions in use, and delivers each entry to the streams of its tenant.

hub.py        the hot path: reading entries and delivering them; joining and leaving
portions.py   divides entries into portions of limited work
registry.py   partitions and tenants with open streams
tenants.py    one tenant with open streams: its streams, its snapshots under way, and how fresh its presence is
repair.py     checks the store's history, and repairs missed entries
history.py    decides whether the store's history is still the one that the streams have seen
coalesced.py  one run of a function for all concurrent callers
following.py  continues the traces of changes in the streams
explain.py    answers questions about a user
endings.py    the errors for revoked keys and removed tenants
"""
