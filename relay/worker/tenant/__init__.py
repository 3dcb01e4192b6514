"""One tenant of an owned partition.

loop.py         the loop that wakes, starts what is due, and sleeps
parts.py        the parts, each built from those before it
takeover.py     everything read from the store: at first, and after a write of unknown outcome
handover.py     the handover that an owner leaves for the next one, and how that one goes on
books.py        the state in memory: users, names, interest, answers
names.py        the names, the users that they stand for, and the names to be resolved
resolver.py     names asked of Graph's directory
directory.py    names in the store
interest.py     the names that edges watch
standing.py     the tenant's state, its grants, and the meaning of errors for it
enforcement.py  the tenant's settings put in force
contact.py      the time since which everything shown is confirmed
figures.py      the tenant in numbers, for metrics
explain.py      answers for people who ask about one user
trouble.py      the trouble it has at present, logged once
"""
