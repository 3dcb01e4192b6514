"""The rules of reading presence: the plan, the budget, refusals, and which observations change an answer.

acceptance.py           which observations of reads and notifications change an answer: newer, believed, known, or unsure
ordering.py             which of two observations of one user is newer, and whether they differ: older never overwrites newer
pages.py                pages of users who are read together, planned reads, and the pages of a handover
planning.py             the poll plan of one tenant: which users are read together, and when
urgent.py               users who are read ahead of their pages
handover.py             the users that the next owner continues with, and those it reads at once
budget.py               Graph's request limit, the rest of it, and the shortest polling interval that it allows
refused_ids.py          users whose ids Graph refuses even alone, and the times of their retries
sizes.py                the number of users in a bulk read, where Graph refuses pages only because of their size
widespread_refusals.py  whether Graph refuses one tenant, or many at once
"""
