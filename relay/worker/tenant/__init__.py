"""One tenant in its owner's hands.

loop.py         the loop that wakes, starts what is due, and sleeps
parts.py        the parts, each built from those before it
takeover.py     everything read from the store: at first, and after a write of unknown outcome
books.py        the state in memory: users, names, interest, answers
names.py        the names, what they stand for, and which are to be asked
resolver.py     names asked of Graph's directory
directory.py    names in the store
interest.py     the names that edges watch
standing.py     the tenant's state, its grants, and what errors mean for it
enforcement.py  the tenant's settings put in force
contact.py      since when everything shown is confirmed
explain.py      answers for people who ask about one user
trouble.py      the trouble it has at present, logged once
"""
