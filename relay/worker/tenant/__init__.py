"""One tenant of an owned partition.

loop.py         the loop that wakes, starts what is due, and sleeps
parts.py        the parts, each built from those before it
takeover.py     loading from the store: at first, and after a write of unknown outcome
handover.py     the state that an owner leaves for the next one, and its use by that one
books.py        the state in memory: users, names, interest, answers
names.py        the names, the users that they stand for, and the names to be resolved
resolver.py     name resolution in Graph's directory
directory.py    names in the store
interest.py     the names that edges watch
standing.py     the tenant's state, its grants, and the meaning of errors for it
enforcement.py  applying the tenant's settings
contact.py      the time since which everything shown is confirmed
figures.py      the tenant's figures, for metrics
explain.py      answers to questions about one user
trouble.py      the tenant's present trouble, logged once
"""
