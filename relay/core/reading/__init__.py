"""The rules of reading presence: the plan, the budget, refusals, and which observations change an answer.

acceptance.py           which observations change an answer, reads and notifications alike: newer, believed, known, or unsure
ordering.py             which of two observations of one user is newer, and whether they differ: older never overwrites newer
pages.py                pages of users who are read together, planned reads, and pages as they are handed over
planning.py             the poll plan of one tenant: which users are read together, and when
urgent.py               users who are read ahead of their pages
handover.py             the users that the next owner goes on with, and those it reads at once
budget.py               Graph's request limit, what is left of it, and the shortest polling interval that it allows
refused_ids.py          users whose ids Graph refuses on their own, and when they are tried again
sizes.py                the number of users in a bulk read, where Graph refuses pages only because of their size
widespread_refusals.py  whether Graph refuses one tenant, or many at once
"""
