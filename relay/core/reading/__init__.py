"""How presence is read: the plan, the budget, refusals, and which of two observations is newer.

blame.py     Whether a refusal of Graph's is about a tenant, or about everybody.
budget.py    How fast one tenant may be read: Graph's limit, what is left of it, and the interval that follows
ordering.py  Which of two observations of one user is the newer, and whether they differ: older never overwrites newer
planning.py  The poll plan of one tenant: which users are read together, and when
refusals.py  Users whose ids Graph refuses when it is asked for them alone, and when they are tried again.
sizes.py     How many users a bulk read may ask for, where Graph refuses pages only because of their size.
"""
