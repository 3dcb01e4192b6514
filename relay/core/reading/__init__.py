"""The rules by which presence is read: the plan, the budget, refusals, and which observations change an answer.

accepting.py    which observations change an answer: newer, believed, known, or unsure
ordering.py     which of two observations of one user is the newer, and whether they differ: older never overwrites newer
pages.py        pages of users who are read together, and planned reads
planning.py     the poll plan of one tenant: which users are read together, and when
budget.py       Graph's limit, what is left of it, and the interval that follows
refused_ids.py  users whose ids Graph refuses when it is asked for them alone, and when they are tried again
sizes.py        how many users a bulk read may ask for, where Graph refuses pages only because of their size
blame.py        whether a refusal of Graph's is about a tenant, or about everybody
"""
