"""The hub: reads `changes` of the partitions in use, and hands each entry to the streams of its tenant.

hub.py        the hot path: reading entries and delivering them; joining and leaving
portions.py   divides entries into portions of limited work
registry.py   partitions and tenants with open streams
tenants.py    one tenant with open streams: its streams, its snapshots under way, and how fresh its presence is
repair.py     checks of the store's history, and the repair of missed entries
history.py    decides whether the store's history is still the one that the streams were shown
coalesced.py  one run of a piece of work for all that ask for it at the same time
following.py  traced changes, followed to the streams
explain.py    answers questions about a user
endings.py    the errors of keys and tenants that ended
"""
